"""Forwarded calls: bodies far larger than what a worker may hold, and many calls at once."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.emulators.upstream import Request, raw
from tests.support.host.client import head
from tests.support.host.forwarding import Route
from tests.support.host.hosting import eventually
from tests.support.host.memory import GROWTH_BYTES_MAX, MIB, memory_watched

LARGE_BYTES = 200 * MIB

BLOCK = bytes(range(256)) * 4096


@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_200_mebibytes_pass_upwards_in_bounded_memory(route: Route, framing: str) -> None:
    fresh = route.another(request_bytes_max=2 * LARGE_BYTES)
    chunked = framing == "chunks"
    how = ("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(LARGE_BYTES))
    with memory_watched(route.host) as growth, route.host.client.connect() as connection:
        connection.send(head("PUT", fresh.target("up"), [("X-AMS-Key", fresh.customer.clear), how]))
        for _ in range(LARGE_BYTES // MIB):
            connection.send(b"%x\r\n%s\r\n" % (MIB, BLOCK) if chunked else BLOCK)
        if chunked:
            connection.send(b"0\r\n\r\n")
        given = connection.answer()
    assert fresh.arrived(given).received == LARGE_BYTES
    assert max(growth) < GROWTH_BYTES_MAX, growth
    assert route.host.counted(fresh.customer, 1)["request_bytes"] == LARGE_BYTES


@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_200_mebibytes_pass_downwards_in_bounded_memory_at_the_readers_pace(route: Route, framing: str) -> None:
    chunked = framing == "chunks"

    async def send_large(request: Request) -> None:
        await request.read()
        how = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {LARGE_BYTES}"
        await request.send(raw("HTTP/1.1 200 OK", how))
        for _ in range(LARGE_BYTES // MIB):
            await request.send(b"%x\r\n%s\r\n" % (MIB, BLOCK) if chunked else BLOCK)
        if chunked:
            await request.send(b"0\r\n\r\n")

    fresh = route.another()
    received = 0
    with memory_watched(route.host) as growth, route.host.client.connect() as connection:
        target = fresh.target(fresh.behave(send_large))
        connection.send(head("GET", target, [("X-AMS-Key", fresh.customer.clear)]))
        with connection.response() as response:
            first = response.read(MIB)
            assert first == BLOCK
            time.sleep(0.5)  # a slow reader: what the upstream has ready must wait there, not in the worker
            received = len(first)
            while part := response.read(MIB):
                received += len(part)
    assert received == LARGE_BYTES
    assert max(growth) < GROWTH_BYTES_MAX, growth
    assert route.host.counted(fresh.customer, 1)["response_bytes"] == LARGE_BYTES


def test_an_answer_flows_before_its_end_is_there(route: Route) -> None:
    """A consumer of a stream of events must not wait for the last one."""
    released = threading.Event()

    async def drip(request: Request) -> None:
        await request.send(raw("HTTP/1.1 200 OK", "Transfer-Encoding: chunked"), b"5\r\nfirst\r\n", b"6\r\nsecond\r\n")
        while not released.is_set():
            await request.pause()
        await request.send(b"4\r\nlast\r\n0\r\n\r\n")

    with route.host.client.connect() as connection:
        connection.send(head("GET", route.target(route.behave(drip)), [("X-AMS-Key", route.customer.clear)]))
        with connection.response() as response:
            assert response.read(11) == b"firstsecond"
            released.set()
            assert response.read() == b"last"


def test_50_calls_at_once_are_answered_and_counted_each(route: Route) -> None:
    fresh = route.another()

    def one(number: int) -> bool:
        body = b"%d" % number
        given = fresh.call(f"n/{number}", "POST", body=body)
        request = fresh.arrived(given)
        return given.status == 200 and request.target == f"/base/n/{number}" and bytes(request.body) == body

    with ThreadPoolExecutor(50) as pool:
        assert all(pool.map(one, range(500)))
    total = route.host.counted(fresh.customer, 500)
    assert total["status"] == {"200": 500}
    assert total["request_bytes"] == sum(len(str(number)) for number in range(500))


def test_50_waiting_calls_do_not_hold_up_another(route: Route) -> None:
    released = threading.Event()

    async def wait(request: Request) -> None:
        await request.read()
        while not released.is_set():
            await request.pause()
        await request.send(raw("HTTP/1.1 204 No Content"))

    path = route.behave(wait)
    with ThreadPoolExecutor(50) as pool:
        waiting = [pool.submit(route.call, path) for _ in range(50)]
        eventually(lambda: len(route.upstream.at(f"/base/{path}")), lambda arrived: arrived == 50)
        assert route.call("quick").status == 200  # while they wait: nobody has released them
        released.set()
        assert {call.result().status for call in waiting} == {204}
