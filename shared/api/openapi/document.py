"""FastAPI's own document, completed: who may call an operation, how it can refuse, and what is served beside FastAPI.

The document is the same in every process: paths in the order of their routers, schemas and sets of values by name.
"""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from shared.api.openapi.consume import consume_paths, consume_schemas
from shared.api.openapi.pages import page_paths
from shared.api.openapi.platform import platform_paths, platform_schemas
from shared.api.openapi.refusals import FIELD_ERROR, PROBLEM, add_refusals, refusals
from shared.api.openapi.tags import CONTACT, DESCRIPTION, SERVERS, TITLE, tags
from shared.api.operations import operations
from shared.identity.permissions import PERMISSIONS

_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    "description": "A random text of the caller's: a repetition with the same one is answered, not done again.",
}
_SUCCESS = {"200": "Done.", "201": "Made.", "202": "Taken: it is done in the background.", "204": "Done; no body."}
_REPLACED = "Successful Response"
_JSON_VALUE = "Anything of JSON."


def describe(app: FastAPI) -> None:
    """Have `app` serve the completed document."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(
                title=TITLE,
                version=app.version,
                description=DESCRIPTION,
                routes=app.routes,
                tags=tags(),
                servers=SERVERS,
                contact=CONTACT,
            )
            app.openapi_schema = _complete(document, _actions(app))
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way


def _actions(app: FastAPI) -> dict[tuple[str, str], str]:
    return {(one.path, one.method.lower()): one.action for one in operations(app) if one.action is not None}


def _complete(document: dict[str, Any], actions: dict[tuple[str, str], str]) -> dict[str, Any]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            _complete_operation(path, method, operation, actions.get((path, method)))
    document["paths"] = {**consume_paths(), **document["paths"], **page_paths(), **platform_paths()}
    components = document["components"]
    schemas = components["schemas"]
    for unused in ("HTTPValidationError", "ValidationError"):  # AMS answers 400 with its own document
        schemas.pop(unused, None)
    schemas.update(consume_schemas(), **platform_schemas(), Problem=PROBLEM, FieldError=FIELD_ERROR)
    schemas["JsonValue"]["description"] = _JSON_VALUE
    components["schemas"] = dict(sorted(schemas.items()))
    components["responses"] = refusals()
    _tidy(document)
    return document


def _complete_operation(path: str, method: str, operation: dict[str, Any], action: str | None) -> None:
    if action is not None:
        operation["x-ams-action"] = action
        operation["description"] = f"{operation.get('description', '')}\n\n{_who(action)}".strip()
        if method == "post":
            operation.setdefault("parameters", []).append(_IDEMPOTENCY_KEY)
    elif not operation.get("security"):
        operation["security"] = []  # anybody may; said, so that nobody takes it for forgotten
    for status, response in operation["responses"].items():
        if response.get("description") == _REPLACED:
            response["description"] = _SUCCESS[status]
    add_refusals(path, method, operation, guarded=action is not None)


def _who(action: str) -> str:
    pairs = sorted(PERMISSIONS[action])
    return f"Action `{action}`, for: " + ", ".join(f"{role} ({relation})" for role, relation in pairs) + "."


def _tidy(node: Any) -> None:
    """Drop what repeats: titles made from names, and descriptions of parameters once more in their schemas."""
    if isinstance(node, dict):
        schema = node.get("schema")
        if "in" in node and isinstance(schema, dict):
            if schema.get("description") == node.get("description"):
                schema.pop("description", None)
            schema.pop("title", None)
        for properties in (node.get("properties"),):
            if isinstance(properties, dict):
                for each in properties.values():
                    if isinstance(each.get("title"), str):
                        each.pop("title")
        for value in node.values():
            _tidy(value)
    elif isinstance(node, list):
        for value in node:
            _tidy(value)
