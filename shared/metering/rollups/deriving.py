"""Deriving slices from counters, never from events: a slice is a function of its counters, so it can be derived any
number of times, by anybody, and nothing is counted twice.

A run looks at the counters that changed since the one before, and derives the slices that they are in: a service's for
any day, a consumer's once the day is settled, for its recent days are read from its counters anyway. Then days that
have become settled are derived whole, which also finds what was missed. The order of durable steps: slices, then
progress; what was killed in between is done again.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import msgspec

from shared.kernel.clock import format_time, utc_now
from shared.metering.counters import Counter, decode_counter, encode_counter, view_of
from shared.metering.rollups.models import PLATFORM, PLATFORM_SLICE, RollupProgress, consumer_scope, service_scope
from shared.metering.rollups.slices import Slice
from shared.metering.rollups.store import SliceStore
from shared.metering.store import PAGE, USAGE, bodies_of, documents_of
from shared.platform.documents import (
    Document,
    DocumentMissing,
    Documents,
    DocumentsUnavailable,
    PreconditionFailed,
    Query,
    Where,
)

OVERLAP = timedelta(minutes=2)
"""How far runs overlap: a counter is stamped before it is written. Longer than the store lets a write take, and clocks
differ."""

SETTLED_AFTER = timedelta(minutes=10)
"""How long after midnight UTC a consumer's slices of a day are made: hardly anything of it is still to be counted."""

RUN = timedelta(seconds=45)
"""A run settles no further day after this long; the next one goes on."""

AT_ONCE_MAX = 8
ATTEMPTS_MAX = 20


@dataclass(slots=True)
class DayChanges:
    """The scopes of one day whose slices are to be derived: consumers by their usage partition, and services."""

    partitions: set[str] = field(default_factory=set)
    service_ids: set[str] = field(default_factory=set)

    def add(self, partition: str, service_id: str) -> None:
        self.partitions.add(partition)
        self.service_ids.add(service_id)


