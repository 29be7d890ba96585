"""The kernel: ids, time, problems and logs."""

import json
import logging
import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.kernel.clock import format_time, parse_time, utc_now
from shared.kernel.errors import FieldError, Problem
from shared.kernel.http.problems import problem_document, unavailable
from shared.kernel.ids import new_id
from shared.kernel.telemetry import JsonFormatter, current_request_id, trace_id

MOMENTS = st.datetimes(datetime(1970, 1, 2), datetime(9999, 12, 30), timezones=st.timezones())  # noqa: DTZ001 - hypothesis adds the zone


def test_10000_ids_are_different_and_have_one_shape():
    ids = {new_id("req") for _ in range(10_000)}
    assert len(ids) == 10_000
    assert all(re.fullmatch(r"req_[0-9a-f]{32}", one) for one in ids)


def test_ids_sort_by_creation(monkeypatch):
    now = iter([10**15, 10**15 + 10**6, 2 * 10**18, 2 * 10**18 + 10**6])
    monkeypatch.setattr("shared.kernel.ids.time.time_ns", lambda: next(now))
    ids = [new_id("req") for _ in range(4)]
    assert ids == sorted(ids)


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


def test_a_problem_becomes_an_rfc_9457_document():
    problem = Problem(422, "event_invalid", "`id` is required.", errors=(FieldError("id", "is required"),))
    assert problem_document(problem, "req_1") == {
        "type": "urn:ams:problem:event_invalid",
        "title": "Unprocessable Entity",
        "status": 422,
        "code": "event_invalid",
        "detail": "`id` is required.",
        "request_id": "req_1",
        "errors": [{"field": "id", "rule": "is required"}],
    }


def test_a_problem_of_no_field_lists_none_and_an_odd_status_has_a_title():
    document = problem_document(Problem(499, "gone", "Gone."), "req_1")
    assert "errors" not in document
    assert document["title"] == "Error"


def test_what_is_unavailable_is_a_503_to_be_tried_again():
    assert (unavailable().status, unavailable().headers["Retry-After"]) == (503, "1")


def log_line(message: str, *args: object, extra: dict[str, object] | None = None, exc_info: object = None) -> dict:
    record = logging.getLogger("tests").makeRecord(
        "tests", logging.WARNING, "file.py", 1, message, args, exc_info, extra=extra
    )
    text = JsonFormatter().format(record)
    assert "\n" not in text
    return json.loads(text)


def test_a_log_line_holds_what_was_given_and_nothing_else():
    line = log_line("shipped %d", 3, extra={"partition": "con_1:0"})
    assert re.fullmatch(r"\d{4}-.*Z", line.pop("time"))
    assert line == {"level": "warning", "logger": "tests", "message": "shipped 3", "partition": "con_1:0"}


def test_a_log_line_carries_the_ids_of_its_request():
    tokens = (current_request_id.set("req_1"), trace_id.set("ab" * 16))
    try:
        line = log_line("hello")
    finally:
        current_request_id.reset(tokens[0])
        trace_id.reset(tokens[1])
    assert (line["request_id"], line["trace_id"]) == ("req_1", "ab" * 16)
    assert "request_id" not in log_line("hello")


def test_a_log_line_is_one_line_whatever_is_in_it():
    assert log_line("two\nlines")["message"] == "two\nlines"
    assert log_line("x", extra={"value": object})["value"].startswith("<class")


def test_a_log_line_tells_the_exception():
    try:
        raise ValueError("the reason")
    except ValueError as error:
        line = log_line("failed", exc_info=(type(error), error, error.__traceback__))
    assert "ValueError: the reason" in line["exception"]


def test_extra_fields_cannot_replace_what_the_formatter_says():
    line = log_line("hello", extra={"time": "never", "level": "debug", "logger": "me"})
    assert (line["level"], line["logger"]) == ("warning", "tests")
    assert line["time"] != "never"
