"""Which refusals an operation can answer with. Every refusal is a problem document (RFC 9457).

Which statuses an operation can have follows from what it takes: a guard, a path with objects, a body, `If-Match`. A
route that has more says so itself (`responses=`).
"""

from http import HTTPStatus
from typing import Any

from shared.api.code_descriptions import code_descriptions
from shared.kernel.http.parameters import IF_MATCH_REQUIRED, IF_MATCH_TO_REPLACE
from shared.kernel.http.problems import PROBLEM_CONTENT_TYPE

_TEXTS = {
    "400": "The request breaks a rule; `errors` names fields and rules.",
    "401": "The token or key is missing or not valid.",
    "403": "The caller is known, but not allowed to do this.",
    "404": "The object does not exist, or belongs to another tenant.",
    "408": "The request's body arrived too slowly.",
    "409": "The object's state does not allow this, or somebody else changed it at the same time.",
    "410": "The object is gone.",
    "412": "The object was changed since the version that `If-Match` names.",
    "413": "The body is too large.",
    "415": "The operation does not take this content type.",
    "422": "The `Idempotency-Key` was used for another request.",
    "428": "`If-Match` is missing.",
    "429": "A rate limit or quota is used up. Try again after `Retry-After` seconds.",
    "500": "The platform failed.",
    "502": "The merchant's API cannot be reached, or is not set up.",
    "503": "A part of the platform does not answer. Try again after `Retry-After` seconds.",
    "504": "The merchant's API did not answer in time.",
}
_OWN_CODES = {"422": ("idempotency_key_reused",)}
"""Of the codes with a status those that an ordinary operation answers with, where it is not all of them."""

HEADERS: dict[str, Any] = {
    "ETag": {
        "description": "Version of the object in the answer. Send it as `If-Match` with a change, or as `If-None-Match`"
        " where an operation takes that.",
        "schema": {"type": "string", "examples": ['"0a1b2c"']},
    },
    "RequestId": {
        "description": "Id of the request, the `request_id` of the problem document. Name it when you ask for help.",
        "schema": {"type": "string", "examples": ["req_019aa5b3c1f2"]},
    },
    "RetryAfter": {
        "description": "Seconds to wait before the next attempt.",
        "schema": {"type": "integer", "minimum": 0, "examples": [1]},
    },
    "RateLimit": {
        "description": "State of the tightest limit: its name, `r` calls remaining, `t` seconds until it is reset"
        " (draft-ietf-httpapi-ratelimit-headers).",
        "schema": {"type": "string", "examples": ['"minute";r=0;t=12']},
    },
    "RateLimitPolicy": {
        "description": "All limits that apply to the call: each with its name, quota `q` and window `w` in seconds.",
        "schema": {"type": "string", "examples": ['"minute";q=60;w=60, "day";q=10000;w=86400']},
    },
}
"""The document's `components.headers`."""
_RETRIED = ("429", "503")


def _text(description: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "description": description, **more}


FIELD_ERROR = {
    "type": "object",
    "description": "One fault of a request.",
    "required": ["field", "rule"],
    "properties": {
        "field": _text("Path of the field in the body, such as `data.requests`, or name of the parameter."),
        "rule": _text("The rule that the field breaks."),
    },
}
PROBLEM = {
    "type": "object",
    "description": "A problem document (RFC 9457). `code` is stable; docs/errors.md explains each.",
    "required": ["type", "title", "status", "code", "detail", "request_id"],
    "properties": {
        "type": _text("`urn:ams:problem:` and the code.", format="uri"),
        "title": _text("The HTTP status in words."),
        "status": {"type": "integer", "description": "The HTTP status."},
        "code": _text("What went wrong, for programs: stable.", enum=[each.code for each in code_descriptions()]),
        "detail": _text("What went wrong, for people: the wording may change."),
        "request_id": _text("Id of the request, also in `X-AMS-Request-Id`. Name it when you ask for help."),
        "errors": {
            "type": "array",
            "items": {"$ref": "#/components/schemas/FieldError"},
            "description": "The fields or parameters at fault, each with its rule; absent if there are none.",
        },
    },
}


def problem_responses() -> dict[str, Any]:
    """Make the document's `components.responses`."""
    made: dict[str, Any] = {
        f"Problem{status}": {"description": text, "headers": _headers(status), "content": content(status)}
        for status, text in _TEXTS.items()
    }
    limits = {"RateLimit": header("RateLimit"), "RateLimit-Policy": header("RateLimitPolicy")}
    made["Problem429"]["headers"] |= limits  # which only consume sends, and only consume names this response
    return made


def header(name: str) -> dict[str, str]:
    """Refer to a header of `HEADERS`, as a response does."""
    return {"$ref": f"#/components/headers/{name}"}


def _headers(status: str) -> dict[str, Any]:
    sent = {"X-AMS-Request-Id": header("RequestId")}
    return {**sent, "Retry-After": header("RetryAfter")} if status in _RETRIED else sent


def problem_response(status: str) -> dict[str, Any]:
    """Refer to the refusal with a status, as an operation does."""
    return {"$ref": f"#/components/responses/Problem{status}"}


def content(status: str) -> dict[str, Any]:
    """Make a problem document, with an example of every code that comes with the status."""
    examples = {
        each.code: {
            "summary": each.meaning,
            "value": {
                "type": f"urn:ams:problem:{each.code}",
                "title": HTTPStatus(each.status).phrase,
                "status": each.status,
                "code": each.code,
                "detail": f"{each.meaning[:1].upper()}{each.meaning[1:]}.",
                "request_id": "req_019aa5b3c1f2",
            },
        }
        for each in code_descriptions()
        if str(each.status) == status and each.code in _OWN_CODES.get(status, (each.code,))
    }
    return {PROBLEM_CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": examples}}


def add_problem_responses(path: str, method: str, operation: dict[str, Any], *, guarded: bool) -> None:
    """Complete an operation's `responses` with those that follow from what it takes."""
    responses = operation["responses"]
    responses.pop("422", None)  # FastAPI's own
    for status in _statuses(path, method, operation, guarded=guarded):
        responses.setdefault(status, problem_response(status))
    for status, response in responses.items():
        if status >= "400" and "content" not in response and "$ref" not in response:
            response["content"] = content(status)
            response.setdefault("headers", {}).update(_headers(status))


def _statuses(path: str, method: str, operation: dict[str, Any], *, guarded: bool) -> list[str]:
    statuses = {"400", "500", "503"}
    parameters = {one["name"].lower(): one["description"] for one in operation.get("parameters", [])}
    if guarded or operation.get("security"):
        statuses |= {"401", "403"}
    if "{" in path:
        statuses.add("404")
    if method != "get":
        statuses.add("409")
    if method == "post" and guarded:
        statuses.add("422")
    if "requestBody" in operation:
        statuses.add("413")
    if "if-match" in parameters:
        statuses.add("412")
    if parameters.get("if-match") in (IF_MATCH_REQUIRED, IF_MATCH_TO_REPLACE):
        statuses.add("428")
    return sorted(statuses)
