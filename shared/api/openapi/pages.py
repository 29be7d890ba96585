"""Public pages in the document: the marketplace as HTML, what search engines ask for, and this description to read."""

from typing import Any, get_args

from shared.catalog.models import PriceModel, ServiceType
from shared.platform.search import Sort

_HTML = "text/html; charset=utf-8"
_TAG = {
    "ETag": {"description": "Changes when the content does.", "schema": {"type": "string"}},
    "Cache-Control": {"description": "How long it may be kept.", "schema": {"type": "string"}},
}
_IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "The `ETag` of what the caller has: 304 without a body while it is still the same.",
}


def page_paths() -> dict[str, Any]:
    return {
        "/marketplace": _page("Marketplace", "The marketplace", _MARKETPLACE, _HTML, _FILTERS, ("400",)),
        "/marketplace/{merchant}": _page(
            "MarketplaceMerchant", "A merchant's page", "The merchant and its services.", _HTML, [_MERCHANT], ("404",)
        ),
        "/marketplace/{merchant}/{service}": _page(
            "MarketplaceService",
            "A service's page",
            "A service that is public or unlisted, with its prices.",
            _HTML,
            [_MERCHANT, _SERVICE],
            ("404",),
        ),
        "/marketplace.css": _page(
            "MarketplaceStyle",
            "The pages' style",
            "Kept for ever: pages name it by its content.",
            "text/css; charset=utf-8",
        ),
        "/robots.txt": _page("Robots", "Where search engines may go", "RFC 9309.", "text/plain; charset=utf-8"),
        "/sitemap.xml": _page("Sitemap", "Every page to find", _SITEMAP, "application/xml", [_PART], ("404",)),
        "/api/docs": {"get": _docs("Docs", "This description to read and to try", _DOCS, "text/html; charset=utf-8")},
        "/api/docs/{name}": {"get": {**_docs("DocsAsset", "A part of that page", _ASSET, "*/*"), **_ASSET_MORE}},
        "/api/v1/openapi.json": {"get": _docs("OpenApi", "This description", _OPENAPI, "application/json", json=True)},
    }


def _page(
    name: str,
    summary: str,
    description: str,
    content_type: str,
    parameters: list[dict[str, Any]] | None = None,
    missing: tuple[str, ...] = (),
) -> dict[str, Any]:
    """GET and HEAD of a page. `missing` are statuses that have an HTML page of their own."""
    html = {"text/html": {"schema": {"type": "string"}}}
    responses: dict[str, Any] = {
        "200": {
            "description": summary + ".",
            "headers": _TAG,
            "content": {content_type: {"schema": {"type": "string"}}},
        },
        "304": {"description": "It is still what `If-None-Match` names.", "headers": _TAG},
        **{status: {"description": "There is no such page.", "content": html} for status in missing},
        "503": {
            "description": "Try again after `Retry-After`.",
            "content": {"text/plain": {"schema": {"type": "string"}}},
        },
    }
    if "400" in missing:
        responses["400"]["description"] = "The `cursor` is of another list."
    common = {
        "tags": ["pages"],
        "security": [],
        "parameters": [*(parameters or []), _IF_NONE_MATCH],
        "responses": responses,
    }
    return {
        "get": {**common, "operationId": f"show{name}", "summary": summary, "description": description},
        "head": {
            **common,
            "operationId": f"check{name}",
            "summary": f"{summary}, headers only",
            "description": f"{description} Without its body.",
        },
    }


def _docs(name: str, summary: str, description: str, content_type: str, *, json: bool = False) -> dict[str, Any]:
    schema = {"type": "object", "description": "OpenAPI 3.1."} if json else {"type": "string"}
    return {
        "tags": ["pages"],
        "operationId": f"show{name}",
        "summary": summary,
        "description": description,
        "security": [],
        "responses": {"200": {"description": summary + ".", "content": {content_type: {"schema": schema}}}},
    }


def _query(name: str, description: str, **schema: Any) -> dict[str, Any]:
    return {
        "name": name,
        "in": "query",
        "required": False,
        "schema": {"type": "string", **schema},
        "description": description,
    }


def _slug(name: str, description: str, example: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "schema": {"type": "string"},
        "description": description,
        "example": example,
    }


_MARKETPLACE = "What is offered. Filters that are unknown or wrong are ignored: people shorten and mistype addresses."
_SITEMAP = "Every page that search engines should know; beyond 50,000, an index of the parts at `?part=<n>`."
_DOCS = "Swagger UI over this document; nothing comes from elsewhere."
_ASSET = "A script, style or picture of that page."
_OPENAPI = "This document."
_MERCHANT = _slug("merchant", "The merchant's slug.", "meteo")
_SERVICE = _slug("service", "The service's slug.", "weather")
_PART = _query("part", "Number of a part, from 1; without it the sitemap, or the index of its parts.")
_FILTERS = [
    _query("q", "Words of name, tags, merchant or description; the first 200 characters count."),
    _query("type", "Only services of this type.", enum=list(get_args(ServiceType))),
    _query("category", "Only services of this category."),
    {
        "name": "tag",
        "in": "query",
        "required": False,
        "schema": {"type": "array", "items": {"type": "string"}},
        "description": "Only services with all of these tags; repeatable.",
    },
    _query("merchant", "Only services of the merchant with this slug."),
    _query("price_model", "Only services with this price model.", enum=list(get_args(PriceModel))),
    _query("sort", "Order; without `q`, relevance is newest first.", enum=list(get_args(Sort))),
    _query("cursor", "From the link to the next page."),
]
_ASSET_MORE: dict[str, Any] = {
    "parameters": [_slug("name", "The file's name.", "start.js"), _IF_NONE_MATCH],
    "responses": {
        "200": {"description": "The file.", "headers": _TAG, "content": {"*/*": {"schema": {}}}},
        "304": {"description": "It is still what `If-None-Match` names.", "headers": _TAG},
        "404": {"$ref": "#/components/responses/Problem404"},
    },
}
