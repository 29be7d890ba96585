"""Events, embedded: a durable local log on SQLite with Event Hubs' semantics.

Publishes that arrive while a commit is under way share the next one (group commit), and the events of one commit and
partition are stored as one row, so that the cost of durability is per commit and not per event. A sequence number is
`row << 14 | index in the row`. One process at a time consumes a group: others wait on a file lock, as a second
Event Hubs receiver waits for its partition.
"""

import asyncio
import contextlib
import fcntl
import logging
import os
import sqlite3
import time
import zlib
from collections import deque
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from shared.kernel.coalesce import Coalescer
from shared.platform.events import (
    EVENT_BYTES_MAX,
    EventBatch,
    EventsUnavailable,
    EventTooLarge,
    Handler,
    Lag,
    StreamEvent,
)
from shared.platform.sqlite import SqliteFile

INDEX_BITS = 14
EVENTS_PER_ROW_MAX = 1 << INDEX_BITS
POLL_S = 0.02
"""How often a consumer looks for rows written by other processes."""

LINGER_S = 0.1
"""How long a consumer waits for company after a batch that was not full. Every batch costs durable commits, which
compete with those of the publishers."""

RETRY_FIRST_S, RETRY_MAX_S = 0.1, 10.0
HOUSEKEEPING_S = 60.0
RETENTION_S = 24 * 3600
"""Rows that every group has consumed are kept this long, as Event Hubs keeps events for a retention time."""

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS entries (row INTEGER PRIMARY KEY AUTOINCREMENT, partition INTEGER NOT NULL,"
    " enqueued_ms INTEGER NOT NULL, events INTEGER NOT NULL, body BLOB NOT NULL)",
    "CREATE INDEX IF NOT EXISTS entries_by_partition ON entries (partition, row, events)",
    "CREATE TABLE IF NOT EXISTS checkpoints (consumer_group TEXT, partition INTEGER, next INTEGER NOT NULL,"
    " PRIMARY KEY (consumer_group, partition)) WITHOUT ROWID",
)

_Item = tuple[str, bytes]
_Publish = tuple[int, list[_Item]]
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[tuple[str, bytes]]).decode
_logger = logging.getLogger(__name__)


class EventLog:
    """`partitions` is fixed when the file is first used: a different number would reorder the events of a key."""

    def __init__(self, path: Path, partitions: int = 4) -> None:
        self._file = SqliteFile(path, _SCHEMA, EventsUnavailable)
        self._partitions = partitions
        self._appends = Coalescer(self._append)

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

    async def consume(self, group: str, handler: Handler, stop: asyncio.Event, *, batch_events_max: int = 1000) -> None:
        async with self._sole_consumer(group, stop) as is_sole:
            if not is_sole:
                return
            wakers = [asyncio.Event() for _ in range(self._partitions)]
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._watch(wakers, stop))
                tasks.create_task(self._keep_house(stop))
                for partition, waker in enumerate(wakers):
                    reader = _PartitionReader(self._file, group, partition, batch_events_max)
                    tasks.create_task(_consume_partition(reader, handler, waker, stop))

    @contextlib.asynccontextmanager
    async def _sole_consumer(self, group: str, stop: asyncio.Event) -> AsyncIterator[bool]:
        path = self._file.path.with_suffix(f".{group}.lock")
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            while not stop.is_set():
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    await _wait(stop, POLL_S * 5)
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
            await _wait(stop, POLL_S)
        for waker in wakers:
            waker.set()

    async def _keep_house(self, stop: asyncio.Event) -> None:
        while not await _wait(stop, HOUSEKEEPING_S):
            before_ms = int((time.time() - RETENTION_S) * 1000)
            with contextlib.suppress(EventsUnavailable):  # tried again in a minute
                await self._file.write(lambda db, before_ms=before_ms: _forget(db, before_ms))  # type: ignore[misc]  # default binds the loop variable

    async def lag(self, group: str) -> Lag:
        def measure(db: sqlite3.Connection) -> Lag:
            waiting, oldest_ms = 0, None
            for partition in range(self._partitions):
                position = _checkpoint(db, group, partition)
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


