"""The upstream port over real sockets: what is sent, what comes back, and where no call may go."""

import asyncio
import ipaddress
import socket
import time
from collections.abc import AsyncIterator, Iterator

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from shared.platform.upstream import (
    Upstream,
    UpstreamRequest,
    UpstreamResponse,
    UpstreamTimeout,
    UpstreamUnreachable,
    http,
    is_public,
)
from shared.platform.upstream.http import NOT_PUBLIC, HttpUpstream
from tests.emulators.upstream import Request, UpstreamPeer, answer, raw, replying
from tests.hosting import eventually

NAME = "api.merchant.example"
OUTSIDE = "127.0.0.2"


@pytest.fixture(scope="module")
def peer() -> Iterator[UpstreamPeer]:
    with UpstreamPeer() as running:
        yield running


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    opened = HttpUpstream(allow_private=True)
    yield opened
    await opened.close()


def get(url: str, timeout_s: float = 5.0) -> UpstreamRequest:
    return UpstreamRequest("GET", url, {"X-Mine": "1"}, None, None, timeout_s)


def post(url: str, body: AsyncIterator[bytes], length: int | None = None) -> UpstreamRequest:
    return UpstreamRequest("POST", url, {}, body, length, 5.0)


async def parts(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def whole(response: UpstreamResponse) -> bytes:
    body = b"".join([chunk async for chunk in response.chunks()])
    response.close()
    return body


async def test_the_url_is_used_byte_for_byte_and_no_header_is_added(peer: UpstreamPeer, upstream: Upstream) -> None:
    target = "/a//b%2Fc%7e/../%C3%A9;v=1?x=%20+&y=[1]&&"
    response = await upstream.send(get(peer.url + target))
    response.close()
    request = peer.requests[-1]
    assert (request.method, request.target, request.version) == ("GET", target, "HTTP/1.1")
    assert request.headers == [("Host", peer.url.removeprefix("http://")), ("X-Mine", "1")]


async def test_a_body_goes_with_its_length_or_in_chunks(peer: UpstreamPeer, upstream: Upstream) -> None:
    for length, framing in ((6, ("6", None)), (None, (None, "chunked"))):
        response = await upstream.send(post(peer.url, parts(b"abc", b"def"), length))
        await whole(response)
        request = peer.requests[-1]
        assert bytes(request.body) == b"abcdef"
        assert (request.one("content-length"), request.one("transfer-encoding")) == framing


async def test_an_answer_is_read_whole_or_in_chunks_and_never_decoded(peer: UpstreamPeer, upstream: Upstream) -> None:
    packed = b"\x1f\x8b\x08 this is not really gzip"
    peer.behaviours["/packed"] = replying(answer(203, packed, "Content-Encoding: gzip", "X-A: 1", "x-a: 2"))
    response = await upstream.send(get(f"{peer.url}/packed"))
    assert (response.status, response.content_length) == (203, len(packed))
    assert [value for name, value in response.headers if name.lower() == "x-a"] == ["1", "2"]
    assert await response.read() == packed
    response.close()
    assert await whole(await upstream.send(get(f"{peer.url}/packed"))) == packed


async def test_redirects_are_answers(peer: UpstreamPeer, upstream: Upstream) -> None:
    peer.behaviours["/moved"] = replying(answer(302, b"", f"Location: {peer.url}/elsewhere"))
    response = await upstream.send(get(f"{peer.url}/moved"))
    response.close()
    assert response.status == 302
    assert not peer.at("/elsewhere")


async def test_no_cookie_is_kept(peer: UpstreamPeer, upstream: Upstream) -> None:
    peer.behaviours["/cookie"] = replying(answer(200, b"", "Set-Cookie: session=one"))
    (await upstream.send(get(f"{peer.url}/cookie"))).close()
    (await upstream.send(get(f"{peer.url}/after"))).close()
    assert peer.requests[-1].all("cookie") == []


async def test_connections_are_used_again_after_a_whole_answer_only(peer: UpstreamPeer, upstream: Upstream) -> None:
    for _ in range(3):
        await whole(await upstream.send(get(f"{peer.url}/again")))
    assert len({request.connection for request in peer.at("/again")}) == 1

    async def long(request: Request) -> None:
        await request.send(raw("HTTP/1.1 200 OK", "Content-Length: 1000000"), b"x")
        await request.closed()

    peer.behaviours["/long"] = long
    response = await upstream.send(get(f"{peer.url}/long"))
    response.close()
    response.close()  # twice is fine
    await whole(await upstream.send(get(f"{peer.url}/fresh")))
    assert peer.requests[-1].connection != peer.requests[-2].connection


async def test_an_upstream_that_hangs_times_out(peer: UpstreamPeer, upstream: Upstream) -> None:
    async def hang(request: Request) -> None:
        await request.closed()

    async def hang_in_the_body(request: Request) -> None:
        await request.send(raw("HTTP/1.1 200 OK", "Content-Length: 10"), b"x")
        await request.closed()

    peer.behaviours |= {"/hang": hang, "/hang-in-the-body": hang_in_the_body}
    started = time.monotonic()
    with pytest.raises(UpstreamTimeout):
        await upstream.send(get(f"{peer.url}/hang", 0.2))
    for read in (whole, lambda response: response.read()):
        response = await upstream.send(get(f"{peer.url}/hang-in-the-body", 0.2))
        with pytest.raises(UpstreamTimeout):
            await read(response)
        response.close()
    assert 0.6 <= time.monotonic() - started < 5


async def test_a_slow_body_of_the_caller_is_not_the_upstreams_slowness(peer: UpstreamPeer, upstream: Upstream) -> None:
    async def slowly() -> AsyncIterator[bytes]:
        yield b"a"
        await asyncio.sleep(0.5)
        yield b"b"

    request = UpstreamRequest("POST", peer.url, {}, slowly(), None, 0.3)
    assert (await upstream.send(request)).status == 200


async def test_a_broken_connection_is_unreachable(peer: UpstreamPeer, upstream: Upstream) -> None:
    async def reset(request: Request) -> None:
        request.reset()

    peer.behaviours |= {
        "/reset": reset,
        "/closed": replying(b""),
        "/half": replying(raw("HTTP/1.1 200 OK", "Content-Length: 10") + b"x"),
    }
    for path in ("/reset", "/closed"):
        with pytest.raises(UpstreamUnreachable):
            await upstream.send(get(peer.url + path))
    for read in (whole, lambda response: response.read()):
        response = await upstream.send(get(f"{peer.url}/half"))
        with pytest.raises(UpstreamUnreachable):
            await read(response)
        response.close()


async def test_what_the_callers_body_raises_ends_the_call(peer: UpstreamPeer, upstream: Upstream) -> None:
    raised: list[Exception] = []

    async def breaking() -> AsyncIterator[bytes]:
        yield b"half"
        raised.append(ConnectionResetError("the caller is gone"))
        raise raised[0]

    with pytest.raises((UpstreamUnreachable, ConnectionResetError)):
        await upstream.send(post(f"{peer.url}/broken-body", breaking(), 100))
    assert raised
    # The peer may hear of it later than the caller does.
    (request,) = await asyncio.to_thread(eventually, lambda: peer.at("/broken-body"), bool)
    assert not request.complete


async def test_an_idempotent_call_with_a_body_is_never_sent_again_without_it(
    peer: UpstreamPeer, upstream: Upstream
) -> None:
    """A pooled connection may be dead; what was read from the caller cannot be read again."""
    await whole(await upstream.send(get(f"{peer.url}/warm")))

    async def reset(request: Request) -> None:
        await request.read()
        request.reset()

    peer.behaviours["/put"] = reset
    with pytest.raises(UpstreamUnreachable):
        await upstream.send(UpstreamRequest("PUT", f"{peer.url}/put", {}, parts(b"body"), 4, 5.0))
    assert [bytes(request.body) for request in peer.at("/put")] == [b"body"]


@pytest.mark.parametrize(
    "url", ["http://", "http:///x", "http://[::1", "http://host:99999/", "ftp://host/", "nonsense"]
)
async def test_a_url_that_cannot_be_called_is_unreachable(upstream: Upstream, url: str) -> None:
    with pytest.raises(UpstreamUnreachable):
        await upstream.send(get(url))


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "2a00:1450:4001:81b::200e", "::ffff:8.8.8.8",
     "64:ff9b::808:808", "2002:808:808::1"],
)  # fmt: skip
def test_public_addresses(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "127.255.255.254", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.0.1", "100.64.0.1",
     "169.254.169.254", "169.254.0.1", "168.63.129.16", "192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.1",
     "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "::", "::1", "::127.0.0.1",
     "192.0.0.192", "192.88.99.1", "100.100.100.200", "64:ff9b:1::7f00:1", "4000::1", "fe80::1", "fe80::1%eth0",
     "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "2001:db8::1", "100::1", "::ffff:127.0.0.1",
     "::ffff:169.254.169.254", "::ffff:168.63.129.16", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::",
     "2002:a9fe:a9fe::1", "2001:0:4136:e378:8000:63bf:5601:5601"],
)  # fmt: skip
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("text", ["", "localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "1.2.3.4.5"])
def test_what_is_no_address_in_its_one_spelling_is_refused_as_such(text: str) -> None:
    with pytest.raises(ValueError):
        is_public(text)


class Names(AbstractResolver):
    """Answers with the next of `answers` at each question."""

    def __init__(self, *answers: tuple[str, ...]) -> None:
        self._answers = list(answers)
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        self.asked += 1
        addresses = self._answers.pop(0)
        return [
            ResolveResult(
                hostname=host, host=address, port=port, proto=0, flags=socket.AI_NUMERICHOST,
                family=socket.AF_INET6 if ipaddress.ip_address(address).version == 6 else socket.AF_INET,
            )
            for address in addresses
        ]  # fmt: skip

    async def close(self) -> None: ...


@pytest.mark.parametrize(
    "addresses",
    [("127.0.0.1",), ("169.254.169.254",), ("::1",), ("::ffff:127.0.0.1",), ("10.0.0.1", "127.0.0.1"), ("fe80::1",)],
)
async def test_a_name_that_leads_inside_is_refused(peer: UpstreamPeer, addresses: tuple[str, ...]) -> None:
    upstream = HttpUpstream(allow_private=False, resolver=Names(addresses))
    before = len(peer.requests)
    try:
        with pytest.raises(UpstreamUnreachable) as refused:
            await upstream.send(get(f"http://{NAME}:{peer.port}/"))
    finally:
        await upstream.close()
    assert len(peer.requests) == before
    assert not any(address in str(refused.value) for address in addresses)
    if len(addresses) == 1:
        assert str(refused.value) == NOT_PUBLIC


@pytest.fixture
def outside(peer: UpstreamPeer, monkeypatch: pytest.MonkeyPatch) -> Iterator[UpstreamPeer]:
    """A peer at the only address that counts as public here, on the port of the other: no test calls a real one."""
    monkeypatch.setattr(http, "is_public", lambda address: address == OUTSIDE)
    with UpstreamPeer(OUTSIDE, peer.port) as running:
        running.behaviours["/"] = replying(answer(200, b"outside"))  # and close: the next call connects anew
        yield running


async def test_of_several_addresses_only_public_ones_are_called(peer: UpstreamPeer, outside: UpstreamPeer) -> None:
    upstream = HttpUpstream(allow_private=False, resolver=Names(("127.0.0.1", "10.0.0.1", OUTSIDE)))
    before = len(peer.requests)
    try:
        assert await whole(await upstream.send(get(f"http://{NAME}:{peer.port}/"))) == b"outside"
    finally:
        await upstream.close()
    assert len(peer.requests) == before


async def test_a_name_that_is_rebound_is_checked_at_every_connection(peer: UpstreamPeer, outside: UpstreamPeer) -> None:
    """It leads outside first, and inside when it is asked again."""
    names = Names((OUTSIDE,), ("127.0.0.1",), (OUTSIDE,))
    upstream = HttpUpstream(allow_private=False, resolver=names, dns_cache_s=0)
    before = len(peer.requests)
    try:
        for refused in (False, True, False):
            if refused:
                with pytest.raises(UpstreamUnreachable, match=NOT_PUBLIC):
                    await upstream.send(get(f"http://{NAME}:{peer.port}/"))
            else:
                assert await whole(await upstream.send(get(f"http://{NAME}:{peer.port}/"))) == b"outside"
    finally:
        await upstream.close()
    assert (names.asked, len(outside.requests), len(peer.requests)) == (3, 2, before)


async def test_where_private_addresses_are_allowed_the_same_name_is_called(peer: UpstreamPeer) -> None:
    upstream = HttpUpstream(allow_private=True, resolver=Names(("127.0.0.1",)))
    try:
        response = await upstream.send(get(f"http://{NAME}:{peer.port}/named"))
        await whole(response)
    finally:
        await upstream.close()
    assert peer.requests[-1].one("host") == f"{NAME}:{peer.port}"
