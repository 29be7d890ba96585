"""The pages as files of a static site, which serves them without this application.

`pages.publish` is left by every change that a page shows; it writes the page as it is now, not as it was when the task
was left, so tasks may be late, repeated or turned around. The sitemap, and the pages that list services, are written by
`publish_site`, a timer, which also puts right what a lost task left.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

from shared.catalog.marketplace.details import Details
from shared.catalog.marketplace.pages import STYLE, HtmlPage, HtmlPages
from shared.catalog.marketplace.search import CatalogQuery, CatalogSearch
from shared.catalog.marketplace.sitemap import Sitemap
from shared.catalog.tasks import PublishPages
from shared.platform.blobs import Blobs

_INDEX = "index.html"
_PREFIX = "marketplace/"
_TRIES_MAX = 10
_logger = logging.getLogger(__name__)


class Publisher:
    """Writes the public pages to the static site, `site`, which is written by nobody else."""

    def __init__(
        self, pages: HtmlPages, details: Details, search: CatalogSearch, sitemap: Sitemap, site: Blobs
    ) -> None:
        self._pages = pages
        self._details = details
        self._search = search
        self._sitemap = sitemap
        self._site = site

    async def on_publish(self, task_id: str, task: PublishPages) -> None:
        """Handle PublishPages: write or remove the page of the service. Raises BlobsUnavailable,
        DocumentsUnavailable."""
        slugs = await self._details.slugs(task.service_id)
        if slugs is not None:
            merchant, service = slugs
            self._search.changed()  # the merchant's page lists what the index knows
            await self._write_until_current(
                f"{_PREFIX}{merchant}/{service}/{_INDEX}", partial(self._pages.service, *slugs)
            )
            await self._write_until_current(f"{_PREFIX}{merchant}/{_INDEX}", partial(self._pages.merchant, merchant))

    async def _write_until_current(self, name: str, render: Callable[[], Awaitable[HtmlPage]]) -> None:
        """Until what was written is what would be written now: of two writers at the same time, the one that writes
        last looks again."""
        page = await render()
        for _ in range(_TRIES_MAX):
            await self._write(name, page)
            written, page = page, await render()
            if written.etag == page.etag:
                return
        raise RuntimeError(f"{name} changes faster than it is written")

    async def _write(self, name: str, page: HtmlPage) -> None:
        if page.status == 200:
            await self._site.put(name, page.body, content_type=page.content_type, overwrite=True)
        else:
            await self._site.delete(name)

    async def publish_site(self) -> None:
        """Publish the whole site: what is missing or changed is written, what should not be there is removed."""
        kept = {f"{_PREFIX}{_INDEX}"}
        await self._write(f"{_PREFIX}{_INDEX}", await self._pages.marketplace(CatalogQuery()))
        for name, page in ((STYLE, await self._pages.style()), ("robots.txt", await self._pages.robots())):
            await self._write(name, page)
        await self._write("404.html", self._pages.missing(200))
        async for name, render in self._all():
            kept.add(name)
            await self._put_if_changed(name, render)
        async for name in self._site.list(_PREFIX):
            if name not in kept and name.endswith(f"/{_INDEX}"):
                await self._rewrite_or_remove(name)
        await self._publish_sitemap()

    async def _all(self) -> AsyncIterator[tuple[str, Callable[[], Awaitable[HtmlPage]]]]:
        merchants: set[str] = set()
        async for card in self._search.all():
            merchant, service = card.merchant_slug, card.slug
            yield f"{_PREFIX}{merchant}/{service}/{_INDEX}", partial(self._pages.service, merchant, service)
            if merchant not in merchants:
                merchants.add(merchant)
                yield f"{_PREFIX}{merchant}/{_INDEX}", partial(self._pages.merchant, merchant)

    async def _put_if_changed(self, name: str, render: Callable[[], Awaitable[HtmlPage]]) -> None:
        page, blob = await render(), await self._site.get(name)
        if blob is None or blob.data != page.body:
            await self._write_until_current(name, render)

    async def _rewrite_or_remove(self, name: str) -> None:
        """Not listed: unlisted, or no longer there."""
        match name.removeprefix(_PREFIX).split("/"):
            case [merchant, service, _]:
                await self._write_until_current(name, partial(self._pages.service, merchant, service))
            case [merchant, _]:
                await self._write_until_current(name, partial(self._pages.merchant, merchant))

    async def _publish_sitemap(self) -> None:
        files = await self._sitemap.files()
        for name, body in files.items():
            await self._site.put(name, body, content_type="application/xml", overwrite=True)
        async for name in self._site.list("sitemap"):
            if name not in files:
                await self._site.delete(name)
        _logger.info("the site is published", extra={"sitemaps": len(files)})