async def _wait(stop: asyncio.Event, seconds: float) -> bool:
    """True when `stop` was set within `seconds`."""
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return False
    return True


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


def _checkpoint(db: sqlite3.Connection, group: str, partition: int) -> int:
    found = db.execute(
        "SELECT next FROM checkpoints WHERE consumer_group = ? AND partition = ?", (group, partition)
    ).fetchone()
    return int(found[0]) if found else 0


class _PartitionReader:
    """Reads one partition from its checkpoint on; keeps a decoded row while its events are handed out in parts."""

    def __init__(self, file: SqliteFile, group: str, partition: int, batch_events_max: int) -> None:
        self._file = file
        self._group = group
        self.partition = partition
        self.batch_events_max = batch_events_max
        self._next: int | None = None
        self._events: deque[StreamEvent] = deque()

    async def batch(self) -> EventBatch | None:
        """The next events, or None when there are none. Does not move on until `advance`."""
        if self._next is None:
            self._next = await self._file.read(lambda db: _checkpoint(db, self._group, self.partition))
        if not self._events:
            position = self._next
            rows = await self._file.read(lambda db: self._fetch(db, position))
            self._events.extend(
                event for row in rows for event in _stream_events(*row) if event.sequence_number >= position
            )
        if not self._events:
            return None
        return EventBatch(
            str(self.partition), tuple(self._events[i] for i in range(min(self.batch_events_max, len(self._events))))
        )

    async def advance(self, batch: EventBatch) -> None:
        """Make the checkpoint durable behind `batch`."""
        following = batch.events[-1].sequence_number + 1
        await self._file.write(
            lambda db: (
                db.execute(
                    "INSERT INTO checkpoints VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET next = excluded.next",
                    (self._group, self.partition, following),
                ).rowcount
            )
        )
        for _ in batch.events:
            self._events.popleft()
        self._next = following

    def _fetch(self, db: sqlite3.Connection, position: int) -> list[tuple[int, int, bytes]]:
        """Rows from `position` on until they hold a full batch."""
        rows, events = [], 0
        for row, enqueued_ms, count, body in db.execute(
            "SELECT row, enqueued_ms, events, body FROM entries WHERE partition = ? AND row >= ? ORDER BY row",
            (self.partition, position >> INDEX_BITS),
        ):
            rows.append((row, enqueued_ms, body))
            events += count
            if events - (position & (EVENTS_PER_ROW_MAX - 1)) >= self.batch_events_max:
                break
        return rows


def _stream_events(row: int, enqueued_ms: int, body: bytes) -> list[StreamEvent]:
    enqueued_at = datetime.fromtimestamp(enqueued_ms / 1000, UTC)
    first = row << INDEX_BITS
    return [
        StreamEvent(event, key, first + index, str(first + index), enqueued_at)
        for index, (key, event) in enumerate(_decode(body))
    ]


async def _consume_partition(
    reader: _PartitionReader, handler: Handler, waker: asyncio.Event, stop: asyncio.Event
) -> None:
    pause = RETRY_FIRST_S
    while not stop.is_set():
        try:
            # Order matters: cleared before the read, so that a commit during the read wakes us again.
            waker.clear()
            batch = await reader.batch()
            if batch is None:
                await waker.wait()
                continue
            await handler(batch)
            # The handler's effects are durable here, the checkpoint is not: a kill in between delivers them again.
            await reader.advance(batch)
            pause = RETRY_FIRST_S
            if len(batch.events) < reader.batch_events_max:
                await _wait(stop, LINGER_S)
        except Exception:
            _logger.exception("batch of partition %s failed; again in %.1f s", reader.partition, pause)
            await _wait(stop, pause)
            pause = min(pause * 2, RETRY_MAX_S)
