"""How much of a metric was used, from a period's sums by local day.

What counts is the same for every metric: usage without a status or with one below 400, and of the rest only what the
charge names in `client_errors`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, localcontext
from functools import lru_cache
from hashlib import sha256
from zoneinfo import ZoneInfo

from shared.billing.charges import Charge
from shared.kernel.money import EXACT, ZERO, ended
from shared.kernel.periods import Period
from shared.metering.counters import FAILED_FROM, Bucket, Counter, Failed, bucket_name
from shared.metering.events import UsageEvent
from shared.metering.windows import Window, window

MB = 1_000_000
MS_PER_MINUTE = 60_000


@dataclass(slots=True)
class DaySums:
    """What a feature of a service was used on one local day. `failed` is part of the sums, by status from 400."""

    requests: int = 0
    events: int = 0
    request_bytes: int = 0
    response_bytes: int = 0
    executions: int = 0
    duration_ms: int = 0
    quantity: Decimal = ZERO
    failed_requests: dict[str, int] | None = None
    failed: dict[str, Failed] | None = None

    def add(self, bucket: Bucket) -> None:
        """Add what was counted in a quarter hour."""
        self.requests += bucket.requests
        self.events += bucket.events
        self.request_bytes += bucket.request_bytes
        self.response_bytes += bucket.response_bytes
        self.executions += bucket.executions
        self.duration_ms += bucket.duration_ms
        if bucket.quantity != "0":
            self.quantity = EXACT.add(self.quantity, Decimal(bucket.quantity))
        for code, count in bucket.status.items():
            if int(code) >= FAILED_FROM:
                self.failed_requests = self.failed_requests or {}
                self.failed_requests[code] = self.failed_requests.get(code, 0) + count
        for code, failed in bucket.failed.items():
            self.failed = self.failed or {}
            self.failed.setdefault(code, Failed()).add(failed)

    def canonical(self) -> str:
        """Write the sums as text that is equal if and only if they are."""
        failed = sorted((self.failed or {}).items())
        return repr(
            (
                self.requests,
                self.events,
                self.request_bytes,
                self.response_bytes,
                self.executions,
                self.duration_ms,
                str(self.quantity.normalize(EXACT)),
                sorted((self.failed_requests or {}).items()),
                [
                    (code, f.request_bytes, f.response_bytes, f.executions, f.duration_ms, f.quantity)
                    for code, f in failed
                ],
            )
        )


ServiceFeature = tuple[str, str]
"""Service and feature (empty: none)."""


class _Calendar:
    """Which local day of a period each quarter hour is in. `days` are all of them, in order."""

    def __init__(self, of: Period) -> None:
        self.zone = ZoneInfo(of.zone)
        self._window: Window = window(of.start, of.end, "day", self.zone)
        intervals = range(len(self._window.cuts))
        self.days = [str(self._window.moment(interval).astimezone(self.zone).date()) for interval in intervals]
        self._names: dict[str, dict[str, str]] = {}

    def names(self, utc_day: str) -> dict[str, str]:
        """The local day by quarter hour (`HH:MM`) of a UTC day, as far as that is in the period."""
        names = self._names.get(utc_day)
        if names is None:
            intervals = self._window.intervals_by_quarter(date.fromisoformat(utc_day))
            names = self._names[utc_day] = {name: self.days[interval] for name, interval in intervals.items()}
        return names


_calendar = lru_cache(maxsize=16)(_Calendar)
"""A close asks for the same period once for each of a merchant's consumers."""


