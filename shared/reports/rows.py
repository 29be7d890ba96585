"""A report's rows, in order of time, read stretch by stretch: what is held is a few days' groups, not the range's.

A row is given out once no later stretch can add to it: with hours or days after each stretch, with months after each
month, without either at the end.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from shared.kernel.clock import format_time
from shared.kernel.errors import Problem
from shared.kernel.periods import midnight
from shared.metering.counters import Bucket
from shared.metering.views.figures import Figures, figures
from shared.metering.views.merchant import PseudonymousUsage
from shared.metering.views.selection import Dimension, GroupSums, SummedUsage, UsageSelection
from shared.metering.windows import QUARTER_S, Window, time_zone, window
from shared.reports.models import Report
from shared.reports.sources import Portion, ReportSources, dimensions_of, step_of

if TYPE_CHECKING:
    from shared.access.models import ApiKey

STRETCH_DAYS = 7
GROUPS_HELD_MAX = 200_000
_FIGURES = tuple(figures(Bucket()))
_DAY = timedelta(days=1)

ReportProgress = Callable[[int], Awaitable[None]]


class TooManyRows(Exception):
    """Groups that nothing in the range sets apart are more than is held in memory."""


def window_of(report: Report) -> Window:
    """Cut the whole range of a report as it is grouped. Raises Problem 400 `range_invalid`."""
    return window(report.start, report.end, step_of(report.contents), time_zone(report.contents.time_zone))


def columns(report: Report) -> list[str]:
    """Name the columns that every row of a report has."""
    by = dimensions_of(report.contents)
    if report.owner_kind == "merchant" and "api_key" in by and "consumer" not in by:
        by = ("consumer", *by)  # a key is shown with the pseudonym whose it is
    names = ["pseudonym" if dimension == "consumer" else str(dimension) for dimension in by]
    if report.owner_kind == "merchant" and "api_key" in by:
        names += ["key_prefix", "key_last4"]
    return [*names, *(("start", "label") if step_of(report.contents) else ()), *_FIGURES]


class ReportRows:
    """The rows of one attempt at a report. `rows`, `total` and `as_of` are right once `each` has come to its end."""

    def __init__(self, report: Report, sources: ReportSources, progress: ReportProgress) -> None:
        self._report = report
        self._sources = sources
        self._progress = progress
        self.window = window_of(report)
        self._groups: dict[tuple[int, tuple[str, ...]], Bucket] = {}
        self._by: tuple[Dimension, ...] = ()
        self._keys: dict[tuple[str, str], ApiKey] = {}
        self.rows = 0
        self.total = Bucket()
        self.as_of: str | None = None

    async def each(self) -> AsyncIterator[Figures]:
        """Read the rows in order of time. Raises Problem 400 `range_invalid` when a single day is too much, 404 when
        the subject is gone; TooManyRows."""
        for start, end in _stretches(self.window):
            await self._read(start, end)
            for row in self._finished(end):
                yield row
            done = (end - self.window.start) / (self.window.end - self.window.start)
            await self._progress(min(99, int(done * 100)))

    async def _read(self, start: datetime, end: datetime) -> None:
        """A stretch; one that is too much at once in halves, down to a day."""
        # The cuts stay those of the whole range, so that an interval has one number in every stretch.
        stretch = replace(self.window, start=start, end=end)
        try:
            portions = await self._sources.read(self._report, stretch)
        except Problem as problem:
            if problem.code != "range_invalid" or end - start <= _DAY:
                raise
            middle = start + max(_DAY, (end - start) // 2 // _DAY * _DAY)  # a local day may have 25 hours
            await self._read(start, middle)
            await self._read(middle, end)
            return
        for portion in portions:
            self._add(portion)

    def _add(self, portion: Portion) -> None:
        self._by = portion.by
        self._keys |= portion.keys
        self.as_of = portion.as_of if self.as_of is None else min(self.as_of, portion.as_of)
        for group in portion.groups:
            sums = self._groups.setdefault((group.interval, group.values), Bucket())
            sums.add(group.sums)
            self.total.add(group.sums)
        if len(self._groups) > GROUPS_HELD_MAX:
            raise TooManyRows(f"It would have over {GROUPS_HELD_MAX} rows in one step: group by less, or by day.")

    def _finished(self, until: datetime) -> Iterator[Figures]:
        ready = sorted(place for place in self._groups if self._ends(place[0]) <= until)
        named = PseudonymousUsage(self._by, SummedUsage((), self.as_of or format_time(until)), self._keys)
        selection = UsageSelection(self.window, self._by)
        for interval, values in ready:
            self.rows += 1
            yield named.row(selection, GroupSums(values, interval, self._groups.pop((interval, values))))
        if not self._groups:
            self._keys = {}

    def _ends(self, interval: int) -> datetime:
        cuts = self.window.cuts
        if interval + 1 == len(cuts):
            return self.window.end
        return datetime.fromtimestamp(cuts[interval + 1] * QUARTER_S, self.window.end.tzinfo)


def _stretches(of: Window) -> Iterator[tuple[datetime, datetime]]:
    """Cut a range into stretches of a few days each, at local midnights, where hours, days and months are cut too."""
    cuts = [of.start]
    day = of.start.astimezone(of.zone).date() + STRETCH_DAYS * _DAY
    while (moment := midnight(day, of.zone)) < of.end:
        cuts.append(moment)
        day += STRETCH_DAYS * _DAY
    yield from pairwise([*cuts, of.end])
