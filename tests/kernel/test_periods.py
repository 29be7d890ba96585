"""Billing periods in every zone: half-open, without gap or overlap, whatever clocks and calendars do."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.kernel.periods import anchored, name_at, next_month, parse_month, period, previous_month

ZONES = (
    "UTC",
    "Asia/Kolkata",
    "America/New_York",
    "Europe/Berlin",
    "Pacific/Auckland",
    "Asia/Kathmandu",
    "Africa/Cairo",
)
months = st.builds(lambda y, m: f"{y:04d}-{m:02d}", st.integers(2000, 2100), st.integers(1, 12))


@given(months, st.sampled_from(ZONES), st.integers(1, 31))
def test_periods_follow_each_other(name: str, zone: str, anchor: int) -> None:
    first, second = period(name, zone, anchor), period(next_month(name), zone, anchor)
    assert first.end == second.start
    assert first.start < first.end
    assert 27 <= first.days <= 32
    assert first.last_day + timedelta(days=1) == second.first_day


moments = st.integers(0, 4_000_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


@given(moments, st.sampled_from(ZONES), st.integers(1, 31))
def test_every_moment_is_in_the_period_that_is_named_for_it(moment: datetime, zone: str, anchor: int) -> None:
    found = period(name_at(moment, zone, anchor), zone, anchor)
    assert found.start <= moment < found.end


@pytest.mark.parametrize(
    ("name", "day"),
    [("2026-01", 31), ("2026-02", 28), ("2028-02", 29), ("2026-04", 30), ("2026-05", 31)],
)
def test_an_anchor_that_a_month_does_not_have_is_its_last_day(name: str, day: int) -> None:
    assert anchored(name, 31) == date(*parse_month(name), day)


def test_a_leap_february() -> None:
    assert period("2028-02", "UTC").days == 29
    assert period("2026-02", "UTC").days == 28


def test_a_month_in_which_clocks_change_has_an_hour_less_or_more() -> None:
    march, november = period("2026-03", "America/New_York"), period("2026-11", "America/New_York")
    assert march.end - march.start == timedelta(days=31) - timedelta(hours=1)
    assert november.end - november.start == timedelta(days=30) + timedelta(hours=1)
    assert (march.days, november.days) == (31, 30)


def test_the_end_of_a_year() -> None:
    december = period("2026-12", "Asia/Kolkata")
    assert december.end == datetime(2026, 12, 31, 18, 30, tzinfo=UTC)
    assert (next_month("2026-12"), previous_month("2027-01")) == ("2027-01", "2026-12")


def test_who_moves_to_another_zone_goes_on_where_the_last_period_ended() -> None:
    before = period("2026-03", "America/New_York")
    after = period("2026-04", "Asia/Tokyo", start=before.end)
    assert after.start == before.end
    assert after.end == datetime(2026, 4, 30, 15, tzinfo=UTC)
    assert after.end.astimezone(ZoneInfo("Asia/Tokyo")).date() == date(2026, 5, 1)


@pytest.mark.parametrize("name", ["2026-13", "2026-00", "26-01", "2026-1", "2026-01-01", "", "２０２６-01"])
def test_what_is_no_month(name: str) -> None:
    with pytest.raises(ValueError, match="must be a month"):
        parse_month(name)
