"""The upstream port over real sockets: what is sent, and what comes back."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from shared.platform.upstream import (
    Upstream,
    UpstreamRequest,
    UpstreamResponse,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from shared.platform.upstream.http import HttpUpstream
from tests.emulators.upstream import Request, UpstreamPeer, answer, raw, replying
from tests.support.host.hosting import eventually


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    opened = HttpUpstream(allow_private=True)
    yield opened
    await opened.close()


def get(url: str, timeout_s: float = 5.0) -> UpstreamRequest:
    return UpstreamRequest("GET", url, headers={"X-Mine": "1"}, body=None, content_length=None, timeout_s=timeout_s)


def post(url: str, body: AsyncIterator[bytes], length: int | None = None) -> UpstreamRequest:
    return UpstreamRequest("POST", url, headers={}, body=body, content_length=length, timeout_s=5.0)


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
        response = await upstream.send(get(f"{peer.url}/hang-in-the-body", 3.0))  # in which its head must come
        with pytest.raises(UpstreamTimeout):
            await read(response)
        response.close()
    assert 6.2 <= time.monotonic() - started < 60


async def test_a_slow_body_of_the_caller_is_not_the_upstreams_slowness(peer: UpstreamPeer, upstream: Upstream) -> None:
    async def slowly() -> AsyncIterator[bytes]:
        yield b"a"
        await asyncio.sleep(1.2)
        yield b"b"

    request = UpstreamRequest("POST", peer.url, headers={}, body=slowly(), content_length=None, timeout_s=1.0)
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
        await upstream.send(
            UpstreamRequest("PUT", f"{peer.url}/put", headers={}, body=parts(b"body"), content_length=4, timeout_s=5.0)
        )
    assert [bytes(request.body) for request in peer.at("/put")] == [b"body"]


@pytest.mark.parametrize(
    "url", ["http://", "http:///x", "http://[::1", "http://host:99999/", "ftp://host/", "nonsense"]
)
async def test_a_url_that_cannot_be_called_is_unreachable(upstream: Upstream, url: str) -> None:
    with pytest.raises(UpstreamUnreachable):
        await upstream.send(get(url))
