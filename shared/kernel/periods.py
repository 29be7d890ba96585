"""Billing periods: months that begin on a merchant's anchor day, at midnight in its time zone.

A period is half-open, [start, end), and stored as UTC instants. An anchor day that a month does not have is its last
day (31 → 28 February), always counted from the anchor, so that March begins on the 31st again. A merchant who changes
its zone or anchor does so with a period that begins where the one before ended: no gap, no overlap.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import Field

Month = Annotated[str, Field(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$", examples=["2026-03"])]
Day = Annotated[
    str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", examples=["2026-03-01"], json_schema_extra={"format": "date"})
]

_NAME = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])", re.ASCII).fullmatch


@dataclass(frozen=True, slots=True)
class Period:
    """A billing period: `name` is `YYYY-MM`, the month in which it begins by the calendar; `start` and `end` are
    UTC."""

    name: str
    start: datetime
    end: datetime
    zone: str

    @property
    def first_day(self) -> date:
        return self.start.astimezone(ZoneInfo(self.zone)).date()

    @property
    def last_day(self) -> date:
        """The last day that belongs to the period, as people say it."""
        return (self.end - timedelta(microseconds=1)).astimezone(ZoneInfo(self.zone)).date()

    @property
    def days(self) -> int:
        """How many local days the period has, for shares of what is charged by the period."""
        return (self.last_day - self.first_day).days + 1


def parse_month(name: str) -> tuple[int, int]:
    """Read a month, `YYYY-MM`. Raises ValueError."""
    match = _NAME(name)
    if match is None:
        raise ValueError("must be a month, such as 2026-03")
    return int(match[1]), int(match[2])


def next_month(name: str) -> str:
    year, month = parse_month(name)
    return f"{year + month // 12:04d}-{month % 12 + 1:02d}"


def previous_month(name: str) -> str:
    year, month = parse_month(name)
    return f"{year - (month == 1):04d}-{(month - 2) % 12 + 1:02d}"


def month_of(day: date) -> str:
    return f"{day.year:04d}-{day.month:02d}"


def anchored(name: str, anchor_day: int) -> date:
    """Find the day on which the period of a month begins."""
    year, month = parse_month(name)
    first_of_next = date(year + month // 12, month % 12 + 1, 1)
    return date(year, month, min(anchor_day, (first_of_next - timedelta(days=1)).day))


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """Find the first moment of a local day, in UTC. Where clocks skip midnight that is when they did; where it comes
    twice, the first one. Raises OverflowError at the ends of the calendar."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def period(name: str, zone: str, anchor_day: int = 1, *, start: datetime | None = None) -> Period:
    """Make the period of a month. `start` is the end of the period before, where there is one. Raises ValueError."""
    local = ZoneInfo(zone)
    first = midnight(anchored(name, anchor_day), local) if start is None else start
    return Period(name, first, midnight(anchored(next_month(name), anchor_day), local), zone)


def name_at(moment: datetime, zone: str, anchor_day: int = 1) -> str:
    """Name the period that has a moment, when no zone was ever changed."""
    local = moment.astimezone(ZoneInfo(zone)).date()
    name = month_of(local)
    return name if anchored(name, anchor_day) <= local else previous_month(name)
