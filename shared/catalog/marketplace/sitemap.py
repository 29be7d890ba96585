"""sitemap.xml (sitemaps.org): every page that search engines should know, in parts beyond 50,000."""

from collections.abc import Iterable
from html import escape

from shared.catalog.marketplace.pages import HtmlPage, merchant_path, service_path
from shared.catalog.marketplace.search import CatalogSearch
from shared.kernel.cache import FreshCache

URLS_MAX = 50_000
"""Of one file, by the protocol; also 50 MiB, which these addresses stay far below."""

FRESH_S = 10.0
XML = "application/xml"
_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
_SPACE = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'
Url = tuple[str, str]
"""Path and time of its last change."""


class Sitemap:
    """Makes the sitemap; parts are beside the index, since a sitemap speaks for its own folder only. It is at most
    FRESH_S old."""

    def __init__(
        self, search: CatalogSearch, public_url: str, urls_max: int = URLS_MAX, fresh_s: float = FRESH_S
    ) -> None:
        self._search = search
        self._public_url = public_url
        self._urls_max = urls_max
        self._parts: FreshCache[str, list[bytes]] = FreshCache(fresh_s, 1)

    async def page(self, part: int | None) -> HtmlPage:
        """Make the sitemap, or an index of its parts, which are counted from 1; 404 for one that there is not."""
        parts = await self._parts.get("", self._read)
        if part is None:
            body = parts[0] if len(parts) == 1 else self._index(len(parts), "/sitemap.xml?part={}")
        elif 1 <= part <= len(parts):
            body = parts[part - 1]
        else:
            return HtmlPage(404, b"")
        return HtmlPage(200, body, XML)

    async def files(self) -> dict[str, bytes]:
        """Make the sitemap as files by name: `sitemap.xml`, and where that is an index, its parts `sitemap-<n>.xml`."""
        parts = await self._read("")
        if len(parts) == 1:
            return {"sitemap.xml": parts[0]}
        named = {f"sitemap-{number}.xml": part for number, part in enumerate(parts, 1)}
        return {"sitemap.xml": self._index(len(parts), "/sitemap-{}.xml"), **named}

    async def _read(self, _: str) -> list[bytes]:
        services: list[Url] = []
        merchants: dict[str, str] = {}
        async for card in self._search.all():
            services.append((service_path(card.merchant_slug, card.slug), card.listing))
            merchants[card.merchant_slug] = max(card.listing, merchants.get(card.merchant_slug, ""))
        pages = [(merchant_path(slug), changed) for slug, changed in sorted(merchants.items())]
        urls = [("/marketplace", max(merchants.values(), default="")), *pages, *services]
        return [self._part(urls[start : start + self._urls_max]) for start in range(0, len(urls), self._urls_max)]

    def _index(self, parts: int, path: str) -> bytes:
        paths = [path.format(number) for number in range(1, parts + 1)]
        entries = "".join(f"<sitemap><loc>{self._url(each)}</loc></sitemap>\n" for each in paths)
        return f"{_HEAD}<sitemapindex {_SPACE}>\n{entries}</sitemapindex>\n".encode()

    def _part(self, urls: Iterable[Url]) -> bytes:
        lines = [
            f"<url><loc>{self._url(path)}</loc>{f'<lastmod>{changed}</lastmod>' if changed else ''}</url>\n"
            for path, changed in urls
        ]
        return f"{_HEAD}<urlset {_SPACE}>\n{''.join(lines)}</urlset>\n".encode()

    def _url(self, path: str) -> str:
        return escape(self._public_url + path)
