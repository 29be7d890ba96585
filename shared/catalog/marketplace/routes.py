"""`/api/v1/catalog`: what is offered, for everybody."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import AwareDatetime

from shared.catalog.logos import logo_path
from shared.catalog.markdown import plain_text, render_markdown
from shared.catalog.marketplace.details import Details, PublicDetail, Visitors
from shared.catalog.marketplace.pages import SUMMARY_CHARACTERS_MAX, merchant_path, service_path
from shared.catalog.marketplace.search import Card, CatalogQuery, CatalogResults, Catalogue
from shared.catalog.models import CallLimits, Merchant, PriceModel, ServiceType, Visibility
from shared.catalog.parts import CatalogParts
from shared.identity.guard import not_found
from shared.kernel.http.fields import NextCursor, ServiceId
from shared.kernel.http.parameters import Cursor, PageSize
from shared.kernel.http.provided import provided
from shared.kernel.http.schemas import View
from shared.platform.search import Sort

router = APIRouter(prefix="/catalog", tags=["catalog"])

CACHED = "public, max-age=30"
NOT_CACHED = "private, no-store"
SERVICES_MAX = 100
"""Of a merchant, in its profile; the list of services has them all."""


CataloguePart = Annotated[Catalogue, Depends(provided(CatalogParts, lambda catalog: catalog.search))]
DetailsPart = Annotated[Details, Depends(provided(CatalogParts, lambda catalog: catalog.details))]
VisitorsPart = Annotated[Visitors, Depends(provided(CatalogParts, lambda catalog: catalog.visitors))]


ServiceSlug = Annotated[str, Path(description="Slug of a service", examples=["weather"])]
MerchantSlug = Annotated[str, Path(description="Slug of a merchant", examples=["meteo"])]


class CatalogMerchant(View):
    """A merchant beside its services."""

    slug: str
    """Names it in addresses."""
    name: str
    """What people know it by."""
    page_url: str
    """Path of its public page."""


class CatalogService(View):
    """A service in a list of the catalogue."""

    slug: str
    """Names it in addresses and in calls."""
    name: str
    """What people know it by."""
    type: ServiceType
    """`api` for calls that AMS forwards, `image` for a container image that reports usage."""
    summary: str
    """The beginning of the description, as plain text."""
    category: str
    """One word for what it is about; empty is none."""
    tags: list[str]
    """Free words that it can be found by."""
    version: str
    """The merchant's name for its current version; empty is none."""
    price_model: PriceModel | None
    """What the catalogue filters by; null is unknown."""
    pricing: str
    """What it costs, in the merchant's words; the plan's figures are at its `/plan`."""
    logo_url: str | None
    """Path of its logo, or of its merchant's; null is none."""
    page_url: str
    """Path of its public page."""
    merchant: CatalogMerchant
    """Whose service it is."""


class FacetValue(View):
    """A value to filter by."""

    value: str
    """What to send as the filter."""
    count: int
    """How many services there would be."""


class CatalogFacets(View):
    """How many services there would be by each value, without the filter on that field itself; the most frequent 50."""

    type: list[FacetValue]
    """By type."""
    category: list[FacetValue]
    """By category."""
    tag: list[FacetValue]
    """By tag."""
    merchant: list[FacetValue]
    """By merchant, whose slug the value is."""
    price_model: list[FacetValue]
    """By price model."""


class CatalogServices(View):
    """A page of the catalogue."""

    items: list[CatalogService]
    """The page's items."""
    total: int
    """How many services match, on all pages."""
    facets: CatalogFacets | None
    """Counts by each filter, where they were asked for; else null."""
    next_cursor: NextCursor


class CatalogOperation(View):
    """An operation of the service's OpenAPI document."""

    method: str
    """In capitals."""
    path: str
    """Below the service's own address."""
    summary: str
    """What the document says of it in one line; empty is nothing."""
    request: str | None
    """The document's example of a request's body; null is none."""
    response: str | None
    """The document's example of an answer's body; null is none."""


