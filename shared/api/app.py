"""The FastAPI application factory: routers, problem+json for every error, OpenAPI 3.1 at /api/v1/openapi.json."""

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.responses import Response

from shared.api.openapi import describe
from shared.api.parts import Parts
from shared.kernel.errors import FieldError, Problem, Unavailable
from shared.kernel.ids import new_id
from shared.kernel.problems import PROBLEM_CONTENT_TYPE, problem_document, unavailable
from shared.metering import routes as metering_routes

VERSION = "0.1.0"
_CODES = {404: "not_found", 405: "method_not_allowed"}
_logger = logging.getLogger(__name__)


def create_app(parts: Parts) -> FastAPI:
    """Routes find what they need, and who calls, in `app.state.parts`."""
    app = FastAPI(
        title="AMS", version=VERSION, openapi_url="/api/v1/openapi.json", docs_url=None, redoc_url=None,
        redirect_slashes=False,
    )  # fmt: skip
    app.state.parts = parts
    app.include_router(metering_routes.router, prefix="/api/v1")
    describe(app)
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(Unavailable, _on_unavailable)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(Exception, _on_error)
    return app


def _respond(problem: Problem) -> Response:
    request_id = new_id("req")
    headers = {"X-AMS-Request-Id": request_id, "Cache-Control": "no-store", **problem.headers}
    return JSONResponse(problem_document(problem, request_id), problem.status, headers, PROBLEM_CONTENT_TYPE)


async def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return _respond(error)


async def _on_unavailable(request: Request, error: Exception) -> Response:
    _logger.warning("the api is unavailable: %s", error)
    return _respond(unavailable())


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [FieldError(".".join(str(part) for part in e["loc"][1:]), e["msg"]) for e in error.errors()]
    detail = "; ".join(f"`{e.field}`: {e.rule}" for e in errors)
    return _respond(Problem(400, "request_invalid", detail, errors))


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = _CODES.get(error.status_code, "request_invalid")
    return _respond(Problem(error.status_code, code, str(error.detail), headers=dict(error.headers or {})))


async def _on_error(request: Request, error: Exception) -> Response:
    _logger.error("the api failed", exc_info=error)
    return _respond(Problem(500, "internal_error", "Something went wrong on our side."))
