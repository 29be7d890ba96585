"""The connection test: it reaches what consumers' calls would reach, and nothing else."""

import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.catalog.upstreams import connection_test as connection
from shared.catalog.upstreams.connection_test import BODY_BYTES_MAX, TESTS_PER_MINUTE
from tests.emulators.issuer import Issuer
from tests.emulators.upstream import Request, UpstreamPeer, answer, raw, replying
from tests.support.api.harness import Api
from tests.support.api.services_market import ServicesMarket, open_services

SECRET = "Bearer s3cr3t"


@pytest.fixture
def peer() -> Iterator[UpstreamPeer]:
    with UpstreamPeer() as running:
        yield running


@pytest.fixture
async def guarded(folder: Path, issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ServicesMarket]:
    """Where private addresses may not be called, as in production."""
    monkeypatch.setenv("AMS_SECRET_KEY_PEPPER_V1", "pepper")
    async with Api(folder, issuer, AMS_UPSTREAM_ALLOW_PRIVATE="false") as api:
        yield await open_services(api)


async def run(market: ServicesMarket, service_id: str, **body: Any) -> dict[str, Any]:
    answered = await market.mia.post(f"/api/v1/services/{service_id}/test-connection", json=body)
    assert answered.status_code == 200, answered.text
    reached: dict[str, Any] = answered.json()
    return reached


async def test_it_calls_with_the_services_own_secret(market: ServicesMarket, peer: UpstreamPeer) -> None:
    peer.behaviours["/v1/health"] = replying(answer(503))
    service_id = await market.drafted(upstream={"base_url": f"{peer.url}/v1"})
    path, secret = f"/api/v1/services/{service_id}/upstream-secret", {"header": "Authorization", "value": SECRET}
    assert (await market.mia.put(path, json=secret, headers=await market.etag(service_id))).status_code == 200

    reached = await run(market, service_id, path="/health?full=1")

    assert (reached["reachable"], reached["status"], reached["reason"]) == (True, 503, None)
    (request,) = peer.requests
    assert (request.method, request.target, request.one("authorization")) == ("GET", "/v1/health?full=1", SECRET)


async def test_it_may_call_what_waits_for_approval(market: ServicesMarket, peer: UpstreamPeer) -> None:
    service_id = await market.active(upstream={"base_url": f"{peer.url}/old"})
    await market.edit(service_id, upstream={"base_url": f"{peer.url}/new"})
    await run(market, service_id, method="HEAD")
    await run(market, service_id, method="HEAD", proposed=True)
    assert [(request.method, request.target) for request in peer.requests] == [("HEAD", "/old"), ("HEAD", "/new")]


async def test_a_redirect_is_told_and_not_followed(market: ServicesMarket, peer: UpstreamPeer) -> None:
    peer.behaviours["/"] = replying(answer(302, b"", f"Location: {peer.url}/elsewhere"))
    reached = await run(market, await market.drafted(upstream={"base_url": peer.url}), path="/")
    assert (reached["status"], reached["reason"]) == (302, "it redirects, which is not followed")
    assert peer.at("/elsewhere") == []


async def test_it_reads_no_more_than_it_needs(market: ServicesMarket, peer: UpstreamPeer) -> None:
    sent = 0

    async def endless(request: Request) -> None:
        nonlocal sent
        await request.send(raw("HTTP/1.1 200 OK", "Transfer-Encoding: chunked"))
        while True:
            sent += 0x2000  # first: who has read enough is gone before the last send returns
            await request.send(b"2000\r\n" + b"x" * 0x2000 + b"\r\n")

    peer.behaviours["/endless"] = endless
    reached = await run(market, await market.drafted(upstream={"base_url": peer.url}), path="/endless")
    assert (reached["reachable"], reached["status"]) == (True, 200)
    assert sent >= BODY_BYTES_MAX