class CatalogVersion(View):
    """A version that the merchant announced."""

    version: str
    """The merchant's name for it."""
    notes: str
    """What changed; empty is nothing."""
    released_at: AwareDatetime
    """When it was announced."""


class CatalogMerchantDetail(CatalogMerchant):
    """A merchant, with its logo."""

    logo_url: str | None
    """Path of its logo; null is none."""


class CatalogServiceDetail(View):
    """All that the catalogue says of a service."""

    id: ServiceId
    slug: str
    """Names it in addresses and in calls."""
    name: str
    """What people know it by."""
    type: ServiceType
    """`api` for calls that AMS forwards, `image` for a container image that reports usage."""
    visibility: Visibility
    """`public` in the catalogue, `unlisted` for whoever knows its address, `private` for consumers with a grant."""
    description: str
    """As Markdown."""
    description_html: str
    """The description as sanitised HTML, safe to show."""
    category: str
    """One word for what it is about; empty is none."""
    tags: list[str]
    """Free words that it can be found by."""
    version: str
    """The merchant's name for its current version; empty is none."""
    price_model: PriceModel | None
    """What the catalogue filters by; null is unknown."""
    pricing: str
    """What it costs, in the merchant's words; the plan's figures are at its `/plan`."""
    documentation_url: str | None
    """The merchant's own documentation; null is none."""
    authentication: str
    """How its own API knows callers, in the merchant's words; empty is nothing."""
    formats: list[str]
    """What it speaks, such as `json`."""
    sla: str
    """What the merchant promises; empty is nothing."""
    limits: CallLimits
    """For each key."""
    auto_approve: bool
    """Whether a request for access is approved at once, where the platform allows it."""
    logo_url: str | None
    """Path of its logo; null is none."""
    page_url: str
    """Path of its public page."""
    merchant: CatalogMerchantDetail
    """Whose service it is."""
    versions: list[CatalogVersion]
    """The latest first."""
    operations: list[CatalogOperation]
    """Of its OpenAPI document; empty without one."""


class CatalogMerchantProfile(CatalogMerchantDetail):
    """A merchant with its services."""

    services: list[CatalogService]
    """By name, at most 100."""
    services_total: int
    """How many there are."""


@dataclass(frozen=True, slots=True)
class Filters:
    """The query parameters that choose services."""

    text: str
    chosen: Mapping[str, Sequence[str]]

    def sorted(self, sort: Sort = "relevance") -> CatalogQuery:
        return CatalogQuery(self.text, self.chosen, sort)


