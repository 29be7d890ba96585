"""What crosses from consumer to upstream and back: headers, traces, keys, and paths that must not climb."""

import re

import pytest

from shared.kernel.errors import Problem
from shared.metering.consume.call import check_path
from shared.metering.consume.headers import HOP_BY_HOP, to_consumer, to_upstream, trace_of, traceparent
from shared.metering.consume.service import presented_key

TRACE = "00-" + "ab" * 16 + "-" + "cd" * 8 + "-01"


@pytest.mark.parametrize("name", sorted(HOP_BY_HOP))
def test_hop_by_hop_headers_cross_in_neither_direction(name):
    assert to_upstream({name.title(): "x", "X-Kept": "y"}) == {"X-Kept": "y"}
    assert to_consumer([(name.title(), "x"), ("X-Kept", "y")]) == {"x-kept": "y"}


def test_what_connection_names_does_not_cross():
    assert to_upstream({"Connection": "close, X-Private", "x-private": "1", "X-Kept": "2"}) == {"X-Kept": "2"}
    assert to_consumer([("connection", "X-Private"), ("X-Private", "1"), ("X-Kept", "2")]) == {"x-kept": "2"}


@pytest.mark.parametrize(
    "name",
    [
        "X-AMS-Key",
        "x-ams-service",
        "X-AMS-Anything",
        "Cookie",
        "Host",
        "Content-Length",
        "X-Forwarded-For",
        "Forwarded",
    ],
)
def test_keys_cookies_and_claims_do_not_reach_the_upstream(name):
    assert to_upstream({name: "x"}) == {}


@pytest.mark.parametrize("name", ["Set-Cookie", "X-AMS-Answered-By", "Access-Control-Allow-Origin", "Content-Length"])
def test_cookies_and_the_platforms_own_headers_do_not_reach_the_consumer(name):
    assert to_consumer([(name, "x")]) == {}


def test_an_ams_key_as_bearer_is_removed_and_another_credential_kept():
    assert to_upstream({"Authorization": "Bearer ams_live_x"}) == {}
    assert to_upstream({"authorization": "bearer  ams_live_x"}) == {}
    assert to_upstream({"Authorization": "Bearer eyJ"}) == {"Authorization": "Bearer eyJ"}
    assert to_upstream({"Authorization": "Basic YTpi"}) == {"Authorization": "Basic YTpi"}


def test_repeated_headers_of_an_answer_are_joined():
    assert to_consumer([("Vary", "a"), ("vary", "b")]) == {"vary": "a, b"}


def test_a_sound_trace_is_continued_under_a_new_parent():
    found = trace_of(TRACE)
    assert found == ("ab" * 16, "01")
    following = traceparent(*found)
    assert following.startswith("00-" + "ab" * 16)
    assert following != TRACE


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "x",
        TRACE[:-1],
        TRACE.upper(),
        TRACE + "0",
        TRACE.replace("ab", "00"),
        TRACE.replace("cd", "00"),
        TRACE.replace("00-", "ff-", 1),
        TRACE + "\n\n" + TRACE,
    ],
)
def test_anything_else_begins_a_new_trace(text):
    found, _ = trace_of(text)
    assert re.fullmatch(r"[0-9a-f]{32}", found)
    assert found not in ("ab" * 16, "00" * 16)


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ({}, None),
        ({"x-ams-key": "ams_a"}, "ams_a"),
        ({"authorization": "Bearer ams_a"}, "ams_a"),
        ({"x-ams-key": "ams_a", "authorization": "Bearer ams_a"}, "ams_a"),
        ({"x-ams-key": "ams_a, ams_a"}, "ams_a"),
        ({"x-ams-key": "ams_a", "authorization": "Bearer eyJ"}, "ams_a"),
        ({"authorization": "Basic YTpi"}, None),
        ({"x-ams-key": " "}, None),
    ],
)
def test_the_one_key_of_a_request_is_found(headers, key):
    assert presented_key(headers) == key


@pytest.mark.parametrize(
    "headers", [{"x-ams-key": "ams_a, ams_b"}, {"x-ams-key": "ams_a", "authorization": "Bearer ams_b"}]
)
def test_two_different_keys_are_refused(headers):
    with pytest.raises(Problem, match="400 key_ambiguous"):
        presented_key(headers)


@pytest.mark.parametrize(
    "path",
    [
        "..",
        "a/..",
        "a/../b",
        ".",
        "a/./b",
        "%2e%2e",
        "a/%2E%2e/b",
        "%252e%252e",
        "..%2fa",
        "a%2f..",
        "..\\a",
        "a%5c..",
        "..;x/a",
        "a/..;/b",
        ".;a",
        "/a",
        "//a",
        "a%00b",
        "a%2500b",
    ],
)
def test_a_path_that_could_climb_out_is_refused(path):
    with pytest.raises(Problem, match="400 path_invalid"):
        check_path(path)


@pytest.mark.parametrize("path", ["", "a", "a/b/", "a//b", "...", "a..b", "..a/b..", ".well-known/x", "caf%C3%A9"])
def test_an_ordinary_path_passes(path):
    check_path(path)
