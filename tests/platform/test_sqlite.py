"""What the embedded adapters share: group commits that do not mix, refusals in bounded time, several processes."""

import asyncio
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from shared.platform.sqlite import BUSY_TIMEOUT_MS, SqliteFile
from tests.support.embedded import IN_MEMORY

SCHEMA = ("CREATE TABLE IF NOT EXISTS rows (n INTEGER UNIQUE)",)


class UnusableError(Exception):
    """The port's error, for these tests."""


@pytest.fixture
async def file() -> AsyncIterator[SqliteFile]:
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
        opened = SqliteFile(Path(folder) / "test.db", SCHEMA, UnusableError)
        yield opened
        await opened.close()


def insert(*numbers: int, then: Exception | None = None) -> Callable[[sqlite3.Connection], int]:
    def work(db: sqlite3.Connection) -> int:
        for number in numbers:
            db.execute("INSERT INTO rows VALUES (?)", (number,))
        if then is not None:
            raise then
        return len(numbers)

    return work


def rows(file: SqliteFile) -> list[int]:
    return [row[0] for row in file.read_now(lambda db: db.execute("SELECT n FROM rows ORDER BY n").fetchall())]


async def in_one_commit(file: SqliteFile, *works: Callable[[sqlite3.Connection], Any]) -> list[Any]:
    """Queue all works before the writer thread looks, by holding it in a first one."""
    loop = asyncio.get_running_loop()
    started, go = asyncio.Event(), threading.Event()

    def hold(db: sqlite3.Connection) -> None:
        loop.call_soon_threadsafe(started.set)
        go.wait(60)

    holding = asyncio.create_task(file.write(hold))
    await started.wait()
    writes = [asyncio.create_task(file.write(work)) for work in works]
    await asyncio.sleep(0)
    go.set()
    await holding
    return await asyncio.gather(*writes, return_exceptions=True)


async def test_a_write_can_be_read_when_it_returned(file):
    assert await file.write(insert(1, 2)) == 2
    assert rows(file) == [1, 2]
    assert await file.read(lambda db: db.execute("SELECT count(*) FROM rows").fetchone()[0]) == 2


async def test_a_failing_work_undoes_its_own_changes_only(file):
    error = ValueError("mine")
    outcomes = await in_one_commit(file, insert(1), insert(2, 3, then=error), insert(4), insert(1), insert(5))
    assert outcomes[:3] == [1, error, 1]
    assert isinstance(outcomes[3], sqlite3.IntegrityError)
    assert rows(file) == [1, 4, 5]


async def test_a_work_that_fails_alone_changes_nothing(file):
    with pytest.raises(ValueError, match="mine"):
        await file.write(insert(1, then=ValueError("mine")))
    await file.write(insert(2))
    assert rows(file) == [2]


@pytest.mark.parametrize("error", [sqlite3.OperationalError("disk I/O error"), sqlite3.DatabaseError("malformed")])
async def test_a_failing_disk_or_damaged_file_is_the_ports_error_for_the_whole_group(file, error):
    outcomes = await in_one_commit(file, insert(1), insert(2, then=error), insert(3))
    assert [type(outcome) for outcome in outcomes] == [UnusableError] * 3
    assert rows(file) == []
    await file.write(insert(1))
    assert rows(file) == [1]


async def test_given_somebody_holds_the_lock_a_write_is_refused_in_bounded_time(file):
    with sqlite3.connect(file.path, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        started = time.monotonic()
        with pytest.raises(UnusableError, match="locked"):
            await file.write(insert(1))
        assert time.monotonic() - started < 30 * BUSY_TIMEOUT_MS / 1000
        other.execute("ROLLBACK")
    other.close()
    await file.write(insert(2))
    assert rows(file) == [2]


async def test_given_somebody_holds_the_lock_reads_go_on(file):
    await file.write(insert(1))
    with sqlite3.connect(file.path, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        assert rows(file) == [1]
    other.close()


async def test_a_cancelled_write_does_not_disturb_the_others(file):
    writes = [asyncio.create_task(file.write(insert(number))) for number in range(20)]
    await asyncio.sleep(0)
    writes[7].cancel()
    outcomes = await asyncio.gather(*writes, return_exceptions=True)
    assert sum(outcome == 1 for outcome in outcomes) == 19
    assert set(rows(file)) >= set(range(20)) - {7}


async def test_closing_commits_what_is_queued_and_refuses_what_comes_after(tmp_path):
    file = SqliteFile(tmp_path / "test.db", SCHEMA, UnusableError)
    writes = [asyncio.create_task(file.write(insert(number))) for number in range(50)]
    await asyncio.sleep(0)
    await file.close()
    assert await asyncio.gather(*writes) == [1] * 50
    for refused in (file.write(insert(99)), file.read(lambda db: db.execute("SELECT 1"))):
        with pytest.raises(UnusableError):
            await refused
    with pytest.raises(UnusableError):
        rows(file)
    await file.close()


async def test_a_place_that_is_no_folder_is_the_ports_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UnusableError):
        SqliteFile(tmp_path / "file" / "test.db", SCHEMA, UnusableError)


async def test_a_file_that_is_no_database_is_the_ports_error(tmp_path):
    (tmp_path / "test.db").write_bytes(b"nothing of the kind" * 1000)
    with pytest.raises(UnusableError):
        SqliteFile(tmp_path / "test.db", SCHEMA, UnusableError)


def test_two_processes_that_write_at_once_lose_nothing():
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
        path = Path(folder) / "test.db"
        command = [sys.executable, "-m", "tests.support.platform.sqlite_writer", str(path), "300"]
        writers = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in "ab"]
        for writer in writers:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "ready\n"
        for writer in writers:
            writer.communicate("go\n", timeout=60)
            assert writer.returncode == 0
        with sqlite3.connect(path) as db:
            assert db.execute("SELECT count(*), count(DISTINCT n) FROM rows").fetchone() == (600, 300)
        db.close()
