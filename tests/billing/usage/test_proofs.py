"""The records behind an invoice, read again after more were counted."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from shared.billing.usage.models import RecordsProof
from shared.billing.usage.proofs import RecordsChanged, proven_records
from shared.billing.usage.records import RecordsHash
from shared.kernel.clock import format_time
from shared.metering.counting.record_ids import record_id
from shared.metering.events import UsageEvent, partition_of
from shared.metering.store import USAGE
from tests.support.billing.books import Books, event
from tests.support.market import PER_REQUEST

START = datetime(2026, 3, 10, 8, tzinfo=UTC)


def _arrived(id: str, used: datetime, received: datetime) -> UsageEvent:
    return msgspec.structs.replace(event(id, used), received_at=format_time(received))


async def _proof(books: Books) -> RecordsProof:
    return (await books.invoices())[0].records[0]


async def _again(books: Books, proof: RecordsProof) -> list[UsageEvent]:
    consumer = await books.access.consumer("con_1")
    assert consumer is not None
    found = [each async for each in proven_records(books.documents, consumer, proof)]
    hash_ = RecordsHash()
    for each in found:
        hash_.add(each)
    assert (hash_.count, hash_.hexdigest()) == (proof.count, proof.sha256)
    return found


async def test_what_came_later_is_left_out_wherever_it_is_in_time(books: Books) -> None:
    await books.count(*(_arrived(f"e{n}", START + timedelta(minutes=n), START + timedelta(hours=n)) for n in range(20)))
    await books.closer.run()
    proof = await _proof(books)
    assert len(await _again(books, proof)) == 20
    later = datetime(2026, 4, 2, 2, tzinfo=UTC)
    await books.count(*(_arrived(f"late{n}", START + timedelta(minutes=3 * n), later) for n in range(5)))
    assert [each.id for each in await _again(books, proof)] == [f"e{n}" for n in range(20)]


async def test_an_invoice_without_records_stays_without(books: Books) -> None:
    await books.price({**PER_REQUEST, "base_fee": "5"})
    await books.closer.run()
    await books.count(_arrived("late", START, datetime(2026, 4, 2, 2, tzinfo=UTC)))
    assert await _again(books, await _proof(books)) == []


async def test_records_that_are_gone_or_altered_are_told(books: Books) -> None:
    await books.use(10)
    await books.closer.run()
    proof, consumer = await _proof(books), await books.access.consumer("con_1")
    assert consumer is not None
    partition, id = partition_of("con_1", 0), record_id("tests", "2026-03-10-3")  # noqa: A001 - the field's own word
    stored = await books.documents.get(USAGE, partition, id)
    assert stored is not None
    altered = replace(stored, body=stored.body.replace(b'"receivedat"', b'"projectid":"prj_x","receivedat"'))
    await books.documents.upsert(USAGE, partition, id, altered.body)
    with pytest.raises(RecordsChanged, match="the 10 records of 2026-03"):
        [each async for each in proven_records(books.documents, consumer, proof)]
    await books.documents.delete(USAGE, partition, id)
    with pytest.raises(RecordsChanged):
        [each async for each in proven_records(books.documents, consumer, proof)]
