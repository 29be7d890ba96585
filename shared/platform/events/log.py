"""Events, embedded: a durable local log on SQLite with Event Hubs' semantics.

Publishes that arrive while a commit is under way share the next one (group commit), and the events of one commit and
partition are stored as one row, so that the cost of durability is per commit and not per event. A sequence number is
`row << 14 | index in the row`. One process at a time consumes a group: others wait on a file lock, as a second
Event Hubs receiver waits for its partition.
"""

import asyncio
import contextlib
import fcntl
import os
import sqlite3
import time
import zlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec

from shared.kernel.batching import Batcher
from shared.platform.events import (
    EVENT_BYTES_MAX,
    BatchHandler,
    EventsUnavailable,
    EventTooLarge,
    Lag,
)
from shared.platform.events.log_consumer import (
    EVENTS_PER_ROW_MAX,
    INDEX_BITS,
    PartitionReader,
    checkpoint,
    consume_partition,
    wait,
)
from shared.platform.sqlite import SqliteFile

POLL_S = 0.02
"""How often a consumer looks for rows written by other processes."""

HOUSEKEEPING_S = 60.0
RETENTION_S = 24 * 3600
"""Rows that every group has consumed are kept this long, as Event Hubs keeps events for a retention time."""

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS entries (row INTEGER PRIMARY KEY AUTOINCREMENT, partition INTEGER NOT NULL,"
    " enqueued_ms INTEGER NOT NULL, events INTEGER NOT NULL, body BLOB NOT NULL)",
    "CREATE INDEX IF NOT EXISTS entries_by_partition ON entries (partition, row, events)",
    "CREATE TABLE IF NOT EXISTS checkpoints (consumer_group TEXT, partition INTEGER, next INTEGER NOT NULL,"
    " PRIMARY KEY (consumer_group, partition)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS shape (only INTEGER PRIMARY KEY CHECK (only = 1), partitions INTEGER NOT NULL)",
)

_Item = tuple[str, bytes]
_Publish = tuple[int, list[_Item]]
_encode = msgspec.msgpack.Encoder().encode


