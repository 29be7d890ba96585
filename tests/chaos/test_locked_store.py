"""A store that somebody else holds locked refuses in bounded time, however many processes write to it."""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.platform.events import EventsUnavailable
from shared.platform.sqlite import BUSY_TIMEOUT_MS, SqliteFile

WRITERS = 40
"""So many that one after the other is far from at once, also on a busy machine."""

SCHEMA = ("CREATE TABLE IF NOT EXISTS numbers (number INTEGER)",)


@pytest.fixture
async def writers(tmp_path: Path) -> AsyncIterator[list[SqliteFile]]:
    """Each as in a process of its own: with a lock file handle, connections and a thread of its own."""
    files = [SqliteFile(tmp_path / "store.db", SCHEMA, EventsUnavailable) for _ in range(WRITERS)]
    yield files
    for file in files:
        await file.close()


async def test_all_writers_are_refused_in_time_and_write_again_once_the_lock_is_gone(
    writers: list[SqliteFile], tmp_path: Path
) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "store.db", isolation_level=None)) as blocker:
        blocker.execute("BEGIN EXCLUSIVE")
        started = time.monotonic()
        results = await asyncio.gather(*(_insert(file) for file in writers), return_exceptions=True)
        waited_s = time.monotonic() - started
        blocker.execute("ROLLBACK")

    assert all(isinstance(result, EventsUnavailable) for result in results), results
    assert waited_s < BUSY_TIMEOUT_MS / 1000 * WRITERS / 2, "they waited one after the other"
    await asyncio.gather(*(_insert(file) for file in writers))
    assert await writers[0].read(lambda db: db.execute("SELECT count(*) FROM numbers").fetchone()) == (WRITERS,)


async def _insert(file: SqliteFile) -> None:
    await file.write(lambda db: db.execute("INSERT INTO numbers VALUES (1)").rowcount)
