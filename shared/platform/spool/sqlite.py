"""The spool on SQLite: one small database per process, locked while its process lives.

A process that finds a database whose lock is free adopts it: its owner is dead. Shipping is at least once (a kill
between publish and delete ships again, with the same event ids), which the aggregator's identity of records absorbs.
"""

import asyncio
import contextlib
import fcntl
import logging
import os
import sqlite3
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from shared.kernel.batching import Batcher
from shared.kernel.errors import Unavailable
from shared.kernel.telemetry import SPOOL_EVENTS
from shared.platform.spool import SpoolUnavailable
from shared.platform.sqlite import SqliteFile

EVENTS_PER_SHIPMENT_MAX = 1_000
SHIP_EVERY_S = 0.1
"""Events wait this long for company: every shipment costs durable commits, which those of the appends wait for."""

RETRY_FIRST_S, RETRY_MAX_S = 0.05, 5.0
ADOPT_EVERY_S = 5.0
CLOSE_S = 10.0

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS waiting"
    " (row INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, event BLOB NOT NULL)",
)

_Item = tuple[str, bytes]
Publish = Callable[[str, Sequence[bytes]], Awaitable[None]]
_logger = logging.getLogger(__name__)


class SqliteSpool:
    """`publish` is the stream's; what it returns for is forgotten here."""

    def __init__(self, folder: Path, publish: Publish, events_max: int) -> None:
        self._folder = folder
        self._publish = publish
        self._events_max = events_max
        self._appends = Batcher(self._append)
        self._queue: deque[tuple[int, _Item]] = deque()
        self._work = asyncio.Event()
        self._failure: str | None = None
        self._closing = asyncio.Event()
        self._open: tuple[int, SqliteFile] | None = None
        self._appending = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def waiting(self) -> int:
        return len(self._queue)

    def check(self) -> None:
        if self._failure is not None:
            raise SpoolUnavailable(self._failure)
        if len(self._queue) >= self._events_max:
            raise SpoolUnavailable(f"{len(self._queue)} events wait for the stream, the limit is {self._events_max}")

    async def append(self, partition_key: str, event: bytes) -> None:
        if len(self._queue) >= self._events_max:
            self.check()
        await self._appends.add((partition_key, event))

    async def ready(self) -> None:
        self._start()
        self.check()

    def _start(self) -> None:
        """Start the background work: ship, and adopt what dead processes left."""
        if self._tasks or self._closing.is_set():
            return
        self._tasks = [asyncio.create_task(self._ship()), asyncio.create_task(self._adopt())]

    async def _append(self, items: list[_Item]) -> None:
        self._start()
        async with self._appending:
            try:
                if self._open is None:
                    self._open = _create(self._folder)
                last = await self._open[1].write(lambda db: _insert(db, items))
            except (SpoolUnavailable, OSError) as error:
                self._failure = str(error)
                self._work.set()  # the shipper probes the disk until it works again
                raise SpoolUnavailable(str(error)) from error
            self._failure = None
            first = last - len(items) + 1
            self._queue.extend((first + index, item) for index, item in enumerate(items))
        SPOOL_EVENTS.set(len(self._queue))
        self._work.set()

    async def _ship(self) -> None:
        pause = RETRY_FIRST_S
        while not (self._closing.is_set() and not self._queue):
            await self._work.wait()
            self._work.clear()
            while self._queue or self._failure:
                if len(self._queue) < EVENTS_PER_SHIPMENT_MAX:
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._closing.wait(), SHIP_EVERY_S)
                try:
                    await self._probe()
                    await self._ship_some()
                    pause = RETRY_FIRST_S
                except Exception as error:  # whatever it is, what waits must not be stuck until the process ends
                    known = isinstance(error, Unavailable)
                    _logger.warning("spool cannot ship: %s; again in %.2f s", error, pause, exc_info=not known)
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, RETRY_MAX_S)

    async def _probe(self) -> None:
        """After a failed append: find out whether the disk works again."""
        if self._failure is not None:
            try:
                if self._open is None:
                    self._open = _create(self._folder)
                await self._open[1].write(lambda db: db.execute("DELETE FROM waiting WHERE row < 0").rowcount)
            except OSError as error:
                raise SpoolUnavailable(str(error)) from error
            self._failure = None

    async def _ship_some(self) -> None:
        if not self._queue:
            return
        taken = [self._queue[i] for i in range(min(len(self._queue), EVENTS_PER_SHIPMENT_MAX))]
        await _publish_all(self._publish, [item for _, item in taken])
        # Before the deletion: should that fail for long, what the stream has is not shipped over and over.
        for _ in taken:
            self._queue.popleft()
        SPOOL_EVENTS.set(len(self._queue))
        await self._forget(taken[-1][0])

    async def _forget(self, row: int) -> None:
        """Delete up to `row`. A deletion needs room too: of a disk that is full, only the whole file can be given back,
        once all that is in it has been shipped."""
        assert self._open is not None
        descriptor, file = self._open
        try:
            await file.write(lambda db: db.execute("DELETE FROM waiting WHERE row <= ?", (row,)).rowcount)
        except SpoolUnavailable:
            async with self._appending:  # else an event could be on its way into the file
                if self._queue:
                    raise  # the next deletion covers these rows
                self._open = None
            await file.close()
            _remove(file.path)
            os.close(descriptor)

    async def _adopt(self) -> None:
        while not self._closing.is_set():
            await self._adopt_orphans()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), ADOPT_EVERY_S)

    async def _adopt_orphans(self) -> None:
        own = self._open[1].path if self._open is not None else None
        for path in sorted(self._folder.glob("*.db")):
            if path == own:
                continue
            try:
                await self._adopt_one(path)
            except Exception:  # one that is damaged must not hold up the others
                _logger.exception("orphaned spool %s stays for now", path.name)

    async def _adopt_one(self, path: Path) -> None:
        if (descriptor := _lock(path)) is None:
            return
        try:
            orphan = SqliteFile(path, _SCHEMA, SpoolUnavailable)
            try:
                items = await orphan.read(
                    lambda db: db.execute("SELECT key, event FROM waiting ORDER BY row").fetchall()
                )
                for start in range(0, len(items), EVENTS_PER_SHIPMENT_MAX):
                    await _publish_all(self._publish, items[start : start + EVENTS_PER_SHIPMENT_MAX])
            finally:
                await orphan.close()
            _remove(path)  # only now: the stream has everything
            if items:
                _logger.info("shipped %d events that a dead process left", len(items))
        finally:
            os.close(descriptor)

    async def close(self) -> None:
        await self._appends.drain()  # before closing: the first append under way starts the shipper
        self._closing.set()
        self._work.set()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=CLOSE_S)
            for task in late:
                task.cancel()
        if self._open is not None:
            descriptor, file = self._open
            await file.close()
            if not self._queue:
                _remove(file.path)
            os.close(descriptor)


