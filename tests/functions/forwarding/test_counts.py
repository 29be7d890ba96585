"""Forwarded calls: the one event of each, with exactly the bytes that moved."""

import asyncio
import threading
from typing import Any

import pytest

from tests.emulators.upstream import Request, answer, raw, replying
from tests.support.host.client import Answer, head
from tests.support.host.forwarding import Route
from tests.support.host.hosting import eventually

BIG = 1024 * 1024
"""Over what is read whole, so that it is streamed."""


@pytest.fixture
def fresh(route: Route) -> Route:
    """A service and customer without usage."""
    return route.another()


def recorded(route: Route) -> dict[str, Any]:
    """The data of the customer's only event, with the defaults that are left out on the wire."""
    return {"request_bytes": 0, "response_bytes": 0, **route.host.record(route.customer)["data"]}


def chunked(*chunks: bytes) -> bytes:
    framed = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in (*chunks, b""))
    return raw("HTTP/1.1 200 OK", "Transfer-Encoding: chunked") + framed


def until_close(body: bytes) -> bytes:
    return raw("HTTP/1.1 200 OK", "Connection: close") + body


ANSWERS = {
    "empty": answer(200),
    "small": answer(200, b"x" * 17),
    "at the edge of reading whole": answer(200, b"x" * 64 * 1024),
    "over that edge": answer(200, b"x" * (64 * 1024 + 1)),
    "big": answer(200, b"x" * BIG),
    "chunks": chunked(b"a" * 10, b"b" * 7),
    "empty in chunks": chunked(),
    "big in chunks": chunked(b"a" * BIG, b"b"),
    "until it closes": until_close(b"z" * 100),
}


@pytest.mark.parametrize("whole", ANSWERS.values(), ids=ANSWERS.keys())
def test_response_bytes_are_those_of_the_body(fresh: Route, whole: bytes) -> None:
    given = fresh.call(fresh.behave(replying(whole)))
    assert given.status == 200
    data = recorded(fresh)
    assert (data["status_code"], data["request_bytes"], data["response_bytes"]) == (200, 0, len(given.body))


@pytest.mark.parametrize("size", [0, 1, 17, 65_536, BIG])
def test_request_bytes_are_those_of_the_body(fresh: Route, size: int) -> None:
    given = fresh.call("up", "POST", body=b"x" * size)
    assert fresh.arrived(given).received == size
    data = recorded(fresh)
    assert (data["request_bytes"], data["response_bytes"]) == (size, len(given.body))


@pytest.mark.parametrize("chunks", [(), (b"a",), (b"a" * 10, b"b" * 20), (b"x" * 65_536,) * 16])
def test_request_bytes_do_not_include_the_chunks_framing(fresh: Route, chunks: tuple[bytes, ...]) -> None:
    with fresh.host.client.connect() as connection:
        headers = [("X-AMS-Key", fresh.customer.clear), ("Transfer-Encoding", "chunked")]
        connection.send(head("PUT", fresh.target("up"), headers))
        connection.send_chunked(*chunks)
        given = connection.answer()
    assert fresh.arrived(given).received == recorded(fresh)["request_bytes"] == sum(map(len, chunks))


BODILESS = {
    "HEAD": ("HEAD", raw("HTTP/1.1 200 OK", "Content-Length: 4096"), 200, "4096"),
    "HEAD of a terabyte": ("HEAD", raw("HTTP/1.1 200 OK", f"Content-Length: {10**12}"), 200, str(10**12)),
    "HEAD in chunks": ("HEAD", raw("HTTP/1.1 200 OK", "Transfer-Encoding: chunked"), 200, None),
    "204": ("GET", raw("HTTP/1.1 204 No Content"), 204, None),
    "204 to DELETE": ("DELETE", raw("HTTP/1.1 204 No Content"), 204, None),
    "304": ("GET", raw("HTTP/1.1 304 Not Modified", 'ETag: "1"'), 304, None),
    "304 with the length of what it spares": ("GET", raw("HTTP/1.1 304 Not Modified", "Content-Length: 9"), 304, "9"),
}


