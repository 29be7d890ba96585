"""Every error of the API as a problem document (RFC 9457)."""

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.responses import Response

from shared.kernel.errors import FieldError, Problem, Unavailable
from shared.kernel.http.problems import PROBLEM_CONTENT_TYPE, problem_document, unavailable
from shared.kernel.ids import new_id
from shared.kernel.problem_codes import ProblemCode

_CODES: dict[int, ProblemCode] = {404: "not_found", 405: "method_not_allowed", 413: "body_too_large"}
_logger = logging.getLogger(__name__)


def answer_errors(app: FastAPI) -> None:
    """Have `app` answer every error as problem+json."""
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(Unavailable, _on_unavailable)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(Exception, _on_error)


def problem_response(problem: Problem, request_id: str) -> Response:
    headers = {"X-AMS-Request-Id": request_id, "Cache-Control": "no-store", **problem.headers}
    return JSONResponse(problem_document(problem, request_id), problem.status, headers, PROBLEM_CONTENT_TYPE)


def _respond(request: Request, problem: Problem) -> Response:
    return problem_response(problem, getattr(request.state, "request_id", None) or new_id("req"))


async def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return _respond(request, error)


async def _on_unavailable(request: Request, error: Exception) -> Response:
    _logger.warning("the api is unavailable: %s", error)
    return _respond(request, unavailable())


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [_error(each, error.body) for each in error.errors()]
    detail = "; ".join(f"`{e.field}`: {e.rule}" for e in errors)
    return _respond(request, Problem(400, "request_invalid", detail, errors))


def _error(of: Mapping[str, Any], body: object) -> FieldError:
    field = _field(of["loc"], of["type"], body)
    if of["type"] in {"union_tag_invalid", "union_tag_not_found"}:
        # pydantic names the object, and uses its own words for what chooses its form
        name, tags = of["ctx"]["discriminator"].strip("'"), of["ctx"].get("expected_tags")
        return FieldError(f"{field}.{name}", f"must be one of {tags}" if tags else "Field required")
    return FieldError(field, of["msg"].removeprefix("Value error, "))


def _field(location: tuple[str | int, ...], type: str, body: object) -> str:
    """Without where it is (body, query); for a body that is no JSON at all, `body` itself."""
    inner = location[1:]
    if not inner or (isinstance(inner[0], int) and len(inner) == 1):
        return "body"
    names = _names(inner, type, body) if location[0] == "body" else inner
    return ".".join(str(name) for name in names)


def _names(location: tuple[str | int, ...], type: str, body: object) -> Iterator[str | int]:
    """Of a location in a body those names that a caller knows: between them pydantic puts which of several models it
    took (`charges.2.per_unit.unit_price`)."""
    for index, name in enumerate(location):
        known = not isinstance(body, Mapping) or name in body
        if known or (type == "missing" and index == len(location) - 1):
            yield name
        if known:
            body = _inside(body, name)


def _inside(body: object, name: str | int) -> object:
    if isinstance(body, Mapping):
        return body.get(name)
    return body[name] if isinstance(body, list) and isinstance(name, int) and name < len(body) else None


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = _CODES.get(error.status_code, "request_invalid")
    return _respond(request, Problem(error.status_code, code, str(error.detail), headers=dict(error.headers or {})))


async def _on_error(request: Request, error: Exception) -> Response:
    _logger.error("the api failed", exc_info=error)
    return _respond(request, Problem(500, "internal_error", "Something went wrong on our side."))
