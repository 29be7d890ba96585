"""What only blobs in Azure Storage can do: be refused, be unreachable, and lose an answer on the way."""

import asyncio
import contextlib
import os
import re
import socket
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiohttp import web
from azure.storage.blob.aio import ContainerClient

from shared.platform.blobs import Blob, BlobExists, Blobs, BlobsUnavailable
from shared.platform.blobs.azure import RETRIES_MAX, RETRY_PAUSE_SECONDS, AzureBlobs
from tests.emulators.azurite import ACCOUNT_KEY, connection_string
from tests.support.certificates import server_tls, write_certificate
from tests.support.paths import ROOT


class LossyWay:
    """A TCP relay to the store that cuts the next `cuts` connections after `cut_at` bytes of their answers."""

    def __init__(self, port: int) -> None:
        self._target = port
        self.cuts = 0
        self.cut_at = 0
        self.port = 0
        self._pumps: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._server.close()
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)
        await self._server.wait_closed()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_store, to_store = await asyncio.open_connection("127.0.0.1", self._target)
        for pump in (self._questions(reader, to_store), self._answers(from_store, writer)):
            task = asyncio.create_task(pump)
            self._pumps.add(task)
            task.add_done_callback(self._pumps.discard)

    async def _questions(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError), contextlib.closing(writer):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()

    async def _answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        passed = 0
        with contextlib.suppress(ConnectionError), contextlib.closing(writer):
            while data := await reader.read(65536):
                if self.cuts and passed + len(data) > self.cut_at:
                    self.cuts -= 1
                    writer.write(data[: max(0, self.cut_at - passed)])
                    return
                passed += len(data)
                writer.write(data)
                await writer.drain()


@pytest.fixture
async def container(azurite: str) -> str:
    name = uuid.uuid4().hex
    async with ContainerClient.from_connection_string(azurite, name) as client:
        await client.create_container()
    return name


@pytest.fixture
async def way(azurite: str) -> AsyncIterator[LossyWay]:
    found = re.search(r"127\.0\.0\.1:(\d+)", azurite)
    assert found is not None
    way = LossyWay(int(found[1]))
    await way.start()
    yield way
    await way.stop()


@pytest.fixture
async def blobs(way: LossyWay, container: str) -> AsyncIterator[AzureBlobs]:
    blobs = AzureBlobs(container, connection_string=connection_string(way.port))
    yield blobs
    await blobs.close()