def _create(folder: Path) -> tuple[int, SqliteFile]:
    """A database of our own, locked before it exists, so that nobody adopts it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{uuid.uuid4().hex}.db"
    descriptor = _lock(path)
    assert descriptor is not None, "nobody else knows this name"
    try:
        return descriptor, SqliteFile(path, _SCHEMA, SpoolUnavailable)
    except SpoolUnavailable:
        with contextlib.suppress(OSError):
            _remove(path)
        os.close(descriptor)
        raise


def _lock(path: Path) -> int | None:
    """The owner's lock, or None when its owner lives."""
    descriptor = os.open(path.with_suffix(".owner"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _remove(path: Path) -> None:
    for name in (path, Path(f"{path}-wal"), Path(f"{path}-shm"), path.with_suffix(".lock"), path.with_suffix(".owner")):
        name.unlink(missing_ok=True)


def _insert(db: sqlite3.Connection, items: Sequence[_Item]) -> int:
    """Insert in one statement (see the event log) and return the last row's number; rows of one insert are adjacent."""
    values = ", ".join(["(?, ?)"] * len(items))
    cursor = db.execute(f"INSERT INTO waiting (key, event) VALUES {values}", [part for item in items for part in item])
    assert cursor.lastrowid is not None
    return cursor.lastrowid


async def _publish_all(publish: Publish, items: Sequence[_Item]) -> None:
    by_key: dict[str, list[bytes]] = {}
    for key, event in items:
        by_key.setdefault(key, []).append(event)
    await asyncio.gather(*(publish(key, events) for key, events in by_key.items()))
