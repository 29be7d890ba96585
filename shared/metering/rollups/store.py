"""Slices, in and out of the documents port. Days are from `first` to `last`, both inclusive."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import suppress
from datetime import date, timedelta
from typing import NamedTuple

from shared.metering.rollups.models import (
    JOBS,
    PROGRESS,
    ROLLUPS,
    DocumentKind,
    RollupProgress,
    SliceHead,
    SliceQuarters,
    SliceRows,
    days_between,
    decode_head,
    decode_progress,
    decode_quarters,
    decode_rows,
    encode,
    head_document,
    is_service_scope,
    quarters_document,
    rows_document,
)
from shared.metering.rollups.slices import Slice
from shared.metering.store import PAGE, bodies_of, documents_of
from shared.platform.documents import (
    BODY_BYTES_MAX,
    OPERATIONS_PER_TRANSACTION_MAX,
    Create,
    DocumentMissing,
    Documents,
    DocumentsUnavailable,
    Operation,
    Query,
    Replace,
    TransactionFailed,
    Upsert,
    Where,
)

DAYS_AT_ONCE_MAX = 7
READ_ATTEMPTS_MAX = 5


class StoredHead(NamedTuple):
    """The part of a stored slice's head that is needed to replace the slice."""

    parts: int
    etag: str


class SliceStore:
    """Reads slices, and replaces them whole."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def progress(self) -> RollupProgress | None:
        """How far slices are derived; None before they were made for the first time."""
        document = await self._documents.get(JOBS, *PROGRESS)
        return None if document is None else decode_progress(document.body)

    async def put_progress(self, progress: RollupProgress) -> None:
        await self._documents.upsert(JOBS, *PROGRESS, encode(progress))

    async def heads(self, scope: str, first: date, last: date) -> AsyncIterator[SliceHead]:
        async for body in self._read(scope, "t", first, last):
            yield decode_head(body)

    async def quarters(self, scope: str, first: date, last: date) -> AsyncIterator[SliceQuarters]:
        async for body in self._read(scope, "q", first, last):
            yield decode_quarters(body)

    async def quarters_of_services(self, day: date) -> AsyncIterator[SliceQuarters]:
        """The quarters of every service's slice of a day."""
        # Across tenants: the platform's own sums.
        async for body in bodies_of(self._documents, ROLLUPS, Query(None, (Where("day", "=", str(day)),), limit=PAGE)):
            yield decode_quarters(body)

    async def rows(self, scope: str, first: date, last: date) -> AsyncIterator[SliceRows]:
        """Read the rows of slices. Raises DocumentsUnavailable when the number of a slice's parts kept changing."""
        while first <= last:
            until = min(last, first + timedelta(days=DAYS_AT_ONCE_MAX - 1))
            for rows in await self._consistent_rows(scope, first, until):
                yield rows
            first = until + timedelta(days=1)

    async def _consistent_rows(self, scope: str, first: date, last: date) -> Iterable[SliceRows]:
        """Each slice's rows in the number of parts that its head says, no other and none twice."""
        for _ in range(READ_ATTEMPTS_MAX):
            expected = {(head.date, head.name): head.parts async for head in self.heads(scope, first, last)}
            found = [decode_rows(body) async for body in self._read(scope, "r", first, last)]
            valid = [rows for rows in found if expected.get((rows.date, rows.name)) == rows.parts]
            if len(valid) == sum(expected.values()):
                return valid
        raise DocumentsUnavailable("a slice kept growing while it was read")

    async def _read(self, scope: str, kind: DocumentKind, first: date, last: date) -> AsyncIterator[bytes]:
        query = Query(scope, days_between(kind, first, last), order_by="id", limit=PAGE)
        async for body in bodies_of(self._documents, ROLLUPS, query):
            yield body

    async def stored_heads(self, scope: str, day: str) -> Mapping[str, StoredHead]:
        """The heads of a scope's day by the names of their slices. To be read before the counters that the slices are
        derived from: `replace` then fails when somebody has derived from later ones."""
        on = date.fromisoformat(day)
        query = Query(scope, days_between("t", on, on), order_by="id", limit=PAGE)
        found: dict[str, StoredHead] = {}
        async for document in documents_of(self._documents, ROLLUPS, query):
            head = decode_head(document.body)
            found[head.name] = StoredHead(head.parts, document.etag)
        return found

    async def replace(self, scope: str, day: str, name: str, new: Slice, stored: StoredHead | None) -> bool:
        """Write a slice in place of the one whose head is `stored`; False when somebody else wrote it since."""
        parts = new.parts(day, name)
        rows = [Upsert(*part) for part in parts]
        head = encode(new.head_of(day, name, len(parts)))
        head_id = head_document(day, name)
        quarters = encode(new.quarters_of(day, name, of_service=is_service_scope(scope)))
        operations: list[Operation] = [
            Create(head_id, head) if stored is None else Replace(head_id, head, stored.etag),
            Upsert(quarters_document(day, name), quarters),
        ]
        together = len(head) + len(quarters) + sum(len(row.body) for row in rows) <= BODY_BYTES_MAX
        if together and len(rows) + len(operations) <= OPERATIONS_PER_TRANSACTION_MAX:
            operations += rows
        else:  # parts that the head does not name yet are not read; those that it does are as good as any
            for row in rows:
                await self._documents.upsert(ROLLUPS, scope, row.id, row.body)
        try:
            await self._documents.transact(ROLLUPS, scope, operations)
        except TransactionFailed:
            return False
        if stored is not None and stored.parts != len(parts):
            await self._remove(scope, (rows_document(day, name, stored.parts, n) for n in range(stored.parts)))
        return True

    async def _remove(self, scope: str, ids: Iterable[str]) -> None:
        for document_id in ids:
            with suppress(DocumentMissing):
                await self._documents.delete(ROLLUPS, scope, document_id)
