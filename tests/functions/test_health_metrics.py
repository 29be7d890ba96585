"""Health with reasons, metrics over all processes, and logs that hold neither keys nor bodies."""

import json
import re
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPException
from typing import Any

import pytest

from tests.emulators.upstream import UpstreamPeer, answer, raw, replying
from tests.support.host.client import EVENT
from tests.support.host.forwarding import Route
from tests.support.host.hosting import Host, Operator, eventually, hosting
from tests.support.host.usage_reports import event

CHECKS = {"documents", "events", "blobs", "secrets", "spool"}
MARK = "a-mark-that-no-log-may-hold"


def ready(host: Host) -> tuple[int, dict[str, Any]]:
    answer = host.client.call("GET", "/api/health/ready")
    return answer.status, answer.json()


def test_live_and_ready_pass(host: Host) -> None:
    live = host.client.call("GET", "/api/health/live")
    assert (live.status, live.json(), live.one("cache-control")) == (200, {"status": "pass"}, "no-store")
    assert ready(host) == (200, {"status": "pass", "checks": {name: {"status": "pass"} for name in CHECKS}})


@pytest.fixture
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Host, Operator]]:
    """A host whose data a test may spoil."""
    with hosting(tmp_path_factory.mktemp("own") / "data", 1) as host, Operator(host.data) as operator:
        yield host, operator


@pytest.mark.parametrize(("file", "check"), [("documents.db", "documents"), ("events.db", "events")])
def test_a_locked_store_fails_ready_with_its_reason_and_live_goes_on(
    own: tuple[Host, Operator], file: str, check: str
) -> None:
    host, operator = own
    service = operator.service()
    customer = operator.customer(service)
    with closing(sqlite3.connect(host.data / file, isolation_level=None)) as outside:
        outside.execute("BEGIN EXCLUSIVE")
        status, document = ready(host)
        assert (status, document["status"]) == (503, "fail")
        assert document["checks"].pop(check)["status"] == "fail"
        assert host.client.call("GET", "/api/health/live").status == 200
        if check == "events":
            assert "locked" in ready(host)[1]["checks"]["events"]["reason"]
            refused = host.client.report(customer.clear, event(service))
            refused.problem(503, "service_unavailable")
            assert refused.one("retry-after") == "1"
        outside.execute("ROLLBACK")
    eventually(lambda: ready(host)[0], lambda status: status == 200)
    assert host.client.report(customer.clear, event(service)).status == 202
    assert host.settled(customer)["events"] == 1


def test_a_data_folder_that_cannot_be_used_fails_ready(tmp_path_factory: pytest.TempPathFactory) -> None:
    with hosting(tmp_path_factory.mktemp("own") / "data", 1) as host:
        blobs = host.data / "blobs"
        eventually(blobs.exists, bool)
        blobs.rename(host.data / "elsewhere")
        blobs.write_text("not a folder")
        status, document = ready(host)
        assert (status, document["checks"]["blobs"]["status"]) == (503, "fail")
        assert document["checks"]["blobs"]["reason"]
        assert host.client.call("GET", "/api/health/live").status == 200
        blobs.unlink()
        (host.data / "elsewhere").rename(blobs)
        assert ready(host)[0] == 200


# Counters with labels are not there before their first count: parked events and request units are missing here.
NAMES = {
    "ams_consume_requests_total": "counter",
    "ams_consume_seconds": "histogram",
    "ams_upstream_seconds": "histogram",
    "ams_usage_events_accepted_total": "counter",
    "ams_usage_events_counted_total": "counter",
    "ams_usage_events_duplicate_total": "counter",
    "ams_aggregate_batch_seconds": "histogram",
    "ams_reconcile_differences_total": "counter",
    "ams_spool_events": "gauge",
    "ams_stream_lag_events": "gauge",
    "ams_stream_lag_seconds": "gauge",
    "ams_cosmos_throttled_total": "counter",
}


def test_every_metric_is_named_with_its_type(host: Host, route: Route) -> None:
    assert route.call("x").status == 200
    given = host.client.call("GET", "/api/metrics")
    assert given.status == 200
    assert (given.one("content-type") or "").startswith("text/plain; version=")
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", given.body.decode(), re.MULTILINE))
    assert types.items() >= NAMES.items(), set(NAMES.items()) - set(types.items())