class PeriodSums:
    """Sums of one consumer's usage in a period, by service, feature and local day."""

    def __init__(self, of: Period) -> None:
        self.period = of
        self._calendar = _calendar(of)
        self.days: dict[ServiceFeature, dict[str, DaySums]] = {}

    def add_counter(self, counter: Counter) -> None:
        """Add a UTC day's counter, as far as its quarter hours are in the period."""
        names = self._calendar.names(counter.period)
        days = None
        for name, bucket in counter.buckets.items():
            day = names.get(name)
            if day is not None:
                if days is None:
                    days = self.days.setdefault((counter.service_id, counter.feature), {})
                sums = days.get(day)
                if sums is None:
                    sums = days[day] = DaySums()
                sums.add(bucket)

    def add_event(self, event: UsageEvent) -> None:
        """Add a record, if its time is in the period."""
        day = self._calendar.names(event.time[:10]).get(bucket_name(event.time))
        if day is None:
            return
        bucket = Bucket()
        bucket.add_event(event.data)
        place = (event.service_id, event.data.feature or "")
        self.days.setdefault(place, {}).setdefault(day, DaySums()).add(bucket)

    def fingerprint(self) -> str:
        """Hash all sums; empty without any usage."""
        if not self.days:
            return ""
        rows = sorted((place, day, sums.canonical()) for place, days in self.days.items() for day, sums in days.items())
        return sha256(repr(rows).encode()).hexdigest()

    def between(self, service_id: str, feature: str | None, start: datetime, end: datetime) -> Iterable[DaySums]:
        """Iterate over the days from the one beginning at `start` to the one before `end`, of one feature or of all."""
        first, last = self._day(start), self._day(end)
        for days in self._days_of(service_id, feature):
            for day, sums in days.items():
                if first <= day < last:
                    yield sums

    def _days_of(self, service_id: str, feature: str | None) -> Iterable[dict[str, DaySums]]:
        if feature is not None:  # a consumer may have thousands, each with a charge
            return (self.days.get((service_id, feature), {}),)
        return (days for (service, _), days in self.days.items() if service == service_id)

    def _day(self, moment: datetime) -> str:
        return str(moment.astimezone(self._calendar.zone).date())

    def requests_by_day(self, service_ids: Iterable[str]) -> Mapping[str, int]:
        """Sum up requests of these services for every local day of the period, also those without any."""
        wanted = frozenset(service_ids)
        found = dict.fromkeys(self._calendar.days, 0)
        for (service, _), days in self.days.items():
            if service in wanted:
                for day, sums in days.items():
                    found[day] += sums.requests
        return found


def counts(charge: Charge, status: int | None) -> bool:
    """Tell whether usage that was answered with this status is charged for."""
    return status is None or status < FAILED_FROM or status in charge.client_errors


def quantity_of(charge: Charge, sums: PeriodSums, service_id: str, start: datetime, end: datetime) -> Decimal:
    """How much a charge counts in [start, end), in its metric's unit: requests, MB, executions, minutes, or as the
    feature's quantities are. Not for `unique` and `max`, which are no sums."""
    charged_failures = frozenset(map(str, charge.client_errors))
    total = ZERO
    with localcontext(EXACT):
        for day in sums.between(service_id, charge.feature, start, end):
            total += _day_quantity(charge, day, charged_failures)
        match charge.metric:
            case "request_mb" | "response_mb" | "data_mb":
                return total / MB
            case "active_minutes":
                return ended(total / MS_PER_MINUTE)
        return total


_Measured = DaySums | Failed
_MEASURES: dict[str, Callable[[_Measured], Decimal | int]] = {
    "request_mb": lambda sums: sums.request_bytes,
    "response_mb": lambda sums: sums.response_bytes,
    "data_mb": lambda sums: sums.request_bytes + sums.response_bytes,
    "executions": lambda sums: sums.executions,
    "active_minutes": lambda sums: sums.duration_ms,
    "quantity": lambda sums: Decimal(sums.quantity),
}
"""What of the sums a metric counts, in the unit that they have: bytes, milliseconds."""


def _day_quantity(charge: Charge, day: DaySums, charged_failures: frozenset[str]) -> Decimal | int:
    """A day's quantity of the charge's metric, in the unit of the sums. `charged_failures` are the statuses from 400
    that count as well; what all others were is taken off. Raises ValueError for a metric that is no sum."""
    if charge.metric == "requests":
        failed_requests = day.failed_requests or {}
        return day.requests - sum(count for code, count in failed_requests.items() if code not in charged_failures)
    measure = _MEASURES.get(charge.metric or "")
    if measure is None:
        raise ValueError(f"{charge.metric} is not a sum")
    failed = (measure(sums) for code, sums in (day.failed or {}).items() if code not in charged_failures)
    return measure(day) - sum(failed)
