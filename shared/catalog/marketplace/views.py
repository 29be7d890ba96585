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
    """A merchant, as the catalogue names it."""

    slug: str
    """Slug, which is part of URLs."""
    name: str
    """Display name."""
    page_url: str
    """Path of the public page."""


class CatalogService(View):
    """A service in a list of the catalogue."""

    slug: str
    """Slug, which is part of URLs and of calls."""
    name: str
    """Display name."""
    type: ServiceType
    """`api` for calls that AMS forwards, `image` for a container image that reports usage."""
    summary: str
    """Beginning of the description, as plain text."""
    category: str
    """Category, in one word; empty is none."""
    tags: list[str]
    """Tags by which the service is found."""
    version: str
    """Merchant's name for the current version; empty is none."""
    price_model: PriceModel | None
    """Price model, by which the catalogue is filtered; null is unknown."""
    pricing: str
    """Prices in the merchant's words. `GET /catalog/services/{slug}/plan` has the exact prices."""
    logo_url: str | None
    """Path of the service's logo, or of its merchant's; null is none."""
    page_url: str
    """Path of the public page."""
    merchant: CatalogMerchant
    """Merchant of the service."""


class FacetValue(View):
    """A value of a filter, with its count."""

    value: str
    """Value to send as the filter."""
    count: int
    """Number of services with this value."""


class CatalogFacets(View):
    """Number of services for each value of each filter, without the filter on that field itself; the 50 most frequent
    values."""

    type: list[FacetValue]
    """Counts by type."""
    category: list[FacetValue]
    """Counts by category."""
    tag: list[FacetValue]
    """Counts by tag."""
    merchant: list[FacetValue]
    """Counts by merchant; each value is a slug."""
    price_model: list[FacetValue]
    """Counts by price model."""


class CatalogServices(View):
    """A page of the catalogue."""

    items: list[CatalogService]
    """Items of the page."""
    total: int
    """Number of matching services on all pages."""
    facets: CatalogFacets | None
    """Counts for each filter, if `facets` is true; otherwise null."""
    next_cursor: NextCursor


class CatalogOperation(View):
    """An operation of the service's OpenAPI document."""

    method: str
    """HTTP method in capitals."""
    path: str
    """Path below the service's own URL."""
    summary: str
    """Summary from the document; empty is none."""
    request: str | None
    """Example of a request body from the document; null is none."""
    response: str | None
    """Example of a response body from the document; null is none."""


class CatalogVersion(View):
    """A version that the merchant announced."""

    version: str
    """Merchant's name for the version."""
    notes: str
    """Changes of the version; empty is none."""
    released_at: AwareDatetime
    """Time of the announcement."""


class CatalogMerchantDetail(CatalogMerchant):
    """A merchant, with its logo."""

    logo_url: str | None
    """Path of the logo; null is none."""


class CatalogServiceDetail(View):
    """A service of the catalogue with all details."""

    id: ServiceId
    slug: str
    """Slug, which is part of URLs and of calls."""
    name: str
    """Display name."""
    type: ServiceType
    """`api` for calls that AMS forwards, `image` for a container image that reports usage."""
    visibility: Visibility
    """Visibility: `public` services are in the catalogue, `unlisted` ones are shown to everybody who has the URL,
    `private` ones to consumers with a grant."""
    description: str
    """Description as Markdown."""
    description_html: str
    """Description as sanitised HTML."""
    category: str
    """Category, in one word; empty is none."""
    tags: list[str]
    """Tags by which the service is found."""
    version: str
    """Merchant's name for the current version; empty is none."""
    price_model: PriceModel | None
    """Price model, by which the catalogue is filtered; null is unknown."""
    pricing: str
    """Prices in the merchant's words. `GET /catalog/services/{slug}/plan` has the exact prices."""
    documentation_url: str | None
    """URL of the merchant's own documentation; null is none."""
    authentication: str
    """How the service authenticates callers by itself, in the merchant's words; empty is none."""
    formats: list[str]
    """Data formats of the service, such as `json`."""
    sla: str
    """Service level that the merchant promises; empty is none."""
    limits: CallLimits
    """Call limits for each key."""
    auto_approve: bool
    """Whether access requests are approved automatically, if the platform allows that."""
    logo_url: str | None
    """Path of the logo; null is none."""
    page_url: str
    """Path of the public page."""
    merchant: CatalogMerchantDetail
    """Merchant of the service."""
    versions: list[CatalogVersion]
    """Announced versions, latest first."""
    operations: list[CatalogOperation]
    """Operations of the service's OpenAPI document; empty without a document."""


class CatalogMerchantProfile(CatalogMerchantDetail):
    """A merchant with its services."""

    services: list[CatalogService]
    """Services of the merchant by name, at most 100."""
    services_total: int
    """Number of all public services of the merchant."""


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
