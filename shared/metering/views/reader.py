"""Summing usage up by what is asked for, from as few documents as there are: slices for days that a piece of the range
has whole, quarter hours where it is cut, counters where slices know too little or are not there yet.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import groupby
from typing import Literal

from shared.access.models import Consumer
from shared.kernel.clock import format_time, utc_now
from shared.kernel.errors import Problem
from shared.metering.counters import Bucket, Counter, decode_counter, view_of
from shared.metering.events import partition_of
from shared.metering.rollups.slices import (
    PLATFORM,
    SliceHead,
    SliceQuarters,
    SliceRow,
    SliceRows,
    SliceStore,
    consumer_scope,
    service_scope,
)
from shared.metering.store import GROUPS_MAX, PAGE, USAGE, pages
from shared.metering.windows import Window
from shared.platform.documents import Documents, Query, Where

Dimension = Literal["service", "api_key", "project", "image", "version", "feature", "consumer", "merchant"]
DOCUMENTS_MAX = 100_000
"""Counters and rows that one question reads at most."""

_FIELDS: Mapping[Dimension, str] = {
    "service": "service_id",
    "api_key": "api_key_id",
    "project": "project_id",
    "image": "image",
    "version": "version",
    "feature": "feature",
    "consumer": "consumer_id",
    "merchant": "merchant_id",
}
_COARSE: Mapping[str, frozenset[Dimension]] = {
    "c": frozenset({"service", "merchant"}),
    "s": frozenset({"service", "merchant"}),
    "p": frozenset(),
}
"""What heads and quarters of a scope tell apart."""

_ALL = "~"
"""Behind every day."""

Kind = Literal["heads", "quarters", "rows", "counters"]


@dataclass(frozen=True, slots=True)
class Ask:
    """`by` groups, `only` filters by exact value."""

    window: Window
    by: tuple[Dimension, ...] = ()
    only: Mapping[Dimension, str] = field(default_factory=dict)

    @property
    def dimensions(self) -> frozenset[Dimension]:
        return frozenset(self.by) | self.only.keys()


@dataclass(frozen=True, slots=True)
class Group:
    """`values` are of the dimensions in `by`; `piece` is of the window."""

    values: tuple[str, ...]
    piece: int
    sums: Bucket


@dataclass(frozen=True, slots=True)
class Summed:
    """`groups` by time and values. All that was counted before `as_of` is among them."""

    groups: tuple[Group, ...]
    as_of: str

    @property
    def total(self) -> Bucket:
        total = Bucket()
        for group in self.groups:
            total.add(group.sums)
        return total


class UsageReader:
    def __init__(self, documents: Documents, now: Callable[[], datetime] = utc_now) -> None:
        self._documents = documents
        self._slices = SliceStore(documents)
        self._now = now

    async def consumer(self, consumer: Consumer, ask: Ask, services: Collection[str] | None = None) -> Summed:
        """One consumer's usage (of `services` only): recent days from their counters, as they are now. Raises Problem
        400 `range_invalid` when the answer would be too large."""
        key = ask.only.get("api_key")
        progress = await self._slices.progress() if key is None else None  # one key has few counters, under its id
        settled = "" if progress is None else progress.settled
        summing = _Summing(ask, services)
        now = format_time(self._now())
        for shard in range(consumer.shards):
            partition = partition_of(consumer.id, shard)
            for kind, first, last in _plan(ask, "c", settled):
                if kind != "counters":
                    await self._from_slices(summing, kind, consumer_scope(partition), first, last)
                elif key is not None:
                    days = (Where("id", ">=", f"d:{key}:{first}"), Where("id", "<", f"d:{key}:{last}~"))
                    await self._from_counters(summing, Query(partition, days, limit=PAGE))
                else:
                    for day in _days(first, last):
                        of_day = (Where("period", "=", str(day)),)
                        await self._from_counters(summing, Query(partition, of_day, limit=PAGE))
        old = progress is not None and str(ask.window.start.date()) <= settled
        return summing.result(progress.as_of if progress is not None and old else now)

    async def services(self, service_ids: Collection[str], ask: Ask) -> Summed:
        """Usage of services, whoever's it is. Raises Problem 400 `range_invalid`."""
        progress = await self._slices.progress()
        complete = progress is not None and progress.complete
        summing = _Summing(ask, None)
        now = format_time(self._now())
        for service_id in sorted(service_ids):
            for kind, first, last in _plan(ask, "s", _ALL if complete else ""):
                if kind == "counters":
                    for day in _days(first, last):
                        view = view_of(service_id, str(day))
                        # Across tenants: a service's usage is everybody's.
                        query = Query(None, (Where("view", "=", view),), limit=PAGE)
                        await self._from_counters(summing, query)
                else:
                    await self._from_slices(summing, kind, service_scope(service_id), first, last)
        return summing.result(progress.as_of if progress is not None and complete else now)

    async def platform(self, ask: Ask) -> Summed:
        """Everybody's usage by service and merchant. Before slices are complete, what is not in them is missing.
        Raises Problem 400 `range_invalid`."""
        progress = await self._slices.progress()
        summing = _Summing(ask, None)
        for kind, first, last in _plan(ask, "p", _ALL):
            if kind == "counters":  # the platform's are the services' slices
                for day in _days(first, last):
                    async for quarters in self._slices.services(day):
                        summing.add_quarters(quarters, day)
            else:
                await self._from_slices(summing, kind, PLATFORM, first, last)
        return summing.result(format_time(ask.window.start) if progress is None else progress.as_of)

    async def _from_slices(self, summing: "_Summing", kind: Kind, scope: str, first: date, last: date) -> None:
        if kind == "heads":
            async for head in self._slices.heads(scope, first, last):
                summing.add_head(head)
        elif kind == "quarters":
            async for quarters in self._slices.quarters(scope, first, last):
                summing.add_quarters(quarters, date.fromisoformat(quarters.date))
        else:
            async for rows in self._slices.rows(scope, first, last):
                summing.add_rows(rows)

    async def _from_counters(self, summing: "_Summing", query: Query) -> None:
        async for body in pages(self._documents, USAGE, query):
            summing.add_counter(decode_counter(body))


