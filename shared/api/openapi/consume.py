"""`/api/consume` in the document: reports of usage, and calls that are forwarded (functions/http/consume.py)."""

import re
from typing import Any

import msgspec
from msgspec.structs import fields

from shared.api.openapi.problem_responses import header, problem_response
from shared.metering.consume.parsing import EVENTS_PER_BATCH_MAX, REPORT_BYTES_MAX
from shared.metering.events import EVENT_TYPE, METADATA_BYTES_MAX, METADATA_LEVELS_MAX, ReportedEvent, UsageData

_METHODS = ("get", "head", "post", "put", "patch", "delete", "options")
_KEY: list[dict[str, list[str]]] = [{"AmsKey": []}, {"AmsBearer": []}]
_TEMPLATE = "#/components/schemas/{name}"
_EVENT = {"specversion": "1.0", "type": EVENT_TYPE, "source": "my-laptop", "id": "doc-1", "subject": "ocr"}
_RAN = {**_EVENT, "data": {"executions": 1, "duration_ms": 830, "image": "ocr", "version": "2.1"}}

_REPORT = f"""\
With one of the two CloudEvents content types, the request is a usage report: one event, or a batch of 1 to
{EVENTS_PER_BATCH_MAX:,} events, in at most {REPORT_BYTES_MAX:,} bytes. Each event of a batch is accepted or rejected by
itself. 202 means that every accepted event is on durable storage. Give each logical operation one `id`, and repeat it
with every retry: of events with the same consumer, `source` and `id` one is counted.

With any other content type, the request is a call without a path. It is forwarded to the service that `X-AMS-Service`
names, like a call of `/api/consume/{{service}}/`."""
_FORWARD = """\
AMS checks key, grant and limits, then sends the call to the service's upstream: method, path, query, body and headers
unchanged, without hop-by-hop headers, cookies, the key and `X-AMS-*`. The answer of the merchant's API is passed on
unchanged.

Refusals by AMS have the header `X-AMS-Answered-By: ams` and are problem documents; answers of the merchant's API have
`X-AMS-Answered-By: upstream`. A call that reached for the upstream is one usage event, even if the upstream failed."""
_UPSTREAM = "The answer of the merchant's API: its status, headers and body, unchanged."

_DATA_TEXTS = {
    "requests": "Number of requests that the event stands for.",
    "request_bytes": "Bytes of request bodies, without headers and transfer coding.",
    "response_bytes": "Bytes of response bodies, without headers and transfer coding.",
    "response_time_ms": "Response time in milliseconds; null is unknown.",
    "status_code": "HTTP status of the answer; requests are also counted by status. Null is unknown.",
    "executions": "Number of executions that the event stands for, such as runs of a container.",
    "duration_ms": "Duration of the work in milliseconds.",
    "image": "Container image; usage is also counted by image. Null is none.",
    "version": "Version of the container; usage is also counted by version. Null is none.",
    "feature": "Feature that was used; usage is also counted by feature. Null is none.",
    "resource": "Object that the feature was used on; stored, not counted by. Null is none.",
    "quantity": "Quantity of the feature that was used, a decimal as text; requires `feature`. Null is none.",
    "metadata": f"Additional data: at most {METADATA_BYTES_MAX:,} bytes, {METADATA_LEVELS_MAX} levels deep.",
}
_EVENT_TEXTS = {
    "id": "Id of the event, unique for its `source` and the same at every retry.",
    "source": "Emitter of the event, such as the id of an instance; must not begin with `ams/`.",
    "type": f"Always `{EVENT_TYPE}`.",
    "subject": "Slug or id of the service that was used.",
    "specversion": "Always `1.0`.",
    "time": "Time of the usage, RFC 3339 with an offset: from 35 days ago to 5 minutes ahead. Null is the arrival.",
    "data": "What was used; one request by default.",
    "datacontenttype": "Null, or `application/json`.",
    "dataschema": "Accepted, and not stored.",
}


