"""The catalogue's index follows the documents, in every process, and the pages follow it."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from scripts.seeding.documents import put_merchant, put_service
from shared.bootstrap import Application
from shared.catalog.marketplace.search import OVERLAP, CatalogQuery, CatalogSearch
from shared.catalog.marketplace.sitemap import Sitemap
from shared.catalog.models import Merchant, Service
from shared.catalog.store import SERVICES
from shared.catalog.tasks import PublishPages
from shared.kernel.clock import format_time, utc_now
from shared.settings import load_settings
from tests.support.clock import Clock
from tests.support.embedded import IN_MEMORY

GONE_S = 2.0
"""The promise for what is suspended, in every process."""

URL = "https://ams.example"


@pytest.fixture
async def folder() -> AsyncIterator[Path]:
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as made:
        yield Path(made)


async def opened(folder: Path) -> AsyncIterator[Application]:
    application = Application(load_settings({"AMS_DATA": str(folder), "AMS_PUBLIC_URL": URL}))
    await put_merchant(application.catalog.store, MERCHANT)
    yield application
    await application.close()


one = pytest.fixture(opened, name="one")
other = pytest.fixture(opened, name="other")
MERCHANT = Merchant(id="mer_1", slug="acme", name="Acme", status="active")


def service(slug: str, **fields: Any) -> Service:
    return Service(
        **{"id": f"svc_{slug}", "slug": slug, "merchant_id": "mer_1", "name": slug, "status": "active", **fields}
    )


async def slugs(catalogue: CatalogSearch, text: str = "", **filters: list[str]) -> list[str]:
    listed = await catalogue.search(CatalogQuery(text, filters, "name"), limit=100)
    return [card.slug for card in listed.cards]


class Process:
    """One that follows the documents of an application, by its own clock: a busy machine is not its fault."""

    def __init__(self, application: Application) -> None:
        ports, self._clock = application.ports, Clock()
        self.search = CatalogSearch(
            ports.documents, application.catalog.store, ports.search_index, monotonic=self._clock.seconds
        )

    async def slugs(self) -> list[str]:
        return await slugs(self.search)

    async def slugs_later(self) -> list[str]:
        """What is found GONE_S after it last looked."""
        self._clock.passes(seconds=GONE_S)
        return await self.slugs()


@pytest.fixture
def following(other: Application) -> Process:
    """Another process than `one`."""
    return Process(other)


async def test_a_change_of_this_process_is_found_at_once(one: Application) -> None:
    assert await slugs(one.catalog.search) == []

    await put_service(one.catalog.store, service("ocr"))
    assert await slugs(one.catalog.search) == ["ocr"]

    await put_service(one.catalog.store, service("ocr", status="suspended"))
    assert await slugs(one.catalog.search) == []


@pytest.mark.parametrize(
    "hidden",
    [{"status": "suspended"}, {"status": "retired"}, {"visibility": "unlisted"}, {"visibility_override": "private"}],
)
async def test_what_is_taken_away_is_gone_in_every_process(
    one: Application, following: Process, hidden: dict[str, str]
) -> None:
    await put_service(one.catalog.store, service("ocr"))
    assert await following.slugs_later() == ["ocr"]

    await put_service(one.catalog.store, service("ocr", **hidden))

    assert await following.slugs_later() == []


async def test_a_merchants_services_follow_it_when_they_are_listed_again(one: Application, following: Process) -> None:
    for slug in ("a", "b"):
        await put_service(one.catalog.store, service(slug))
    assert await following.slugs_later() == ["a", "b"]

    await put_merchant(one.catalog.store, MERCHANT.model_copy(update={"status": "suspended"}))
    for slug in ("a", "b"):
        await put_service(one.catalog.store, service(slug))

    assert await following.slugs_later() == []


async def test_the_first_service_that_is_listed_again_takes_all_of_a_suspended_merchants_with_it(
    one: Application, following: Process
) -> None:
    for slug in ("a", "b", "c"):
        await put_service(one.catalog.store, service(slug))
    assert await following.slugs_later() == ["a", "b", "c"]

    await put_merchant(one.catalog.store, MERCHANT.model_copy(update={"status": "suspended"}))
    await put_service(one.catalog.store, service("b"))
    assert await following.slugs_later() == []

    await put_merchant(one.catalog.store, MERCHANT)
    for slug in ("a", "b", "c"):
        await put_service(one.catalog.store, service(slug))
    assert await following.slugs_later() == ["a", "b", "c"]


async def test_a_service_that_was_stored_late_is_found(one: Application, other: Application) -> None:
    """The clock of whoever stored it is behind, or it was long between taking the time and committing."""
    following = Process(one)
    assert await following.slugs() == []
    late = service("late", listing=format_time(utc_now() - OVERLAP + timedelta(seconds=10)))

    await other.ports.documents.create(SERVICES, late.id, late.id, late.to_json())

    assert await following.slugs_later() == ["late"]


async def test_requests_at_the_same_time_share_the_first_reading(one: Application) -> None:
    for number in range(30):
        await put_service(one.catalog.store, service(f"s{number}"))
    reads = 0
    query = one.ports.documents.query

    async def counted(*args: Any) -> Any:
        nonlocal reads
        reads += 1
        return await query(*args)

    one.ports.documents.query = counted  # type: ignore[method-assign]  # counts, and does the same
    found = await asyncio.gather(*(slugs(one.catalog.search) for _ in range(20)))

    assert {len(each) for each in found} == {30}
    assert reads == 1


async def test_a_cancelled_first_reading_leaves_nothing_behind(one: Application) -> None:
    await put_service(one.catalog.store, service("ocr"))
    first = asyncio.create_task(slugs(one.catalog.search))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)

    assert await slugs(one.catalog.search) == ["ocr"]


async def files(application: Application) -> list[str]:
    return [name async for name in application.ports.site.list("marketplace/")]


PAGES = ["marketplace/acme/index.html", "marketplace/acme/ocr/index.html"]


async def test_publishing_a_service_writes_its_page_and_its_merchants(one: Application) -> None:
    await put_service(one.catalog.store, service("ocr", name="Page Reader"))

    await one.catalog.publisher.on_publish("job_1", PublishPages(service_id="svc_ocr"))

    assert await files(one) == PAGES
    for name in PAGES:
        blob = await one.ports.site.get(name)
        assert blob is not None
        assert b"Page Reader" in blob.data
        assert blob.content_type == "text/html; charset=utf-8"


@pytest.mark.parametrize("hidden", [{"status": "suspended"}, {"visibility": "private"}])
async def test_publishing_removes_the_page_of_what_is_not_shown(one: Application, hidden: dict[str, str]) -> None:
    await put_service(one.catalog.store, service("ocr"))
    await one.catalog.publisher.on_publish("job_1", PublishPages(service_id="svc_ocr"))

    await put_service(one.catalog.store, service("ocr", **hidden))
    await one.catalog.publisher.on_publish("job_1", PublishPages(service_id="svc_ocr"))

    assert await files(one) == PAGES[:1]


async def test_publishing_writes_what_is_true_when_it_is_done(one: Application) -> None:
    """The service changes while its page is written: what was rendered before does not stay."""
    await put_service(one.catalog.store, service("ocr", name="Before"))
    put = one.ports.site.put

    async def slow(name: str, *args: Any, **rest: Any) -> None:
        if name == PAGES[1] and b"Before" in args[0]:
            await put_service(one.catalog.store, service("ocr", name="After"))
        await put(name, *args, **rest)

    one.ports.site.put = slow  # type: ignore[method-assign]  # the same, with a change before it
    await one.catalog.publisher.on_publish("job_1", PublishPages(service_id="svc_ocr"))

    blob = await one.ports.site.get(PAGES[1])
    assert blob is not None
    assert b"After" in blob.data


async def test_the_task_of_an_unknown_service_does_nothing(one: Application) -> None:
    await one.catalog.publisher.on_publish("job_1", PublishPages(service_id="svc_none"))

    assert await files(one) == []


async def test_the_journal_knows_the_task(one: Application) -> None:
    assert PublishPages.kind in one.audit.journal.kinds


async def test_the_site_as_a_whole_gets_what_is_missing_and_loses_what_is_too_much(one: Application) -> None:
    await put_service(one.catalog.store, service("ocr"))
    for wrong in ("marketplace/acme/old/index.html", "marketplace/gone/index.html"):
        await one.ports.site.put(wrong, b"old", content_type="text/html")
    await one.ports.site.put("marketplace/acme/ocr/index.html", b"old", content_type="text/html")
    await one.ports.site.put("sitemap-7.xml", b"old", content_type="application/xml")

    await one.catalog.publisher.publish_site()
    first = {name: await one.ports.site.get(name) async for name in one.ports.site.list("")}
    await one.catalog.publisher.publish_site()

    assert set(first) == {*PAGES, "marketplace/index.html", "marketplace.css", "robots.txt", "404.html", "sitemap.xml"}
    assert b"old" not in {blob.data for blob in first.values() if blob is not None}
    assert first == {name: await one.ports.site.get(name) async for name in one.ports.site.list("")}


async def test_an_unlisted_page_stays_on_the_site(one: Application) -> None:
    await put_service(one.catalog.store, service("ocr", visibility="unlisted"))
    await one.catalog.publisher.on_publish("job_1", PublishPages(service_id="svc_ocr"))

    await one.catalog.publisher.publish_site()

    assert "marketplace/acme/ocr/index.html" in await files(one)
    sitemap = await one.ports.site.get("sitemap.xml")
    assert sitemap is not None
    assert b"ocr" not in sitemap.data


def addresses(xml: bytes) -> list[str]:
    return [each.text or "" for each in ElementTree.fromstring(xml).iter() if each.tag.endswith("loc")]


async def test_a_sitemap_is_divided_beyond_what_one_file_may_hold(one: Application) -> None:
    for number in range(5):
        await put_service(one.catalog.store, service(f"s{number}"))
    sitemap = Sitemap(one.catalog.search, URL, urls_max=3, fresh_s=0)
    everything = [f"{URL}/marketplace", f"{URL}/marketplace/acme", *(f"{URL}/marketplace/acme/s{n}" for n in range(5))]

    files = await sitemap.files()
    index = addresses(files.pop("sitemap.xml"))
    assert index == [f"{URL}/{name}" for name in files]
    assert [url for part in files.values() for url in addresses(part)] == everything
    assert max(len(addresses(part)) for part in files.values()) == 3

    asked = addresses((await sitemap.page(None)).body)
    assert asked == [f"{URL}/sitemap.xml?part={number}" for number in (1, 2, 3)]
    parts = [(await sitemap.page(number)).body for number in (1, 2, 3)]
    assert parts == list(files.values())
    assert [(await sitemap.page(number)).status for number in (0, 4)] == [404, 404]
