"""sitemap.xml (sitemaps.org): every page that search engines should know, in parts beyond 50,000."""

from collections.abc import Iterable
from html import escape

from shared.catalog.pages import merchant_path, service_path
from shared.catalog.search import Catalogue

URLS_MAX = 50_000
"""Of one file, by the protocol; also 50 MiB, which these addresses stay far below."""

_XML = '<?xml version="1.0" encoding="UTF-8"?>\n'
_SPACE = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'
Url = tuple[str, str]
"""Path and time of its last change."""


class Sitemap:
    """Parts are next to the index, since a sitemap speaks for its own folder only."""

    def __init__(self, catalogue: Catalogue, public_url: str, urls_max: int = URLS_MAX) -> None:
        self._catalogue = catalogue
        self._public_url = public_url
        self._urls_max = urls_max

    async def files(self) -> dict[str, bytes]:
        """All files by name: `sitemap.xml`, and where that is an index, its parts `sitemap-<n>.xml`."""
        urls = await self._urls()
        parts = [urls[start : start + self._urls_max] for start in range(0, len(urls), self._urls_max)]
        if len(parts) == 1:
            return {"sitemap.xml": self._part(parts[0])}
        named = {f"sitemap-{number}.xml": part for number, part in enumerate(parts, 1)}
        entries = "".join(f"<sitemap><loc>{self._url(f'/{name}')}</loc></sitemap>\n" for name in named)
        index = f"{_XML}<sitemapindex {_SPACE}>\n{entries}</sitemapindex>\n".encode()
        return {"sitemap.xml": index, **{name: self._part(part) for name, part in named.items()}}

    async def _urls(self) -> list[Url]:
        services: list[Url] = []
        merchants: dict[str, str] = {}
        async for card in self._catalogue.all():
            services.append((service_path(card.merchant_slug, card.slug), card.listing))
            merchants[card.merchant_slug] = max(card.listing, merchants.get(card.merchant_slug, ""))
        pages = [(merchant_path(slug), changed) for slug, changed in sorted(merchants.items())]
        return [("/marketplace", max(merchants.values(), default="")), *pages, *services]

    def _part(self, urls: Iterable[Url]) -> bytes:
        lines = [
            f"<url><loc>{self._url(path)}</loc>{f'<lastmod>{changed}</lastmod>' if changed else ''}</url>\n"
            for path, changed in urls
        ]
        return f"{_XML}<urlset {_SPACE}>\n{''.join(lines)}</urlset>\n".encode()

    def _url(self, path: str) -> str:
        return escape(self._public_url + path)
