"""The marketplace as HTML pages, with what search engines ask for. No framework; templates load at the first page."""

import logging
from collections.abc import Awaitable, Callable
from typing import get_args
from urllib.parse import parse_qsl, urlsplit

import azure.functions as func

from shared.bootstrap import application
from shared.catalog.marketplace.pages import CACHED, POLICY, HtmlPage, HtmlPages
from shared.catalog.marketplace.search import FACETS, CatalogQuery
from shared.kernel.errors import Problem, Unavailable
from shared.platform.search import Sort

blueprint = func.Blueprint()
_logger = logging.getLogger(__name__)

_METHODS = ["GET", "HEAD"]
_CAREFUL = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "strict-origin-when-cross-origin"}
TEXT_CHARACTERS_MAX = 200
FILTERS_MAX = 20


@blueprint.function_name("marketplace")
@blueprint.route("marketplace", methods=_METHODS)
async def marketplace(req: func.HttpRequest) -> func.HttpResponse:
    """Serve the list of services, by `q`, `type`, `category`, `tag` (repeatable), `merchant`, `price_model`, `sort`,
    `cursor`."""
    asked, cursor = _asked(req)
    return await _answer(req, lambda pages: pages.marketplace(asked, cursor))


@blueprint.function_name("marketplace_merchant")
@blueprint.route("marketplace/{merchant}", methods=_METHODS)
async def marketplace_merchant(req: func.HttpRequest) -> func.HttpResponse:
    """Serve the page of a merchant and its services."""
    return await _answer(req, lambda pages: pages.merchant(req.route_params["merchant"]))


@blueprint.function_name("marketplace_service")
@blueprint.route("marketplace/{merchant}/{service}", methods=_METHODS)
async def marketplace_service(req: func.HttpRequest) -> func.HttpResponse:
    """Serve the page of a service."""
    route = req.route_params
    return await _answer(req, lambda pages: pages.service(route["merchant"], route["service"]))


@blueprint.function_name("marketplace_style")
@blueprint.route("marketplace.css", methods=_METHODS)
async def marketplace_style(req: func.HttpRequest) -> func.HttpResponse:
    """Serve the stylesheet of the pages, which ask for it by its content."""
    return await _answer(req, HtmlPages.style, "public, max-age=31536000, immutable")


@blueprint.function_name("robots")
@blueprint.route("robots.txt", methods=_METHODS)
async def robots(req: func.HttpRequest) -> func.HttpResponse:
    """Say where search engines may go."""
    return await _answer(req, HtmlPages.robots)


@blueprint.function_name("sitemap")
@blueprint.route("sitemap.xml", methods=_METHODS)
async def sitemap(req: func.HttpRequest) -> func.HttpResponse:
    """List every page that search engines should know; beyond 50,000, an index of what is at `?part=<n>`."""
    part = req.params.get("part", "")
    return await _answer(req, lambda _: application().catalog.sitemap.page(int(part) if part.isdecimal() else None))


async def _answer(
    req: func.HttpRequest, render: Callable[[HtmlPages], Awaitable[HtmlPage]], cached: str = CACHED
) -> func.HttpResponse:
    try:
        pages = application().catalog.pages  # the first call opens the stores, which may refuse
        page = await _rendered(pages, render)
    except Unavailable as error:
        _logger.warning("a page is unavailable: %s", error)
        headers = {"Retry-After": "1", "Cache-Control": "no-store", **_CAREFUL}
        return func.HttpResponse("Try again in a moment.", status_code=503, headers=headers, mimetype="text/plain")
    headers = {"ETag": page.etag, "Cache-Control": cached if page.status == 200 else "no-store", **_CAREFUL}
    headers["Content-Security-Policy"] = POLICY
    known = {tag.strip().removeprefix("W/") for tag in req.headers.get("if-none-match", "").split(",")}
    if page.status == 200 and (page.etag in known or "*" in known):
        return func.HttpResponse(status_code=304, headers=headers)
    headers["Content-Type"] = page.content_type
    return func.HttpResponse(page.body, status_code=page.status, headers=headers)


async def _rendered(pages: HtmlPages, render: Callable[[HtmlPages], Awaitable[HtmlPage]]) -> HtmlPage:
    try:
        return await render(pages)
    except Problem as problem:  # a cursor of another list
        return pages.missing(problem.status)


def _asked(req: func.HttpRequest) -> tuple[CatalogQuery, str | None]:
    """Read the query; what is not known is ignored: these are addresses that people shorten and mistype."""
    given = parse_qsl(urlsplit(req.url).query)[:FILTERS_MAX]
    last = dict(given)
    filters: dict[str, list[str]] = {}
    for name, value in given:
        if name == "tag":
            filters.setdefault(name, []).append(value)
        elif name in FACETS:
            filters[name] = [value]
    sort: Sort = next((each for each in get_args(Sort) if each == last.get("sort")), "relevance")
    return CatalogQuery(last.get("q", "")[:TEXT_CHARACTERS_MAX], filters, sort), last.get("cursor")