class Rollups:
    """Keeps all slices up to date. One per process, for it remembers which counters the last run has seen."""

    def __init__(self, documents: Documents, now: Callable[[], datetime] = utc_now) -> None:
        self._documents = documents
        self._store = SliceStore(documents)
        self._now = now
        self._seen: dict[tuple[str, str], str] = {}  # ETags, so that what overlaps is derived once

    async def run(self) -> None:
        """Bring all slices up to date. Raises DocumentsUnavailable; repeat it."""
        started = self._now()
        as_of = format_time(started - OVERLAP)
        old = await self._store.progress() or RollupProgress(as_of=as_of, settled="", complete=False)
        changes, seen = await self._changed_since(old.as_of, format_time(started))
        if not old.complete:  # counters of before there were slices; those of earlier days are settled below
            for recent in (str(started.date() + timedelta(days=n)) for n in (-1, 0, 1)):
                changes[recent] = await self._everything_of(recent)
        for day in sorted(changes):
            await self._derive(day, changes[day], consumers=day <= old.settled)
        self._seen = seen
        await self._derive_finished_days(msgspec.structs.replace(old, as_of=as_of), started)

    async def _derive_finished_days(self, progress: RollupProgress, started: datetime) -> None:
        """Derive days that are over whole, oldest first, and write down how far that is."""
        last = str((started - SETTLED_AFTER).date() - timedelta(days=1))
        while progress.settled < last and self._now() - started <= RUN:
            day = await self._next_day_with_usage(progress.settled, last)
            if day is not None:
                await self._derive(day, await self._everything_of(day), consumers=True)
            progress = msgspec.structs.replace(progress, settled=day or last)
            await self._store.put_progress(progress)
        complete = progress.complete or progress.settled >= last
        await self._store.put_progress(msgspec.structs.replace(progress, complete=complete))

    async def _changed_since(self, since: str, until: str) -> tuple[dict[str, DayChanges], dict[tuple[str, str], str]]:
        """The changes by day of counters written in [since, until), and those counters' ETags by partition and id, by
        which the next run knows them when it meets them again."""
        changes: dict[str, DayChanges] = {}
        seen: dict[tuple[str, str], str] = {}
        where = (Where("changed", ">=", since), Where("changed", "<", until))
        # Across tenants: whatever was counted, whoever's it is.
        query = Query(None, where, order_by="changed", limit=PAGE)
        async for document in documents_of(self._documents, USAGE, query):
            counter = (document.partition, document.id)
            seen[counter] = document.etag
            if self._seen.get(counter) != document.etag:
                _, _, day, service_id = document.id.split(":")[:4]
                changes.setdefault(day, DayChanges()).add(document.partition, service_id)
        return changes, seen

    async def _everything_of(self, day: str) -> DayChanges:
        """Everybody who has a counter of that day. Counters without `view` are written again with it."""
        changes = DayChanges()
        # Across tenants: the platform settles everybody's day.
        query = Query(None, (Where("period", "=", day),), limit=PAGE)
        async for document in documents_of(self._documents, USAGE, query):
            counter = decode_counter(document.body)
            if not counter.view:
                await self._renew(document, counter)
            changes.add(document.partition, counter.service_id)
        return changes

    async def _renew(self, document: Document, counter: Counter) -> None:
        counter.touch(format_time(self._now()))
        body = encode_counter(counter)
        with suppress(PreconditionFailed, DocumentMissing):  # it was counted meanwhile, and so has it
            await self._documents.replace(USAGE, document.partition, document.id, body, etag=document.etag)

    async def _next_day_with_usage(self, after: str, last: str) -> str | None:
        while True:
            # Across tenants: the days that the platform has usage of.
            query = Query(None, (Where("period", ">", after), Where("period", "<=", last)), order_by="period", limit=1)
            page = await self._documents.query(USAGE, query)
            if not page.items:
                return None
            after = decode_counter(page.items[0].body).period
            if len(after) == len(last):  # months are between the days
                return after

    async def _derive(self, day: str, changes: DayChanges, *, consumers: bool) -> None:
        """Derive a day's slices: the services' (and consumers') that changed, then from all services the platform's."""
        limit = asyncio.Semaphore(AT_ONCE_MAX)

        async def derive(scope: str, counters: Callable[[], AsyncIterator[Counter]]) -> None:
            async with limit:
                await self._replace(scope, day, counters)

        try:
            async with asyncio.TaskGroup() as tasks:
                for service_id in changes.service_ids:
                    tasks.create_task(derive(service_scope(service_id), self._service_counters(service_id, day)))
                for partition in changes.partitions if consumers else ():
                    tasks.create_task(derive(consumer_scope(partition), self._partition_counters(partition, day)))
        except ExceptionGroup as group:  # one reason says more to an operator
            raise group.exceptions[0] from group
        await self._replace_platform(day)

    async def _replace(self, scope: str, day: str, counters: Callable[[], AsyncIterator[Counter]]) -> None:
        """Write the slices of a scope's day, from counters that are read after the heads that are replaced."""
        for _ in range(ATTEMPTS_MAX):
            stored = await self._store.stored_heads(scope, day)
            slices: dict[str, Slice] = {}
            async for counter in counters():
                slices.setdefault(counter.service_id, Slice()).add_counter(counter)
            written = [
                await self._store.replace(scope, day, name, new, stored.get(name)) for name, new in slices.items()
            ]
            if all(written):
                return
        raise DocumentsUnavailable(f"a slice of {day} kept changing for {ATTEMPTS_MAX} attempts")

    async def _replace_platform(self, day: str) -> None:
        for _ in range(ATTEMPTS_MAX):
            stored = await self._store.stored_heads(PLATFORM, day)
            whole = Slice()
            async for quarters in self._store.quarters_of_services(date.fromisoformat(day)):
                whole.add_service(quarters)
            if not whole.rows:
                return
            if await self._store.replace(PLATFORM, day, PLATFORM_SLICE, whole, stored.get(PLATFORM_SLICE)):
                return
        raise DocumentsUnavailable(f"the platform's slice of {day} kept changing for {ATTEMPTS_MAX} attempts")

    def _service_counters(self, service_id: str, day: str) -> Callable[[], AsyncIterator[Counter]]:
        # Across tenants: a service's usage is everybody's.
        return self._counters(Query(None, (Where("view", "=", view_of(service_id, day)),), limit=PAGE))

    def _partition_counters(self, partition: str, day: str) -> Callable[[], AsyncIterator[Counter]]:
        return self._counters(Query(partition, (Where("period", "=", day),), limit=PAGE))

    def _counters(self, query: Query) -> Callable[[], AsyncIterator[Counter]]:
        async def read() -> AsyncIterator[Counter]:
            async for body in bodies_of(self._documents, USAGE, query):
                yield decode_counter(body)

        return read
