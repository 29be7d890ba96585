"""Fixtures: one worker for the run, as a process has one, and a fresh application with a seeded market a test."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

from shared import bootstrap
from tests.runtime.market import Ams, Echo, seed
from tests.runtime.worker import Worker


@pytest.fixture(scope="session")
def worker() -> Worker:
    return asyncio.run(Worker.start())


@pytest.fixture
async def ams(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, upstream: str) -> AsyncIterator[Ams]:
    for name in [name for name in os.environ if name.startswith(("AMS_", "USAGE_HUB"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AMS_PROFILE", "local")
    monkeypatch.setenv("AMS_DATA", str(tmp_path))
    monkeypatch.setenv("AMS_SECRET_KEY_PEPPER_V1", "a pepper for tests")
    monkeypatch.setenv("AMS_UPSTREAM_ALLOW_PRIVATE", "true")
    try:
        application = bootstrap.application()
        yield Ams(application, tmp_path, await seed(application, upstream))
    finally:
        await bootstrap.close()


@pytest.fixture
def upstream() -> Iterator[str]:
    """The base URL of a merchant's API on loopback, which answers 201 with what it was asked."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/base"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
