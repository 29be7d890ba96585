"""The audit log in the documents port: appended to, never changed.

One partition per month holds the entries and the chain's head, so an entry and the head that covers it are one
transaction; the head's ETag orders concurrent writers.
"""

import asyncio
from collections.abc import AsyncIterator
from functools import partial

from shared.audit.chain import ChainHead, first, head_of, link
from shared.audit.models import Entry
from shared.kernel.documents import StoredModel
from shared.kernel.http.paging import read_all
from shared.kernel.retries import retry
from shared.platform.documents import (
    CONTAINERS,
    Create,
    DocumentExists,
    Documents,
    DocumentsUnavailable,
    Query,
    Replace,
    TransactionFailed,
    Where,
)

AUDIT = CONTAINERS["audit"]
ATTEMPTS_MAX = 50
PAUSE_S_MAX = 0.05
_HEAD = "head"
_MONTHS = "months"


class _Month(StoredModel):
    month: str


class AuditLog:
    """Appends entries to the months' chains and reads them; one per process: its own writers queue up, so only other
    processes are raced with."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._turn = asyncio.Lock()

    async def append(self, entry: Entry) -> None:
        """Put `entry` at the end of its month's chain, once: an id that is there already is left as it is.
        Raises DocumentsUnavailable."""
        month = entry.time[:7]
        async with self._turn:
            await retry(
                lambda: self._try_append(month, entry),
                on=TransactionFailed,
                attempts_max=ATTEMPTS_MAX,
                pause_s_max=PAUSE_S_MAX,
                otherwise=lambda: DocumentsUnavailable("the audit log has too many writers at once"),
            )

    async def _try_append(self, month: str, entry: Entry) -> None:
        document = await self._documents.get(AUDIT, month, _HEAD)
        head = first(month) if document is None else ChainHead.model_validate_json(document.body)
        linked = link(head, entry)
        after = head_of(month, linked).to_json()
        if document is None:  # the month first: a month that is listed without entries does no harm
            await self._documents.upsert(AUDIT, _MONTHS, month, _Month(month=month).to_json())
        move = Create(_HEAD, after) if document is None else Replace(_HEAD, after, document.etag)
        try:
            await self._documents.transact(AUDIT, month, [Create(linked.id, linked.to_json()), move])
        except TransactionFailed as failed:
            known = failed.index == 0 and isinstance(failed.reason, DocumentExists)  # operation 0 creates the entry
            if not known:
                raise

    async def months(self) -> list[str]:
        """List the months that have entries (`YYYY-MM`), in order."""
        query = Query(_MONTHS, order_by="id", limit=1000)
        return [document.id async for document in read_all(partial(self._documents.query, AUDIT, query))]

    async def head(self, month: str) -> ChainHead:
        document = await self._documents.get(AUDIT, month, _HEAD)
        return first(month) if document is None else ChainHead.model_validate_json(document.body)

    async def entries(self, month: str, *where: Where) -> AsyncIterator[Entry]:
        """Read the entries of a month in the order of the chain."""
        query = Query(month, where, order_by="seq", limit=1000)
        async for document in read_all(partial(self._documents.query, AUDIT, query)):
            yield Entry.model_validate_json(document.body)
