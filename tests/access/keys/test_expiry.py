"""Notices before a key expires: 30, 7 and 1 days ahead, each once."""

import asyncio
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from shared.access.keys.expiry import ExpiryNotices, notice_day
from shared.access.keys.writer import KeyWriter
from shared.audit.journal import Journal
from shared.identity.mails import send_mail
from shared.identity.tasks import SendMail
from shared.kernel.clock import utc_now
from tests.support.api.access_market import AccessMarket, DyingDocuments
from tests.support.api.keys import created, do, read, rotate

pytestmark = pytest.mark.usefixtures("granted")

END = datetime(2026, 12, 31, 15, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("today", "due"),
    [
        (date(2026, 1, 1), "2026-12-01"),
        (date(2026, 11, 30), "2026-12-01"),
        (date(2026, 12, 1), "2026-12-24"),
        (date(2026, 12, 23), "2026-12-24"),
        (date(2026, 12, 24), "2026-12-30"),
        (date(2026, 12, 30), None),
        (date(2027, 1, 1), None),
    ],
)
def test_the_next_day_on_which_a_notice_is_due(today: date, due: str | None) -> None:
    assert notice_day(END, today) == due


def test_a_key_that_never_expires_is_not_announced() -> None:
    assert notice_day(None, date(2026, 1, 1)) is None


def notices(market: AccessMarket, days: float, documents: Any = None) -> ExpiryNotices:
    """As they run that many days from now."""
    app = market.api.app
    writer = KeyWriter(
        app.access.store, app.audit.journal if documents is None else Journal(documents, app.audit.log.append)
    )
    return ExpiryNotices(app.access.store, writer, app.access.key_mails, lambda: utc_now() + timedelta(days=days))


async def subjects(market: AccessMarket) -> list[str]:
    await market.api.drain()
    return sorted(str(mail["subject"]) for mail in market.api.mails() if "expires" in str(mail["subject"]))


async def test_three_notices_each_once_whenever_it_runs(market: AccessMarket) -> None:
    await created(market, ttl_days=60, name="job")
    await created(market, name="eternal")
    for day in range(70):
        for _ in range(2):
            await notices(market, day).run()
    assert await subjects(market) == [
        "API key expires in 30 days: job",
        "API key expires in 7 days: job",
        "API key expires tomorrow: job",
    ]


async def test_runs_at_the_same_time_send_one(market: AccessMarket) -> None:
    await created(market, ttl_days=60, name="job")
    await asyncio.gather(*(notices(market, 30).run() for _ in range(10)))
    assert await subjects(market) == ["API key expires in 30 days: job"]


async def test_a_late_run_tells_the_days_that_are_left_and_sends_one_for_all_it_missed(market: AccessMarket) -> None:
    await created(market, ttl_days=60, name="job")
    assert await notices(market, 55).run() == 1
    assert await subjects(market) == ["API key expires in 5 days: job"]


async def test_a_key_that_is_gone_already_is_not_announced(market: AccessMarket) -> None:
    key = await created(market, ttl_days=60, name="job")
    lost = await created(market, ttl_days=60, name="lost")
    await do(market, lost, "revoke", reason="lost")
    assert await notices(market, 61).run() == 0
    assert await notices(market, 62).run() == 0
    assert await subjects(market) == []
    stored = await market.api.app.access.store.key(market.consumer_id, key["id"])
    assert stored is not None
    assert stored.expiry_day is None


async def test_a_rotation_starts_the_notices_again(market: AccessMarket) -> None:
    key = await created(market, ttl_days=60, name="job")
    await notices(market, 30).run()
    assert (await rotate(market, await read(market, key))).status_code == 200
    await notices(market, 30).run()
    assert Counter(await subjects(market)) == {"API key expires in 30 days: job": 2}


async def test_a_run_that_is_killed_sends_no_notice_twice(market: AccessMarket) -> None:
    await created(market, ttl_days=60, name="job")
    app = market.api.app
    dying = DyingDocuments(app.ports.documents, "access")
    dying.dead = True
    with pytest.raises(RuntimeError):
        await notices(market, 30, dying).run()
    assert await subjects(market) == []
    # Killed after the commit: the journal of this process knows no mail, so its task stays in the outbox.
    assert await notices(market, 30, app.ports.documents).run() == 1
    assert await notices(market, 30).run() == 0
    later = utc_now() + timedelta(minutes=5)
    journal = Journal(app.ports.documents, app.audit.log.append, lambda: later)
    journal.on(SendMail, lambda task_id, task: send_mail(app.ports.mail, task_id, task))
    await asyncio.gather(journal.deliver_due(), journal.deliver_due())
    assert await subjects(market) == ["API key expires in 30 days: job"]


async def test_the_owner_of_a_keys_project_is_told_too(market: AccessMarket) -> None:
    road = await market.project("Road")
    max_ = await market.api.sign_in("Max", email="max@buyers.example")
    await market.join(max_, road)
    moved = await market.ann.post(f"{market.consumer}/projects/{road}/transfer", json={"account_id": max_.account.id})
    assert moved.status_code == 200, moved.text
    key = await created(market, ttl_days=60, name="job", project_id=road)
    await notices(market, 59).run()
    await market.api.drain()
    told = [mail for mail in market.api.mails() if "expires" in str(mail["subject"])]
    assert {str(mail["to"]) for mail in told} == {"ann@buyers.example", "max@buyers.example"}
    assert all(key["key"] not in mail.get_content() for mail in told)