async def test_it_waits_no_longer_than_it_says(
    market: ServicesMarket, peer: UpstreamPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(request: Request) -> None:
        await request.closed()

    async def trickling(request: Request) -> None:
        await request.send(raw("HTTP/1.1 200 OK", "Content-Length: 10"))
        await request.closed()

    monkeypatch.setattr(connection, "TIMEOUT_S", 0.2)
    peer.behaviours |= {"/silent": silent, "/trickling": trickling}
    service_id = await market.drafted(upstream={"base_url": peer.url})
    for path in ("/silent", "/trickling"):
        reached = await run(market, service_id, path=path)
        assert (reached["reachable"], reached["reason"]) == (False, "no answer within 0.2 s")


async def test_nobody_there_is_told_without_an_address(market: ServicesMarket) -> None:
    with socket.socket() as taken:  # bound but not listening, so that nobody else comes to be there
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        reached = await run(market, await market.drafted(upstream={"base_url": f"http://127.0.0.1:{port}"}))
    assert (reached["reachable"], reached["status"], reached["reason"]) == (False, None, "no connection")


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "127.0.0.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:169.254.169.254]",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "0.0.0.0",
        "10.0.0.1",
        "168.63.129.16",
    ],
)
async def test_no_address_that_is_not_public_is_called(guarded: ServicesMarket, peer: UpstreamPeer, host: str) -> None:
    service_id = await guarded.drafted(upstream={"base_url": f"http://{host}:{peer.port}"})
    reached = await run(guarded, service_id)
    assert (reached["reachable"], reached["status"]) == (False, None)
    assert host not in reached["reason"]
    assert peer.requests == []


@pytest.mark.parametrize(
    "url",
    [
        "http://user@127.0.0.1",
        "http://user:pw@example.com",
        "gopher://127.0.0.1",
        "file:///etc/passwd",
        "//x",
        "http://",
    ],
)
async def test_no_other_url_becomes_a_base_url(market: ServicesMarket, url: str) -> None:
    assert (await market.draft(upstream={"base_url": url})).status_code == 400


@pytest.mark.parametrize(
    "path", ["/../admin", "/a/%2e%2e/b", "/%2E%2e", "/..", "/a b", "/a\r\nX: y", "/a#b", "\\\\x", "/\x00", "/é", "?a#b"]
)
async def test_a_path_stays_below_the_base_url(market: ServicesMarket, peer: UpstreamPeer, path: str) -> None:
    service_id = await market.drafted(upstream={"base_url": f"{peer.url}/v1"})
    refused = await market.mia.post(f"/api/v1/services/{service_id}/test-connection", json={"path": path})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "path")
    assert peer.requests == []


async def test_a_path_never_names_another_host(market: ServicesMarket, peer: UpstreamPeer) -> None:
    service_id = await market.drafted(upstream={"base_url": peer.url})
    for path in ("//169.254.169.254/x", "http://169.254.169.254/x", "@169.254.169.254/x", ":80@169.254.169.254/"):
        reached = await run(market, service_id, path=path)
        assert reached["reachable"], path
    assert len(peer.requests) == 4


async def test_it_is_not_a_way_to_flood_somebody(market: ServicesMarket, peer: UpstreamPeer) -> None:
    service_id = await market.drafted(upstream={"base_url": peer.url})
    for _ in range(TESTS_PER_MINUTE):
        await run(market, service_id)
    refused = await market.mia.post(f"/api/v1/services/{service_id}/test-connection", json={})
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert int(refused.headers["Retry-After"]) >= 1
    assert len(peer.requests) == TESTS_PER_MINUTE


async def test_without_an_upstream_there_is_nothing_to_test(market: ServicesMarket) -> None:
    service_id = await market.drafted(upstream=None)
    refused = await market.mia.post(f"/api/v1/services/{service_id}/test-connection", json={})
    assert (refused.status_code, refused.json()["code"]) == (409, "service_incomplete")
