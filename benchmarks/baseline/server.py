"""Starting the baseline, and counting what it holds."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import asyncpg  # type: ignore[import-untyped]  # it ships no types

from benchmarks import market
from benchmarks.baseline.app import hash_key
from benchmarks.checks import Counted
from benchmarks.systems import Served
from tests.support.ports import free_port

POOL_PER_WORKER = 16
T = TypeVar("T")


def create_tables(dsn: str, keys: Sequence[str]) -> None:
    """The schema, and one consumer for each key."""

    async def create(connection: Any) -> None:
        await connection.execute(Path(__file__).with_name("schema.sql").read_text())
        rows = [(hash_key(key), f"key_{n}", f"con_{n}", [market.SERVICE]) for n, key in enumerate(keys)]
        await connection.executemany("INSERT INTO api_keys VALUES ($1, $2, $3, $4)", rows)

    _run(dsn, create)


def baseline(dsn: str, workers: int, folder: Path) -> Served:
    """The server, on a free port; its log goes to `folder`."""
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "benchmarks.baseline.app:app",
        "--port",
        str(port),
        "--workers",
        str(workers),
        "--loop",
        "uvloop",
        "--http",
        "httptools",
        "--no-access-log",
    ]
    settings = {"BASELINE_DSN": dsn, "BASELINE_POOL": str(POOL_PER_WORKER)}
    return Served(command, port, "/health", folder / "baseline.log", settings)


def counted(dsn: str) -> Counted:
    """Events by counters, and rows of events."""

    async def count(connection: Any) -> Counted:
        events = await connection.fetchval("SELECT coalesce(sum(events), 0)::bigint FROM usage_counters")
        return Counted(events, await connection.fetchval("SELECT count(*) FROM usage_events"))

    return _run(dsn, count)


def write_out(dsn: str) -> None:
    """A checkpoint now, so that what the database would write later does not disturb what is measured next."""
    _run(dsn, lambda connection: connection.execute("CHECKPOINT"))


def _run(dsn: str, work: Callable[[Any], Awaitable[T]]) -> T:
    async def connected() -> T:
        connection = await asyncpg.connect(dsn)
        try:
            return await work(connection)
        finally:
            await connection.close()

    return asyncio.run(connected())
