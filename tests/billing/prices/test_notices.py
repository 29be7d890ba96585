"""Subscribers are told of prices once, however many there are and whatever dies while they are told."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from shared.audit.journal import FIRST_DUE
from shared.audit.models import Actor
from shared.billing.charges import CHARGE
from shared.billing.prices import notices as plan_notices
from shared.billing.prices.notices import PlanNotices
from shared.billing.prices.service import Plans, PlanVersion
from shared.billing.store import BILLING
from shared.billing.tasks import TellPriceChange
from shared.identity.models import Account
from shared.identity.store import ACCOUNT_DOCUMENT, ACCOUNTS
from shared.identity.tasks import SendMail
from shared.platform.documents import Documents, DocumentsUnavailable, Query, Where
from tests.support.billing.books import BEGIN, Books
from tests.support.market import PER_REQUEST

MIA = Actor("acc_1", "merchant")
SUBSCRIBERS = 7
LATER = FIRST_DUE + timedelta(minutes=1)


class Told:
    """A process that does the tasks of a set of books; `mails` are those that it sent."""

    def __init__(self, books: Books) -> None:
        self.books = books
        self.mails: list[SendMail] = []
        self.notices = PlanNotices(
            plans=books.plans, access=books.access, catalog=books.catalog, journal=books.journal, mails=books.mails
        )
        books.journal.on(TellPriceChange, self.notices.on_tell)
        books.journal.on(SendMail, self._send)
        self.plans = Plans(
            plans=books.plans, profiles=books.profiles, catalog=books.catalog, journal=books.journal, now=books.time
        )

    async def _send(self, task_id: str, task: SendMail) -> None:
        self.mails.append(task)

    async def add(self, *charges: dict[str, Any]) -> PlanVersion:
        return await self.plans.add(
            MIA,
            "svc_maps",
            name="Gold",
            currency="EUR",
            charges=[CHARGE.validate_python(charge) for charge in charges],
            effective_from=None,
        )

    async def settle(self) -> None:
        """Whatever is due by and by."""
        await self.books.journal.drain()
        for _ in range(4):
            self.books.time.moment += LATER
            await self.books.journal.deliver_due()

    @property
    def to(self) -> list[str]:
        return sorted(mail.to for mail in self.mails)


@pytest.fixture
async def books(books: Books, monkeypatch: pytest.MonkeyPatch) -> Books:
    """`svc_maps` of Acme has a plan since 2026-01-01, and seven consumers; it is 2 April 2026."""
    monkeypatch.setattr(plan_notices, "SUBSCRIBERS_AT_ONCE", 3)
    for number in range(SUBSCRIBERS):
        await subscribe(books, number)
    return books


async def subscribe(books: Books, number: int, **changes: Any) -> None:
    account = Account(
        id=f"acc_c{number}",
        email=f"c{number}@example.com",
        email_verified=True,
        name="C",
        consumer_id=f"con_c{number}",
        created_at=BEGIN,
    )
    fields: dict[str, Any] = {
        "consumer_id": account.consumer_id,
        "service_id": "svc_maps",
        "merchant_id": "mer_1",
        "status": "approved",
        "pseudonym": f"cus_{number:03d}",
    }
    await books.documents.upsert(ACCOUNTS, account.id, ACCOUNT_DOCUMENT, account.to_json())
    await books.builder.consumer(id=account.consumer_id, name="C", account_id=account.id)
    await books.builder.grant(**{**fields, **changes})


EVERYBODY = [f"c{number}@example.com" for number in range(SUBSCRIBERS)]


async def left(books: Books) -> int:
    """Notices that are not told to the end."""
    page = await books.embedded.documents.query(BILLING, Query("mer_1", (Where("kind", "=", "notice"),)))
    return len(page.items)


async def test_everybody_with_access_is_told(books: Books) -> None:
    await subscribe(books, 100, status="requested")
    await subscribe(books, 101, status="withdrawn")
    await subscribe(books, 102, service_id="svc_other")
    told = Told(books)

    await told.add(PER_REQUEST)
    await told.settle()

    assert told.to == EVERYBODY
    assert await left(books) == 0
    mail = told.mails[0]
    assert mail.subject == "Prices of Maps from 2026-05-01"
    assert "Acme has set prices of Maps that hold from 2026-05-01 00:00 (UTC)." in mail.text
    assert "Gold (version 2), in EUR" in mail.text
    assert "- API calls" in mail.text


async def test_that_a_service_becomes_free_is_told_as_that(books: Books) -> None:
    told = Told(books)

    await told.add()
    await told.settle()

    assert told.to == EVERYBODY
    assert told.mails[0].text.endswith("from 2026-05-01 00:00 (UTC) it is free of charge.\n")


async def test_a_withdrawal_is_told(books: Books) -> None:
    told = Told(books)
    version = await told.add(PER_REQUEST)
    await told.settle()
    told.mails.clear()

    await told.plans.withdraw(MIA, "svc_maps", version.plan.number, f'"{version.etag}"')
    await told.settle()

    assert told.to == EVERYBODY
    assert told.mails[0].subject == "Prices of Maps do not change on 2026-05-01"
    assert await left(books) == 0


async def test_what_was_withdrawn_meanwhile_is_not_announced(books: Books) -> None:
    told = Told(books)
    books.journal.on(TellPriceChange, _refuse)
    version = await told.add(PER_REQUEST)
    await told.plans.withdraw(MIA, "svc_maps", version.plan.number, f'"{version.etag}"')
    await books.journal.drain()

    process = Told(books.again())
    await process.settle()

    assert {mail.subject for mail in process.mails} == {"Prices of Maps do not change on 2026-05-01"}
    assert process.to == EVERYBODY
    assert await left(books) == 0


async def _refuse(task_id: str, task: TellPriceChange) -> None:
    raise RuntimeError("killed")


class Failing:
    """The real store, whose transactions fail from the one that is told on."""

    def __init__(self, documents: Documents, good: int) -> None:
        self._documents = documents
        self.good = good

    def __getattr__(self, name: str) -> Any:
        return getattr(self._documents, name)

    async def transact(self, *arguments: Any) -> Any:
        self.good -= 1
        if self.good < 0:
            raise DocumentsUnavailable("killed")
        return await self._documents.transact(*arguments)


@pytest.mark.parametrize("good", range(1, 6))
async def test_a_kill_at_any_page_repeats_nobody_and_forgets_nobody(books: Books, good: int) -> None:
    dying: Any = Failing(books.documents, good)
    first = Told(Books(books.embedded, dying, books.time))
    await first.add(PER_REQUEST)  # the first transaction
    await first.books.journal.drain()

    second = Told(books)
    await second.settle()

    assert sorted(first.to + second.to) == EVERYBODY
    assert await left(books) == 0


async def test_two_processes_at_once_tell_everybody_once(books: Books) -> None:
    told = Told(books)
    books.journal.on(TellPriceChange, _refuse)
    await told.add(PER_REQUEST)
    await books.journal.drain()
    books.time.moment += LATER
    one, two = Told(books.again()), Told(books.again())
    task = TellPriceChange(merchant_id="mer_1", notice="notice:svc_maps:000002:announced")

    await asyncio.gather(*(each.notices.on_tell("job_1", task) for each in (one, two)), return_exceptions=True)
    await one.settle()

    assert sorted(one.to + two.to) == EVERYBODY
    assert await left(books) == 0