def _plan(ask: Ask, scope: str, settled: str) -> Iterator[tuple[Kind, date, date]]:
    """What to read for which stretches of days, first and last inclusive; slices are there until `settled`."""
    coarse = ask.dimensions <= _COARSE[scope]

    def kind(day: date) -> Kind:
        if str(day) > settled:
            return "counters"
        if ask.window.whole(day) is not None:
            return "heads" if coarse else "rows"
        return "quarters" if coarse else "counters"

    for found, days in groupby(ask.window.days, kind):
        stretch = list(days)
        yield found, stretch[0], stretch[-1]


def _days(first: date, last: date) -> Iterator[date]:
    return map(date.fromordinal, range(first.toordinal(), last.toordinal() + 1))


class _Summing:
    def __init__(self, ask: Ask, services: Collection[str] | None) -> None:
        self.ask = ask
        self._services = None if services is None else frozenset(services)
        self._by = tuple(_FIELDS[dimension] for dimension in ask.by)
        self._only = tuple((_FIELDS[dimension], value) for dimension, value in ask.only.items())
        self._groups: defaultdict[tuple[tuple[str, ...], int], Bucket] = defaultdict(Bucket)
        self._places: dict[date, dict[str, int]] = {}
        self._pieces: dict[str, int | None] = {}
        self._documents = 0

    def add_head(self, head: SliceHead) -> None:
        self._add_whole(head, head.date, head.sums)

    def add_rows(self, rows: SliceRows) -> None:
        for row in rows.rows:
            self._add_whole(row, rows.date, row.sums)

    def add_quarters(self, quarters: SliceQuarters, day: date) -> None:
        self._add_buckets(quarters, day, quarters.buckets)

    def add_counter(self, counter: Counter) -> None:
        self._add_buckets(counter, date.fromisoformat(counter.period), counter.buckets)

    def result(self, as_of: str) -> Summed:
        ordered = sorted(self._groups.items(), key=lambda item: (item[0][1], item[0][0]))
        return Summed(tuple(Group(values, piece, sums) for (values, piece), sums in ordered), as_of)

    def _add_whole(self, of: SliceHead | SliceRow, day: str, sums: Bucket) -> None:
        if not self._wanted(of):
            return
        if day not in self._pieces:
            self._pieces[day] = self.ask.window.whole(date.fromisoformat(day))
        piece = self._pieces[day]
        assert piece is not None, "the day is cut"
        self._group(of, piece).add(sums)

    def _add_buckets(self, of: SliceQuarters | Counter, day: date, buckets: Mapping[str, Bucket]) -> None:
        if not self._wanted(of):
            return
        if day not in self._places:
            self._places[day] = self.ask.window.quarters(day)
        places = self._places[day]
        for name, bucket in buckets.items():
            piece = places.get(name)
            if piece is not None:
                self._group(of, piece).add(bucket)

    def _wanted(self, of: SliceHead | SliceRow | SliceQuarters | Counter) -> bool:
        self._documents += 1
        if self._documents > DOCUMENTS_MAX:
            raise Problem(400, "range_invalid", "Too much usage to sum up at once: ask for a shorter range.")
        if self._services is not None and of.service_id not in self._services:
            return False
        return all(getattr(of, name) == value for name, value in self._only)

    def _group(self, of: SliceHead | SliceRow | SliceQuarters | Counter, piece: int) -> Bucket:
        group = self._groups[tuple([getattr(of, name) for name in self._by]), piece]
        if len(self._groups) > GROUPS_MAX:
            raise Problem(400, "range_invalid", f"The answer would have over {GROUPS_MAX} groups: ask for less.")
        return group
