"""How much was used, from counters and from records: by metric, status, feature, day and zone."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from shared.billing.charges import Charge
from shared.billing.usage.sums import PeriodSums, quantity_of
from shared.kernel.clock import format_time, parse_time
from shared.kernel.periods import Period, midnight, period
from shared.metering.counters import Bucket, Counter, counter_key, sum_events
from shared.metering.events import UsageEvent
from tests.support.billing.quantities import MARCH, SUMS, at, charge, from_records
from tests.support.embedded import usage_event


def from_counters(events: Iterable[UsageEvent], of: Period = MARCH) -> PeriodSums:
    sums = PeriodSums(of)
    for key, buckets in sum_events((counter_key(event), event) for event in events).items():
        counter = Counter.empty(key)
        for name, bucket in buckets.items():
            counter.add(name, bucket)
        sums.add_counter(counter)
    return sums


def counted(of: Charge, *events: UsageEvent, period: Period = MARCH) -> Decimal:
    """Both ways."""
    by_records = quantity_of(of, from_records(events, period), "svc_maps", period.start, period.end)
    assert by_records == quantity_of(of, from_counters(events, period), "svc_maps", period.start, period.end)
    return by_records


# What counts


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("requests", "7"),
        ("request_mb", "0.3"),
        ("response_mb", "1.25"),
        ("data_mb", "1.55"),
        ("executions", "4"),
        ("active_minutes", "1.5"),
        ("quantity", "2.5"),
    ],
)
def test_every_metric_is_a_sum_in_its_unit(metric: str, expected: str) -> None:
    one = at(
        "2026-03-10T10:00:00.000Z",
        "1",
        requests=3,
        request_bytes=100_000,
        response_bytes=1_000_000,
        executions=4,
        duration_ms=30_000,
        feature="tiles",
        quantity="2.000000001",
    )
    other = at(
        "2026-03-11T10:00:00.000Z",
        "2",
        requests=4,
        request_bytes=200_000,
        response_bytes=250_000,
        duration_ms=60_000,
        feature="tiles",
        quantity="0.499999999",
    )
    assert counted(charge(metric), one, other) == Decimal(expected)


@pytest.mark.parametrize("metric", SUMS)
@pytest.mark.parametrize(
    ("status", "errors", "counts"),
    [
        (None, (), True),
        (200, (), True),
        (304, (), True),
        (399, (), True),
        (400, (), False),
        (404, (404,), True),
        (404, (403, 429), False),
        (499, (499,), True),
        (500, (404,), False),
        (503, (), False),
    ],
)
def test_a_status_decides_alike_for_every_metric(
    metric: str, status: int | None, errors: tuple[int, ...], counts: bool
) -> None:
    event = at(
        "2026-03-10T10:00:00.000Z",
        requests=60_000,
        request_bytes=10**6,
        response_bytes=10**6,
        executions=1,
        duration_ms=60_000,
        feature="tiles",
        quantity="1",
        status_code=status,
    )
    assert (counted(charge(metric, client_errors=errors), event) != 0) is counts


@pytest.mark.parametrize("metric", SUMS)
def test_what_failed_is_taken_off_and_nothing_else(metric: str) -> None:
    amounts = {"requests": 5, "request_bytes": 7, "response_bytes": 11, "executions": 13, "duration_ms": 6_000}
    events = [
        at(f"2026-03-10T10:{n:02d}:00.000Z", str(n), status_code=status, feature="tiles", quantity="1.9", **amounts)
        for n, status in enumerate((200, 404, 404, 403, 500, 502, None))
    ]
    asked = charge(metric, client_errors=(404,))
    assert counted(asked, *events) == 4 * counted(asked, events[0])


def test_a_feature_narrows_every_metric_down() -> None:
    time = "2026-03-10T10:00:00.000Z"
    events = [at(time, "1", feature="tiles", requests=2), at(time, "2", feature="routes", requests=3), at(time, "3")]
    assert counted(charge("requests"), *events) == 6
    assert counted(charge("requests", feature="routes"), *events) == 3
    assert counted(charge("requests", feature="unheard of"), *events) == 0


def test_other_services_do_not_count() -> None:
    other = usage_event(time="2026-03-10T10:00:00.000Z", service_id="svc_geo")
    assert counted(charge("requests"), other) == 0


def test_sums_stay_exact_where_floats_and_28_digits_do_not() -> None:
    large, small = "999999999999999.999999999", "0.000000001"
    events = [at("2026-03-10T10:00:00.000Z", str(n), feature="tiles", quantity=large) for n in range(20)]
    assert counted(charge("quantity"), *events, at("2026-03-10T10:00:00.000Z", feature="tiles", quantity=small)) == (
        20 * Decimal(large) + Decimal(small)
    )


def test_sums_of_counters_stay_exact() -> None:
    """Their quantities have more digits than decimals are added with by default."""
    keys = [counter_key(usage_event(time="2026-03-10T10:00:00.000Z", data={"feature": f})) for f in ("a", "b")]
    quantities = ("99999999999999999999.999999999", "0.000000002")
    sums = PeriodSums(MARCH)
    for key in keys:
        for quantity in quantities:
            counter = Counter.empty(key)
            counter.add("10:00", Bucket(quantity=quantity))
            sums.add_counter(counter)
    for feature in ("a", "b"):
        of = charge("quantity", feature=feature)
        found = quantity_of(of, sums, "svc_maps", MARCH.start, MARCH.end)
        assert found == Decimal("100000000000000000000.000000001")


@pytest.mark.parametrize("metric", ["unique", "max"])
def test_what_is_no_sum_is_not_made_one(metric: str) -> None:
    with pytest.raises(ValueError, match="not a sum"):
        counted(charge(metric), at("2026-03-10T10:00:00.000Z", feature="tiles", quantity="1"))


# When it counts


@pytest.mark.parametrize(
    ("zone", "inside", "outside"),
    [
        (
            "UTC",
            ("2026-03-01T00:00:00.000Z", "2026-03-31T23:59:59.999Z"),
            ("2026-02-28T23:59:59.999Z", "2026-04-01T00:00:00.000Z"),
        ),
        (
            "America/New_York",
            ("2026-03-01T05:00:00.000Z", "2026-04-01T03:59:59.999Z"),
            ("2026-03-01T04:59:59.999Z", "2026-04-01T04:00:00.000Z"),
        ),
        (
            "Asia/Kolkata",
            ("2026-02-28T18:30:00.000Z", "2026-03-31T18:29:59.999Z"),
            ("2026-02-28T18:29:59.999Z", "2026-03-31T18:30:00.000Z"),
        ),
        (
            "Asia/Kathmandu",
            ("2026-02-28T18:15:00.000Z", "2026-03-31T18:14:59.999Z"),
            ("2026-02-28T18:14:59.999Z", "2026-03-31T18:15:00.000Z"),
        ),
    ],
)
def test_a_month_has_its_first_moment_and_not_its_last(
    zone: str, inside: tuple[str, str], outside: tuple[str, str]
) -> None:
    events = [at(time, time) for time in (*inside, *outside)]
    assert counted(charge("requests"), *events, period=period("2026-03", zone)) == 2


@pytest.mark.parametrize(
    ("day", "first", "after"),
    [  # 23 hours and 25
        (date(2026, 3, 8), "2026-03-08T05:00:00.000Z", "2026-03-09T04:00:00.000Z"),
        (date(2026, 11, 1), "2026-11-01T04:00:00.000Z", "2026-11-02T05:00:00.000Z"),
    ],
)
def test_a_day_on_which_clocks_change_has_the_hours_it_has(day: date, first: str, after: str) -> None:
    of, zone = period(f"{day:%Y-%m}", "America/New_York"), ZoneInfo("America/New_York")
    last = format_time(parse_time(after) - timedelta(milliseconds=1))
    before = format_time(parse_time(first) - timedelta(milliseconds=1))
    events = [at(time, time, requests=n) for time, n in ((before, 1000), (first, 1), (last, 10), (after, 100))]
    sums = from_counters(events, of)
    start, end = midnight(day, zone), midnight(day + timedelta(days=1), zone)
    assert quantity_of(charge("requests"), sums, "svc_maps", start, end) == 11
    assert sums.requests_by_day(["svc_maps"])[str(day)] == 11
    assert from_records(events, of).fingerprint() == sums.fingerprint()


def test_parts_of_a_month_add_up_to_it() -> None:
    of = period("2026-03", "America/New_York")
    events = [at(format_time(of.start + timedelta(hours=hour)), str(hour)) for hour in range(743)]
    sums = from_records(events, of)
    cuts = [of.start, *(midnight(date(2026, 3, day), ZoneInfo(of.zone)) for day in (8, 9, 20)), of.end]
    parts = [quantity_of(charge("requests"), sums, "svc_maps", a, b) for a, b in pairwise(cuts)]
    assert parts == [7 * 24, 23, 11 * 24, 12 * 24]
    assert sum(parts) == counted(charge("requests"), *events, period=of) == 743


def test_the_chart_has_every_local_day_also_those_without_usage() -> None:
    of = period("2026-02", "Asia/Kolkata")
    events = [at("2026-01-31T18:30:00.000Z", "1", requests=2), at("2026-02-28T18:29:59.999Z", "2", status_code=500)]
    days = from_counters(events, of).requests_by_day(["svc_maps"])
    assert list(days) == [f"2026-02-{day:02d}" for day in range(1, 29)]
    assert {day: requests for day, requests in days.items() if requests} == {"2026-02-01": 2, "2026-02-28": 1}
    assert sum(from_counters(events, of).requests_by_day(["svc_geo"]).values()) == 0


def test_the_first_day_of_a_merchant_who_moved_is_cut() -> None:
    """The period begins where the last one ended, within a day of the new zone."""
    moved = period("2026-03", "Asia/Kolkata", start=datetime(2026, 3, 1, tzinfo=UTC))
    events = [at("2026-02-28T23:59:59.999Z", "1"), at("2026-03-01T00:00:00.000Z", "2")]
    assert counted(charge("requests"), *events, period=moved) == 1
    assert from_records(events, moved).requests_by_day(["svc_maps"])["2026-03-01"] == 1


# Fingerprints


def test_equal_usage_has_one_fingerprint_whatever_its_order() -> None:
    events = [
        at(
            f"2026-03-{n % 28 + 1:02d}T10:00:00.000Z",
            str(n),
            status_code=(200, 404, 500)[n % 3],
            feature=f"f{n % 2}",
            quantity=f"{n}.50",
        )
        for n in range(60)
    ]
    whole = from_records(events).fingerprint()
    assert from_records(reversed(events)).fingerprint() == whole == from_counters(events).fingerprint()


@pytest.mark.parametrize("status", [None, 200, 403])
@pytest.mark.parametrize(
    "change",
    [
        {"requests": 2},
        {"request_bytes": 1},
        {"response_bytes": 1},
        {"executions": 1},
        {"duration_ms": 1},
        {"quantity": "0.000000001"},
        {"status_code": 404},
        {"feature": "other"},
    ],
)
def test_whatever_a_price_may_be_for_changes_the_fingerprint(change: dict[str, Any], status: int | None) -> None:
    time = "2026-03-10T10:00:00.000Z"
    data: dict[str, Any] = {"feature": "f", "status_code": status}
    assert from_records([at(time, **data)]).fingerprint() != from_records([at(time, **data | change)]).fingerprint()


def test_another_day_changes_the_fingerprint_and_another_quarter_hour_does_not() -> None:
    def print_of(time: str) -> str:
        return from_records([at(time)]).fingerprint()

    assert print_of("2026-03-10T10:00:00.000Z") == print_of("2026-03-10T20:15:00.000Z")
    assert print_of("2026-03-10T10:00:00.000Z") != print_of("2026-03-11T10:00:00.000Z")
    assert print_of("2026-04-01T00:00:00.000Z") == ""