class EventLog:
    """`partitions` is fixed when the file is first used: with fewer, events would wait where nobody reads. Raises
    ValueError when the file has another number."""

    def __init__(self, path: Path, partitions: int = 4) -> None:
        shape = f"INSERT OR IGNORE INTO shape VALUES (1, {int(partitions)})"
        self._file = SqliteFile(path, (*_SCHEMA, shape), EventsUnavailable)
        existing = self._file.read_now(lambda db: db.execute("SELECT partitions FROM shape").fetchone()[0])
        if existing != partitions:
            self._file.close_now()
            raise ValueError(f"{path} has {existing} partitions, not {partitions}: AMS_EVENT_PARTITIONS cannot change")
        self._partitions = partitions
        self._appends = Batcher(self._append)

    async def publish(self, partition_key: str, events: Sequence[bytes]) -> None:
        for event in events:
            if len(event) > EVENT_BYTES_MAX:
                raise EventTooLarge(f"event of {len(event)} bytes is over {EVENT_BYTES_MAX}")
        if not events:
            return
        partition = zlib.crc32(partition_key.encode()) % self._partitions
        await self._appends.add((partition, [(partition_key, event) for event in events]))

    async def _append(self, taken: list[_Publish]) -> None:
        rows = _rows(taken)
        await self._file.write(lambda db: _insert(db, rows))

    async def consume(
        self, group: str, handler: BatchHandler, stop: asyncio.Event, *, batch_events_max: int = 1000
    ) -> None:
        async with self._sole_consumer(group, stop) as is_sole:
            if not is_sole:
                return
            wakers = [asyncio.Event() for _ in range(self._partitions)]
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._watch(wakers, stop))
                tasks.create_task(self._keep_house(stop))
                for partition, waker in enumerate(wakers):
                    reader = PartitionReader(self._file, group, partition, batch_events_max)
                    tasks.create_task(consume_partition(reader, handler, waker, stop))

    @contextlib.asynccontextmanager
    async def _sole_consumer(self, group: str, stop: asyncio.Event) -> AsyncIterator[bool]:
        path = self._file.path.with_suffix(f".{group}.lock")
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            while not stop.is_set():
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    await wait(stop, POLL_S * 5)
                else:
                    break
            yield not stop.is_set()
        finally:
            os.close(descriptor)

    async def _watch(self, wakers: Sequence[asyncio.Event], stop: asyncio.Event) -> None:
        """Wake the partitions when this process published, or another process's commit changed the file."""
        seen = -1
        while not stop.is_set():
            version = seen
            with contextlib.suppress(EventsUnavailable):  # looked at again in a moment
                version = self._file.read_now(_data_version)
            if version != seen:
                seen = version
                for waker in wakers:
                    waker.set()
            await wait(stop, POLL_S)
        for waker in wakers:
            waker.set()

    async def _keep_house(self, stop: asyncio.Event) -> None:
        while not await wait(stop, HOUSEKEEPING_S):
            before_ms = int((time.time() - RETENTION_S) * 1000)
            with contextlib.suppress(EventsUnavailable):  # tried again in a minute
                await self._file.write(lambda db, before_ms=before_ms: _forget(db, before_ms))  # type: ignore[misc]  # default binds the loop variable

    async def lag(self, group: str) -> Lag:
        def measure(db: sqlite3.Connection) -> Lag:
            waiting, oldest_ms = 0, None
            for partition in range(self._partitions):
                position = checkpoint(db, group, partition)
                row, index = position >> INDEX_BITS, position & (EVENTS_PER_ROW_MAX - 1)
                waiting += db.execute(
                    "SELECT coalesce(sum(events - CASE row WHEN ? THEN ? ELSE 0 END), 0) FROM entries"
                    " WHERE partition = ? AND row >= ?",
                    (row, index, partition, row),
                ).fetchone()[0]
                first = db.execute(
                    "SELECT enqueued_ms FROM entries WHERE partition = ? AND row >= ? AND (row > ? OR events > ?)"
                    " ORDER BY row LIMIT 1",
                    (partition, row, row, index),
                ).fetchone()
                if first is not None:
                    oldest_ms = first[0] if oldest_ms is None else min(oldest_ms, first[0])
            return Lag(waiting, 0.0 if oldest_ms is None else max(0.0, time.time() - oldest_ms / 1000))

        return await self._file.read(measure)

    async def ready(self) -> None:
        await self._file.write(lambda db: db.execute("SELECT 1 FROM entries LIMIT 1").fetchone())

    async def close(self) -> None:
        await self._appends.drain()
        await self._file.close()


def _data_version(db: sqlite3.Connection) -> int:
    """A number that changes when another connection commits."""
    return int(db.execute("PRAGMA data_version").fetchone()[0])


def _rows(taken: Sequence[_Publish]) -> list[tuple[int, int, int, bytes]]:
    by_partition: dict[int, list[_Item]] = {}
    for partition, published in taken:
        by_partition.setdefault(partition, []).extend(published)
    now_ms = time.time_ns() // 1_000_000
    return [
        (partition, now_ms, len(part), _encode(part))
        for partition, items in by_partition.items()
        for part in (items[i : i + EVENTS_PER_ROW_MAX] for i in range(0, len(items), EVENTS_PER_ROW_MAX))
    ]


def _insert(db: sqlite3.Connection, rows: Sequence[tuple[int, int, int, bytes]]) -> None:
    # One statement: every call into SQLite gives up the interpreter lock, which a busy event loop hands back late.
    values = ", ".join(["(?, ?, ?, ?)"] * len(rows))
    db.execute(
        f"INSERT INTO entries (partition, enqueued_ms, events, body) VALUES {values}",
        [value for row in rows for value in row],
    )


def _forget(db: sqlite3.Connection, before_ms: int) -> None:
    """Delete old rows that every group is past. Bounded, so that publishes are not held up."""
    consumed = db.execute("SELECT partition, min(next) FROM checkpoints GROUP BY partition").fetchall()
    for partition, position in consumed:
        db.execute(
            "DELETE FROM entries WHERE row IN (SELECT row FROM entries WHERE partition = ? AND row < ?"
            " AND enqueued_ms < ? ORDER BY row LIMIT 500)",
            (partition, position >> INDEX_BITS, before_ms),
        )
