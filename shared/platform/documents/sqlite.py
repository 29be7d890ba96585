"""Documents, embedded: one SQLite table per container, with Cosmos DB's semantics and no more.

Point reads run on the calling thread (about 10 µs in the page cache); writes of one process share durable commits
(`shared.platform.sqlite`), each transaction in a savepoint of its own. ETags are taken from a counter that starts at
the process's start time in nanoseconds, so no two writes of a document ever get the same one.
"""

import itertools
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from shared.kernel.http.paging import Page
from shared.platform.documents import (
    BODY_BYTES_MAX,
    CONTAINERS,
    OPERATIONS_PER_TRANSACTION_MAX,
    PATCH_OPERATIONS_MAX,
    Container,
    Create,
    Delete,
    Document,
    DocumentExists,
    DocumentMissing,
    DocumentsUnavailable,
    Operation,
    Patch,
    PreconditionFailed,
    Query,
    Replace,
    TransactionFailed,
    Upsert,
    check_id,
    check_partition,
)
from shared.platform.documents.sqlite_query import LIVE, apply_patch, compile_query, encode_cursor, field_value
from shared.platform.sqlite import SqliteFile

EXPIRED_PER_SWEEP_MAX = 500


def _schema() -> list[str]:
    statements = []
    for container in CONTAINERS.values():
        name = container.name
        statements += [
            f"CREATE TABLE IF NOT EXISTS {name} (partition TEXT NOT NULL, id TEXT NOT NULL, etag INTEGER NOT NULL,"
            " ttl_s INTEGER, expires_at REAL, body TEXT NOT NULL)",
            f"CREATE UNIQUE INDEX IF NOT EXISTS {name}_key ON {name} (partition, id)",
            f"CREATE INDEX IF NOT EXISTS {name}_expiry ON {name} (expires_at) WHERE expires_at IS NOT NULL",
        ]
        for field in container.indexed:
            value, column = field_value(field), field.replace(".", "_")
            # With the id, so that what has the value is in order already: else SQLite prefers to look through the whole
            # partition, which has that order. Records have no such field, so their inserts do not pay for it.
            order = f"{value}, partition, id" if field in container.across else f"partition, {value}"
            # Partial: a document without the field costs no index entry, and never matches a filter on it.
            statements.append(
                f"CREATE INDEX IF NOT EXISTS {name}_by_{column} ON {name} ({order}) WHERE {value} IS NOT NULL"
            )
    return statements


