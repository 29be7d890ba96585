"""Deriving slices (`shared.metering.rollups.slices`) from counters, never from events: a slice is a function of its
counters, so it can be derived any number of times, by anybody, and nothing is counted twice.

A run looks at the counters that changed since the one before, and derives the slices that they are in: a service's for
any day, a consumer's once the day is settled, for its recent days are read from its counters anyway. Then days that
have become settled are derived whole, which also finds what was missed. The order of durable steps: slices, then
progress; what was killed in between is done again.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import partial

import msgspec

from shared.kernel.clock import format_time, utc_now
from shared.kernel.http.paging import read_all
from shared.metering.counters import Counter, decode_counter, encode_counter, view_of
from shared.metering.rollups.slices import (
    JOBS,
    PLATFORM,
    PLATFORM_SLICE,
    PROGRESS,
    ROLLUPS,
    Progress,
    Slice,
    SliceHead,
    SliceQuarters,
    SliceStore,
    consumer_scope,
    days_between,
    decode_head,
    encode,
    rows_document,
    service_scope,
)
from shared.metering.store import PAGE, USAGE, pages
from shared.platform.documents import (
    BODY_BYTES_MAX,
    OPERATIONS_PER_TRANSACTION_MAX,
    Container,
    Create,
    Document,
    DocumentMissing,
    Documents,
    DocumentsUnavailable,
    Operation,
    PreconditionFailed,
    Query,
    Replace,
    TransactionFailed,
    Upsert,
    Where,
)

OVERLAP = timedelta(minutes=2)
"""A counter is stamped before it is written. Longer than the store lets a write take, and clocks differ."""

SETTLED_AFTER = timedelta(minutes=10)
"""Of midnight UTC: a consumer's slices of a day are made when hardly anything of it is still to be counted."""

RUN = timedelta(seconds=45)
"""A run settles no further day after this long; the next one goes on."""

AT_ONCE_MAX = 8
ATTEMPTS_MAX = 20


@dataclass(slots=True)
class Touched:
    """Slices of one day whose counters changed."""

    partitions: set[str] = field(default_factory=set)
    services: set[str] = field(default_factory=set)


