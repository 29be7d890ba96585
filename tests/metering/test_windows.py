"""Ranges cut into hours, days and months of time zones that are hard on those who count hours."""

from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.kernel.errors import Problem
from shared.kernel.periods import midnight
from shared.metering.windows import Window, before, time_zone, window


def local(text: str, zone: str, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)


def intervals(start: str, end: str, step: str, zone: str) -> list[tuple[str, str]]:
    found = window(local(start, zone), local(end, zone), step, ZoneInfo(zone))
    return [found.starts(interval) for interval in range(len(found.cuts))]


def lengths_h(of: Window) -> list[float]:
    moments = [*(of.moment(interval) for interval in range(len(of.cuts))), of.end]
    return [(b - a) / timedelta(hours=1) for a, b in pairwise(moments)]


def test_a_day_in_india_begins_inside_a_utc_hour():
    assert intervals("2026-03-14", "2026-03-16", "day", "Asia/Kolkata") == [
        ("2026-03-13T18:30:00.000Z", "2026-03-14"),
        ("2026-03-14T18:30:00.000Z", "2026-03-15"),
    ]


def test_hours_follow_the_zone_too():
    assert intervals("2026-03-14T09:45", "2026-03-14T11:00", "hour", "Asia/Kathmandu") == [
        ("2026-03-14T03:15:00.000Z", "2026-03-14T09:00+05:45"),
        ("2026-03-14T04:15:00.000Z", "2026-03-14T10:00+05:45"),
    ]


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("America/St_Johns", "2026-03-08", 23),
        ("America/St_Johns", "2026-11-01", 25),
        ("America/New_York", "2026-03-08", 23),
        ("Australia/Lord_Howe", "2026-04-05", 24.5),
        ("Africa/Cairo", "2026-04-24", 23),  # midnight itself is skipped
        ("America/Havana", "2026-11-01", 25),  # the hour after midnight comes twice
        ("Asia/Kolkata", "2026-03-08", 24),
    ],
)
def test_a_day_is_as_long_as_its_zone_makes_it(zone, day, hours):
    following = str(date.fromisoformat(day) + timedelta(days=1))
    start, end = (midnight(date.fromisoformat(each), ZoneInfo(zone)) for each in (day, following))
    assert lengths_h(window(start, end, "day", ZoneInfo(zone))) == [hours]
    by_hour = window(start, end, "hour", ZoneInfo(zone))
    assert sum(lengths_h(by_hour)) == hours
    labels = [by_hour.starts(interval) for interval in range(len(by_hour.cuts))]
    assert len(set(labels)) == len(labels)  # an hour that comes twice is two


def test_a_day_that_was_left_out_is_not_there():
    assert [label for _, label in intervals("2011-12-29", "2012-01-01", "day", "Pacific/Apia")] == [
        "2011-12-29",
        "2011-12-31",
    ]


def test_a_leap_day_is_a_day_and_its_month_has_29():
    assert [label for _, label in intervals("2028-02-28", "2028-03-02", "day", "Asia/Kolkata")] == [
        "2028-02-28",
        "2028-02-29",
        "2028-03-01",
    ]
    months = window(local("2028-02-01", "UTC"), local("2028-04-01", "UTC"), "month", ZoneInfo("UTC"))
    assert lengths_h(months) == [29 * 24, 31 * 24]


def test_the_first_piece_may_begin_before_the_range():
    assert intervals("2026-03-14T10:15", "2026-03-14T10:30", "month", "Asia/Kolkata") == [
        ("2026-02-28T18:30:00.000Z", "2026-03")
    ]


@given(
    st.sampled_from(["Asia/Kolkata", "America/St_Johns", "Pacific/Apia", "Australia/Lord_Howe", "UTC"]),
    st.sampled_from(["hour", "day", "month", None]),
    st.integers(0, 40 * 96),
    st.integers(1, 10 * 96),
)
def test_every_quarter_hour_is_in_one_piece_and_whole_days_are_in_one(zone, step, offset, length):
    start = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(minutes=15 * offset)
    found = window(start, start + timedelta(minutes=15 * length), step, ZoneInfo(zone))
    places = {
        (str(day), name): interval for day in found.days for name, interval in found.intervals_by_quarter(day).items()
    }
    assert len(places) == length
    for day in found.days:
        of_day = [interval for (on, _), interval in places.items() if on == str(day)]
        is_whole = len(of_day) == 96 and len(set(of_day)) == 1
        assert found.interval_with_all_of(day) == (of_day[0] if is_whole else None)
    for (day, name), interval in places.items():
        there = datetime.fromisoformat(f"{day}T{name}Z").astimezone(ZoneInfo(zone))
        expected = {
            "hour": f"{there:%Y-%m-%dT%H}",
            "day": f"{there:%Y-%m-%d}",
            "month": f"{there:%Y-%m}",
        }
        assert step is None or found.starts(interval)[1].startswith(expected[step])


@pytest.mark.parametrize(
    "name", ["", "Mars/Olympus", "../../etc/passwd", "/etc/passwd", "America", "a" * 64, "\0", "Asia/Kolkata/", "utc ü"]
)
def test_what_is_no_time_zone_is_refused(name):
    with pytest.raises(Problem) as caught:
        time_zone(name)
    assert (caught.value.code, caught.value.errors[0].field) == ("range_invalid", "time_zone")


def test_a_zone_that_did_not_count_in_quarter_hours_then_is_refused():
    start = datetime(1971, 5, 1, tzinfo=UTC)
    with pytest.raises(Problem) as caught:
        window(start, start + timedelta(days=2), "day", ZoneInfo("Africa/Monrovia"))
    assert (caught.value.code, caught.value.errors[0].field) == ("range_invalid", "time_zone")


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "America/St_Johns", "UTC"])
@pytest.mark.parametrize("start", [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 30, 23, tzinfo=UTC)])
@pytest.mark.parametrize("step", ["hour", "day", "month"])
def test_the_ends_of_the_calendar_are_answered_or_refused(zone, start, step):
    with suppress(Problem):
        found = window(start, start + timedelta(hours=1), step, ZoneInfo(zone))
        assert len(found.cuts) in (1, 2)


def test_the_period_before_is_as_long():
    march = window(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC), "day", ZoneInfo("UTC"))
    earlier = before(march)
    assert (earlier.start, earlier.end) == (datetime(2026, 1, 29, tzinfo=UTC), march.start)
    with pytest.raises(Problem, match="range_invalid"):
        before(window(datetime(1, 1, 5, tzinfo=UTC), datetime(1, 1, 20, tzinfo=UTC), None, ZoneInfo("UTC")))
