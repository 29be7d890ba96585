"""Filing: documents of what a close issued, made before anybody asks for them.

The close leaves a `Filing` in the transaction that ends it. Whoever files works along the invoices' numbers, a page at
a time, and keeps how far it is under the ETag: one process has a filing, until its lease ends. A kill in between makes
the last page's documents again, which are there already, and the same.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from shared.billing.documents.cache import DocumentCache, InvoiceFormat
from shared.billing.invoices.models import Invoice
from shared.billing.invoices.store import InvoiceStore
from shared.billing.month_close.models import Filing
from shared.billing.month_close.store import CloseStore, filing_document
from shared.billing.store import BILLING
from shared.kernel.clock import utc_now
from shared.kernel.documents import Stored
from shared.kernel.errors import Unavailable
from shared.platform.documents import DocumentMissing, Documents, PreconditionFailed

FILED: tuple[InvoiceFormat, ...] = ("pdf", "csv")
"""What buyers download. Others are made when they are asked for."""

PAGE = 50
AT_ONCE = 8
"""Invoices: the store's answers are waited for together."""

LOGGED = 20 * PAGE
"""Invoices between two lines of the log."""

LEASE = timedelta(minutes=5)
ATTEMPTS_MAX = 8
"""Of one page: what kills the process each time, such as by taking all memory, is left to whoever asks for it."""

_logger = logging.getLogger(__name__)


class Filer:
    """Makes the documents of issued invoices before anybody asks for them. There is one in each process."""

    def __init__(
        self,
        *,
        documents: Documents,
        closes: CloseStore,
        invoices: InvoiceStore,
        cache: DocumentCache,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._documents = documents
        self._closes = closes
        self._invoices = invoices
        self._cache = cache
        self._now = now

    async def any_due(self) -> bool:
        """Tell whether something is left to file that nobody works on. Raises DocumentsUnavailable."""
        async for stored in self._closes.filings():
            if self._is_free(stored.value):
                return True
        return False

    async def run(self) -> int:
        """File everything that nobody works on. Returns how many invoices were filed. Raises BlobsUnavailable and
        DocumentsUnavailable; the next run goes on where this one was."""
        filed = 0
        async for stored in self._closes.filings():
            if self._is_free(stored.value):
                filed += await self._file(stored)
        return filed

    def _is_free(self, filing: Filing) -> bool:
        return filing.leased_until is None or filing.leased_until <= self._now()

    async def _file(self, stored: Stored[Filing]) -> int:
        filing, etag, filed = stored.value, stored.etag, 0
        place = (BILLING, filing.merchant_id, filing_document(filing.period))
        try:
            while True:
                filing = filing.model_copy(
                    update={"leased_until": self._now() + LEASE, "attempts": filing.attempts + 1}
                )
                etag = await self._documents.replace(*place, filing.to_json(), etag=etag)
                invoices = await self._invoices.issued_after(filing.merchant_id, filing.period, filing.after, PAGE)
                if not invoices:
                    await self._documents.delete(*place, etag=etag)
                    _logger.info("%s of %s: documents of %d invoices", filing.period, filing.merchant_id, filed)
                    return filed
                if filing.attempts > ATTEMPTS_MAX:
                    _logger.error(
                        "no documents of %s to %s: too many attempts", invoices[0].number, invoices[-1].number
                    )
                else:
                    await self._make(invoices)
                    filed += len(invoices)
                if filed and filed % LOGGED == 0:
                    _logger.info("%s of %s: documents of %d invoices so far", filing.period, filing.merchant_id, filed)
                filing = filing.model_copy(update={"after": invoices[-1].number, "attempts": 0})
        except (PreconditionFailed, DocumentMissing):  # another process has it, or a close began it anew
            return filed
        except Unavailable:  # it is nobody's fault, and may be over in a minute
            with contextlib.suppress(Unavailable, PreconditionFailed, DocumentMissing):
                free = filing.model_copy(update={"leased_until": None, "attempts": 0})
                await self._documents.replace(*place, free.to_json(), etag=etag)
            raise

    async def _make(self, invoices: Sequence[Invoice]) -> None:
        limit = asyncio.Semaphore(AT_ONCE)

        async def one(invoice: Invoice) -> None:
            async with limit:
                try:
                    for format in FILED:  # noqa: A001 - the field's own word
                        await self._cache.get(invoice, format)
                except Unavailable:
                    raise
                except Exception:  # whoever asks for it is told; the others are not to wait for it
                    _logger.exception("no document of invoice %s", invoice.id)

        try:
            async with asyncio.TaskGroup() as tasks:
                for invoice in invoices:
                    if invoice.status != "void":
                        tasks.create_task(one(invoice))
        except ExceptionGroup as group:  # one reason says more to an operator
            raise group.exceptions[0] from group
