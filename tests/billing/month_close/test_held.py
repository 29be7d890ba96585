"""Who could not be billed: the platform is told once, whatever dies in between, and nobody else waits."""

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest

from shared.billing.invoices.credit import Credit
from shared.billing.invoices.models import CreditUse
from shared.billing.invoices.store import credit_document, invoice_document
from shared.billing.month_close import issuing
from shared.billing.month_close.previews import Previews
from shared.billing.month_close.store import filing_document
from shared.billing.store import BILLING
from shared.identity.tasks import SendMail
from shared.kernel.errors import Problem
from shared.metering.counting.record_ids import RECORD_PREFIX
from shared.metering.events import partition_of
from shared.metering.store import USAGE
from shared.platform.documents import Document, Query, Where
from tests.support.billing.books import Books


class Killed(BaseException):
    """The process is gone."""


class DyingDocuments:
    """The real store, until a write of `document` that has `text`: the process dies before it."""

    def __init__(self, books: Books, document: str, text: bytes = b"") -> None:
        self._documents = books.documents
        self._document, self._text = document, text

    def __getattr__(self, name: str) -> Any:
        return getattr(self._documents, name)

    def _check(self, id: str, body: bytes) -> None:
        if id == self._document and self._text in body:
            raise Killed

    async def create(self, container: Any, partition: str, id: str, body: bytes, **more: Any) -> str:
        self._check(id, body)
        return await self._documents.create(container, partition, id, body, **more)

    async def transact(self, container: Any, partition: str, operations: Any) -> Any:
        for operation in operations:
            self._check(operation.id, getattr(operation, "body", b""))
        return await self._documents.transact(container, partition, operations)


@pytest.fixture
async def books(books: Books) -> Books:
    await books.use(3)
    await books.subscribe("con_2")
    await books.use(2, consumer_id="con_2")
    return books


async def lose_a_record(books: Books) -> Document:
    """Of con_1: its counters and records differ from now on."""
    query = Query(partition_of("con_1", 0), (Where("id", "starts_with", RECORD_PREFIX),), limit=1)
    [lost] = (await books.documents.query(USAGE, query)).items
    await books.documents.delete(USAGE, lost.partition, lost.id)
    return lost


def listening(*all_books: Books) -> list[str]:
    """What the platform is told of."""
    told: list[str] = []

    def to_platform(books: Books) -> None:
        async def mails(subject: str, text: str) -> list[SendMail]:
            return [SendMail(to="ops@ams.example", subject=subject, text=text)]

        async def tell(task_id: str, task: SendMail) -> None:
            told.append(task.text)

        books.mails.to_platform = mails  # type: ignore[method-assign]  # admins would have to sign up
        books.journal.on(SendMail, tell, inline=True)

    for books in all_books:
        to_platform(books)
    return told


async def test_the_platform_is_told_by_the_next_run_if_the_one_before_dies(books: Books) -> None:
    await lose_a_record(books)
    dying = books.again(DyingDocuments(books, "close:2026-03", b'"told":{"cus_'))
    told = listening(dying, books)
    with pytest.raises(Killed):
        await dying.closer.run()
    assert told == []
    for _ in range(3):
        assert await books.closer.run() == 0
    assert len(told) == 1
    assert "counters and records of 2026-03 differ" in told[0]


async def test_of_several_at_once_one_tells(books: Books) -> None:
    await lose_a_record(books)
    others = [books.again() for _ in range(5)]
    told = listening(*others)
    assert await asyncio.gather(*(other.closer.run() for other in others)) == [0] * 5
    assert len(told) == 1


async def test_who_is_held_again_for_another_reason_is_told_again(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = await lose_a_record(books)
    told = listening(books)
    await books.closer.run()
    await books.documents.create(USAGE, lost.partition, lost.id, lost.body)
    monkeypatch.setattr(issuing, "BYTES_AT_ONCE_MAX", 10)
    await books.closer.run()
    assert len(told) == 2
    assert "more than 10" in told[1]


async def test_an_invoice_larger_than_a_document_keeps_nobody_from_theirs(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    charges = [
        {"id": f"c{number}", "name": "n" * 100, "metric": "requests", "model": "per_unit", "unit_price": "1"}
        for number in range(50)
    ]
    await books.price(*charges, service_id="svc_geo")
    await books.subscribe("con_1", "svc_geo")
    monkeypatch.setattr(issuing, "BYTES_AT_ONCE_MAX", 8_000)
    assert await books.closer.run() == 0
    assert [invoice.consumer_id for invoice in await books.invoices()] == ["con_2"]
    [close] = await books.closes.closes("mer_1")
    [reason] = close.held.values()
    assert reason.startswith("its invoice in EUR has ")


class LateCredit:
    """The real store, whose first transaction that stores an invoice comes just after `happens`."""

    def __init__(self, books: Books, happens: Callable[[], Awaitable[object]]) -> None:
        self._documents, self._happens = books.documents, happens
        self._happened = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._documents, name)

    async def transact(self, container: Any, partition: str, operations: Any) -> Any:
        if not self._happened and any(operation.id.startswith(invoice_document("")) for operation in operations):
            self._happened = True
            await self._happens()
        return await self._documents.transact(container, partition, operations)


async def test_who_cannot_be_drafted_again_after_a_change_of_credit_is_held(books: Books) -> None:
    async def give_credit(amount: int) -> None:
        left = (CreditUse(note_number="ACME26C000001", amount=Decimal(amount)),)
        credit = Credit(consumer_id="con_1", currency="EUR", left=left)
        await books.documents.upsert(BILLING, "mer_1", credit_document("con_1", "EUR"), credit.to_json())

    async def change_credit_and_usage() -> None:
        await give_credit(2)
        await lose_a_record(books)

    await give_credit(1)
    listening(again := books.again(LateCredit(books, change_credit_and_usage)))
    assert await again.closer.run() == 0
    assert [invoice.consumer_id for invoice in await books.invoices()] == ["con_2"]
    [close] = await books.closes.closes("mer_1")
    assert list(close.held.values()) == ["counters and records of 2026-03 differ"]
    assert (close.invoices, close.status) == (1, "running")


async def test_documents_of_the_others_are_filed_though_the_run_died_before_it_left_that(books: Books) -> None:
    await lose_a_record(books)
    listening(books)
    dying = books.again(DyingDocuments(books, filing_document("2026-03")))
    with pytest.raises(Killed):
        await dying.closer.run()
    assert await books.documents.get(BILLING, "mer_1", filing_document("2026-03")) is None
    await books.closer.run()
    assert await books.documents.get(BILLING, "mer_1", filing_document("2026-03")) is not None


async def test_a_preview_says_that_counters_and_records_differ(books: Books) -> None:
    await lose_a_record(books)
    previews = Previews(
        profiles=books.profiles,
        subscribers=books.subscribers,
        access=books.access,
        drafter=books.drafter,
        closer=books.closer,
        now=books.time,
    )
    with pytest.raises(Problem, match="counters and records of 2026-03 differ") as refused:
        await previews.of_subscriber("mer_1", await books.subscribe(), "2026-03")
    assert (refused.value.status, refused.value.code) == (409, "state_invalid")
