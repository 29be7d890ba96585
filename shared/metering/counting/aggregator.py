"""Aggregation: every event of a batch is counted exactly once, parked, or the whole batch is tried again.

The order of durable steps: one transaction creates the usage records and replaces their counters, so that a record
exists if and only if it is counted; the caller moves the checkpoint only after this returned. A batch that comes again
meets its records and changes nothing.
"""

import asyncio
import logging
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter
from typing import NamedTuple

import msgspec

from shared.access.gate.service import Gate
from shared.kernel.clock import format_time, parse_time, utc_now
from shared.kernel.telemetry import AGGREGATE_SECONDS, EVENTS_COUNTED, EVENTS_DUPLICATE
from shared.metering.counters import (
    Counter,
    CounterKey,
    counter_key,
    decode_counter,
    encode_counter,
    sum_events,
    with_months,
)
from shared.metering.counting.parked import Parked, Reason
from shared.metering.counting.record_ids import record_id
from shared.metering.events import ACCEPTED_FUTURE, ACCEPTED_PAST, UsageEvent, decode_event, partition_of
from shared.metering.store import USAGE
from shared.platform.documents import (
    BODY_BYTES_MAX,
    OPERATIONS_PER_TRANSACTION_MAX,
    Create,
    Delete,
    DocumentExists,
    Documents,
    DocumentsUnavailable,
    Operation,
    Query,
    Replace,
    TransactionFailed,
    Where,
)

GROUPS_AT_ONCE_MAX = 64
COUNTERS_CACHED_MAX = 10_000
NAMES_CACHED_MAX = 100_000
ATTEMPTS_MAX = 20
TRANSACTION_BYTES_MAX = 500_000
"""Of records; leaves room for their counters under the port's limit."""

EVENT_BYTES_MAX = 16 * 1024

_IDENTIFIER = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_STORED_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII).fullmatch
_logger = logging.getLogger(__name__)


class RawEvent(NamedTuple):
    """An event as the stream delivered it."""

    body: bytes
    partition_key: str | None


@dataclass(slots=True)
class Outcome:
    """How many events of a batch were counted, were known already, and were parked."""

    counted: int = 0
    duplicates: int = 0
    parked: int = 0


class _Entry(NamedTuple):
    """One event, the counter it belongs to, its record's id, and its bytes, which become the record."""

    key: CounterKey
    record_id: str
    body: bytes
    event: UsageEvent


