"""What FastAPI's own OpenAPI document does not say: that every refusal is a problem document (RFC 9457)."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from shared.kernel.problems import PROBLEM_CONTENT_TYPE

_REFUSALS = {
    "400": "The request cannot be read; `errors` names the fields.",
    "401": "There is no API key, or none that exists.",
    "403": "The API key may not be used.",
    "503": "A part of the platform does not answer. Try again after `Retry-After`.",
    "default": "Any other problem.",
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
        "code": _TEXT,
        "detail": _TEXT,
        "request_id": _TEXT,
        "errors": {"type": "array", "items": _FIELD_ERROR},
    },
}


def describe(app: FastAPI) -> None:
    """Have `app` serve the completed document."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _complete(get_openapi(title=app.title, version=app.version, routes=app.routes))
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way


def _complete(document: dict[str, Any]) -> dict[str, Any]:
    content = {PROBLEM_CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    refusals = {status: {"description": text, "content": content} for status, text in _REFUSALS.items()}
    for path in document["paths"].values():
        for operation in path.values():
            answers = {status: answer for status, answer in operation["responses"].items() if status != "422"}
            operation["responses"] = {**answers, **refusals}
    schemas = document["components"]["schemas"]
    for unused in ("HTTPValidationError", "ValidationError"):  # AMS answers 400 with its own document
        schemas.pop(unused, None)
    schemas["Problem"] = _PROBLEM
    return document
