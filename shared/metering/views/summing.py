"""Summing documents up by what a selection groups by, with bounds on how much one question may read and answer."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import date

from shared.kernel.errors import Problem
from shared.metering.counters import Bucket, Counter
from shared.metering.rollups.models import SliceHead, SliceQuarters, SliceRow, SliceRows
from shared.metering.store import GROUPS_MAX
from shared.metering.views.selection import FIELDS, GroupSums, SummedUsage, UsageSelection

DOCUMENTS_MAX = 100_000
"""Counters and rows that one question reads at most."""

Dimensioned = SliceHead | SliceRow | SliceQuarters | Counter


class GroupSummer:
    """Sums of a selection's groups, of `services` only when these are given. Every `add_…` raises Problem 400
    `range_invalid` when the question reads, or its answer has, too much."""

    def __init__(self, selection: UsageSelection, services: Collection[str] | None = None) -> None:
        self._window = selection.window
        self._services = None if services is None else frozenset(services)
        self._by = tuple(FIELDS[dimension] for dimension in selection.by)
        self._only = tuple((FIELDS[dimension], value) for dimension, value in selection.only.items())
        self._groups: defaultdict[tuple[tuple[str, ...], int], Bucket] = defaultdict(Bucket)
        self._intervals_by_day: dict[str, int | None] = {}
        self._intervals_by_quarter: dict[date, dict[str, int]] = {}
        self._documents = 0

    def add_head(self, head: SliceHead) -> None:
        self._add_day(head, head.date, head.sums)

    def add_rows(self, rows: SliceRows) -> None:
        for row in rows.rows:
            self._add_day(row, rows.date, row.sums)

    def add_quarters(self, quarters: SliceQuarters) -> None:
        self._add_buckets(quarters, date.fromisoformat(quarters.date), quarters.buckets)

    def add_counter(self, counter: Counter) -> None:
        """Add a day's counter."""
        self._add_buckets(counter, date.fromisoformat(counter.period), counter.buckets)

    def result(self, as_of: str) -> SummedUsage:
        ordered = sorted(self._groups.items(), key=lambda item: (item[0][1], item[0][0]))
        return SummedUsage(tuple(GroupSums(values, interval, sums) for (values, interval), sums in ordered), as_of)

    def _add_day(self, source: SliceHead | SliceRow, day: str, sums: Bucket) -> None:
        """Add the sums of a whole UTC day, which one interval of the window has all of."""
        if not self._takes(source):
            return
        if day not in self._intervals_by_day:
            self._intervals_by_day[day] = self._window.interval_with_all_of(date.fromisoformat(day))
        interval = self._intervals_by_day[day]
        assert interval is not None, "the plan reads days that are cut from quarters or counters"
        self._group(source, interval).add(sums)

    def _add_buckets(self, source: SliceQuarters | Counter, day: date, buckets: Mapping[str, Bucket]) -> None:
        """Add the quarter hours of a UTC day that are in the window, each to its interval."""
        if not self._takes(source):
            return
        if day not in self._intervals_by_quarter:
            self._intervals_by_quarter[day] = self._window.intervals_by_quarter(day)
        intervals = self._intervals_by_quarter[day]
        for name, bucket in buckets.items():
            interval = intervals.get(name)
            if interval is not None:
                self._group(source, interval).add(bucket)

    def _takes(self, source: Dimensioned) -> bool:
        self._documents += 1
        if self._documents > DOCUMENTS_MAX:
            raise Problem(400, "range_invalid", "Too much usage to sum up at once: ask for a shorter range.")
        if self._services is not None and source.service_id not in self._services:
            return False
        return all(getattr(source, name) == value for name, value in self._only)

    def _group(self, source: Dimensioned, interval: int) -> Bucket:
        group = self._groups[tuple([getattr(source, name) for name in self._by]), interval]
        if len(self._groups) > GROUPS_MAX:
            raise Problem(400, "range_invalid", f"The answer would have over {GROUPS_MAX} groups: ask for less.")
        return group
