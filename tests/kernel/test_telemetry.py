"""Lines of the log."""

import json
import logging
import re

from shared.kernel.telemetry import JsonFormatter, current_request_id, trace_id


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
