"""Stretches of time that usage is asked for: ranges in whole quarter hours, cut into hours, days or months of any zone.

Counters have a bucket per quarter of an hour (docs/adr/0007-quarter-hour-buckets.md), so every cut must be at one. A
day is as long as its zone makes it: 23 or 25 hours when clocks change, and none at all where one was left out.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from shared.kernel.clock import format_time
from shared.kernel.periods import midnight
from shared.metering.store import bad_range, check_range

TimeStep = Literal["hour", "day", "month"]
QUARTER_S = 900
QUARTERS_PER_DAY = 96
_NAMES = tuple(f"{minute // 60:02d}:{minute % 60:02d}" for minute in range(0, 1440, 15))
_EPOCH = date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True)
class Window:
    """A range of time, [start, end) in UTC, cut into intervals. `cuts` are the first moments of its hours, days or
    months, in quarter hours since 1970; the first may be before the range. Without a `step` the range is one
    interval."""

    start: datetime
    end: datetime
    step: TimeStep | None
    zone: ZoneInfo
    cuts: tuple[int, ...]

    @property
    def days(self) -> Iterator[date]:
        """UTC days that have some of the range, in order."""
        day, last = self.start.date(), (self.end - timedelta(microseconds=1)).date()
        while day <= last:
            yield day
            day += timedelta(days=1)

    def interval_with_all_of(self, day: date) -> int | None:
        """The interval that has all of a UTC day, None when the day is cut."""
        first = _first_quarter(day)
        last = first + QUARTERS_PER_DAY
        if first < _quarter(self.start) or last > _quarter(self.end):
            return None
        interval = bisect_right(self.cuts, first) - 1
        return interval if interval + 1 == len(self.cuts) or self.cuts[interval + 1] >= last else None

    def intervals_by_quarter(self, day: date) -> dict[str, int]:
        """The interval of each quarter hour (`HH:MM`) of a UTC day that is in the range."""
        first = _first_quarter(day)
        start, end = _quarter(self.start) - first, _quarter(self.end) - first
        wanted = range(max(start, 0), min(end, QUARTERS_PER_DAY))
        return {_NAMES[number]: bisect_right(self.cuts, first + number) - 1 for number in wanted}

    def moment(self, interval: int) -> datetime:
        """When an interval begins, in UTC."""
        return datetime.fromtimestamp(self.cuts[interval] * QUARTER_S, UTC)

    def starts(self, interval: int) -> tuple[str, str] | None:
        """When an interval begins: RFC 3339 in UTC, and as people there say (`2026-03`, `2026-03-14`,
        `2026-03-14T10:00+05:30`). None without a step."""
        if self.step is None:
            return None
        moment = self.moment(interval)
        local = moment.astimezone(self.zone)
        text = local.isoformat(timespec="minutes") if self.step == "hour" else str(local.date())
        return format_time(moment), text[:7] if self.step == "month" else text


def window(start: datetime, end: datetime, step: TimeStep | None, zone: ZoneInfo) -> Window:
    """The window of [start, end), cut into steps of a zone. Raises Problem 400 `range_invalid`."""
    start, end = check_range(start, end)
    try:
        cuts = tuple(dict.fromkeys(_cuts(start, end, step, zone)))
    except (OverflowError, ValueError):
        raise bad_range("from", "must not be at the end of the calendar") from None
    if any(cut.timestamp() % QUARTER_S for cut in cuts):
        raise bad_range("time_zone", "did not count in whole quarter hours then")
    return Window(start, end, step, zone, tuple(_quarter(cut) for cut in cuts))


def before(of: Window) -> Window:
    """The period of the same length that ends where this one starts, in one interval. Raises Problem 400."""
    try:
        start = of.start - (of.end - of.start)
    except OverflowError:
        raise bad_range("from", "must not be at the end of the calendar") from None
    return window(start, of.start, None, of.zone)


def time_zone(name: str) -> ZoneInfo:
    """The time zone of an IANA name. Raises Problem 400 `range_invalid`."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a folder of zones
        raise bad_range("time_zone", "must be an IANA time zone, such as Asia/Kolkata") from None


def _cuts(start: datetime, end: datetime, step: TimeStep | None, zone: ZoneInfo) -> Iterator[datetime]:
    if step is None:
        yield start
    elif step == "hour":
        moment = start - timedelta(minutes=start.astimezone(zone).minute)
        while moment < end:
            yield moment
            moment += timedelta(minutes=60 - moment.astimezone(zone).minute)
    else:
        day = start.astimezone(zone).date()
        day = day.replace(day=1) if step == "month" else day
        while (moment := midnight(day, zone)) < end:
            yield moment
            day += timedelta(days=1)
            while step == "month" and day.day != 1:
                day += timedelta(days=1)


def _quarter(moment: datetime) -> int:
    return int(moment.timestamp()) // QUARTER_S


def _first_quarter(day: date) -> int:
    return (day.toordinal() - _EPOCH) * QUARTERS_PER_DAY