async def filters(
    q: Annotated[str, Query(max_length=200, description="Words of name, tags, merchant or description")] = "",
    type: Annotated[ServiceType | None, Query(description="Only services of this type")] = None,
    category: Annotated[str | None, Query(max_length=50, description="Only services of this category")] = None,
    tag: Annotated[list[str] | None, Query(max_length=10, description="Repeatable: all must hold")] = None,
    merchant: Annotated[str | None, Query(max_length=63, description="Slug")] = None,
    price_model: Annotated[PriceModel | None, Query(description="Only services with this price model")] = None,
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


@router.get("/services", response_model=CatalogServices, responses={304: {"description": "Not modified"}})
async def search_catalog_services(
    request: Request,
    catalogue: CataloguePart,
    filters: AnyFilters,
    sort: Annotated[Sort, Query(description="Without `q`, relevance is newest first")] = "relevance",
    facets: Annotated[bool, Query(description="Also count by type, category, tag, merchant and price model")] = False,
    limit: PageSize = 20,
    cursor: Cursor = None,
) -> Response:
    """Services that everybody may see, found by words (with the last one as a prefix, and misspellings forgiven)."""
    found = await catalogue.search(filters.sorted(sort), limit=limit, cursor=cursor, facets=facets)
    page = CatalogServices(
        items=[service_view(card) for card in found.cards],
        total=found.total,
        next_cursor=found.cursor,
        facets=facets_view(found) if facets else None,
    )
    return cacheable(request, page)


@router.get("/facets", response_model=CatalogFacets, responses={304: {"description": "Not modified"}})
async def count_catalog_services(request: Request, catalogue: CataloguePart, filters: AnyFilters) -> Response:
    """How many services there are by type, category, tag, merchant and price model."""
    found = await catalogue.search(filters.sorted(), limit=1, facets=True)
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


@router.get("/services/{slug}", response_model=CatalogServiceDetail, responses={304: {"description": "Not modified"}})
async def show_catalog_service(request: Request, detail: Visible) -> Response:
    """One service by its slug, also an unlisted one. A private one is shown to those who have been granted access, to
    those who run its merchant, and to admins, when they send their token."""
    return cacheable(request, detail_view(detail), caching(detail))


def caching(detail: PublicDetail) -> str:
    """`Cache-Control` of what is told about a service."""
    return NOT_CACHED if detail.service.shown == "private" else CACHED


@router.get(
    "/merchants/{slug}", response_model=CatalogMerchantProfile, responses={304: {"description": "Not modified"}}
)
async def show_catalog_merchant(
    request: Request, details: DetailsPart, catalogue: CataloguePart, slug: MerchantSlug
) -> Response:
    """A merchant by its slug, with its services that everybody may see."""
    merchant = await details.merchant(slug)
    if merchant is None:
        raise not_found()
    found = await catalogue.search(CatalogQuery(filters={"merchant": [slug]}, sort="name"), limit=SERVICES_MAX)
    services = [service_view(card) for card in found.cards]
    shown = CatalogMerchantProfile(
        services=services, services_total=found.total, **merchant_view(merchant).model_dump()
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


def service_view(card: Card) -> CatalogService:
    return CatalogService(
        slug=card.slug,
        name=card.name,
        type=card.type,
        category=card.category,
        tags=list(card.tags),
        summary=plain_text(card.description, SUMMARY_CHARACTERS_MAX),
        version=card.version,
        price_model=card.price_model,
        pricing=card.pricing,
        logo_url=logo_path(card.logo),
        page_url=service_path(card.merchant_slug, card.slug),
        merchant=CatalogMerchant(
            slug=card.merchant_slug, name=card.merchant_name, page_url=merchant_path(card.merchant_slug)
        ),
    )


def facets_view(found: CatalogResults) -> CatalogFacets:
    counts = {
        name: [FacetValue(value=value, count=count) for value, count in values] for name, values in found.facets.items()
    }
    return CatalogFacets(**counts)


def merchant_view(merchant: Merchant) -> CatalogMerchantDetail:
    return CatalogMerchantDetail(
        slug=merchant.slug, name=merchant.name, page_url=merchant_path(merchant.slug), logo_url=logo_path(merchant.logo)
    )


def detail_view(detail: PublicDetail) -> CatalogServiceDetail:
    service = detail.service
    plain = {
        "id",
        "slug",
        "name",
        "type",
        "description",
        "category",
        "version",
        "price_model",
        "pricing",
        "documentation_url",
        "authentication",
        "sla",
        "limits",
        "auto_approve",
    }
    versions = [CatalogVersion(version=v.version, notes=v.notes, released_at=v.made_at) for v in detail.versions]
    operations = [
        CatalogOperation(method=o.method, path=o.path, summary=o.summary, request=o.request, response=o.response)
        for o in detail.operations
    ]
    return CatalogServiceDetail(
        visibility=service.shown,
        description_html=render_markdown(service.description),
        tags=list(service.tags),
        formats=list(service.formats),
        logo_url=logo_path(service.logo),
        merchant=merchant_view(detail.merchant),
        page_url=service_path(detail.merchant.slug, service.slug),
        versions=versions,
        operations=operations,
        **{name: getattr(service, name) for name in plain},
    )
