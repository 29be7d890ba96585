"""Which documents answer a selection, day by day: the picture is in `shared.metering.views.reader`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Literal

from shared.metering.views.selection import Dimension, UsageSelection

Source = Literal["counters", "heads", "rows", "quarters"]
ScopeKind = Literal["consumer", "service", "platform"]

_KNOWN_TO_HEADS: Mapping[ScopeKind, frozenset[Dimension]] = {
    "consumer": frozenset({"service", "merchant"}),
    "service": frozenset({"service", "merchant"}),
    "platform": frozenset(),
}
"""The dimensions that heads and quarters of a scope's slices tell apart; rows tell all apart that the scope has."""


@dataclass(frozen=True, slots=True)
class DayRange:
    """Consecutive UTC days, `first` and `last` included, that are read from one kind of document."""

    source: Source
    first: date
    last: date

    @property
    def days(self) -> Iterator[date]:
        return map(date.fromordinal, range(self.first.toordinal(), self.last.toordinal() + 1))


def plan(selection: UsageSelection, scope: ScopeKind, derived_until: str) -> Iterator[DayRange]:
    """The stretches of a selection's window, in order. Slices of the scope are there for days until `derived_until`
    (`YYYY-MM-DD`, inclusive; empty when there are none)."""
    in_heads = selection.dimensions <= _KNOWN_TO_HEADS[scope]

    def source(day: date) -> Source:
        if str(day) > derived_until:
            return "counters"
        if selection.window.interval_with_all_of(day) is not None:
            return "heads" if in_heads else "rows"
        return "quarters" if in_heads else "counters"  # rows do not know when on the day

    for found, days in groupby(selection.window.days, source):
        day_range = list(days)
        yield DayRange(found, day_range[0], day_range[-1])