def consume_schemas() -> dict[str, Any]:
    """Make the schemas of the event and its data, from the structs that decode them, and of what a report is answered
    with."""
    data = _copy(UsageData, metadata=dict[str, Any])
    event = _copy(ReportedEvent, data=data)
    _, made = msgspec.json.schema_components([event], ref_template=_TEMPLATE)
    for name, texts, description in (
        ("UsageData", _DATA_TEXTS, "What was used. All fields are optional; unknown fields are refused."),
        ("ReportedEvent", _EVENT_TEXTS, "A usage event in CloudEvents 1.0 JSON, as a program reports it."),
    ):
        made[name]["description"] = description
        made[name].pop("title", None)
        for field, schema in made[name]["properties"].items():
            made[name]["properties"][field] = {**_ecma(schema), "description": texts[field]}
    made["ReportedEvent"]["properties"]["time"]["format"] = "date-time"
    made["ReportedEvent"]["examples"] = [_RAN]
    return {**made, "RejectedEvent": _REJECTED, "UsageReportReceipt": _RECEIPT, "BatchRejected": _BATCH_REJECTED}


def consume_paths() -> dict[str, Any]:
    forward = {
        method: {
            "tags": ["consume"],
            "operationId": f"forward{method.capitalize()}",
            "summary": f"Forward a {method.upper()} call",
            "description": _FORWARD,
            "security": _KEY,
            "parameters": _FORWARD_PARAMETERS,
            **({} if method in ("get", "head", "options") else {"requestBody": _ANY_BODY}),
            "responses": _FORWARDED,
        }
        for method in _METHODS
    }
    return {"/api/consume": {"post": _POST}, "/api/consume/{service}/{path}": forward}


def _copy(struct: type[msgspec.Struct], **types: Any) -> type[msgspec.Struct]:
    """`struct` with other types for some of its fields: a `Raw` has no schema, and its default no JSON."""
    known: list[Any] = []
    for field in fields(struct):
        type_ = types.get(field.name, field.type)
        if field.required:
            known.append((field.name, type_))
        else:
            default = msgspec.UNSET if field.name in types else field.default
            known.append((field.name, type_ | msgspec.UnsetType if field.name in types else type_, default))
    return msgspec.defstruct(struct.__name__, known, forbid_unknown_fields=True)


def _ecma(schema: Any) -> Any:
    r"""Python's patterns as JSON Schema has them: `$` is the end there, which `\Z` is in Python."""
    if isinstance(schema, dict):
        return {
            name: re.sub(r"\\Z$", "$", value) if name == "pattern" else _ecma(value) for name, value in schema.items()
        }
    return [_ecma(each) for each in schema] if isinstance(schema, list) else schema


def _header(description: str, **schema: Any) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "string", **schema}}


