"""`/api/v1/catalog`: what is offered, for everybody."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from shared.catalog.marketplace.details import Details, PublicDetail, Visitors
from shared.catalog.marketplace.search import CatalogQuery, CatalogSearch
from shared.catalog.marketplace.views import (
    CatalogFacets,
    CatalogMerchantProfile,
    CatalogServiceDetail,
    CatalogServices,
    catalog_merchant_view,
    detail_view,
    facets_view,
    service_view,
)
from shared.catalog.models import PriceModel, ServiceType
from shared.catalog.parts import CatalogParts
from shared.kernel.http.parameters import Cursor, PageSize
from shared.kernel.http.problems import not_found
from shared.kernel.http.provided import provided
from shared.kernel.http.schemas import View
from shared.platform.search import Sort

router = APIRouter(prefix="/catalog", tags=["catalog"])

CACHED = "public, max-age=30"
NOT_CACHED = "private, no-store"
SERVICES_MAX = 100
"""Of a merchant, in its profile; the list of services has them all."""


CatalogSearchPart = Annotated[CatalogSearch, Depends(provided(CatalogParts, lambda catalog: catalog.search))]
DetailsPart = Annotated[Details, Depends(provided(CatalogParts, lambda catalog: catalog.details))]
VisitorsPart = Annotated[Visitors, Depends(provided(CatalogParts, lambda catalog: catalog.visitors))]


ServiceSlug = Annotated[str, Path(description="Slug of a service.", examples=["weather"])]
MerchantSlug = Annotated[str, Path(description="Slug of a merchant.", examples=["meteo"])]


@dataclass(frozen=True, slots=True)
class Filters:
    """The query parameters that choose services."""

    text: str
    chosen: Mapping[str, Sequence[str]]

    def sorted(self, sort: Sort = "relevance") -> CatalogQuery:
        return CatalogQuery(self.text, self.chosen, sort)


async def filters(
    q: Annotated[str, Query(max_length=200, description="Words of name, tags, merchant or description.")] = "",
    type: Annotated[ServiceType | None, Query(description="Only services of this type.")] = None,
    category: Annotated[str | None, Query(max_length=50, description="Only services of this category.")] = None,
    tag: Annotated[
        list[str] | None, Query(max_length=10, description="Only services with this tag; repeat it to require several.")
    ] = None,
    merchant: Annotated[
        str | None, Query(max_length=63, description="Only services of the merchant with this slug.")
    ] = None,
    price_model: Annotated[PriceModel | None, Query(description="Only services with this price model.")] = None,
) -> Filters:
    given: dict[str, Sequence[str | None]] = {
        "type": [type],
        "category": [category],
        "tag": tag or [],
        "merchant": [merchant],
        "price_model": [price_model],
    }
    chosen = {name: [value for value in values if value] for name, values in given.items()}
    return Filters(q, {name: values for name, values in chosen.items() if values})


AnyFilters = Annotated[Filters, Depends(filters)]


@router.get(
    "/services",
    response_model=CatalogServices,
    responses={304: {"description": "The content is still the version that `If-None-Match` names."}},
    summary="Search the catalogue",
)
async def search_catalog_services(
    request: Request,
    search: CatalogSearchPart,
    filters: AnyFilters,
    sort: Annotated[Sort, Query(description="Sort order. `relevance` without `q` is newest first.")] = "relevance",
    facets: Annotated[
        bool,
        Query(description="Whether the answer also counts services by type, category, tag, merchant and price model."),
    ] = False,
    limit: PageSize = 20,
    cursor: Cursor = None,
) -> Response:
    """Search the public services. The last word of `q` may be incomplete, and misspellings are tolerated."""
    found = await search.search(filters.sorted(sort), limit=limit, cursor=cursor, facets=facets)
    page = CatalogServices(
        items=[service_view(card) for card in found.cards],
        total=found.total,
        next_cursor=found.cursor,
        facets=facets_view(found) if facets else None,
    )
    return cacheable(request, page)


@router.get(
    "/facets",
    response_model=CatalogFacets,
    responses={304: {"description": "The content is still the version that `If-None-Match` names."}},
    summary="Count the catalogue's services",
)
async def count_catalog_services(request: Request, search: CatalogSearchPart, filters: AnyFilters) -> Response:
    """Count public services by type, category, tag, merchant and price model."""
    found = await search.search(filters.sorted(), limit=1, facets=True)
    return cacheable(request, facets_view(found))


async def visible(request: Request, details: DetailsPart, visitors: VisitorsPart, slug: ServiceSlug) -> PublicDetail:
    """The service that the path names, if the caller may see it. Raises Problem 404."""
    detail = await details.service(slug) if "_" not in slug else None
    if detail is None:
        raise not_found()
    if detail.service.shown == "private" and not await visitors.may_see(request.headers, detail.service):
        raise not_found()
    return detail


Visible = Annotated[PublicDetail, Depends(visible)]


@router.get(
    "/services/{slug}",
    response_model=CatalogServiceDetail,
    responses={304: {"description": "The content is still the version that `If-None-Match` names."}},
    summary="Read a service of the catalogue",
)
async def show_catalog_service(request: Request, detail: Visible) -> Response:
    """Read one service by its slug. Unlisted services are included; private ones are shown, with an access token, to
    consumers with a grant, to the accounts of the merchant, and to admins."""
    return cacheable(request, detail_view(detail), caching(detail))


def caching(detail: PublicDetail) -> str:
    """`Cache-Control` of what is told about a service."""
    return NOT_CACHED if detail.service.shown == "private" else CACHED


@router.get(
    "/merchants/{slug}",
    response_model=CatalogMerchantProfile,
    responses={304: {"description": "The content is still the version that `If-None-Match` names."}},
    summary="Read a merchant of the catalogue",
)
async def show_catalog_merchant(
    request: Request, details: DetailsPart, search: CatalogSearchPart, slug: MerchantSlug
) -> Response:
    """Read a merchant by its slug, with its public services."""
    merchant = await details.merchant(slug)
    if merchant is None:
        raise not_found()
    found = await search.search(CatalogQuery(filters={"merchant": [slug]}, sort="name"), limit=SERVICES_MAX)
    services = [service_view(card) for card in found.cards]
    shown = CatalogMerchantProfile(
        services=services, services_total=found.total, **catalog_merchant_view(merchant).model_dump()
    )
    return cacheable(request, shown)


def cacheable(request: Request, view: View, cache_control: str = CACHED) -> Response:
    """The view with an ETag of its content, or 304 when the caller has it already."""
    body = view.model_dump_json().encode()
    tag = f'"{sha256(body).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": cache_control, "Vary": "Authorization"}
    known = {each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")}
    if tag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)