class SqliteDocuments:
    """`clock` gives Unix seconds; tests of expiry set it."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._file = SqliteFile(path, _schema(), DocumentsUnavailable)
        self._clock = clock
        self._etags = itertools.count(time.time_ns())

    async def get(self, container: Container, partition: str, id: str) -> Document | None:
        row = self._file.read_now(
            lambda db: db.execute(
                f"SELECT CAST(body AS BLOB), etag FROM {container.name} WHERE partition = ? AND id = ? AND {LIVE}",
                (partition, id, self._clock()),
            ).fetchone()
        )
        return None if row is None else Document(partition, id, row[0], _etag(row[1]))

    async def create(
        self, container: Container, partition: str, id: str, body: bytes, *, ttl_s: int | None = None
    ) -> str:
        return await self._single(container, partition, Create(id, body, ttl_s))

    async def replace(
        self, container: Container, partition: str, id: str, body: bytes, *, etag: str | None, ttl_s: int | None = None
    ) -> str:
        return await self._single(container, partition, Replace(id, body, etag, ttl_s))

    async def upsert(
        self, container: Container, partition: str, id: str, body: bytes, *, ttl_s: int | None = None
    ) -> str:
        return await self._single(container, partition, Upsert(id, body, ttl_s))

    async def delete(self, container: Container, partition: str, id: str, *, etag: str | None = None) -> None:
        await self._single(container, partition, Delete(id, etag))

    async def _single(self, container: Container, partition: str, operation: Operation) -> str:
        try:
            return (await self.transact(container, partition, [operation]))[0]
        except TransactionFailed as failed:
            raise failed.reason from None

    async def transact(self, container: Container, partition: str, operations: Sequence[Operation]) -> Sequence[str]:
        if not 1 <= len(operations) <= OPERATIONS_PER_TRANSACTION_MAX:
            raise ValueError(f"a transaction has 1 to {OPERATIONS_PER_TRANSACTION_MAX} operations")
        check_partition(partition)
        total = 0
        for operation in operations:
            check_id(operation.id)
            if not isinstance(operation, Delete):
                total += len(operation.body)
                if operation.ttl_s is not None and not container.ttl:
                    raise ValueError(f"documents of {container.name} have no time to live")
        if total > BODY_BYTES_MAX:
            raise ValueError(f"bodies of {total} bytes are over {BODY_BYTES_MAX}")
        return await self._file.write(lambda db: self._apply(db, container, partition, operations))

    def _apply(
        self, db: sqlite3.Connection, container: Container, partition: str, operations: Sequence[Operation]
    ) -> list[str]:
        now, etags = self._clock(), []
        creates: list[tuple[Any, ...]] = []
        for index, operation in enumerate(operations):
            etag = next(self._etags)
            etags.append("" if isinstance(operation, Delete) else _etag(etag))
            if isinstance(operation, Create):
                ttl_s = operation.ttl_s
                creates.append((partition, operation.id, etag, ttl_s, _expiry(now, ttl_s), operation.body.decode()))
                continue
            _insert_all(db, container, creates, index, now)
            creates = []
            try:
                _change(db, container, partition, operation, etag, now)
            except (DocumentMissing, PreconditionFailed) as reason:
                raise TransactionFailed(index, reason) from None
        _insert_all(db, container, creates, len(operations), now)
        _sweep(db, container, now)
        return etags

    async def patch(
        self, container: Container, partition: str, id: str, changes: Sequence[Patch], *, etag: str | None = None
    ) -> Document:
        if not 1 <= len(changes) <= PATCH_OPERATIONS_MAX:
            raise ValueError(f"a patch has 1 to {PATCH_OPERATIONS_MAX} changes")

        def work(db: sqlite3.Connection) -> Document:
            now = self._clock()
            row = db.execute(
                f"SELECT body, etag, ttl_s FROM {container.name} WHERE partition = ? AND id = ? AND {LIVE}",
                (partition, id, now),
            ).fetchone()
            if row is None:
                raise DocumentMissing(id)
            if etag is not None and etag != _etag(row[1]):
                raise PreconditionFailed(id)
            body, version = apply_patch(row[0], changes), next(self._etags)
            db.execute(
                f"UPDATE {container.name} SET body = ?, etag = ?, expires_at = ? WHERE partition = ? AND id = ?",
                (body.decode(), version, _expiry(now, row[2]), partition, id),
            )
            return Document(partition, id, body, _etag(version))

        return await self._file.write(work)

    async def query(self, container: Container, query: Query, cursor: str | None = None) -> Page[Document]:
        sql, parameters = compile_query(container, query, cursor, self._clock())
        rows = await self._file.read(lambda db: db.execute(sql, parameters).fetchall())
        documents = tuple(Document(row[0], row[1], row[3], _etag(row[2])) for row in rows[: query.limit])
        if len(rows) <= query.limit:
            return Page(documents, None)
        return Page(documents, encode_cursor(query, rows[query.limit - 1]))

    async def ready(self) -> None:
        await self._file.write(lambda db: db.execute("SELECT 1 FROM jobs LIMIT 1").fetchone())

    async def close(self) -> None:
        await self._file.close()


def _etag(version: int) -> str:
    return f"{version:x}"


def _expiry(now: float, ttl_s: int | None) -> float | None:
    return None if ttl_s is None else now + ttl_s


def _insert_all(
    db: sqlite3.Connection, container: Container, rows: Sequence[tuple[Any, ...]], end: int, now: float
) -> None:
    """Insert documents that must be new; `end` is the index of the operation after the last of them.

    In one statement while none is taken: every statement gives up the interpreter lock, and one per row makes this
    thread and the event loop's hand it to and fro.
    """
    if not rows:
        return
    table = f"INSERT INTO {container.name} (partition, id, etag, ttl_s, expires_at, body) VALUES "
    try:
        db.execute(table + ", ".join(["(?, ?, ?, ?, ?, ?)"] * len(rows)), [value for row in rows for value in row])
    except sqlite3.IntegrityError:
        _insert_each(db, table + "(?, ?, ?, ?, ?, ?)", container, rows, end, now)


def _insert_each(
    db: sqlite3.Connection, sql: str, container: Container, rows: Sequence[tuple[Any, ...]], end: int, now: float
) -> None:
    """The same row by row, to learn which one is taken; an expired document gives way."""
    for index, row in enumerate(rows, end - len(rows)):
        try:
            db.execute(sql, row)
        except sqlite3.IntegrityError:
            expired = db.execute(
                f"DELETE FROM {container.name} WHERE partition = ? AND id = ? AND expires_at <= ?", (*row[:2], now)
            ).rowcount
            if not expired:
                raise TransactionFailed(index, DocumentExists(row[1])) from None
            db.execute(sql, row)


def _change(
    db: sqlite3.Connection,
    container: Container,
    partition: str,
    operation: Replace | Upsert | Delete,
    etag: int,
    now: float,
) -> None:
    table = container.name
    if isinstance(operation, Upsert):
        db.execute(
            f"INSERT INTO {table} (partition, id, etag, ttl_s, expires_at, body) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT"
            " DO UPDATE SET etag = excluded.etag, ttl_s = excluded.ttl_s, expires_at = excluded.expires_at,"
            " body = excluded.body",
            (partition, operation.id, etag, operation.ttl_s, _expiry(now, operation.ttl_s), operation.body.decode()),
        )
        return
    where = f"partition = ? AND id = ? AND {LIVE}"
    key: tuple[Any, ...] = (partition, operation.id, now)
    if operation.etag is not None:
        where += " AND etag = ?"
        key += (_version(operation.etag),)
    if isinstance(operation, Replace):
        changed = db.execute(
            f"UPDATE {table} SET etag = ?, ttl_s = ?, expires_at = ?, body = ? WHERE {where}",
            (etag, operation.ttl_s, _expiry(now, operation.ttl_s), operation.body.decode(), *key),
        ).rowcount
    else:
        changed = db.execute(f"DELETE FROM {table} WHERE {where}", key).rowcount
    if changed:
        return
    known = db.execute(
        f"SELECT 1 FROM {table} WHERE partition = ? AND id = ? AND {LIVE}", (partition, operation.id, now)
    ).fetchone()
    raise PreconditionFailed(operation.id) if known else DocumentMissing(operation.id)


def _version(etag: str) -> int:
    """The number behind an ETag; -1, which no document has, for text that never was one."""
    try:
        return int(etag, 16)
    except ValueError:
        return -1


def _sweep(db: sqlite3.Connection, container: Container, now: float) -> None:
    """Remove a bounded number of expired documents, so that every write pays for some of the past."""
    if container.ttl:
        db.execute(
            f"DELETE FROM {container.name} WHERE rowid IN (SELECT rowid FROM {container.name}"
            " WHERE expires_at IS NOT NULL AND expires_at <= ? LIMIT ?)",
            (now, EXPIRED_PER_SWEEP_MAX),
        )
