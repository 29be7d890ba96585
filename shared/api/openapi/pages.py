"""Public pages in the document: the marketplace as HTML, what search engines ask for, and this description to read."""

from typing import Any, get_args

from shared.api.openapi.problem_responses import header
from shared.catalog.models import PriceModel, ServiceType
from shared.kernel.http.parameters import IF_NONE_MATCH
from shared.platform.search import Sort

_HTML = "text/html; charset=utf-8"
_TAG = {
    "ETag": {"description": "Version of the content.", "schema": {"type": "string"}},
    "Cache-Control": {"description": "How long the answer may be cached.", "schema": {"type": "string"}},
}
_IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": IF_NONE_MATCH,
}


def page_paths() -> dict[str, Any]:
    return {
        "/marketplace": _page("Marketplace", "Show the marketplace", _MARKETPLACE, _HTML, _FILTERS, ("400",)),
        "/marketplace/{merchant}": _page(
            "MarketplaceMerchant",
            "Show a merchant's page",
            "HTML page of a merchant with its services.",
            _HTML,
            [_MERCHANT],
            ("404",),
        ),
        "/marketplace/{merchant}/{service}": _page(
            "MarketplaceService",
            "Show a service's page",
            "HTML page of a public or unlisted service with its prices.",
            _HTML,
            [_MERCHANT, _SERVICE],
            ("404",),
        ),
        "/marketplace.css": _page(
            "MarketplaceStyle",
            "Read the stylesheet of the pages",
            "Stylesheet of the marketplace pages; cacheable for ever.",
            "text/css; charset=utf-8",
        ),
        "/robots.txt": _page(
            "Robots", "Read robots.txt", "Rules for search engines (RFC 9309).", "text/plain; charset=utf-8"
        ),
        "/sitemap.xml": _page("Sitemap", "Read the sitemap", _SITEMAP, "application/xml", [_PART], ("404",)),
        "/api/docs": {"get": _docs("Docs", "Show the API reference", _DOCS, "text/html; charset=utf-8")},
        "/api/docs/{name}": {
            "get": {**_docs("DocsAsset", "Read a file of the API reference", _ASSET, "*/*"), **_ASSET_MORE}
        },
        "/api/v1/openapi.json": {
            "get": _docs("OpenApi", "Read the OpenAPI document", _OPENAPI, "application/json", json=True)
        },
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
            "description": description,
            "headers": _TAG,
            "content": {content_type: {"schema": {"type": "string"}}},
        },
        "304": {"description": "The content is still the version that `If-None-Match` names.", "headers": _TAG},
        **{status: {"description": "The page does not exist.", "content": html} for status in missing},
        "503": {
            "description": "A part of the platform does not answer. Try again after `Retry-After` seconds.",
            "headers": {"Retry-After": header("RetryAfter")},
            "content": {"text/plain": {"schema": {"type": "string"}}},
        },
    }
    if "400" in missing:
        responses["400"]["description"] = "The `cursor` belongs to another list."
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
            "summary": f"{summary} (headers only)",
            "description": f"{description} The answer has no body.",
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
        "responses": {"200": {"description": description, "content": {content_type: {"schema": schema}}}},
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


_MARKETPLACE = (
    "HTML page with the public services. Unknown or invalid filters are ignored, because people mistype addresses."
)
_SITEMAP = "All pages for search engines. Beyond 50,000 pages, the answer is an index of parts, each at `?part=<n>`."
_DOCS = "API reference (Swagger UI) of this OpenAPI document, as an HTML page without files of other hosts."
_ASSET = "A script, style or image of the API reference."
_OPENAPI = "This OpenAPI document."
_MERCHANT = _slug("merchant", "Slug of the merchant.", "meteo")
_SERVICE = _slug("service", "Slug of the service.", "weather")
_PART = _query("part", "Number of a part, from 1. Left out, the answer is the sitemap, or the index of its parts.")
_FILTERS = [
    _query("q", "Words of name, tags, merchant or description; at most the first 200 characters are used."),
    _query("type", "Only services of this type.", enum=list(get_args(ServiceType))),
    _query("category", "Only services of this category."),
    {
        "name": "tag",
        "in": "query",
        "required": False,
        "schema": {"type": "array", "items": {"type": "string"}},
        "description": "Only services with this tag; repeat it to require several.",
    },
    _query("merchant", "Only services of the merchant with this slug."),
    _query("price_model", "Only services with this price model.", enum=list(get_args(PriceModel))),
    _query("sort", "Sort order. `relevance` without `q` is newest first.", enum=list(get_args(Sort))),
    _query("cursor", "Cursor from the link to the next page."),
]
_ASSET_MORE: dict[str, Any] = {
    "parameters": [_slug("name", "Name of the file.", "start.js"), _IF_NONE_MATCH],
    "responses": {
        "200": {"description": "The file's content.", "headers": _TAG, "content": {"*/*": {"schema": {}}}},
        "304": {"description": "The content is still the version that `If-None-Match` names.", "headers": _TAG},
        "404": {"$ref": "#/components/responses/Problem404"},
    },
}
