"""Counting events of one partition: their records and their counters, in one transaction.

A transaction creates a record for each event and replaces the counters that these add to. It fails as a whole when a
record exists already (the event was counted before) or when a counter has changed (another process counted meanwhile).
Either way what is stored is looked at again, and the rest is tried anew.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import NamedTuple

from shared.kernel.clock import format_time, utc_now
from shared.metering.counters import Counter, CounterKey, decode_counter, encode_counter, sum_events, with_months
from shared.metering.events import UsageEvent
from shared.metering.store import USAGE
from shared.platform.documents import (
    BODY_BYTES_MAX,
    OPERATIONS_PER_TRANSACTION_MAX,
    Create,
    DocumentExists,
    Documents,
    DocumentsUnavailable,
    Query,
    Replace,
    TransactionFailed,
    Where,
)

COUNTERS_CACHED_MAX = 10_000
ATTEMPTS_MAX = 20
RECORD_BYTES_PER_TRANSACTION_MAX = 500_000
"""Leaves room for the records' counters under the port's limit."""


class CountableEvent(NamedTuple):
    """One event, the day counter it belongs to, its record's id, and its bytes, which become the record."""

    key: CounterKey
    record_id: str
    body: bytes
    event: UsageEvent


@dataclass(frozen=True, slots=True)
class _Transaction:
    records: list[Create]
    counters: list[Create | Replace]

    @property
    def operations(self) -> list[Create | Replace]:
        return [*self.records, *self.counters]

    @property
    def body_bytes(self) -> int:
        return sum(len(operation.body) for operation in self.operations)

    def met_a_record(self, failed: TransactionFailed) -> bool:
        """Whether it failed because an event had been counted before."""
        return failed.index < len(self.records) and isinstance(failed.reason, DocumentExists)


class UsageWriter:
    """Writes usage records and their counters. One per process. Counters last written are cached with their ETags; the
    ETag catches any other writer."""

    def __init__(self, documents: Documents, ttl_s: int, now: Callable[[], datetime] = utc_now) -> None:
        self._documents = documents
        self._ttl_s = ttl_s
        self._now = now
        self._cached: OrderedDict[tuple[str, str], tuple[bytes, str]] = OrderedDict()

    async def write(self, partition: str, entries: Sequence[CountableEvent]) -> int:
        """Count those of the entries (of one of `chunks`) that are new; returns how many these are. Raises
        DocumentsUnavailable, also when the partition's counters keep changing."""
        remaining = list(entries)
        for _ in range(ATTEMPTS_MAX):
            if not remaining:
                return 0
            transaction = await self._transaction(partition, remaining)
            if len(remaining) > 1 and transaction.body_bytes > BODY_BYTES_MAX:  # counters that grew large
                half = len(remaining) // 2
                new = await self.write(partition, remaining[:half])
                return new + await self.write(partition, remaining[half:])
            try:
                etags = await self._documents.transact(USAGE, partition, transaction.operations)
            except TransactionFailed as failed:
                if transaction.met_a_record(failed):
                    remaining = await self._without_counted(partition, remaining)
                else:  # another process counted meanwhile
                    self._forget(partition, transaction.counters)
                continue
            self._remember(partition, transaction.counters, etags[len(transaction.records) :])
            return len(remaining)
        raise DocumentsUnavailable(f"counters of one partition kept changing for {ATTEMPTS_MAX} attempts")

    async def _transaction(self, partition: str, entries: Sequence[CountableEvent]) -> _Transaction:
        # By id, which leaves out the project and the merchant: should one of them change, the counter goes on.
        counters: dict[str, tuple[Counter, str | None]] = {}
        for key, buckets in with_months(sum_events((entry.key, entry.event) for entry in entries)).items():
            counter_id = key.id
            if counter_id not in counters:
                counters[counter_id] = await self._counter(partition, key, counter_id)
            for name, bucket in buckets.items():
                counters[counter_id][0].add(name, bucket)
        now = format_time(self._now())
        writes: list[Create | Replace] = []
        for counter_id, (counter, etag) in counters.items():
            counter.touch(now)
            body = encode_counter(counter)
            writes.append(Create(counter_id, body) if etag is None else Replace(counter_id, body, etag))
        return _Transaction([Create(entry.record_id, entry.body, self._ttl_s) for entry in entries], writes)

    async def _counter(self, partition: str, key: CounterKey, counter_id: str) -> tuple[Counter, str | None]:
        """The counter as it was last seen, with its ETag; an empty one without."""
        cached = self._cached.get((partition, counter_id))
        if cached is not None:
            return decode_counter(cached[0]), cached[1]
        document = await self._documents.get(USAGE, partition, counter_id)
        return (Counter.empty(key), None) if document is None else (decode_counter(document.body), document.etag)

    def _remember(self, partition: str, counters: Sequence[Create | Replace], etags: Sequence[str]) -> None:
        for counter, etag in zip(counters, etags, strict=True):
            self._cached[partition, counter.id] = (counter.body, etag)
            self._cached.move_to_end((partition, counter.id))
            if len(self._cached) > COUNTERS_CACHED_MAX:
                self._cached.popitem(last=False)

    def _forget(self, partition: str, counters: Sequence[Create | Replace]) -> None:
        for counter in counters:
            self._cached.pop((partition, counter.id), None)

    async def _without_counted(self, partition: str, entries: Sequence[CountableEvent]) -> list[CountableEvent]:
        ids = tuple(entry.record_id for entry in entries)
        query = Query(partition, (Where("id", "in", ids),), limit=len(ids))
        page = await self._documents.query(USAGE, query)
        counted = {document.id for document in page.items}
        return [entry for entry in entries if entry.record_id not in counted]


def chunks(entries: list[CountableEvent]) -> list[list[CountableEvent]]:
    """A partition's events, cut so that each transaction has room for its records and their counters. Sorts them."""
    entries.sort(key=attrgetter("key"))  # few counters a chunk
    cut: list[list[CountableEvent]] = []
    keys: set[CounterKey] = set()
    operations = record_bytes = 0
    for entry in entries:
        added = 1 if entry.key in keys else 3  # the record; for a new counter also its day and its month document
        if (
            not cut
            or operations + added > OPERATIONS_PER_TRANSACTION_MAX
            or record_bytes + len(entry.body) > RECORD_BYTES_PER_TRANSACTION_MAX
        ):
            cut.append([])
            keys, operations, record_bytes, added = set(), 0, 0, 3
        cut[-1].append(entry)
        keys.add(entry.key)
        operations += added
        record_bytes += len(entry.body)
    return cut
