"""A store that cannot even be opened is an outage like any other: 503 and a problem document, until it can be."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from shared.access.keys.format import new_key
from tests.support.chaos.processes import Host

RECOVERED_S = 60.0
REPORT = (
    b'{"specversion":"1.0","type":"ams.usage.v1","source":"chaos","id":"1","subject":"api"}',
    "application/cloudevents+json",
)


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    host = Host(tmp_path, workers=1)
    yield host
    host.power_cut()


@pytest.mark.parametrize("store", ["documents.db", "events.db"])
async def test_every_way_in_refuses_until_the_store_can_be_opened(host: Host, store: str) -> None:
    (host.data / store).mkdir(parents=True)  # no database, whoever tries
    host.start()
    await host.ready("live")
    async with aiohttp.ClientSession(host.url, headers={"X-AMS-Key": new_key("live")}) as session:
        for method, path, body, content_type in (
            ("POST", "/api/consume", *REPORT),
            ("GET", "/api/consume/api/some/path", None, "text/plain"),
            ("GET", "/api/v1/usage/summary", None, "text/plain"),
        ):
            async with session.request(method, path, data=body, headers={"Content-Type": content_type}) as response:
                assert (response.status, (await response.json())["code"]) == (503, "service_unavailable"), path
                assert response.headers["Retry-After"] == "1"
        async with session.get("/api/health/ready") as response:
            assert response.status == 503
            assert (await response.json())["checks"][store.removesuffix(".db")]["status"] == "fail"

        (host.data / store).rmdir()
        await _until_the_key_is_looked_up(session)


async def _until_the_key_is_looked_up(session: aiohttp.ClientSession) -> None:
    deadline = time.monotonic() + RECOVERED_S
    while True:
        async with session.get("/api/consume/api/some/path") as response:
            if response.status == 401:
                return
            assert (response.status, time.monotonic() < deadline) == (503, True)
        await asyncio.sleep(0.05)
