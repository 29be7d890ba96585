"""Aggregation: every event of a batch is counted exactly once, parked, or the whole batch is tried again.

    batch ──► sorted by partition ──► chunks ──► writer: one transaction a chunk, records and counters together
                   └─► parked: what cannot be counted (event_check)

The order of durable steps: one transaction creates the usage records and replaces their counters, so that a record
exists if and only if it is counted; the caller moves the checkpoint only after this returned. A batch that comes again
meets its records and changes nothing.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from shared.access.gate.service import Gate
from shared.kernel.clock import utc_now
from shared.kernel.telemetry import AGGREGATE_SECONDS, EVENTS_COUNTED, EVENTS_DUPLICATE
from shared.metering.counters import counter_key
from shared.metering.counting.event_check import EventCheck, Refusal
from shared.metering.counting.parked import Parked
from shared.metering.counting.record_ids import record_id
from shared.metering.counting.writer import CountableEvent, UsageWriter, chunks
from shared.metering.events import decode_event, partition_of
from shared.platform.documents import Documents

PARTITIONS_AT_ONCE_MAX = 64

_logger = logging.getLogger(__name__)


class RawEvent(NamedTuple):
    """An event as the stream delivered it."""

    body: bytes
    partition_key: str | None


@dataclass(slots=True)
class BatchOutcome:
    """How many events of a batch were counted, were known already, and were parked."""

    counted: int = 0
    duplicates: int = 0
    parked: int = 0


class Aggregator:
    """Counts batches of the stream. One per process. `retention_days` is how long usage records are kept."""

    def __init__(
        self,
        documents: Documents,
        gate: Gate,
        parked: Parked,
        retention_days: int,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._parked = parked
        self._check = EventCheck(gate, timedelta(days=retention_days), now)
        self._writer = UsageWriter(documents, retention_days * 24 * 3600, now)

    async def apply(self, batch: Sequence[RawEvent]) -> BatchOutcome:
        """Count a batch. Raises BlobsUnavailable or DocumentsUnavailable when infrastructure fails: try the same batch
        again."""
        started = time.perf_counter()
        outcome = BatchOutcome()
        partitions = await self._sort(batch, outcome)
        limit = asyncio.Semaphore(PARTITIONS_AT_ONCE_MAX)

        async def count(partition: str, entries: dict[str, CountableEvent]) -> None:
            async with limit:
                for chunk in chunks(list(entries.values())):
                    counted = await self._writer.write(partition, chunk)
                    outcome.counted += counted
                    outcome.duplicates += len(chunk) - counted

        try:
            async with asyncio.TaskGroup() as tasks:
                for partition, entries in partitions.items():
                    tasks.create_task(count(partition, entries))
        except ExceptionGroup as group:  # one reason says more to an operator than "unhandled errors in a TaskGroup"
            raise group.exceptions[0] from group
        EVENTS_COUNTED.inc(outcome.counted)
        EVENTS_DUPLICATE.inc(outcome.duplicates)
        AGGREGATE_SECONDS.observe(time.perf_counter() - started)
        return outcome

    async def _sort(self, batch: Sequence[RawEvent], outcome: BatchOutcome) -> dict[str, dict[str, CountableEvent]]:
        """Events that can be counted by partition and record id, the first of each id; the others are parked."""
        partitions: dict[str, dict[str, CountableEvent]] = {}
        check = self._check.for_batch()
        for raw in batch:
            try:
                raw.body.decode()  # metadata was only skipped, and a record must be text
                event = decode_event(raw.body)
                refusal = await check.refusal(event, raw.body)
            except (msgspec.DecodeError, UnicodeDecodeError, ValueError, RecursionError) as error:
                refusal = Refusal("unreadable", str(error))
            if refusal is not None:
                await self._park(raw, refusal)
                outcome.parked += 1
                continue
            entries = partitions.setdefault(partition_of(event.consumer_id, event.shard), {})
            id = record_id(event.source, event.id)  # noqa: A001 - the field's own word
            if id in entries:
                outcome.duplicates += 1
            else:
                entries[id] = CountableEvent(counter_key(event), id, raw.body, event)
        return partitions

    async def _park(self, raw: RawEvent, refusal: Refusal) -> None:
        _logger.warning("parked an event: %s: %s", refusal.reason, refusal.detail)
        await self._parked.park(raw.body, raw.partition_key, refusal.reason, refusal.detail)
