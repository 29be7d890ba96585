"""The portal's API: one catch-all in front of the FastAPI application in shared/api."""

import azure.functions as func

from shared.bootstrap import application

blueprint = func.Blueprint()

_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


@blueprint.function_name("portal")
@blueprint.route("v1/{*route}", methods=_METHODS)
async def portal(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """FastAPI is imported at the first call, so that consume's cold start does not pay for it."""
    response: func.HttpResponse = await func.AsgiMiddleware(application().api).handle_async(req, context)
    return response