@pytest.mark.parametrize(("method", "whole", "status", "length"), BODILESS.values(), ids=BODILESS.keys())
def test_an_answer_without_a_body_counts_no_bytes(
    fresh: Route, method: str, whole: bytes, status: int, length: str | None
) -> None:
    given = fresh.call(fresh.behave(replying(whole)), method)
    assert (given.status, given.body, given.one("content-length")) == (status, b"", length)
    data = recorded(fresh)
    assert (data["status_code"], data["response_bytes"]) == (status, 0)


def test_the_record_is_the_call(fresh: Route) -> None:
    given = fresh.call("a/b?secret=1", "PUT", body=b"12345")
    record = fresh.host.record(fresh.customer)
    assert record["id"] == given.request_id == fresh.arrived(given).one("x-ams-request-id")
    assert (record["source"], record["type"], record["subject"]) == ("ams/consume", "ams.usage.v1", fresh.service.slug)
    assert record["serviceid"] == fresh.service.id
    assert record["merchantid"] == fresh.service.merchant_id
    assert (record["consumerid"], record["apikeyid"]) == (fresh.customer.consumer.id, fresh.customer.key.id)
    data = record["data"]
    assert data["metadata"] == {"method": "PUT", "path": "a/b"}  # a query may hold secrets
    assert 0 < data["response_time_ms"] < 10_000
    assert fresh.host.counted(fresh.customer, 1)["status"] == {"200": 1}


@pytest.mark.parametrize("status", [201, 302, 400, 401, 404, 500, 503])
def test_the_upstreams_status_is_recorded_whatever_it_is(fresh: Route, status: int) -> None:
    assert fresh.call(fresh.behave(replying(answer(status, b"no")))).status == status
    assert recorded(fresh)["status_code"] == status
    assert fresh.host.counted(fresh.customer, 1)["status"] == {str(status): 1}


def test_calls_and_reports_are_summed(fresh: Route) -> None:
    given = [fresh.call("up", "POST", body=b"x" * size) for size in (1, 10, 100)]
    total = fresh.host.counted(fresh.customer, 3)
    assert total["request_bytes"] == 111
    assert total["response_bytes"] == sum(len(each.body) for each in given)
    assert total["status"] == {"200": 3}


def test_a_client_that_leaves_in_its_body_is_recorded_with_what_it_sent(fresh: Route) -> None:
    async def read_all(request: Request) -> None:
        await request.read()

    path = fresh.behave(read_all)
    with fresh.host.client.connect() as connection:
        headers = [("X-AMS-Key", fresh.customer.clear), ("Content-Length", "1000000")]
        connection.send(head("POST", fresh.target(path), headers) + b"x" * 1000)
        (request,) = eventually(lambda: fresh.upstream.at(f"/base/{path}"), lambda found: bool(found))
        eventually(lambda: request.received, lambda received: received == 1000)
        connection.reset()
    data = recorded(fresh)
    assert (data["status_code"], data["request_bytes"], data["response_bytes"]) == (499, 1000, 0)
    assert not request.complete


def test_a_client_that_leaves_in_the_answer_is_recorded_with_what_it_was_sent(fresh: Route) -> None:
    async def never_end(request: Request) -> None:
        await request.send(raw("HTTP/1.1 200 OK", f"Content-Length: {BIG}"), b"x" * 1000)
        await request.closed()

    with fresh.host.client.connect() as connection:
        connection.send(head("GET", fresh.target(fresh.behave(never_end)), [("X-AMS-Key", fresh.customer.clear)]))
        with connection.response() as response:
            assert response.status == 200
            connection.reset()
    data = recorded(fresh)
    assert data["status_code"] == 200
    assert data["response_bytes"] <= 1000


