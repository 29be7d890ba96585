"""Forwarded calls to upstreams that fail, lie or lead elsewhere: one clear problem each, in bounded time and memory."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.emulators.upstream import Behaviour, Request, UpstreamPeer, answer, raw, replying
from tests.support.host.client import head
from tests.support.host.forwarding import Route
from tests.support.host.hosting import Host, Operator, hosting
from tests.support.host.limits import LATE_S
from tests.support.host.memory import GROWTH_BYTES_MAX, memory_watched

MIB = 1024 * 1024
TEN_GIGABYTES = 10 * 10**9
TIMEOUT_S = 0.5
HEAD_S = 4.0
"""A timeout for what hangs later than in its head, which has to arrive in time also on a busy machine."""


@pytest.fixture
def impatient(route: Route) -> Route:
    return route.another(timeout_s=TIMEOUT_S)


async def hang(request: Request) -> None:
    await request.read()
    await request.closed()


async def hang_in_the_head(request: Request) -> None:
    await request.read()
    await request.send(b"HTTP/1.1 200 OK\r\nContent-Le")
    await request.closed()


async def hang_in_a_short_body(request: Request) -> None:
    await request.read()
    await request.send(raw("HTTP/1.1 200 OK", "Content-Length: 10"), b"12345")
    await request.closed()


@pytest.mark.parametrize("behaviour", [hang, hang_in_the_head, hang_in_a_short_body])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_upstream_that_hangs_is_a_504_and_recorded(impatient: Route, behaviour: Behaviour, method: str) -> None:
    started = time.monotonic()
    body = b"body" if method == "POST" else None
    impatient.call(impatient.behave(behaviour), method, body=body).problem(504, "upstream_timeout")
    assert TIMEOUT_S <= time.monotonic() - started < TIMEOUT_S + LATE_S
    assert impatient.host.record(impatient.customer)["data"]["status_code"] == 504
    assert impatient.host.counted(impatient.customer, 1)["status"] == {"504": 1}


def test_an_upstream_that_hangs_in_a_long_body_breaks_the_answer_off(route: Route) -> None:
    impatient = route.another(timeout_s=HEAD_S)

    async def hang_in_a_long_body(request: Request) -> None:
        await request.read()
        await request.send(raw("HTTP/1.1 200 OK", "Transfer-Encoding: chunked"), b"5\r\n12345\r\n")
        await request.closed()

    with impatient.host.client.connect() as connection:
        started = time.monotonic()
        target = impatient.target(impatient.behave(hang_in_a_long_body))
        connection.send(head("GET", target, [("X-AMS-Key", impatient.customer.clear)]))
        taken = bytearray()
        while part := connection.socket.recv(65_536):
            taken += part
        assert time.monotonic() - started < HEAD_S + LATE_S
    assert taken.endswith(b"5\r\n12345\r\n")
    assert impatient.host.record(impatient.customer)["data"]["response_bytes"] == 5


async def reset(request: Request) -> None:
    await request.read()
    request.reset()


async def close(request: Request) -> None:
    await request.read()
    request.close()


NO_HTTP: dict[str, Behaviour] = {
    "resets": reset,
    "closes": close,
    "resets in the head": replying(b"HTTP/1.1 200 OK\r\nContent-"),
    "not HTTP": replying(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"),
    "TLS": replying(b"\x15\x03\x01\x00\x02\x02\x46\r\n\r\n"),
    "a status that is no number": replying(raw("HTTP/1.1 OK OK")),
    "status 1000": replying(raw("HTTP/1.1 1000 What", "Content-Length: 0")),
    "status 600": replying(answer(600, b"x")),
    "status 999": replying(answer(999, b"x")),
    "status 101": replying(raw("HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: upgrade")),
    "HTTP/2": replying(b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\r\n\r\n"),
    "a length that is no number": replying(raw("HTTP/1.1 200 OK", "Content-Length: many") + b"x"),
    "a negative length": replying(raw("HTTP/1.1 200 OK", "Content-Length: -1") + b"x"),
    "a length beyond 64 bits": replying(raw("HTTP/1.1 200 OK", f"Content-Length: {10**30}") + b"x"),
    "two lengths": replying(raw("HTTP/1.1 200 OK", "Content-Length: 1", "Content-Length: 2") + b"xx"),
    "length and chunks": replying(raw("HTTP/1.1 200 OK", "Content-Length: 1", "Transfer-Encoding: chunked") + b"x"),
    "less than its length": replying(raw("HTTP/1.1 200 OK", "Content-Length: 10") + b"12345"),
    "a header without end": replying(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 100_000 + b"\r\n\r\n"),
    "10,000 headers": replying(raw("HTTP/1.1 200 OK", *(f"X-{n}: 1" for n in range(10_000)))),
    "a control character in a header": replying(raw("HTTP/1.1 200 OK", "X-Bad: a\x01b", "Content-Length: 0")),
    "NUL in a header": replying(raw("HTTP/1.1 200 OK", "X-Bad: a\0b", "Content-Length: 0")),
    "a header without a name": replying(raw("HTTP/1.1 200 OK", ": x", "Content-Length: 0")),
}


@pytest.mark.parametrize("behaviour", NO_HTTP.values(), ids=NO_HTTP.keys())
def test_an_answer_that_cannot_be_passed_on_is_a_502_and_recorded(route: Route, behaviour: Behaviour) -> None:
    fresh = route.another()
    given = fresh.call(fresh.behave(behaviour), "POST", body=b"12")
    given.problem(502, "upstream_unreachable")
    assert given.one("x-ams-answered-by") == "ams"
    data = fresh.host.record(fresh.customer)["data"]
    assert (data["status_code"], data.get("response_bytes", 0)) == (502, 0)


def test_broken_chunks_break_the_answer_off(route: Route) -> None:
    for rubbish in (b"zz\r\nabc\r\n", b"-1\r\n\r\n", b"fffffffffffffffff\r\nabc", b"3\r\nabcdef\r\n0\r\n\r\n"):
        whole = raw("HTTP/1.1 200 OK", "Transfer-Encoding: chunked") + rubbish
        with route.host.client.connect() as connection:
            target = route.target(route.behave(replying(whole)))
            connection.send(head("GET", target, [("X-AMS-Key", route.customer.clear), ("Connection", "close")]))
            taken = bytearray()
            while part := connection.socket.recv(65_536):
                taken += part
        assert b"502 Bad Gateway" in taken or not taken.endswith(b"0\r\n\r\n"), rubbish


def test_more_than_its_length_is_cut(route: Route) -> None:
    given = route.call(route.behave(replying(raw("HTTP/1.1 200 OK", "Content-Length: 3") + b"abcdef")))
    assert (given.status, given.body) in [(200, b"abc"), (502, given.body)]


def test_nobody_at_the_upstreams_port_is_a_502(route: Route) -> None:
    with socket.socket() as taken:  # bound but not listening, so that nobody else comes to be there
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        service = route.operator.service(f"http://127.0.0.1:{port}")
        customer = route.operator.customer(service)
        problem = route.host.forward(customer, service, "x").problem(502, "upstream_unreachable")
    assert str(port) not in problem["detail"], "the address is the merchant's business"
    assert route.host.record(customer)["data"]["status_code"] == 502


def test_ten_gigabytes_announced_are_refused_before_they_come(route: Route) -> None:
    fresh = route.another()
    sent: list[int] = []

    async def announce(request: Request) -> None:
        await request.read()
        await request.send(raw("HTTP/1.1 200 OK", f"Content-Length: {TEN_GIGABYTES}"))
        sent.append(await flood(request, b"x" * MIB))

    with memory_watched(route.host) as growth:
        given = fresh.call(fresh.behave(announce))
    given.problem(502, "upstream_response_too_large")
    assert max(growth) < GROWTH_BYTES_MAX, growth
    assert fresh.host.record(fresh.customer)["data"]["status_code"] == 502
    assert sum(sent) < 100 * MIB


async def flood(request: Request, part: bytes) -> int:
    """Send as long as anybody listens, up to ten gigabytes. Returns how much."""
    sent = 0
    try:
        while sent < TEN_GIGABYTES:
            await request.send(part)
            sent += len(part)
    except ConnectionError:
        return sent
    return sent


def test_ten_gigabytes_in_chunks_end_at_the_services_limit(route: Route) -> None:
    limit = 50 * MIB
    fresh = route.another(response_bytes_max=limit)

    async def pour(request: Request) -> None:
        await request.read()
        await request.send(raw("HTTP/1.1 200 OK", "Transfer-Encoding: chunked"))
        await flood(request, b"100000\r\n%s\r\n" % (b"x" * MIB))

    received = 0
    with memory_watched(route.host) as growth, fresh.host.client.connect() as connection:
        connection.send(head("GET", fresh.target(fresh.behave(pour)), [("X-AMS-Key", fresh.customer.clear)]))
        while part := connection.socket.recv(MIB):
            received += len(part)
    assert limit * 0.9 < received < limit * 1.1
    assert max(growth) < GROWTH_BYTES_MAX, growth
    data = fresh.host.record(fresh.customer)["data"]
    assert limit * 0.9 < data["response_bytes"] <= limit


@contextmanager
def public_only(folder: str, factory: pytest.TempPathFactory) -> Iterator[Host]:
    with hosting(factory.mktemp(folder) / "data", 1, AMS_UPSTREAM_ALLOW_PRIVATE="false") as running:
        yield running


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Host, Operator]]:
    """A host as it is by default: it calls public addresses only."""
    with public_only("strict", tmp_path_factory) as host, Operator(host.data) as operator:
        yield host, operator


PRIVATE_HOSTS = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "2130706433",
    "0177.0.0.1",
    "017700000001",
    "0x7f.0.0.1",
    "0x7f000001",
    "0.0.0.0",
    "0",
    "localhost",
    "LOCALHOST",
    "127.0.0.1.",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[0:0:0:0:0:ffff:7f00:0001]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "[fe80::1]",
    "[fe80::1%25lo]",
    "[fc00::1]",
    "[ff02::1]",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "[::ffff:169.254.169.254]",
    "[fd00:ec2::254]",
    "168.63.129.16",
    "192.0.0.192",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "240.0.0.1",
    "%31%32%37.0.0.1",
    "127。0。0。1",
    "１２７.0.0.1",
    "⑴27.0.0.1",
    "127.0.0.1%00.example.com",
]


@pytest.mark.parametrize("name", PRIVATE_HOSTS)
def test_no_spelling_of_a_private_address_is_called(
    strict: tuple[Host, Operator], upstream: UpstreamPeer, name: str
) -> None:
    host, operator = strict
    before = len(upstream.requests)
    service = operator.service(f"http://{name}:{upstream.port}/base")
    customer = operator.customer(service)
    problem = host.forward(customer, service, "x").problem(502, "upstream_unreachable")
    assert name not in problem["detail"]
    assert len(upstream.requests) == before


@pytest.mark.parametrize(
    "path", ["@127.0.0.1/", ":80@127.0.0.1:%d/", "x@127.0.0.1", "%40127.0.0.1/", "http://127.0.0.1/"]
)
def test_no_path_leads_to_another_host(strict: tuple[Host, Operator], upstream: UpstreamPeer, path: str) -> None:
    host, operator = strict
    before = len(upstream.requests)
    service = operator.service(f"http://127.0.0.1:{upstream.port}")
    customer = operator.customer(service)
    host.forward(customer, service, path.replace("%d", str(upstream.port))).problem(502, "upstream_unreachable")
    assert len(upstream.requests) == before


def test_user_names_in_an_upstream_are_refused_where_it_is_described(operator: Operator) -> None:
    for url in (
        "http://public.example@127.0.0.1/",
        "http://a:b@127.0.0.1/",
        "http://127.0.0.1#@public.example/",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "//127.0.0.1/",
        "http:///x",
    ):
        with pytest.raises(ValueError):
            operator.service(url)


def test_a_call_to_a_refused_address_is_the_consumers_usage_with_its_502(strict: tuple[Host, Operator]) -> None:
    host, operator = strict
    service = operator.service("http://169.254.169.254/latest/meta-data")
    customer = operator.customer(service)
    problem = host.forward(customer, service, "iam").problem(502, "upstream_unreachable")
    assert "not public" in problem["detail"]
    assert host.record(customer)["data"]["status_code"] == 502
