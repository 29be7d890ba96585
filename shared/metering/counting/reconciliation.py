"""Reconciliation: closed days are counted again from their records, and any difference raises an alert.

A day is looked at twice: soon after it ended, and when no event for it can be accepted any more. What was found is kept
in the `jobs` container, one document a day, so that every day is reconciled even if the timer missed some.
"""

import logging
from collections.abc import Callable
from datetime import date, datetime, timedelta
from functools import partial

import msgspec

from shared.kernel.clock import format_time, utc_now
from shared.kernel.http.paging import read_all
from shared.kernel.telemetry import RECONCILE_DIFFERENCES
from shared.metering.counters import Bucket, counter_key, decode_counter, sum_events
from shared.metering.events import ACCEPTED_PAST, decode_event
from shared.metering.store import PAGE, USAGE, bodies_of
from shared.platform.documents import CONTAINERS, Documents, Query, Where

JOBS = CONTAINERS["jobs"]
SETTLED_AFTER = timedelta(hours=1)
"""How long after midnight UTC a day is first looked at: events of its last minutes have been counted by then."""

_logger = logging.getLogger(__name__)


class CounterDifference(msgspec.Struct, frozen=True, kw_only=True):
    """A counter that does not equal the sum of its records."""

    partition: str
    counter_id: str
    bucket: str
    counted: Bucket
    recounted: Bucket


class DayReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the recount of one UTC day (`YYYY-MM-DD`) found. `final` means that no event for the day can be accepted any
    more."""

    day: str
    reconciled_at: str
    final: bool
    partitions: int
    records: int
    differences: tuple[CounterDifference, ...] = ()


_decode_report = msgspec.json.Decoder(DayReport).decode


class Reconciler:
    """Recounts closed days, and keeps a report of each."""

    def __init__(self, documents: Documents, now: Callable[[], datetime] = utc_now) -> None:
        self._documents = documents
        self._now = now

    async def run(self) -> list[DayReport]:
        """Reconcile every closed day that is due, oldest first. Returns the reports of this run."""
        reports = []
        today = (self._now() - SETTLED_AFTER).date()
        for age in range(ACCEPTED_PAST.days + 2, 0, -1):
            day = today - timedelta(days=age)
            final = age > ACCEPTED_PAST.days
            known = await self.report(day)
            if known is None or (final and not known.final):
                reports.append(await self.reconcile(day, final=final))
        return reports

    async def report(self, day: date) -> DayReport | None:
        document = await self._documents.get(JOBS, "reconcile", str(day))
        return None if document is None else _decode_report(document.body)

    async def reconcile(self, day: date, *, final: bool) -> DayReport:
        """Recount one UTC day in every partition that has counters of it or of its month."""
        partitions = await self._partitions(day)
        records, differences = 0, []
        for partition in partitions:
            count, found = await self._compare(partition, day)
            if found:  # counted while we looked? Only a difference that stays is one.
                count, found = await self._compare(partition, day)
            records += count
            differences += found
        report = DayReport(
            day=str(day),
            reconciled_at=format_time(self._now()),
            final=final,
            partitions=len(partitions),
            records=records,
            differences=tuple(differences),
        )
        for difference in differences:
            RECONCILE_DIFFERENCES.inc()
            _logger.error("counter differs from its records", extra=msgspec.to_builtins(difference))
        await self._documents.upsert(JOBS, "reconcile", str(day), msgspec.json.encode(report))
        return report

    async def _partitions(self, day: date) -> list[str]:
        # By the month's counters too: they find the records of a day whose own counters are gone.
        periods = (str(day), str(day)[:7])
        # Across tenants: the platform recounts everybody's days.
        query = Query(None, (Where("period", "in", periods),), order_by="period", limit=PAGE)
        documents = read_all(partial(self._documents.query, USAGE, query))
        return sorted({document.partition async for document in documents})

    async def _compare(self, partition: str, day: date) -> tuple[int, list[CounterDifference]]:
        """Number of records, and where counters and records differ."""
        recounted: dict[tuple[str, str], Bucket] = {}  # by counter and bucket
        records = 0
        where = (Where("time", ">=", f"{day}T"), Where("time", "<", f"{day + timedelta(days=1)}T"))
        async for body in bodies_of(self._documents, USAGE, Query(partition, where, order_by="time", limit=PAGE)):
            records += 1
            event = decode_event(body)
            for key, buckets in sum_events([(counter_key(event), event)]).items():
                for name, bucket in buckets.items():
                    recounted.setdefault((key.id, name), Bucket()).add(bucket)
        counted: dict[tuple[str, str], Bucket] = {}
        query = Query(partition, (Where("period", "=", str(day)),), limit=PAGE)
        async for body in bodies_of(self._documents, USAGE, query):
            counter = decode_counter(body)
            counted.update({(counter.key.id, name): bucket for name, bucket in counter.buckets.items()})
        return records, [
            CounterDifference(
                partition=partition,
                counter_id=counter_id,
                bucket=name,
                counted=counted.get((counter_id, name), Bucket()),
                recounted=recounted.get((counter_id, name), Bucket()),
            )
            for counter_id, name in sorted({*counted, *recounted})
            if counted.get((counter_id, name), Bucket()) != recounted.get((counter_id, name), Bucket())
        ]
