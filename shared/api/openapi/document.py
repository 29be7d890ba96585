"""FastAPI's own document, completed: who may call an operation, how it can refuse, and what is served beside FastAPI.

The document is the same in every process: paths in the order of their routers, schemas and sets of values by name.
"""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from shared.api.openapi.consume import consume_paths, consume_schemas
from shared.api.openapi.pages import page_paths
from shared.api.openapi.platform import platform_paths, platform_schemas
from shared.api.openapi.problem_responses import (
    FIELD_ERROR,
    HEADERS,
    PROBLEM,
    add_problem_responses,
    header,
    problem_responses,
)
from shared.api.openapi.request_examples import add_request_example
from shared.api.openapi.tags import CONTACT, DESCRIPTION, SERVERS, TITLE, tags
from shared.api.operations import ApiOperation, operations
from shared.identity.permissions import PERMISSIONS
from shared.kernel.http.parameters import IF_MATCH_REQUIRED, IF_NONE_MATCH

_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    "description": "A random value that you choose for the request. A repetition within 24 hours by the same account"
    " gets the first answer and is not executed again; with another path, query or body it is 422.",
}
_SUCCESS = {
    "200": "Success.",
    "201": "Created.",
    "202": "Accepted: the work is done in the background.",
    "204": "Success, without a body.",
}
_IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": IF_NONE_MATCH,
}
_REPLACED = "Successful Response"
_JSON_VALUE = "Any JSON value."


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
            app.openapi_schema = _complete(document, {(one.path, one.method.lower()): one for one in operations(app)})
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way


def _complete(document: dict[str, Any], known: dict[tuple[str, str], ApiOperation]) -> dict[str, Any]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            _complete_operation(path, method, operation, known[path, method])
    document["paths"] = {**consume_paths(), **document["paths"], **page_paths(), **platform_paths()}
    components = document["components"]
    schemas = components["schemas"]
    for unused in ("HTTPValidationError", "ValidationError"):  # AMS answers 400 with its own document
        schemas.pop(unused, None)
    schemas.update(consume_schemas(), **platform_schemas(), Problem=PROBLEM, FieldError=FIELD_ERROR)
    schemas["JsonValue"]["description"] = _JSON_VALUE
    components["schemas"] = dict(sorted(schemas.items()))
    components["responses"] = problem_responses()
    components["headers"] = HEADERS
    _tidy(document)
    return document


def _complete_operation(path: str, method: str, operation: dict[str, Any], known: ApiOperation) -> None:
    if (action := known.action) is not None:
        operation["x-ams-action"] = action
        operation["description"] = f"{operation.get('description', '').strip()}\n\n{_who(action)}".strip()
        if method == "post":
            operation.setdefault("parameters", []).append(_IDEMPOTENCY_KEY)
    elif not operation.get("security"):
        operation["security"] = []  # anybody may; said, so that nobody takes it for forgotten
    for parameter in operation.get("parameters", []):
        _complete_parameter(parameter)
    responses = operation["responses"]
    for status, response in responses.items():
        if response.get("description") == _REPLACED:
            response["description"] = _SUCCESS[status]
        if status < "400" and ("304" in responses or (known.tagged and status != "204")):
            response.setdefault("headers", {})["ETag"] = header("ETag")
    if "304" in responses and not _has(operation, "if-none-match"):  # which `cacheable` reads from the request itself
        operation.setdefault("parameters", []).append(_IF_NONE_MATCH)
    add_request_example(operation)
    add_problem_responses(path, method, operation, guarded=action is not None)


def _has(operation: dict[str, Any], parameter: str) -> bool:
    return any(one["name"].lower() == parameter for one in operation.get("parameters", []))


def _complete_parameter(parameter: dict[str, Any]) -> None:
    """A parameter is there or is not, and never null; and `If-Match` is required where `check_match` says so."""
    schema = parameter["schema"]
    if {"type": "null"} in (given := schema.pop("anyOf", [])):
        given.remove({"type": "null"})
    if len(given) > 1:
        schema["anyOf"] = given
    elif given:
        parameter["schema"] = {**given[0], **schema}
        if parameter["in"] == "path":  # also a query parameter, which may be left out, of other operations
            parameter["description"] = given[0]["description"]
    parameter["schema"].pop("description", None)
    if parameter.get("description") == IF_MATCH_REQUIRED:
        parameter["required"] = True


def _who(action: str) -> str:
    pairs = sorted(PERMISSIONS[action])
    return f"Action `{action}`, for: " + ", ".join(f"{role} ({relation})" for role, relation in pairs) + "."


def _tidy(node: Any) -> None:
    """Drop titles that are made from names, and the white space around descriptions."""
    if isinstance(node, dict):
        schema = node.get("schema")
        if "in" in node and isinstance(schema, dict):
            schema.pop("title", None)
        if isinstance(properties := node.get("properties"), dict):
            for each in properties.values():
                if isinstance(each.get("title"), str):
                    each.pop("title")
        if isinstance(description := node.get("description"), str):
            node["description"] = description.strip()
        for value in node.values():
            _tidy(value)
    elif isinstance(node, list):
        for value in node:
            _tidy(value)
