"""What the public catalogue answers, and how it is made from what was found."""

from pydantic import AwareDatetime

from shared.catalog.logos import logo_path
from shared.catalog.markdown import plain_text, render_markdown
from shared.catalog.marketplace.details import PublicDetail
from shared.catalog.marketplace.pages import SUMMARY_CHARACTERS_MAX, merchant_path, service_path
from shared.catalog.marketplace.search import Card, CatalogResults
from shared.catalog.models import CallLimits, Merchant, PriceModel, ServiceType, Visibility
from shared.kernel.http.fields import NextCursor, ServiceId
from shared.kernel.http.schemas import View


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


def catalog_merchant_view(merchant: Merchant) -> CatalogMerchantDetail:
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
        merchant=catalog_merchant_view(detail.merchant),
        page_url=service_path(detail.merchant.slug, service.slug),
        versions=versions,
        operations=operations,
        **{name: getattr(service, name) for name in plain},
    )
