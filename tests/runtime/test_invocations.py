"""One of each trigger type, invoked through the worker."""

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from shared.kernel.clock import format_time
from shared.metering.events import decode_event
from shared.platform.events import EventBatch, StreamEvent
from tests.runtime.market import LONG_ANSWER, Ams
from tests.runtime.worker import Failed, Response, Worker

ARRIVES_S = 40.0
BATCH = "application/cloudevents-batch+json"


async def _stream(ams: Ams, count: int) -> list[StreamEvent]:
    """The first `count` events on the stream, once it has as many."""
    stop, found = asyncio.Event(), list[StreamEvent]()

    async def take(batch: EventBatch) -> None:
        found.extend(batch.events)
        if len(found) >= count:
            stop.set()

    async with asyncio.timeout(ARRIVES_S):
        await ams.application.ports.events.consume("test", take, stop)
    return found


def _event(id: str, at: datetime | None = None, **data: object) -> dict[str, object]:
    attributes = {"specversion": "1.0", "type": "ams.usage.v1", "source": "test", "id": id, "subject": "echo"}
    return {**attributes, "time": format_time(at or datetime.now(UTC)), "data": data}


async def _report(worker: Worker, ams: Ams, events: Sequence[dict[str, object]]) -> Response:
    headers = {"X-AMS-Key": ams.key, "Content-Type": BATCH}
    return await worker.http("consume", "POST", "/api/consume", headers=headers, body=json.dumps(events).encode())