_HEADERS = {
    "X-AMS-Request-Id": _header("Id of the request; it is the `id` of a forwarded call's usage event."),
    "X-AMS-Answered-By": _header(
        "`ams` if AMS answered, `upstream` if the merchant's API answered.", enum=["ams", "upstream"]
    ),
}
_REJECTED = {
    "type": "object",
    "description": "An event of a report that was rejected.",
    "required": ["index", "id", "code", "detail", "errors"],
    "properties": {
        "index": {"type": "integer", "minimum": 0, "description": "Index of the event in the batch, from 0."},
        "id": {"type": ["string", "null"], "description": "Id of the event; null if none could be read."},
        "code": {"type": "string", "description": "What is wrong, for programs: a problem code of docs/errors.md."},
        "detail": {"type": "string", "description": "What is wrong, for people."},
        "errors": {
            "type": "array",
            "items": {"$ref": "#/components/schemas/FieldError"},
            "description": "Fields at fault, each with its rule; empty if there are none.",
        },
    },
}
_RECEIPT_FIELDS = {
    "request_id": {"type": "string", "description": "Id of the request, also in `X-AMS-Request-Id`."},
    "accepted": {
        "type": "integer",
        "description": "Number of accepted events, duplicates of earlier reports included.",
    },
    "duplicates": {
        "type": "integer",
        "description": "Number of events that this report holds more than once; each is counted once.",
    },
    "rejected": {
        "type": "array",
        "items": {"$ref": "#/components/schemas/RejectedEvent"},
        "description": "Rejected events, each with the reason.",
    },
}
_RECEIPT = {
    "type": "object",
    "description": "Outcome of a usage report.",
    "required": list(_RECEIPT_FIELDS),
    "properties": _RECEIPT_FIELDS,
}
_BATCH_REJECTED = {
    "description": "A problem document with the outcome of each event.",
    "allOf": [{"$ref": "#/components/schemas/Problem"}, {"$ref": "#/components/schemas/UsageReportReceipt"}],
}
_ONE = {"schema": {"$ref": "#/components/schemas/ReportedEvent"}, "example": _RAN}
_BATCH = {
    "schema": {
        "type": "array",
        "items": {"$ref": "#/components/schemas/ReportedEvent"},
        "minItems": 1,
        "maxItems": EVENTS_PER_BATCH_MAX,
    },
    "example": [_EVENT, {**_RAN, "id": "doc-2"}],
}
_ANY_BODY = {
    "description": "The body that the merchant's API takes.",
    "required": False,
    "content": {"*/*": {"schema": {}}},
}
_REFUSED = {
    status: problem_response(status)
    for status in ("400", "401", "403", "408", "413", "429", "500", "502", "503", "504")
}
_LIMITS = {"RateLimit": header("RateLimit"), "RateLimit-Policy": header("RateLimitPolicy")}
_ANSWER = {"description": _UPSTREAM, "headers": {**_HEADERS, **_LIMITS}, "content": {"*/*": {"schema": {}}}}
_FORWARDED = {"200": _ANSWER, "default": _ANSWER, **_REFUSED}
_FORWARD_PARAMETERS = [
    {
        "name": "service",
        "in": "path",
        "required": True,
        "schema": {"type": "string"},
        "description": "Slug or id of the service.",
        "example": "ocr",
    },
    {
        "name": "path",
        "in": "path",
        "required": True,
        "schema": {"type": "string"},
        "description": "Path below the upstream's base URL, passed on byte for byte; it may contain slashes.",
        "example": "v1/pages",
    },
]
_POST = {
    "tags": ["consume"],
    "operationId": "reportUsage",
    "summary": "Report usage, or call a service without a path",
    "description": _REPORT,
    "security": _KEY,
    "parameters": [
        {
            "name": "X-AMS-Service",
            "in": "header",
            "required": False,
            "schema": {"type": "string"},
            "description": "For a call: slug or id of the service. Usage reports name the service in `subject`.",
        }
    ],
    "requestBody": {
        "description": "One event, a batch, or the body of a call.",
        "required": False,
        "content": {
            "application/cloudevents+json": _ONE,
            "application/cloudevents-batch+json": _BATCH,
            "*/*": {"schema": {}},
        },
    },
    "responses": {
        "202": {
            "description": "The accepted events are on durable storage.",
            "headers": _HEADERS,
            "content": {
                "application/json": {
                    "schema": {"$ref": "#/components/schemas/UsageReportReceipt"},
                    "example": {"request_id": "req_019aa5b3c1f2", "accepted": 1, "duplicates": 0, "rejected": []},
                }
            },
        },
        **_REFUSED,
        "415": problem_response("415"),
        "422": {
            "description": "An event breaks a rule, or no event of the batch could be taken (`batch_rejected`).",
            "headers": {"X-AMS-Request-Id": header("RequestId")},
            "content": {
                "application/problem+json": {
                    "schema": {
                        "anyOf": [
                            {"$ref": "#/components/schemas/BatchRejected"},
                            {"$ref": "#/components/schemas/Problem"},
                        ]
                    }
                }
            },
        },
        "default": _ANSWER,
    },
}
