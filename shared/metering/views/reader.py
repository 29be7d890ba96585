"""Reading usage back, summed up by what is asked for, from as few documents as there are.

What there is to read, each derived from what is above it (`shared.metering.counting`, `shared.metering.rollups`):

    usage records
         │ in the same transaction
         ▼
    counters ····· by key, day and service; sums by quarter hour
         │ every minute, of what changed             each scope has, for a day and a service,
         ├─────────► slices of a consumer                heads      the day's sum
         └─────────► slices of a service                 rows       the day's sums by key, project, image, …
                          │ of all services              quarters   sums by quarter hour
                          ▼
                     slice of the platform

A question goes one way: `selection` (what is asked) → `plan` (what to read for which days) → `reader` (reads it) →
`summing` (adds it to groups) → `selection.SummedUsage`. The plan chooses for each UTC day:

    slices derived?   day in one interval of it?        service and merchant are all that is asked?   read
    no                                                                                                counters
    yes               yes                               yes                                           heads
    yes               yes                               no                                            rows
    yes               no, it is cut                     yes                                           quarters
    yes               no, it is cut                     no                                            counters

The platform has no counters of its own: in their place stand the quarters of all services' slices.
"""

from collections.abc import Callable, Collection, Iterator
from datetime import datetime

from shared.access.models import Consumer
from shared.kernel.clock import format_time, utc_now
from shared.metering.counters import decode_counter, view_of
from shared.metering.events import partition_of
from shared.metering.rollups.models import PLATFORM, consumer_scope, service_scope
from shared.metering.rollups.store import SliceStore
from shared.metering.store import PAGE, USAGE, bodies_of
from shared.metering.views.plan import DayRange, plan
from shared.metering.views.selection import SummedUsage, UsageSelection
from shared.metering.views.summing import GroupSummer
from shared.platform.documents import Documents, Query, Where

NEVER, ALWAYS = "", "~"
"""Before and behind every day, as the last one that slices are derived for."""


class UsageReader:
    """Sums usage up for one consumer, for services, or for everybody."""

    def __init__(self, documents: Documents, now: Callable[[], datetime] = utc_now) -> None:
        self._documents = documents
        self._slices = SliceStore(documents)
        self._now = now

    async def consumer(
        self, consumer: Consumer, selection: UsageSelection, services: Collection[str] | None = None
    ) -> SummedUsage:
        """One consumer's usage (of `services` only): recent days from their counters, as they are now. Raises Problem
        400 `range_invalid` when the answer would be too large."""
        key_id = selection.only.get("api_key")
        progress = await self._slices.progress() if key_id is None else None  # one key has few counters, under its id
        settled = NEVER if progress is None else progress.settled
        summer = GroupSummer(selection, services)
        now = format_time(self._now())
        for shard in range(consumer.shards):
            partition = partition_of(consumer.id, shard)
            for day_range in plan(selection, "consumer", settled):
                if day_range.source == "counters":
                    await self._add_counters(summer, _consumer_counters(partition, day_range, key_id))
                else:
                    await self._add_slices(summer, consumer_scope(partition), day_range)
        from_slices = progress is not None and str(selection.window.start.date()) <= settled
        return summer.result(progress.as_of if progress is not None and from_slices else now)

    async def services(self, service_ids: Collection[str], selection: UsageSelection) -> SummedUsage:
        """Usage of services, whoever's it is. Raises Problem 400 `range_invalid`."""
        progress = await self._slices.progress()
        complete = progress is not None and progress.complete
        summer = GroupSummer(selection)
        now = format_time(self._now())
        for service_id in sorted(service_ids):
            for day_range in plan(selection, "service", ALWAYS if complete else NEVER):
                if day_range.source == "counters":
                    await self._add_counters(summer, _service_counters(service_id, day_range))
                else:
                    await self._add_slices(summer, service_scope(service_id), day_range)
        return summer.result(progress.as_of if progress is not None and complete else now)

    async def platform(self, selection: UsageSelection) -> SummedUsage:
        """Everybody's usage by service and merchant. Before slices are complete, what is not in them is missing.
        Raises Problem 400 `range_invalid`."""
        progress = await self._slices.progress()
        summer = GroupSummer(selection)
        for day_range in plan(selection, "platform", ALWAYS):
            if day_range.source == "counters":
                for day in day_range.days:
                    async for quarters in self._slices.quarters_of_services(day):
                        summer.add_quarters(quarters)
            else:
                await self._add_slices(summer, PLATFORM, day_range)
        return summer.result(format_time(selection.window.start) if progress is None else progress.as_of)

    async def _add_slices(self, summer: GroupSummer, scope: str, day_range: DayRange) -> None:
        if day_range.source == "heads":
            async for head in self._slices.heads(scope, day_range.first, day_range.last):
                summer.add_head(head)
        elif day_range.source == "quarters":
            async for quarters in self._slices.quarters(scope, day_range.first, day_range.last):
                summer.add_quarters(quarters)
        else:
            async for rows in self._slices.rows(scope, day_range.first, day_range.last):
                summer.add_rows(rows)

    async def _add_counters(self, summer: GroupSummer, queries: Iterator[Query]) -> None:
        for query in queries:
            async for body in bodies_of(self._documents, USAGE, query):
                summer.add_counter(decode_counter(body))


def _consumer_counters(partition: str, day_range: DayRange, key_id: str | None) -> Iterator[Query]:
    """A partition's day counters: of one key by a range of ids, else day by day."""
    if key_id is not None:
        ids = (Where("id", ">=", f"d:{key_id}:{day_range.first}"), Where("id", "<", f"d:{key_id}:{day_range.last}~"))
        yield Query(partition, ids, limit=PAGE)
        return
    for day in day_range.days:
        yield Query(partition, (Where("period", "=", str(day)),), limit=PAGE)


def _service_counters(service_id: str, day_range: DayRange) -> Iterator[Query]:
    for day in day_range.days:
        # Across tenants: a service's usage is everybody's.
        yield Query(None, (Where("view", "=", view_of(service_id, str(day))),), limit=PAGE)