async def _summary(worker: Worker, ams: Ams, query: str = "group_by=service") -> Response:
    """All usage that can be accepted: 36 days back to tomorrow."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    start, end = (format_time(today + timedelta(days=days)) for days in (-36, 2))
    return await worker.http(
        "portal",
        "GET",
        f"/api/v1/usage/summary?from={start}&to={end}&{query}",
        headers={"X-AMS-Key": ams.key},
        params={"route": "usage/summary"},
    )


async def test_a_usage_report_is_on_the_stream_when_it_is_accepted(worker: Worker, ams: Ams) -> None:
    response = await _report(worker, ams, [_event("a", executions=3), _event("b")])

    assert (response.status, response.headers["content-type"]) == (202, "application/json")
    assert response.json() == {
        "request_id": response.headers["x-ams-request-id"],
        "accepted": 2,
        "duplicates": 0,
        "rejected": [],
    }
    stored = [decode_event(event.body) for event in await _stream(ams, 2)]
    assert [(event.id, event.api_key_id, event.data.executions) for event in stored] == [
        ("a", "key_one", 3),
        ("b", "key_one", 0),
    ]


async def test_a_refusal_is_an_answer_and_not_a_failed_invocation(worker: Worker, ams: Ams) -> None:
    response = await worker.http("consume", "POST", "/api/consume", headers={"Content-Type": BATCH}, body=b"[]")

    assert (response.status, response.headers["content-type"]) == (401, "application/problem+json")
    assert response.json()["code"] == "key_missing"


async def test_a_call_reaches_the_upstream_and_is_counted(worker: Worker, ams: Ams) -> None:
    response = await worker.http(
        "consume_path",
        "PUT",
        "/api/consume/echo/a%20b/c?x=1&y=%2F",
        headers={"X-AMS-Key": ams.key, "X-Own": "kept", "Content-Length": "5", "Content-Type": "text/plain"},
        params={"service": "echo", "path": "a b/c"},
        body=b"h\xe4llo",
    )

    assert (response.status, response.body) == (201, b"PUT /base/a%20b/c?x=1&y=%2F kept h\xe4llo")
    assert response.headers["x-ams-answered-by"] == "upstream"
    assert response.headers["x-seen-key"] == "False"
    counted = decode_event((await _stream(ams, 1))[0].body)
    assert (counted.subject, counted.source, counted.id) == (
        "echo",
        "ams/consume",
        response.headers["x-ams-request-id"],
    )
    assert (counted.data.status_code, counted.data.request_bytes) == (201, 5)
    assert counted.data.response_bytes == len(response.body)


async def test_a_long_answer_of_unknown_length_arrives_whole(worker: Worker, ams: Ams) -> None:
    response = await worker.http(
        "consume_path", "GET", "/api/consume/echo/long", headers={"X-AMS-Key": ams.key}, params={"service": "echo"}
    )

    assert (response.status, response.body) == (200, LONG_ANSWER)
    assert "transfer-encoding" not in response.headers
    counted = decode_event((await _stream(ams, 1))[0].body)
    assert counted.data.response_bytes == len(LONG_ANSWER)


async def test_health_answers(worker: Worker, ams: Ams) -> None:
    live = await worker.http("health_live", "GET", "/api/health/live")
    ready = await worker.http("health_ready", "GET", "/api/health/ready")

    assert (live.status, live.json()) == (200, {"status": "pass"})
    assert (ready.status, ready.json()["status"]) == (200, "pass")
    assert set(ready.json()["checks"]) == {"documents", "events", "blobs", "secrets", "spool"}


async def test_metrics_are_rendered(worker: Worker, ams: Ams) -> None:
    await _report(worker, ams, [_event("a"), _event("b"), _event("c")])

    response = await worker.http("metrics", "GET", "/api/metrics")

    assert response.status == 200
    assert response.headers["content-type"].startswith("text/plain")
    lines = response.body.decode().splitlines()
    assert "ams_stream_lag_events 3.0" in lines


async def test_aggregated_events_are_visible_in_the_portal(worker: Worker, ams: Ams) -> None:
    await _report(worker, ams, [_event("a", executions=3), _event("b", executions=4)])
    events = await _stream(ams, 2)

    await worker.events("aggregate_usage", events)
    await worker.events("aggregate_usage", events)  # delivered again, as after a restart

    response = await _summary(worker, ams, "group_by=service,api_key")
    assert response.status == 200
    [item] = response.json()["items"]
    assert (item["service"], item["api_key"], item["requests"], item["executions"]) == ("svc_echo", "key_one", 2, 7)


async def test_the_portal_answers_a_bad_query_with_a_problem(worker: Worker, ams: Ams) -> None:
    response = await _summary(worker, ams, "group_by=colour")

    assert (response.status, response.headers["content-type"]) == (400, "application/problem+json")


async def test_bytes_that_are_no_event_are_parked_as_they_are(worker: Worker, ams: Ams) -> None:
    await _report(worker, ams, [_event("a")])
    [good] = await _stream(ams, 1)
    poison = b"\xff\x00 not json"

    await worker.events("aggregate_usage", [good._replace(body=poison), good])

    parked = [await ams.application.metering.parked.get(name) async for name in ams.application.metering.parked.names()]
    assert [(event.body, event.reason, event.partition_key) for event in parked if event] == [
        (poison, "unreadable", good.partition_key)
    ]
    assert (await _summary(worker, ams)).json()["total"]["requests"] == 1


async def test_a_batch_fails_without_the_document_store_and_is_counted_when_it_is_back(
    worker: Worker, ams: Ams
) -> None:
    await _report(worker, ams, [_event("a")])
    events = await _stream(ams, 1)

    with contextlib.closing(sqlite3.connect(ams.data / "documents.db")) as somebody_else:
        somebody_else.execute("BEGIN IMMEDIATE")
        with pytest.raises(Failed, match=r"DocumentsUnavailable.*locked"):
            await worker.events("aggregate_usage", events)

    await worker.events("aggregate_usage", events)
    assert (await _summary(worker, ams)).json()["total"]["requests"] == 1


async def test_the_timer_reconciles_a_closed_day(worker: Worker, ams: Ams) -> None:
    two_days_ago = datetime.now(UTC) - timedelta(days=2)
    await _report(worker, ams, [_event("a", two_days_ago), _event("b", two_days_ago)])
    await worker.events("aggregate_usage", await _stream(ams, 2))

    await worker.timer("reconcile_usage")

    report = await ams.application.metering.reconciler.report(two_days_ago.date())
    assert report is not None
    assert (report.records, report.differences, report.final) == (2, (), False)