def test_numbers_move_over_all_processes(route: Route) -> None:
    host, fresh = route.host, route.another()
    series = {
        "forwarded": ("ams_consume_requests_total", {"way": "forward", "outcome": "forwarded"}),
        "refused": ("ams_consume_requests_total", {"way": "forward", "outcome": "path_invalid"}),
        "broken": ("ams_consume_requests_total", {"way": "forward", "outcome": "upstream_unreachable"}),
        "reported": ("ams_consume_requests_total", {"way": "report", "outcome": "accepted"}),
        "partly": ("ams_consume_requests_total", {"way": "report", "outcome": "partly_accepted"}),
        "strangers": ("ams_consume_requests_total", {"way": "report", "outcome": "key_missing"}),
        "by forward": ("ams_usage_events_accepted_total", {"way": "forward"}),
        "by report": ("ams_usage_events_accepted_total", {"way": "report"}),
        "counted": ("ams_usage_events_counted_total", {}),
        "duplicate": ("ams_usage_events_duplicate_total", {}),
        "latency": ("ams_consume_seconds_count", {"way": "forward"}),
        "upstream": ("ams_upstream_seconds_count", {}),
    }
    for waiting in ("ams_spool_events", "ams_stream_lag_events"):  # of tests before this one
        eventually(lambda waiting=waiting: host.metric(waiting), lambda events: events == 0)  # type: ignore[misc]  # default binds the loop variable
    before = {name: host.metric(metric, **labels) for name, (metric, labels) in series.items()}
    broken = fresh.behave(replying(b""))
    twice = event(fresh.service)
    with ThreadPoolExecutor(8) as pool:  # enough to meet both workers
        assert {given.status for given in pool.map(fresh.call, ["x"] * 30)} == {200}
    for _ in range(2):
        fresh.call("../x").problem(400, "path_invalid")
        assert host.client.report(fresh.customer.clear, twice).status == 202
    fresh.call(broken, "POST", body=b"x").problem(502, "upstream_unreachable")
    assert host.client.report(fresh.customer.clear, event(fresh.service), event("nobody")).status == 202
    host.client.post(None, b"{}", EVENT).problem(401, "key_missing")
    host.counted(fresh.customer, 33)

    def moved() -> dict[str, float]:
        return {name: host.metric(metric, **labels) - before[name] for name, (metric, labels) in series.items()}

    expected = {
        "forwarded": 30,
        "refused": 2,
        "broken": 1,
        "reported": 2,
        "partly": 1,
        "strangers": 1,
        "by forward": 31,
        "by report": 3,
        "counted": 33,
        "duplicate": 1,
        "latency": 33,
        "upstream": 30,
    }
    assert eventually(moved, lambda found: found == expected) == expected


def test_the_lag_is_measured_when_it_is_asked_for(host: Host, route: Route) -> None:
    assert route.call("x").status == 200
    for name in ("ams_stream_lag_events", "ams_stream_lag_seconds", "ams_spool_events"):
        eventually(lambda name=name: host.metric(name), lambda value: value == 0)  # type: ignore[misc]  # a default binds the loop's variable


def test_every_worker_tells_the_sum_of_all(host: Host) -> None:
    before = host.metric("ams_consume_requests_total", outcome="key_missing")
    for number in range(1, 21):
        host.client.post(None, b"{}", EVENT).problem(401, "key_missing")
        assert host.metric("ams_consume_requests_total", outcome="key_missing") == before + number


def test_logs_are_json_lines_with_ids_and_without_keys_and_bodies(
    tmp_path_factory: pytest.TempPathFactory, upstream: UpstreamPeer
) -> None:
    """At the most talkative level, over good calls, refusals and failures."""
    trace = "0af7651916cd43dd8448eb211c80319c"
    folder = tmp_path_factory.mktemp("logs") / "data"
    with hosting(folder, 2, AMS_LOG_LEVEL="debug") as host, Operator(host.data) as operator:
        route = Route.make(host, operator, upstream)
        key = route.customer.clear
        marked = event(route.service, data={"metadata": {"note": MARK}})
        assert host.client.report(key, marked).status == 202
        host.client.report(key, event(route.service, id=MARK, data={"requests": -1})).problem(422, "event_invalid")
        host.client.post(key, f'{{"id": "{MARK}'.encode(), EVENT).problem(400, "body_invalid")
        two = [("Authorization", f"Bearer {key}"), ("X-AMS-Key", key[:-1] + "_"), ("Content-Type", EVENT)]
        host.client.call("POST", "/api/consume", None, two, MARK.encode()).problem(400, "key_ambiguous")
        assert route.call("x", "POST", body=MARK.encode()).status == 200
        assert route.call(route.behave(replying(answer(200, MARK.encode())))).body == MARK.encode()
        route.call(route.behave(replying(b"")), "POST", body=MARK.encode()).problem(502, "upstream_unreachable")
        half = raw("HTTP/1.1 200 OK", "Transfer-Encoding: chunked") + b"%x\r\n%s\r\n" % (len(MARK), MARK.encode())
        with pytest.raises(HTTPException):
            route.call(route.behave(replying(half)))
        with closing(sqlite3.connect(host.data / "events.db", isolation_level=None)) as outside:
            outside.execute("BEGIN EXCLUSIVE")
            refused = host.client.call(
                "POST",
                "/api/consume",
                key,
                [("Content-Type", EVENT), ("traceparent", f"00-{trace}-{'1' * 16}-01")],
                json.dumps(event(route.service, data={"metadata": {"note": MARK}})).encode(),
            )
            refused.problem(503, "service_unavailable")
            outside.execute("ROLLBACK")
        host.client.call("GET", "/api/v1/usage/summary", key)
        host.stop()
        text = host.log.read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert lines
    for line in lines:
        assert {"time", "level", "logger", "message"} <= set(line), line
    told = [line for line in lines if line.get("request_id") == refused.request_id]
    assert [line["trace_id"] for line in told] == [trace] * len(told)
    assert told, "a failure is logged with the id that its caller was given"
    for secret in (key, key[9:], route.customer.marker, MARK, "a pepper for tests"):
        assert secret not in text


def test_a_call_that_breaks_is_not_a_stack_trace_each(route: Route) -> None:
    """An upstream that breaks off is its merchant's failure, and may do so a thousand times an hour."""
    size = route.host.log.stat().st_size
    half = raw("HTTP/1.1 200 OK", "Transfer-Encoding: chunked") + b"5\r\n12345\r\n"
    path = route.behave(replying(half))
    with route.host.client.connect() as connection:
        connection.send(
            f"GET {route.target(path)} HTTP/1.1\r\nHost: a\r\nX-AMS-Key: {route.customer.clear}\r\n\r\n".encode()
        )
        while connection.socket.recv(65_536):
            pass
    told = eventually(lambda: [line for line in route.host.log.read_text()[size:].splitlines() if path in line], bool)
    assert "broke off" in told[0]
    assert "Traceback" not in told[0]
