"""What the embedded adapters share: one SQLite file with a writer thread that commits in groups.

Concurrent writes of one process share one durable commit (`synchronous=FULL`: on disk when the call returns). Writers
of several processes queue on a lock file, because SQLite's own busy handler sleeps and polls, which costs
milliseconds under load; the kernel wakes the next holder of a file lock at once and frees it when a process dies.
"""

import asyncio
import contextlib
import fcntl
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

WRITES_PER_COMMIT_MAX = 256
BUSY_TIMEOUT_MS = 1_000
"""How long to wait for somebody who holds SQLite's own lock (a backup, an operator's shell) before refusing."""

BUSY_POLL_S = 0.01

_Job = tuple[Work[Any], "asyncio.Future[Any]", asyncio.AbstractEventLoop]
_Outcome = tuple["asyncio.Future[Any]", Any, BaseException | None]


def connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=BUSY_TIMEOUT_MS / 1000)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA cache_size=-65536")  # KiB
    connection.execute("PRAGMA wal_autocheckpoint=8000")  # pages: hot pages are copied back once, not many times
    return connection


class SqliteFile:
    """`unavailable` is the port's error to raise when the file cannot be used (disk full, locked, damaged)."""

    def __init__(self, path: Path, schema: Sequence[str], unavailable: Callable[[str], Exception]) -> None:
        self.path = path
        self._unavailable = unavailable
        self._closed = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock_fd = os.open(path.with_suffix(".lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            with self._exclusive():
                self._writer = connect(path)
                for statement in schema:
                    self._writer.execute(statement)
                self._writer.execute("PRAGMA busy_timeout=0")  # `_transaction` waits instead
            self.reader = connect(path)
            self._query_connection = connect(path)
        except (OSError, sqlite3.Error) as error:
            self._release()
            raise unavailable(f"{path}: {error}") from error
        self._query_lock = threading.Lock()
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"sqlite-{path.stem}", daemon=True)
        self._thread.start()

    async def write(self, work: Work[T]) -> T:
        """Run `work` inside the next group commit. What it raises undoes its own changes only, and is raised here."""
        if self._closed:
            raise self._unavailable(f"{self.path} is closed")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._jobs.put((work, future, loop))
        return await future

    def read_now(self, work: Work[T]) -> T:
        """Do a point read on the calling thread: about 10 µs, less than a thread switch. Only for the event loop."""
        try:
            return work(self.reader)
        except sqlite3.Error as error:
            raise self._unavailable(f"{self.path}: {error}") from error

    async def read(self, work: Work[T]) -> T:
        """Run a query that may take longer, in a thread of its own."""

        def run() -> T:
            with self._query_lock:
                return work(self._query_connection)

        try:
            return await asyncio.to_thread(run)
        except sqlite3.Error as error:
            raise self._unavailable(f"{self.path}: {error}") from error

    async def close(self) -> None:
        """Commit what is queued, then close."""
        await asyncio.to_thread(self.close_now)

    def close_now(self) -> None:
        """`close` for a caller without a loop to free: waits for the writer thread."""
        if self._closed:
            return
        self._closed = True
        self._jobs.put(None)
        self._thread.join()
        self._release()

    def _release(self) -> None:
        """Give back what was opened, which is not all of it when opening failed."""
        for name in ("_writer", "reader", "_query_connection"):
            if name in self.__dict__:
                getattr(self, name).close()
        if "_lock_fd" in self.__dict__:
            os.close(self._lock_fd)

    @contextlib.contextmanager
    def _exclusive(self) -> Iterator[None]:
        fcntl.flock(self._lock_fd, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._lock_fd, fcntl.LOCK_UN)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        """Holds both locks. While somebody else holds SQLite's own, the lock file is free between attempts: so writers
        of many processes wait side by side and are refused in time, and not each after all those before it."""
        deadline = time.monotonic() + BUSY_TIMEOUT_MS / 1000
        while True:
            with self._exclusive():
                try:
                    self._writer.execute("BEGIN IMMEDIATE")
                except sqlite3.OperationalError as error:
                    is_busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
                    if not is_busy or time.monotonic() >= deadline:
                        raise
                else:
                    yield
                    return
            time.sleep(BUSY_POLL_S)

    def _run(self) -> None:
        ending = False
        while not ending:
            jobs: list[_Job] = []
            job = self._jobs.get()
            while job is not None:
                jobs.append(job)
                if len(jobs) == WRITES_PER_COMMIT_MAX:
                    break
                try:
                    job = self._jobs.get_nowait()
                except queue.Empty:
                    break
            ending = job is None
            if jobs:
                self._deliver(jobs, self._commit(jobs))

    def _commit(self, jobs: Sequence[_Job]) -> list[_Outcome]:
        try:
            with self._transaction():
                outcomes = [self._apply(work, future, alone=len(jobs) == 1) for work, future, _ in jobs]
                if self._writer.in_transaction:  # a refused work that was alone has ended it
                    self._writer.execute("COMMIT")
        except (OSError, sqlite3.Error) as error:
            with contextlib.suppress(sqlite3.Error):  # else the next BEGIN fails, and comes back here
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
            refused = self._unavailable(f"{self.path}: {error}")
            return [(future, None, refused) for _, future, _ in jobs]
        return outcomes

    def _apply(self, work: Work[Any], future: "asyncio.Future[Any]", *, alone: bool) -> _Outcome:
        """A work that fails undoes its own changes: alone by ending the transaction, else back to a savepoint. Fewer
        statements matter: each gives up the interpreter lock, and a busy event loop hands it back late."""
        execute = self._writer.execute
        if not alone:
            execute("SAVEPOINT work")
        try:
            result = work(self._writer)
        except Exception as error:
            if isinstance(error, sqlite3.OperationalError) or type(error) is sqlite3.DatabaseError:
                raise  # the disk or a damaged file, not the work: the whole group fails
            execute("ROLLBACK" if alone else "ROLLBACK TO work")
            if not alone:
                execute("RELEASE work")
            return future, None, error
        if not alone:
            execute("RELEASE work")
        return future, result, None

    @staticmethod
    def _deliver(jobs: Sequence[_Job], outcomes: Sequence[_Outcome]) -> None:
        by_loop: dict[asyncio.AbstractEventLoop, list[_Outcome]] = {}
        for (_, _, loop), outcome in zip(jobs, outcomes, strict=True):
            by_loop.setdefault(loop, []).append(outcome)
        for loop, settled in by_loop.items():
            with contextlib.suppress(RuntimeError):  # the loop is gone, and with it whoever waited
                loop.call_soon_threadsafe(_settle, settled)


def _settle(outcomes: Sequence[_Outcome]) -> None:
    for future, result, error in outcomes:
        if future.done():
            continue
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