@pytest.fixture
def refusing_port() -> Iterator[int]:
    """Bound, so that nobody else takes it, but not listening."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


async def assert_nothing_works(blobs: Blobs, why: str) -> None:
    attempts = [
        blobs.put("a", b"x", content_type="text/plain"),
        blobs.put("a", b"x", content_type="text/plain", overwrite=True),
        blobs.get("a"),
        blobs.delete("a"),
        blobs.ready(),
        anext(aiter(blobs.list(""))),
    ]
    for outcome in await asyncio.gather(*attempts, return_exceptions=True):
        assert isinstance(outcome, BlobsUnavailable)
        assert re.search(why, str(outcome))
    await blobs.close()


# Failing stores


async def test_a_store_that_is_down_is_unavailable(refusing_port: int) -> None:
    pauses_seconds_max = RETRIES_MAX * 2 * RETRY_PAUSE_SECONDS
    async with asyncio.timeout(pauses_seconds_max + 60):
        await assert_nothing_works(
            AzureBlobs("any", connection_string=connection_string(refusing_port)), "any/.*Error: "
        )


async def test_a_missing_container_is_a_broken_store_not_an_empty_one(azurite: str) -> None:
    await assert_nothing_works(AzureBlobs("missing", connection_string=azurite), "404 ContainerNotFound")


async def test_a_refused_caller_learns_no_more_than_the_code(azurite: str, container: str) -> None:
    wrong = azurite.replace(ACCOUNT_KEY, "d3Jvbmcga2V5")
    await assert_nothing_works(AzureBlobs(container, connection_string=wrong), r"a?: 403 Auth\w+$")


async def test_a_listing_that_is_cut_off_ends_with_an_error_not_early(blobs: AzureBlobs, way: LossyWay) -> None:
    await blobs.put("a", b"x", content_type="text/plain")
    way.cuts = 100
    with pytest.raises(BlobsUnavailable):
        await anext(aiter(blobs.list("")))


# Lost answers


async def test_a_put_whose_answer_was_lost_is_asked_again_and_succeeds(blobs: AzureBlobs, way: LossyWay) -> None:
    way.cuts = 1
    await blobs.put("a", b"mine", content_type="text/plain")
    assert way.cuts == 0
    assert await blobs.get("a") == Blob("a", b"mine", "text/plain")


async def test_a_taken_name_is_refused_also_when_the_refusal_was_lost_once(blobs: AzureBlobs, way: LossyWay) -> None:
    await blobs.put("a", b"first", content_type="text/plain")
    way.cuts = 1
    with pytest.raises(BlobExists):
        await blobs.put("a", b"second", content_type="text/plain")
    assert way.cuts == 0
    assert await blobs.get("a") == Blob("a", b"first", "text/plain")


async def test_a_read_cut_short_is_asked_again(blobs: AzureBlobs, way: LossyWay) -> None:
    data = bytes(1_000_000)
    await blobs.put("a", data, content_type="text/plain")
    way.cuts, way.cut_at = 1, 300_000
    assert await blobs.get("a") == Blob("a", data, "text/plain")
    assert way.cuts == 0


async def test_a_read_cut_short_every_time_is_unavailable_never_half(blobs: AzureBlobs, way: LossyWay) -> None:
    await blobs.put("a", bytes(1_000_000), content_type="text/plain")
    way.cuts, way.cut_at = 100, 300_000
    with pytest.raises(BlobsUnavailable):
        await blobs.get("a")


async def test_retries_are_bounded(blobs: AzureBlobs, way: LossyWay) -> None:
    await blobs.ready()
    way.cuts = 100
    with pytest.raises(BlobsUnavailable):
        await blobs.ready()
    attempts = 1 + RETRIES_MAX
    assert attempts <= 100 - way.cuts <= 2 * attempts  # aiohttp itself asks twice when a kept connection was closed


# Access


ASK_WITH_A_TOKEN = """
import asyncio, sys, time
from azure.core.credentials import AccessToken
from shared.platform.blobs.azure import AzureBlobs

class Credential:
    async def get_token(self, scope, **_):
        return AccessToken("token-for-" + scope, int(time.time()) + 3600)

async def main():
    blobs = AzureBlobs("documents", account_url=sys.argv[1], credential=Credential())
    await blobs.ready()
    await blobs.close()

asyncio.run(main())
"""


async def test_a_real_account_is_reached_over_tls_with_a_token_for_storage(tmp_path: Path) -> None:
    """Azurite takes tokens over TLS only and the fixture speaks plain HTTP, so this server only notes what it is asked.

    The adapter runs in a process of its own, because a process chooses the authorities that it trusts as it starts.
    """
    seen: list[tuple[str, str]] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append((request.path_qs, request.headers["Authorization"]))
        return web.Response()

    certificate = write_certificate(tmp_path / "store.pem")
    app = web.Application()
    app.router.add_get("/documents", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=server_tls(certificate)).start()
    url = f"https://127.0.0.1:{runner.addresses[0][1]}"
    environ = os.environ | {"SSL_CERT_FILE": str(certificate)}
    asking = await asyncio.create_subprocess_exec(sys.executable, "-c", ASK_WITH_A_TOKEN, url, cwd=ROOT, env=environ)
    assert await asking.wait() == 0
    await runner.cleanup()
    assert seen == [("/documents?restype=container", "Bearer token-for-https://storage.azure.com/.default")]


@pytest.mark.parametrize(
    "given", [{}, {"account_url": "https://a"}, {"account_url": "https://a", "connection_string": "b"}]
)
def test_takes_exactly_one_way_in(given: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="give account_url and credential, or connection_string"):
        AzureBlobs("documents", **given)
