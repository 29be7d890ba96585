"""One service a slug, and no more services than a merchant may have, also in a race."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from scripts.seeding.documents import put_service
from shared.catalog.models import Service
from shared.catalog.services.quota import ServiceQuota
from shared.catalog.store import SlugTaken
from shared.kernel.errors import Problem
from tests.support.api.services_market import ServicesMarket


async def test_a_slug_is_one_services(market: ServicesMarket) -> None:
    answers = await asyncio.gather(*(market.draft() for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 19
    assert {answer.json().get("code") for answer in answers if answer.status_code == 409} == {"slug_taken"}


async def test_a_forsaken_slug_is_taken_over_after_five_minutes(market: ServicesMarket) -> None:
    catalog, start = market.api.app.catalog.store, datetime(2026, 1, 1, tzinfo=UTC)
    await catalog.reserve_slug("left", "svc_never", start)
    with pytest.raises(SlugTaken):
        await catalog.reserve_slug("left", "svc_mine", start + timedelta(minutes=4))
    later = start + timedelta(minutes=6)
    tries = await asyncio.gather(
        *(catalog.reserve_slug("left", f"svc_{n}", later) for n in range(10)), return_exceptions=True
    )
    assert sum(one is None for one in tries) == 1
    owner = await catalog.service_id("left")
    await put_service(catalog, Service(id=str(owner), merchant_id="mer_1", slug="left", name="Left"))
    with pytest.raises(SlugTaken):
        await catalog.reserve_slug("left", "svc_late", later + timedelta(days=1))


async def test_a_merchant_has_no_more_places_than_it_may_also_in_a_race(market: ServicesMarket) -> None:
    await market.put_settings(services_per_merchant_max=5)
    answers = await asyncio.gather(*(market.draft(slug=f"s{n}") for n in range(30)))
    assert sum(answer.status_code == 201 for answer in answers) == 5
    assert {a.json()["code"] for a in answers if a.status_code != 201} == {"limit_reached"}
    # What was refused left no slug behind; another merchant has places of its own.
    refused = next(n for n, answer in enumerate(answers) if answer.status_code != 201)
    assert (await market.draft(market.max, "mer_2", slug=f"s{refused}")).status_code == 201


async def test_a_retired_service_gives_its_place_back(market: ServicesMarket) -> None:
    await market.put_settings(services_per_merchant_max=2)
    first = await market.drafted(slug="one")
    await market.drafted(slug="two")
    assert (await market.draft(slug="three")).json()["code"] == "limit_reached"
    await market.ask(first, "retire")
    app = market.api.app
    later = ServiceQuota(app.ports.documents, app.catalog.store, lambda: datetime.now(UTC) + timedelta(minutes=6))
    await later.reserve("mer_1", 2)
    with pytest.raises(Problem, match="limit_reached"):
        await later.reserve("mer_1", 2)
