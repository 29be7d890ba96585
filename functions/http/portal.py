"""The portal's API: one catch-all in front of the FastAPI application in shared/api."""

import logging

import azure.functions as func
import msgspec

from shared.bootstrap import application
from shared.kernel.errors import Unavailable
from shared.kernel.http.problems import PROBLEM_CONTENT_TYPE, problem_document, unavailable
from shared.kernel.ids import new_id

blueprint = func.Blueprint()
_logger = logging.getLogger(__name__)

_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


@blueprint.function_name("portal")
@blueprint.route("api/v1/{*route}", methods=_METHODS)
async def portal(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """Serve everything of the API's version 1."""
    return await _serve(req, context)


@blueprint.function_name("portal_docs")
@blueprint.route("api/docs/{*name}", methods=["GET", "HEAD"])
async def portal_docs(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """Serve the API's description to read, which is beside its versions."""
    return await _serve(req, context)


async def _serve(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """FastAPI is imported at the first call, so that consume's cold start does not pay for it."""
    try:
        api = application().api  # the first call opens the stores, which may refuse
    except Unavailable as error:
        return _unavailable(error)
    response: func.HttpResponse = await func.AsgiMiddleware(api).handle_async(req, context)
    return response


def _unavailable(error: Unavailable) -> func.HttpResponse:
    _logger.warning("the api is unavailable: %s", error)
    problem = unavailable()
    return func.HttpResponse(
        msgspec.json.encode(problem_document(problem, new_id("req"))),
        status_code=problem.status,
        headers={"Content-Type": PROBLEM_CONTENT_TYPE, "Cache-Control": "no-store", **problem.headers},
    )
