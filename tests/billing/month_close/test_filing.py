"""Filing: what a close issued has its documents before anybody asks, whoever is killed or away in between."""

import asyncio
import contextlib
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from shared.billing.documents.cache import DocumentCache, InvoiceFormat, Side
from shared.billing.invoices.models import Invoice
from shared.billing.invoices.store import invoice_document
from shared.billing.month_close import filing
from shared.billing.month_close.filing import FILED, LEASE, Filer
from shared.billing.store import BILLING
from shared.metering.counting.record_ids import RECORD_PREFIX
from shared.metering.events import partition_of
from shared.metering.store import USAGE
from shared.platform.blobs import BlobsUnavailable
from shared.platform.blobs.files import FileBlobs
from shared.platform.documents import Query, Where
from tests.support.billing.books import Books, open_books
from tests.support.paths import ROOT

CONSUMERS = 12


class Killed(BaseException):
    """The process is gone."""


class DyingBlobs(FileBlobs):
    """The real store, until the n-th document: that one is lost, or kept without an answer."""

    def __init__(self, folder: Path, puts: int, error: type[BaseException], *, kept: bool) -> None:
        super().__init__(folder)
        self.puts, self._error, self._kept = puts, error, kept

    async def put(self, name: str, data: bytes, *, content_type: str, overwrite: bool = False) -> None:
        self.puts -= 1
        if self.puts < 0:
            if self._kept:
                await super().put(name, data, content_type=content_type, overwrite=overwrite)
            raise self._error
        await super().put(name, data, content_type=content_type, overwrite=overwrite)


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filing, "PAGE", 5)


@pytest.fixture
async def books(books: Books) -> Books:
    for number in range(1, CONSUMERS + 1):
        await books.subscribe(f"con_{number}")
        await books.use(number, consumer_id=f"con_{number}")
    return books


def filer(books: Books, blobs: FileBlobs) -> Filer:
    return _filer(books, DocumentCache(blobs))


def _filer(books: Books, cache: DocumentCache) -> Filer:
    return Filer(
        documents=books.documents, closes=books.closes, invoices=books.invoice_store, cache=cache, now=books.time
    )


def names(invoices: list[Invoice]) -> list[str]:
    return sorted(f"invoices/mer_1/{one.id}/{one.number}.buyer.{end}" for one in invoices for end in FILED)


async def kept(blobs: FileBlobs) -> list[str]:
    return sorted([name async for name in blobs.list("invoices/")])


async def test_every_invoice_of_a_closed_month_is_filed_once(books: Books, tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path / "blobs")
    assert not await filer(books, blobs).any_due()
    await books.closer.run()
    assert await filer(books, blobs).any_due()
    assert await filer(books, blobs).run() == CONSUMERS
    assert await kept(blobs) == names(await books.invoices())
    assert not await filer(books, blobs).any_due()
    assert await filer(books, blobs).run() == 0


async def test_a_month_without_invoices_leaves_nothing_to_file(tmp_path: Path) -> None:
    books = await open_books(tmp_path)
    assert await books.closer.run() == 1
    assert await books.invoices() == []
    assert not await filer(books, FileBlobs(tmp_path / "blobs")).any_due()
    await books.journal.drain()
    await books.embedded.close()


@pytest.mark.parametrize("keeps", [False, True])
@pytest.mark.parametrize("puts", [0, 3, 9, 10, 11, 23])  # within a page of five invoices, and between two
async def test_who_is_killed_is_followed_when_the_lease_is_over(
    books: Books, tmp_path: Path, puts: int, keeps: bool
) -> None:
    await books.closer.run()
    with pytest.raises(BaseExceptionGroup) as killed:
        await filer(books, DyingBlobs(tmp_path / "blobs", puts, Killed, kept=keeps)).run()
    assert killed.group_contains(Killed)
    sound = filer(books, FileBlobs(tmp_path / "blobs"))
    assert not await sound.any_due(), "the lease of the dead is not over"
    assert await sound.run() == 0
    books.time.moment += LEASE
    await sound.run()
    assert await kept(FileBlobs(tmp_path / "blobs")) == names(await books.invoices())
    assert not await sound.any_due()


async def test_a_store_that_is_away_is_an_error_and_nothing_is_forgotten(books: Books, tmp_path: Path) -> None:
    await books.closer.run()
    with pytest.raises(BlobsUnavailable):
        await filer(books, DyingBlobs(tmp_path / "blobs", 12, BlobsUnavailable, kept=False)).run()
    back = filer(books, FileBlobs(tmp_path / "blobs"))
    assert await back.run() == CONSUMERS - 5, "it goes on behind the first page"
    assert await kept(FileBlobs(tmp_path / "blobs")) == names(await books.invoices())


