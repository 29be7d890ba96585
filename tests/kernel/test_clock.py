"""Times and their texts."""

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.kernel.clock import format_time, parse_time, utc_now

MOMENTS = st.datetimes(datetime(1970, 1, 2), datetime(9999, 12, 30), timezones=st.timezones())  # noqa: DTZ001 - hypothesis adds the zone


@given(MOMENTS)
def test_a_time_comes_back_from_its_text_to_the_millisecond(moment):
    text = format_time(moment)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text)
    assert timedelta(0) <= moment - parse_time(text) < timedelta(milliseconds=1)
    assert format_time(parse_time(text)) == text


@given(MOMENTS, MOMENTS)
def test_the_order_of_texts_is_the_order_of_times(one, other):
    assert (format_time(one) < format_time(other)) == (parse_time(format_time(one)) < parse_time(format_time(other)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-31T10:00:00Z", "2026-01-31T10:00:00.000Z"),
        ("2026-01-31T10:00:00.1239Z", "2026-01-31T10:00:00.123Z"),
        ("2026-01-31T00:00:00+05:30", "2026-01-30T18:30:00.000Z"),
        ("2026-12-31T23:00:00-02:00", "2027-01-01T01:00:00.000Z"),
    ],
)
def test_any_offset_is_read_as_utc(text, expected):
    assert format_time(parse_time(text)) == expected


@pytest.mark.parametrize("text", ["", "now", "2026-01-31", "2026-01-31T10:00:00", "2026-02-30T10:00:00Z", "1770000000"])
def test_what_is_no_time_with_an_offset_is_a_value_error(text):
    with pytest.raises(ValueError):
        parse_time(text)


def test_now_is_aware_and_utc():
    assert utc_now().tzinfo is UTC
    assert format_time(datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=1)))) == "2025-12-31T23:00:00.000Z"
