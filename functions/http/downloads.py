"""Downloads by link, where the store has no signed links of its own. The link is the authorisation."""

import logging

import azure.functions as func
import msgspec

from functions.http.streaming import StreamedResponse, complete, streams_body
from shared.bootstrap import application
from shared.kernel.errors import Problem, Unavailable
from shared.kernel.http.problems import PROBLEM_CONTENT_TYPE, not_found, problem_document, unavailable
from shared.kernel.ids import new_id
from shared.platform.blobs.links import LinkExpired, LinkInvalid

blueprint = func.Blueprint()
_logger = logging.getLogger(__name__)


@blueprint.function_name("downloads")
@blueprint.route("api/downloads/{*name}", methods=["GET"])
@streams_body  # so that the local host sends the file piece by piece
async def downloads(req: func.HttpRequest) -> func.HttpResponse:
    """Send the file that a link leads to, to be saved under the name that the link says."""
    try:
        return await _download(req)
    except LinkExpired:
        return _refuse(Problem(410, "link_expired", "The link's time is over. Ask for a new one where you got it."))
    except LinkInvalid:
        return _refuse(Problem(403, "link_invalid", "The link was not given out like this. Copy it whole."))
    except Problem as problem:
        return _refuse(problem)
    except Unavailable as error:
        _logger.warning("a download is unavailable: %s", error)
        return _refuse(unavailable())


async def _download(req: func.HttpRequest) -> func.HttpResponse:
    local = application().ports.local_downloads
    found = None if local is None else await local.open(req.route_params.get("name", ""), req.params)
    if found is None:
        raise not_found()
    response = StreamedResponse(status_code=200, headers=dict(found.headers), chunks=found.opened.chunks)
    return await complete(req, response)


def _refuse(problem: Problem) -> func.HttpResponse:
    return func.HttpResponse(
        msgspec.json.encode(problem_document(problem, new_id("req"))),
        status_code=problem.status,
        headers={"Content-Type": PROBLEM_CONTENT_TYPE, "Cache-Control": "no-store", **problem.headers},
    )