class Rollups:
    """One per process."""

    def __init__(self, documents: Documents, now: Callable[[], datetime] = utc_now) -> None:
        self._documents = documents
        self._store = SliceStore(documents)
        self._now = now
        self._seen: dict[tuple[str, str], str] = {}  # ETags, so that what overlaps is derived once

    async def run(self) -> None:
        """Bring all slices up to date. Raises DocumentsUnavailable; repeat it."""
        started = self._now()
        as_of = format_time(started - OVERLAP)
        old = await self._store.progress() or Progress(as_of, settled="", complete=False)
        touched, seen = await self._changed(old.as_of, format_time(started))
        if not old.complete:  # counters of before there were slices; those of earlier days are settled below
            for recent in (str(started.date() + timedelta(days=n)) for n in (-1, 0, 1)):
                touched[recent] = await self._sweep(recent)
        for day in sorted(touched):
            await self._derive(day, touched[day], consumers=day <= old.settled)
        self._seen = seen
        await self._settle(msgspec.structs.replace(old, as_of=as_of), started)

    async def _settle(self, progress: Progress, started: datetime) -> None:
        last = str((started - SETTLED_AFTER).date() - timedelta(days=1))
        while progress.settled < last and self._now() - started <= RUN:
            day = await self._next_day(progress.settled, last)
            if day is not None:
                await self._derive(day, await self._sweep(day), consumers=True)
            progress = msgspec.structs.replace(progress, settled=day or last)
            await self._documents.upsert(JOBS, *PROGRESS, encode(progress))
        complete = progress.complete or progress.settled >= last
        progress = msgspec.structs.replace(progress, complete=complete)
        await self._documents.upsert(JOBS, *PROGRESS, encode(progress))

    async def _changed(self, since: str, until: str) -> tuple[dict[str, Touched], dict[tuple[str, str], str]]:
        """Days with what changed, and the ETags by which it is known when it is met again."""
        touched: dict[str, Touched] = {}
        seen: dict[tuple[str, str], str] = {}
        where = (Where("changed", ">=", since), Where("changed", "<", until))
        # Across tenants: whatever was counted, whoever's it is.
        query = Query(None, where, order_by="changed", limit=PAGE)
        async for document in self._documents_of(query):
            place = (document.partition, document.id)
            seen[place] = document.etag
            if self._seen.get(place) != document.etag:
                _, _, day, service_id = document.id.split(":")[:4]
                _touch(touched, day, document.partition, service_id)
        return touched, seen

    async def _sweep(self, day: str) -> Touched:
        """Everybody who has a counter of that day. Counters without `view` are written again with it."""
        touched: dict[str, Touched] = {day: Touched()}
        # Across tenants: the platform settles everybody's day.
        async for document in self._documents_of(Query(None, (Where("period", "=", day),), limit=PAGE)):
            counter = decode_counter(document.body)
            if not counter.view:
                await self._renew(document, counter)
            _touch(touched, day, document.partition, counter.service_id)
        return touched[day]

    async def _renew(self, document: Document, counter: Counter) -> None:
        counter.touch(format_time(self._now()))
        body = encode_counter(counter)
        with suppress(PreconditionFailed, DocumentMissing):  # it was counted meanwhile, and so has it
            await self._documents.replace(USAGE, document.partition, document.id, body, etag=document.etag)

    async def _next_day(self, after: str, last: str) -> str | None:
        """The next day with usage, until `last`."""
        while True:
            # Across tenants: the days that the platform has usage of.
            query = Query(None, (Where("period", ">", after), Where("period", "<=", last)), order_by="period", limit=1)
            page = await self._documents.query(USAGE, query)
            if not page.items:
                return None
            after = decode_counter(page.items[0].body).period
            if len(after) == len(last):  # months are between the days
                return after

    async def _derive(self, day: str, touched: Touched, *, consumers: bool) -> None:
        limit = asyncio.Semaphore(AT_ONCE_MAX)

        async def one(derive: Callable[[str, str], AsyncIterator[Counter]], scope: str, source: str) -> None:
            async with limit:
                await self._replace(scope, day, lambda: derive(source, day))

        try:
            async with asyncio.TaskGroup() as tasks:
                for service_id in touched.services:
                    tasks.create_task(one(self._of_service, service_scope(service_id), service_id))
                for partition in touched.partitions if consumers else ():
                    tasks.create_task(one(self._of_partition, consumer_scope(partition), partition))
        except ExceptionGroup as group:  # one reason says more to an operator
            raise group.exceptions[0] from group
        await self._replace_platform(day)

    async def _replace(self, scope: str, day: str, counters: Callable[[], AsyncIterator[Counter]]) -> None:
        """Write the slices of a scope's day, from counters that were read after the slices that are replaced."""
        for _ in range(ATTEMPTS_MAX):
            heads = await self._heads(scope, day)
            slices: dict[str, Slice] = {}
            async for counter in counters():
                slices.setdefault(counter.service_id, Slice()).add_counter(counter)
            marked = day if scope.startswith("s:") else ""
            written = [await self._write(scope, day, name, each, heads, marked) for name, each in slices.items()]
            if all(written):
                return
        raise DocumentsUnavailable(f"a slice of {day} kept changing for {ATTEMPTS_MAX} attempts")

    async def _replace_platform(self, day: str) -> None:
        for _ in range(ATTEMPTS_MAX):
            heads = await self._heads(PLATFORM, day)
            whole = Slice()
            async for quarters in self._store.services(date.fromisoformat(day)):
                whole.add_service(quarters)
            if not whole.rows or await self._write(PLATFORM, day, PLATFORM_SLICE, whole, heads, ""):
                return
        raise DocumentsUnavailable(f"the platform's slice of {day} kept changing for {ATTEMPTS_MAX} attempts")

    async def _write(
        self, scope: str, day: str, name: str, new: Slice, heads: dict[str, tuple[int, str]], marked: str
    ) -> bool:
        """False when somebody else wrote the slice since its head was read."""
        old_parts, etag = heads.get(name, (0, None))
        parts = new.parts(day, name)
        head = encode(
            SliceHead(
                name=name,
                date=day,
                service_id=new.service_id,
                merchant_id=new.merchant_id,
                parts=len(parts),
                sums=new.total(),
            )
        )
        quarters = encode(
            SliceQuarters(
                name=name,
                date=day,
                service_id=new.service_id,
                merchant_id=new.merchant_id,
                buckets=new.quarters,
                day=marked,
            )
        )
        document_id = f"t:{day}:{name}"
        operations: list[Operation] = [
            Create(document_id, head) if etag is None else Replace(document_id, head, etag),
            Upsert(f"q:{day}:{name}", quarters),
        ]
        rows = [Upsert(*part) for part in parts]
        together = len(head) + len(quarters) + sum(len(row.body) for row in rows) <= BODY_BYTES_MAX
        if together and len(rows) + len(operations) <= OPERATIONS_PER_TRANSACTION_MAX:
            operations += rows
        else:  # parts that the head does not name yet are not read; those that it does are as good as any
            for row in rows:
                await self._documents.upsert(ROLLUPS, scope, row.id, row.body)
        try:
            await self._documents.transact(ROLLUPS, scope, operations)
        except TransactionFailed:
            return False
        if old_parts != len(parts):
            await self._remove(scope, (rows_document(day, name, old_parts, n) for n in range(old_parts)))
        return True

    async def _remove(self, scope: str, ids: Iterable[str]) -> None:
        for document_id in ids:
            with suppress(DocumentMissing):
                await self._documents.delete(ROLLUPS, scope, document_id)

    async def _heads(self, scope: str, day: str) -> dict[str, tuple[int, str]]:
        """Number of parts and ETag by slice."""
        on = date.fromisoformat(day)
        query = Query(scope, days_between("t", on, on), order_by="id", limit=PAGE)
        return {
            head.name: (head.parts, document.etag)
            async for document in self._documents_of(query, ROLLUPS)
            for head in (decode_head(document.body),)
        }

    async def _documents_of(self, query: Query, container: Container = USAGE) -> AsyncIterator[Document]:
        async for document in read_all(partial(self._documents.query, container, query)):
            yield document

    async def _of_service(self, service_id: str, day: str) -> AsyncIterator[Counter]:
        # Across tenants: a service's usage is everybody's.
        query = Query(None, (Where("view", "=", view_of(service_id, day)),), limit=PAGE)
        async for body in pages(self._documents, USAGE, query):
            yield decode_counter(body)

    async def _of_partition(self, partition: str, day: str) -> AsyncIterator[Counter]:
        async for body in pages(self._documents, USAGE, Query(partition, (Where("period", "=", day),), limit=PAGE)):
            yield decode_counter(body)


def _touch(touched: dict[str, Touched], day: str, partition: str, service_id: str) -> None:
    on = touched.setdefault(day, Touched())
    on.partitions.add(partition)
    on.services.add(service_id)
