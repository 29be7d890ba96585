"""Which refusals an operation can answer with. Every refusal is a problem document (RFC 9457).

Which statuses an operation can have follows from what it takes: a guard, a path with objects, a body, `If-Match`. A
route that has more says so itself (`responses=`).
"""

from http import HTTPStatus
from typing import Any

from shared.api.code_descriptions import code_descriptions
from shared.kernel.http.problems import PROBLEM_CONTENT_TYPE

_TEXTS = {
    "400": "The request breaks a rule; `errors` names fields and rules.",
    "401": "Nobody is signed in, or the token or key is not valid.",
    "403": "Signed in, but not allowed.",
    "404": "There is no such thing, or it is somebody else's.",
    "408": "The request's body came too slowly.",
    "409": "It is not in a state for this, or was changed by somebody else at the same time.",
    "410": "It is no longer there.",
    "412": "It was changed since it was read.",
    "413": "The body is too large.",
    "415": "The content type is none that the operation takes.",
    "422": "The Idempotency-Key was used for another request.",
    "428": "`If-Match` is required.",
    "429": "Too often. Try again after `Retry-After`.",
    "500": "A fault of the platform.",
    "502": "The merchant's API cannot be reached, or is not set up.",
    "503": "A part of the platform does not answer. Try again after `Retry-After`.",
    "504": "The merchant's API did not answer in time.",
}


def _text(description: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "description": description, **more}


FIELD_ERROR = {
    "type": "object",
    "description": "One fault of a request.",
    "required": ["field", "rule"],
    "properties": {
        "field": _text("Path of the field in the body (`data.requests`), or name of the parameter."),
        "rule": _text("What the field must be."),
    },
}
PROBLEM = {
    "type": "object",
    "description": "RFC 9457. `code` is stable, and docs/errors.md explains each.",
    "required": ["type", "title", "status", "code", "detail", "request_id"],
    "properties": {
        "type": _text("`urn:ams:problem:` and the code.", format="uri"),
        "title": _text("The status in words."),
        "status": {"type": "integer", "description": "The HTTP status."},
        "code": _text("What went wrong, for programs.", enum=[each.code for each in code_descriptions()]),
        "detail": _text("What went wrong, for people; the words may change."),
        "request_id": _text("Names the request when asking for help; mostly also in `X-AMS-Request-Id`."),
        "errors": {
            "type": "array",
            "items": {"$ref": "#/components/schemas/FieldError"},
            "description": "Where fields or parameters are at fault, each with its rule; else absent.",
        },
    },
}


def refusals() -> dict[str, Any]:
    """The document's `components.responses`."""
    return {f"Problem{status}": {"description": text, "content": content(status)} for status, text in _TEXTS.items()}


def refusal(status: str) -> dict[str, Any]:
    """The refusal with a status, as an operation names it."""
    return {"$ref": f"#/components/responses/Problem{status}"}


def content(status: str) -> dict[str, Any]:
    """A problem document, with an example of every code that comes with the status."""
    examples = {
        each.code: {
            "summary": each.meaning,
            "value": {
                "type": f"urn:ams:problem:{each.code}",
                "title": HTTPStatus(each.status).phrase,
                "status": each.status,
                "code": each.code,
                "detail": each.what_to_do,
                "request_id": "req_019aa5b3c1f2",
            },
        }
        for each in code_descriptions()
        if str(each.status) == status
    }
    return {PROBLEM_CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": examples}}


def add_refusals(path: str, method: str, operation: dict[str, Any], *, guarded: bool) -> None:
    """Complete an operation's `responses` with those that follow from what it takes."""
    responses = operation["responses"]
    responses.pop("422", None)  # FastAPI's own
    for status in _statuses(path, method, operation, guarded=guarded):
        responses.setdefault(status, refusal(status))
    for status, response in responses.items():
        if status >= "400" and "content" not in response and "$ref" not in response:
            response["content"] = content(status)


def _statuses(path: str, method: str, operation: dict[str, Any], *, guarded: bool) -> list[str]:
    statuses = {"400", "500", "503"}
    parameters = {parameter["name"].lower() for parameter in operation.get("parameters", [])}
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
        statuses |= {"412", "428"}
    return sorted(statuses)
