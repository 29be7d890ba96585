"""What FastAPI's own OpenAPI document does not say: which refusals an operation can answer with, and who may call it.

Every refusal is a problem document (RFC 9457). Which statuses an operation can have follows from what it takes: a
guard, a path with objects, a body, `If-Match`. A route that has more says so itself (`responses=`).
"""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from shared.api.operations import operations
from shared.api.problem_codes import problem_codes
from shared.identity.permissions import PERMISSIONS
from shared.kernel.http.problems import PROBLEM_CONTENT_TYPE

_TEXTS = {
    "400": "The request breaks a rule; `errors` names fields and rules.",
    "401": "Nobody is signed in, or the token or key is not valid.",
    "403": "Signed in, but not allowed.",
    "404": "There is no such thing, or it is somebody else's.",
    "409": "It is not in a state for this, or was changed by somebody else at the same time.",
    "412": "It was changed since it was read.",
    "413": "The body is too large.",
    "422": "The Idempotency-Key was used for another request.",
    "428": "`If-Match` is required.",
    "429": "Too often. Try again after `Retry-After`.",
    "500": "A fault of the platform.",
    "503": "A part of the platform does not answer. Try again after `Retry-After`.",
}
_TEXT = {"type": "string"}
_FIELD_ERROR = {
    "type": "object",
    "required": ["field", "rule"],
    "properties": {"field": _TEXT, "rule": {**_TEXT, "description": "What the field must be."}},
}
_PROBLEM = {
    "type": "object",
    "description": "RFC 9457. `code` is stable, and docs/errors.md explains each.",
    "required": ["type", "title", "status", "code", "detail", "request_id"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": _TEXT,
        "status": {"type": "integer"},
        "code": {**_TEXT, "enum": [each.code for each in problem_codes()]},
        "detail": _TEXT,
        "request_id": _TEXT,
        "errors": {"type": "array", "items": _FIELD_ERROR},
    },
}
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    "description": "A random text of the caller's: a repetition with the same one is answered, not done again.",
}


def describe(app: FastAPI) -> None:
    """Have `app` serve the completed document."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(title=app.title, version=app.version, routes=app.routes)
            app.openapi_schema = _complete(document, _actions(app))
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way


def _actions(app: FastAPI) -> dict[tuple[str, str], str]:
    return {(one.path, one.method.lower()): one.action for one in operations(app) if one.action is not None}


def _complete(document: dict[str, Any], actions: dict[tuple[str, str], str]) -> dict[str, Any]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            action = actions.get((path, method))
            if action is not None:
                operation["x-ams-action"] = action
                operation["description"] = f"{operation.get('description', '')}\n\n{_who(action)}".strip()
            if action is not None and method == "post":
                operation.setdefault("parameters", []).append(_IDEMPOTENCY_KEY)
            _add_refusals(path, method, operation, guarded=action is not None)
    schemas = document["components"]["schemas"]
    for unused in ("HTTPValidationError", "ValidationError"):  # AMS answers 400 with its own document
        schemas.pop(unused, None)
    schemas["Problem"] = _PROBLEM
    document["components"]["responses"] = {
        f"Problem{status}": {"description": text, "content": _content(status)} for status, text in _TEXTS.items()
    }
    return document


def _who(action: str) -> str:
    pairs = sorted(PERMISSIONS[action])
    return f"Action `{action}`, for: " + ", ".join(f"{role} ({relation})" for role, relation in pairs) + "."


def _add_refusals(path: str, method: str, operation: dict[str, Any], *, guarded: bool) -> None:
    responses = operation["responses"]
    responses.pop("422", None)  # FastAPI's own
    for status in _statuses(path, method, operation, guarded=guarded):
        responses.setdefault(status, {"$ref": f"#/components/responses/Problem{status}"})
    for status, response in responses.items():
        if status >= "400" and "content" not in response and "$ref" not in response:
            response["content"] = _content(status)


def _content(status: str) -> dict[str, Any]:
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
        for each in problem_codes()
        if str(each.status) == status
    }
    return {PROBLEM_CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": examples}}


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
