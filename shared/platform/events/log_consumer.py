"""How the embedded log is read: partition by partition, in order, checkpointed behind the handler."""

import asyncio
import logging
import sqlite3
from collections import deque
from datetime import UTC, datetime

import msgspec

from shared.platform.events import BatchHandler, EventBatch, StreamEvent
from shared.platform.sqlite import SqliteFile

INDEX_BITS = 14
EVENTS_PER_ROW_MAX = 1 << INDEX_BITS
LINGER_S = 0.1
"""How long a consumer waits for company after a batch that was not full. Every batch costs durable commits, which
compete with those of the publishers."""

RETRY_FIRST_S, RETRY_MAX_S = 0.1, 10.0

_decode = msgspec.msgpack.Decoder(list[tuple[str, bytes]]).decode
_logger = logging.getLogger(__name__)


async def wait(stop: asyncio.Event, seconds: float) -> bool:
    """True when `stop` was set within `seconds`."""
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return False
    return True


def checkpoint(db: sqlite3.Connection, group: str, partition: int) -> int:
    found = db.execute(
        "SELECT next FROM checkpoints WHERE consumer_group = ? AND partition = ?", (group, partition)
    ).fetchone()
    return int(found[0]) if found else 0


class PartitionReader:
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
            self._next = await self._file.read(lambda db: checkpoint(db, self._group, self.partition))
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


async def consume_partition(
    reader: PartitionReader, handler: BatchHandler, waker: asyncio.Event, stop: asyncio.Event
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
                await wait(stop, LINGER_S)
        except Exception:
            _logger.exception("batch of partition %s failed; again in %.1f s", reader.partition, pause)
            await wait(stop, pause)
            pause = min(pause * 2, RETRY_MAX_S)