class Aggregator:
    """One per process. Counters last written are cached with their ETags; the ETag catches any other writer."""

    def __init__(
        self,
        documents: Documents,
        gate: Gate,
        parked: Parked,
        retention_days: int,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._documents = documents
        self._gate = gate
        self._parked = parked
        self._retention = timedelta(days=retention_days)
        self._ttl_s = retention_days * 24 * 3600
        self._now = now
        self._counters: OrderedDict[tuple[str, str], tuple[bytes, str]] = OrderedDict()
        self._known_keys: set[tuple[str, str]] = set()
        self._sound_names: set[tuple[str, str, str]] = set()
        self._sound_times: set[str] = set()

    async def apply(self, batch: Sequence[RawEvent]) -> Outcome:
        """Count a batch. Raises BlobsUnavailable or DocumentsUnavailable when infrastructure fails: try the same batch
        again."""
        started = time.perf_counter()
        outcome = Outcome()
        partitions = await self._sort(batch, outcome)
        limit = asyncio.Semaphore(GROUPS_AT_ONCE_MAX)

        async def apply_group(partition: str, entries: dict[str, _Entry]) -> None:
            async with limit:
                for chunk in _chunks(list(entries.values())):
                    counted = await self._apply_chunk(partition, chunk)
                    outcome.counted += counted
                    outcome.duplicates += len(chunk) - counted

        try:
            async with asyncio.TaskGroup() as tasks:
                for partition, entries in partitions.items():
                    tasks.create_task(apply_group(partition, entries))
        except ExceptionGroup as group:  # one reason says more to an operator than "unhandled errors in a TaskGroup"
            raise group.exceptions[0] from group
        EVENTS_COUNTED.inc(outcome.counted)
        EVENTS_DUPLICATE.inc(outcome.duplicates)
        AGGREGATE_SECONDS.observe(time.perf_counter() - started)
        return outcome

    async def _sort(self, batch: Sequence[RawEvent], outcome: Outcome) -> dict[str, dict[str, _Entry]]:
        """Readable events by partition and record id, first of each id; the others are parked."""
        partitions: dict[str, dict[str, _Entry]] = {}
        self._sound_times.clear()  # events of one batch share many
        latest_kept = format_time(self._now() - self._retention + ACCEPTED_PAST + ACCEPTED_FUTURE)
        for raw in batch:
            try:
                raw.body.decode()  # metadata was only skipped, and a record must be text
                event = decode_event(raw.body)
                refusal = await self._refusal(event, raw.body, latest_kept)
            except (msgspec.DecodeError, UnicodeDecodeError, ValueError, RecursionError) as error:
                refusal = ("unreadable", str(error))
            if refusal is not None:
                await self._park(raw, *refusal)
                outcome.parked += 1
                continue
            entries = partitions.setdefault(partition_of(event.consumer_id, event.shard), {})
            id = record_id(event.source, event.id)  # noqa: A001 - the field's own word
            if id in entries:
                outcome.duplicates += 1
            else:
                entries[id] = _Entry(counter_key(event), id, raw.body, event)
        return partitions

    async def _refusal(self, event: UsageEvent, body: bytes, latest_kept: str) -> tuple[Reason, str] | None:
        for time_text in (event.time, event.received_at):
            if time_text not in self._sound_times:
                _check_time(time_text)
                self._sound_times.add(time_text)
        if len(body) > EVENT_BYTES_MAX:
            return "too_large", f"{len(body)} bytes, the limit is {EVENT_BYTES_MAX}"
        if event.received_at < latest_kept:
            return "too_late", "its record may have expired, so a duplicate could not be told"
        # Most events happened on the day they came in: only the others need the exact comparison.
        if event.time[:10] != event.received_at[:10] or event.time > event.received_at:
            received = parse_time(event.received_at)
            if not received - ACCEPTED_PAST <= parse_time(event.time) <= received + ACCEPTED_FUTURE:
                return "time_out_of_window", f"{event.time}, received at {event.received_at}"
        names = (event.service_id, event.merchant_id, event.project_id or "-")
        if names not in self._sound_names:
            if not all(_IDENTIFIER.fullmatch(name) for name in names):
                return "unreadable", "an identifier is malformed"
            if len(self._sound_names) >= NAMES_CACHED_MAX:
                self._sound_names.clear()
            self._sound_names.add(names)
        key = (event.consumer_id, event.api_key_id)
        if key not in self._known_keys:
            if not await self._gate.knows(*key):
                return "key_unknown", f"no key {event.api_key_id} of consumer {event.consumer_id}"
            self._known_keys.add(key)  # keys are never deleted
        return None

    async def _park(self, raw: RawEvent, reason: Reason, detail: str) -> None:
        _logger.warning("parked an event: %s: %s", reason, detail)
        await self._parked.park(raw.body, raw.partition_key, reason, detail)

    async def _apply_chunk(self, partition: str, entries: Sequence[_Entry]) -> int:
        """Returns how many were new."""
        remaining = list(entries)
        for _ in range(ATTEMPTS_MAX):
            if not remaining:
                return 0
            changed = await self._changed_counters(partition, remaining)
            creates: list[Operation] = [Create(entry.record_id, entry.body, self._ttl_s) for entry in remaining]
            if len(remaining) > 1 and _body_bytes(creates, changed) > BODY_BYTES_MAX:  # counters that grew large
                half = len(remaining) // 2
                first = await self._apply_chunk(partition, remaining[:half])
                return first + await self._apply_chunk(partition, remaining[half:])
            try:
                etags = await self._documents.transact(USAGE, partition, creates + [op for op, _ in changed])
            except TransactionFailed as failed:
                if failed.index < len(creates) and isinstance(failed.reason, DocumentExists):
                    remaining = await self._without_known(partition, remaining)
                else:  # another process counted meanwhile: read its counters and try again
                    for _, counter_id in changed:
                        self._counters.pop((partition, counter_id), None)
                continue
            for (operation, counter_id), etag in zip(changed, etags[len(creates) :], strict=True):
                assert isinstance(operation, Create | Replace)
                self._remember(partition, counter_id, operation.body, etag)
            return len(remaining)
        raise DocumentsUnavailable(f"counters of one partition kept changing for {ATTEMPTS_MAX} attempts")

    async def _changed_counters(self, partition: str, entries: Sequence[_Entry]) -> list[tuple[Operation, str]]:
        # By id, which leaves out the project and the merchant: should one of them change, the counter goes on.
        counters: dict[str, tuple[Counter, str | None]] = {}
        for key, buckets in with_months(sum_events((entry.key, entry.event) for entry in entries)).items():
            counter_id = key.id
            if counter_id not in counters:
                stored = await self._stored_counter(partition, counter_id)
                counters[counter_id] = (
                    (Counter.empty(key), None) if stored is None else (decode_counter(stored[0]), stored[1])
                )
            for name, bucket in buckets.items():
                counters[counter_id][0].add(name, bucket)
        now = format_time(self._now())
        for counter, _ in counters.values():
            counter.touch(now)
        return [
            (Create(id, encode_counter(counter)) if etag is None else Replace(id, encode_counter(counter), etag), id)
            for id, (counter, etag) in counters.items()  # noqa: A001 - the field's own word
        ]

    async def _stored_counter(self, partition: str, counter_id: str) -> tuple[bytes, str] | None:
        cached = self._counters.get((partition, counter_id))
        if cached is not None:
            return cached
        document = await self._documents.get(USAGE, partition, counter_id)
        return None if document is None else (document.body, document.etag)

    def _remember(self, partition: str, counter_id: str, body: bytes, etag: str) -> None:
        self._counters[partition, counter_id] = (body, etag)
        self._counters.move_to_end((partition, counter_id))
        if len(self._counters) > COUNTERS_CACHED_MAX:
            self._counters.popitem(last=False)

    async def _without_known(self, partition: str, entries: Sequence[_Entry]) -> list[_Entry]:
        ids = tuple(entry.record_id for entry in entries)
        query = Query(partition, (Where("id", "in", ids),), limit=len(ids))
        page = await self._documents.query(USAGE, query)
        known = {document.id for document in page.items}
        return [entry for entry in entries if entry.record_id not in known]


def _body_bytes(creates: Sequence[Operation], changed: Sequence[tuple[Operation, str]]) -> int:
    operations = (*creates, *(operation for operation, _ in changed))
    return sum(len(operation.body) for operation in operations if not isinstance(operation, Delete))


def _check_time(text: str) -> None:
    """Raises ValueError for a time that is not in the stored form, which counters and indexes rely on."""
    if not _STORED_TIME(text):
        raise ValueError("times must be UTC with milliseconds")
    datetime.fromisoformat(text)


def _chunks(entries: list[_Entry]) -> list[list[_Entry]]:
    """Cut a partition's events so that each transaction holds its records and its counters."""
    entries.sort(key=attrgetter("key"))  # few counters a chunk
    chunks: list[list[_Entry]] = []
    keys: set[CounterKey] = set()
    size = bytes_ = 0
    for entry in entries:
        added = 1 if entry.key in keys else 3  # the record; for a new counter also its day and its month document
        if (
            not chunks
            or size + added > OPERATIONS_PER_TRANSACTION_MAX
            or bytes_ + len(entry.body) > TRANSACTION_BYTES_MAX
        ):
            chunks.append([])
            keys, size, bytes_, added = set(), 0, 0, 3
        chunks[-1].append(entry)
        keys.add(entry.key)
        size += added
        bytes_ += len(entry.body)
    return chunks