async def test_what_kills_every_process_is_left_out_in_the_end(
    books: Books, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is made to die for it every five minutes, and the invoices behind it do not wait for ever."""
    monkeypatch.setattr(filing, "ATTEMPTS_MAX", 2)
    await books.closer.run()
    for _ in range(2):
        with pytest.raises(BaseExceptionGroup):
            await filer(books, DyingBlobs(tmp_path / "blobs", 0, Killed, kept=False)).run()
        books.time.moment += LEASE
    sound = filer(books, FileBlobs(tmp_path / "blobs"))
    assert await sound.run() == CONSUMERS - 5
    assert await kept(FileBlobs(tmp_path / "blobs")) == names((await books.invoices())[5:])
    assert not await sound.any_due()


async def test_a_store_that_is_away_for_long_is_no_reason_to_leave_out_anything(
    books: Books, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filing, "ATTEMPTS_MAX", 2)
    await books.closer.run()
    for _ in range(5):
        with pytest.raises(BlobsUnavailable):
            await filer(books, DyingBlobs(tmp_path / "blobs", 0, BlobsUnavailable, kept=False)).run()
    assert await filer(books, FileBlobs(tmp_path / "blobs")).run() == CONSUMERS


async def test_of_two_at_once_one_has_it(books: Books, tmp_path: Path) -> None:
    await books.closer.run()
    blobs = FileBlobs(tmp_path / "blobs")
    filed = await asyncio.gather(*(filer(books, blobs).run() for _ in range(4)))
    assert sorted(filed) == [0, 0, 0, CONSUMERS]
    assert await kept(blobs) == names(await books.invoices())


async def test_an_invoice_that_cannot_be_drawn_does_not_keep_the_others(books: Books, tmp_path: Path) -> None:
    class Failing(DocumentCache):
        async def get(self, invoice: Invoice, format: InvoiceFormat, side: Side = "buyer") -> str:
            if invoice.number.endswith("3"):
                raise ValueError("no such glyph")
            return await super().get(invoice, format, side)

    await books.closer.run()
    blobs = FileBlobs(tmp_path / "blobs")
    assert await _filer(books, Failing(blobs)).run() == CONSUMERS
    others = [invoice for invoice in await books.invoices() if not invoice.number.endswith("3")]
    assert await kept(blobs) == names(others)


async def test_what_is_void_has_no_use_for_a_document(books: Books, tmp_path: Path) -> None:
    await books.closer.run()
    first = (await books.invoices())[0]
    void = first.model_copy(update={"status": "void"})
    await books.documents.upsert(BILLING, "mer_1", invoice_document(first.id), void.to_json())
    blobs = FileBlobs(tmp_path / "blobs")
    await filer(books, blobs).run()
    assert await kept(blobs) == names((await books.invoices())[1:])


async def test_nobody_waits_for_who_is_held(books: Books, tmp_path: Path) -> None:
    query = Query(partition_of("con_1", 0), (Where("id", "starts_with", RECORD_PREFIX),), limit=1)
    [lost] = (await books.documents.query(USAGE, query)).items
    await books.documents.delete(USAGE, lost.partition, lost.id)
    assert await books.closer.run() == 0, "con_1 is held, so the month is not closed"
    blobs = FileBlobs(tmp_path / "blobs")
    assert await filer(books, blobs).run() == CONSUMERS - 1
    assert await books.closer.run() == 0
    assert not await filer(books, blobs).any_due(), "a run that issued nothing leaves nothing"
    await books.documents.create(USAGE, lost.partition, lost.id, lost.body)
    assert await books.closer.run() == 1
    await filer(books, blobs).run()
    assert await kept(blobs) == names(await books.invoices())


async def test_a_close_that_dies_before_its_end_leaves_it_to_the_next(books: Books, tmp_path: Path) -> None:
    """Filing is left in the transaction that ends the close, not after it."""

    class Dying:
        """Takes what is issued, and dies at the end of the close."""

        def __getattr__(self, name: str) -> Any:
            return getattr(books.documents, name)

        async def transact(self, container: Any, partition: str, operations: Any) -> Any:
            if any(getattr(one, "id", "").startswith("filing:") for one in operations):
                raise Killed
            return await books.documents.transact(container, partition, operations)

    with contextlib.suppress(Killed):
        await books.again(Dying()).closer.run()  # type: ignore[arg-type]  # the documents, but for one
    blobs = FileBlobs(tmp_path / "blobs")
    assert len(await books.invoices()) == CONSUMERS
    assert not await filer(books, blobs).any_due()
    assert await books.closer.run() == 1
    await filer(books, blobs).run()
    assert await kept(blobs) == names(await books.invoices())


async def test_a_process_of_its_own_files(books: Books, tmp_path: Path) -> None:
    await books.closer.run()
    invoices = await books.invoices()
    await books.journal.drain()
    # Its own clock: this one may be years ahead or behind.
    environ = {**os.environ, "AMS_DATA": str(tmp_path), "PYTHONPATH": str(ROOT)}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "shared.bootstrap.background_process",
        "invoice-documents",
        env=environ,
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    assert "documents of 12 invoices" in errors.decode()
    assert await kept(FileBlobs(tmp_path / "blobs")) == names(invoices)
