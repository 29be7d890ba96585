"""The marketplace as HTML for people without the portal and for search engines, with sitemap and robots.

Addresses are made from AMS_PUBLIC_URL, never from what a request says of itself. A page has no script; the structured
data in it (schema.org as JSON-LD) is data.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from shared.catalog.logos import logo_path
from shared.catalog.markdown import plain_text, render_markdown
from shared.catalog.marketplace.details import Details, PublicDetail
from shared.catalog.marketplace.json_ld import merchant_data, service_data
from shared.catalog.marketplace.search import Card, CatalogQuery, CatalogSearch
from shared.catalog.models import Merchant, PriceModel, Service

if TYPE_CHECKING:
    from jinja2 import Environment, Template

HTML = "text/html; charset=utf-8"
CACHED = "public, max-age=60"
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
STYLE = "marketplace.css"
META_CHARACTERS_MAX = 160
SUMMARY_CHARACTERS_MAX = 200
LISTED = 24
MERCHANT_LISTED = 100
_FOLDER = Path(__file__).parent / "templates"

PRICE_NAMES: Mapping[PriceModel, str] = {
    "free": "Free",
    "per_unit": "Per unit",
    "tiered": "Tiered",
    "package": "Packages",
    "percentage": "Percentage",
    "subscription": "Subscription",
    "custom": "Custom",
}
TYPE_NAMES = {"api": "API", "image": "Container image"}
FACET_NAMES = {"type": "Type", "category": "Category", "tag": "Tag", "merchant": "Merchant", "price_model": "Price"}


@dataclass(frozen=True)
class HtmlPage:
    """A page as it is served, with its status. `indexed` says whether search engines may keep it."""

    status: int
    body: bytes
    content_type: str = HTML
    indexed: bool = True

    @cached_property
    def etag(self) -> str:
        return f'"{sha256(self.body).hexdigest()[:32]}"'


def service_path(merchant_slug: str, service_slug: str) -> str:
    return f"/marketplace/{merchant_slug}/{service_slug}"


def merchant_path(slug: str) -> str:
    return f"/marketplace/{slug}"


class HtmlPages:
    """Renders the public pages; `public_url` has no slash at its end."""

    def __init__(self, search: CatalogSearch, details: Details, public_url: str) -> None:
        self._search = search
        self._details = details
        self._public_url = public_url

    async def service(self, merchant_slug: str, service_slug: str) -> HtmlPage:
        """Render the page of a service: 404 unless both slugs are the present ones of a service that is live and not
        private. What is unlisted is shown, but not to search engines."""
        detail = await self._details.service(service_slug) if "_" not in service_slug else None
        if detail is None or detail.merchant.slug != merchant_slug or detail.service.shown == "private":
            return self.missing()
        return self.of_service(detail)

    def of_service(self, detail: PublicDetail) -> HtmlPage:
        service, merchant = detail.service, detail.merchant
        url = self._public_url + service_path(merchant.slug, service.slug)
        description = plain_text(service.description, META_CHARACTERS_MAX) or f"{service.name} by {merchant.name}"
        return self._page(
            "service.html",
            title=f"{service.name} by {merchant.name}",
            description=description,
            url=url,
            listed=service.shown == "public",
            image=self._absolute(logo_path(service.logo)),
            service=service,
            merchant=merchant,
            versions=detail.versions,
            operations=detail.operations,
            description_html=render_markdown(service.description),
            limits=_limits(service),
            request_url=f"{self._public_url}/services/{service.slug}",
            data=service_data(detail, self._public_url, url, description, self._absolute(logo_path(service.logo))),
        )

    async def merchant(self, slug: str) -> HtmlPage:
        """Render the page of a merchant: 404 unless the merchant is active."""
        merchant = await self._details.merchant(slug)
        if merchant is None:
            return self.missing()
        listed = await self._search.search(
            CatalogQuery(filters={"merchant": [slug]}, sort="name"), limit=MERCHANT_LISTED
        )
        url = self._public_url + merchant_path(slug)
        more = f"/marketplace?{urlencode({'merchant': slug})}" if listed.total > len(listed.cards) else None
        return self._page(
            "merchant.html",
            title=merchant.name,
            description=_of_merchant(merchant, listed.cards),
            url=url,
            listed=bool(listed.cards),
            image=self._absolute(logo_path(merchant.logo)),
            merchant=merchant,
            cards=listed.cards,
            total=listed.total,
            more=more,
            data=merchant_data(merchant, listed.cards, self._public_url, url),
        )

    async def marketplace(self, asked: CatalogQuery, cursor: str | None = None) -> HtmlPage:
        """Render the list of services. Raises Problem 400 `cursor_invalid`. Only its plain first page is for search
        engines."""
        listed = await self._search.search(asked, limit=LISTED, cursor=cursor, facets=True)
        plain = asked == CatalogQuery() and cursor is None
        chosen = [(name, value) for name, values in asked.filters.items() for value in values]
        query = [
            pair for pair in (("q", asked.text), *chosen, ("sort", asked.sort)) if pair[1] not in ("", "relevance")
        ]
        more = f"/marketplace?{urlencode([*query, ('cursor', listed.cursor)])}" if listed.cursor else None
        return self._page(
            "marketplace.html",
            title="Marketplace",
            url=f"{self._public_url}/marketplace",
            listed=plain,
            image=None,
            description="APIs and container images: find one, ask for access, pay for what you use.",
            asked=asked,
            cards=listed.cards,
            total=listed.total,
            facets=listed.facets,
            chosen=chosen,
            more=more,
            data={"@context": "https://schema.org", "@type": "WebSite", "name": "AMS", "url": self._public_url},
        )

    def missing(self, status: int = 404) -> HtmlPage:
        """Render what is shown where there is no page. With 200 as the file that a static site shows then."""
        return self._page(
            "missing.html",
            status=status,
            title="Not found",
            listed=False,
            url=None,
            image=None,
            data=None,
            description="There is nothing at this address.",
        )

    async def robots(self) -> HtmlPage:
        text = f"User-agent: *\nAllow: /marketplace\nDisallow: /api/\n\nSitemap: {self._public_url}/sitemap.xml\n"
        return HtmlPage(200, text.encode(), "text/plain; charset=utf-8")

    async def style(self) -> HtmlPage:
        return HtmlPage(200, _style(), "text/css; charset=utf-8")

    def _absolute(self, path: str | None) -> str | None:
        return None if path is None else self._public_url + path

    def _page(self, template: str, *, status: int = 200, listed: bool, **values: Any) -> HtmlPage:
        text = _template(template).render(
            **values, listed=listed, style=f"/{STYLE}?v={sha256(_style()).hexdigest()[:12]}", home=self._public_url
        )
        return HtmlPage(status, text.encode(), indexed=listed)


def _of_merchant(merchant: Merchant, cards: Sequence[Card]) -> str:
    names = ", ".join(card.name for card in cards[:8])
    return plain_cut(f"Services of {merchant.name}: {names}." if names else f"{merchant.name} on the marketplace.")


def plain_cut(text: str) -> str:
    """Cut text that is not Markdown to the length that a description of a page may have."""
    return text if len(text) <= META_CHARACTERS_MAX else text[: META_CHARACTERS_MAX - 1].rstrip() + "…"


def _limits(service: Service) -> list[tuple[str, int]]:
    limits = service.limits
    named = [
        ("minute", limits.per_minute),
        ("hour", limits.per_hour),
        ("day", limits.per_day),
        ("month", limits.quota_per_month),
    ]
    return [(name, value) for name, value in named if value is not None]


@cache
def _style() -> bytes:
    return (_FOLDER / STYLE).read_bytes()


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["summary"] = lambda text: plain_text(text, SUMMARY_CHARACTERS_MAX)
    environment.filters["number"] = lambda number: f"{number:,}"
    environment.globals.update(
        price_names=PRICE_NAMES,
        type_names=TYPE_NAMES,
        facet_names=FACET_NAMES,
        service_path=service_path,
        merchant_path=merchant_path,
        logo_path=logo_path,
    )
    return environment


def _template(name: str) -> "Template":
    return _environment().get_template(name)