def test_a_client_that_leaves_before_the_answer_is_recorded(fresh: Route) -> None:
    """The upstream has worked for it, and nobody has begun to read."""

    gone = threading.Event()

    async def answer_late(request: Request) -> None:
        await request.read()
        await asyncio.to_thread(gone.wait)
        await request.send(raw("HTTP/1.1 200 OK", f"Content-Length: {BIG}"), b"x" * BIG)

    path = fresh.behave(answer_late)
    with fresh.host.client.connect() as connection:
        connection.send(head("GET", fresh.target(path), [("X-AMS-Key", fresh.customer.clear)]))
        eventually(lambda: fresh.upstream.at(f"/base/{path}"), bool)
        connection.reset()
    gone.set()
    assert recorded(fresh)["status_code"] == 200


def broken_half_way(*parts: bytes) -> Any:
    async def behave(request: Request) -> None:
        await request.read()
        await request.send(*parts)
        request.reset()

    return behave


def test_a_small_answer_that_breaks_off_is_a_502_and_recorded_as_one(fresh: Route) -> None:
    half = raw("HTTP/1.1 200 OK", "Content-Length: 100") + b"x" * 50
    fresh.call(fresh.behave(replying(half))).problem(502, "upstream_unreachable")
    data = recorded(fresh)
    assert (data["status_code"], data["response_bytes"]) == (502, 0)


@pytest.mark.parametrize(
    "headers", [(f"Content-Length: {2 * BIG}",), ("Transfer-Encoding: chunked",)], ids=["length", "chunks"]
)
def test_a_long_answer_that_breaks_off_breaks_off_for_the_consumer_too(fresh: Route, headers: tuple[str, ...]) -> None:
    size = b"" if "Length" in headers[0] else b"%x\r\n" % (2 * BIG)
    half = raw("HTTP/1.1 200 OK", *headers) + size + b"x" * BIG
    with fresh.host.client.connect() as connection:
        target = fresh.target(fresh.behave(replying(half)))
        connection.send(head("GET", target, [("X-AMS-Key", fresh.customer.clear)]))
        taken = drained(connection.socket)
    before_body = taken.index(b"\r\n\r\n") + 4
    assert not taken.endswith(b"0\r\n\r\n"), "half an answer must not look whole"
    data = recorded(fresh)
    assert data["status_code"] == 200
    assert 0 < data["response_bytes"] <= BIG
    assert taken[before_body:].count(b"x") == data["response_bytes"]


def drained(socket: Any) -> bytes:
    """Everything until the other side closes."""
    parts = []
    while part := socket.recv(1024 * 1024):
        parts.append(part)
    return b"".join(parts)


def test_what_ams_refuses_is_not_recorded(route: Route) -> None:
    fresh = route.another(request_bytes_max=100)
    before = len(route.upstream.requests)
    refused: list[Answer] = [
        fresh.call("../x"),
        fresh.call("up", "POST", body=b"x" * 101),
        fresh.host.client.call("GET", fresh.target("x"), None),
        fresh.host.client.call("GET", "/api/consume/nobody/x", fresh.customer.clear),
    ]
    assert [answer.status for answer in refused] == [400, 413, 401, 403]
    assert len(route.upstream.requests) == before
    assert fresh.host.settled(fresh.customer)["events"] == 0


def test_a_body_that_turns_out_too_long_is_refused_and_not_recorded(route: Route) -> None:
    fresh = route.another(request_bytes_max=100)
    with fresh.host.client.connect() as connection:
        headers = [("X-AMS-Key", fresh.customer.clear), ("Transfer-Encoding", "chunked")]
        connection.send(head("POST", fresh.target("up"), headers))
        connection.send_chunked(b"x" * 60, b"x" * 60)
        connection.answer().problem(413, "request_too_large")
    assert fresh.host.settled(fresh.customer)["events"] == 0


@pytest.mark.parametrize("shards", [1, 4])
def test_every_shard_counts_its_calls(route: Route, shards: int) -> None:
    customer = route.operator.customer(route.service, shards=shards)
    for _ in range(12):
        assert route.host.forward(customer, route.service, "x").status == 200
    assert route.host.counted(customer, 12)["requests"] == 12
