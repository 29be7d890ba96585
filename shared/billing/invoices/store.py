"""Invoices, credit notes and credit: documents in and out, and pages of them."""

from collections.abc import AsyncIterator, Sequence
from hashlib import sha256

from shared.billing.invoices.credit import Credit
from shared.billing.invoices.models import CreditNote, Invoice
from shared.billing.numbering import Numbers
from shared.billing.store import BILLING, BillingStore
from shared.kernel.documents import Stored
from shared.kernel.http.paging import Page
from shared.platform.documents import Query, Where


def invoice_document(id: str) -> str:
    """Name the document of an invoice, in the merchant's partition."""
    return f"inv:{id}"


def note_document(id: str) -> str:
    """Name the document of a credit note, in the merchant's partition."""
    return f"note:{id}"


def credit_document(consumer_id: str, currency: str) -> str:
    """Name the document of a consumer's credit with a merchant, in the merchant's partition."""
    return f"credit:{consumer_id}:{currency}"


class InvoiceStore(BillingStore):
    """Reads what merchants issued, and what credit their consumers have."""

    async def invoice(self, merchant_id: str, id: str) -> Stored[Invoice] | None:
        """Read a merchant's invoice; None where there is none."""
        return await self.get(Invoice, merchant_id, invoice_document(id))

    async def note(self, merchant_id: str, id: str) -> Stored[CreditNote] | None:
        """Read a merchant's credit note; None where there is none."""
        return await self.get(CreditNote, merchant_id, note_document(id))

    async def credit(self, merchant_id: str, consumer_id: str, currency: str) -> Stored[Credit] | None:
        """Read what a consumer has for its next invoices; None where it has nothing."""
        return await self.get(Credit, merchant_id, credit_document(consumer_id, currency))

    async def numbers(self, merchant_id: str, sequence: str) -> Stored[Numbers] | None:
        """Read the last number of a sequence, by its document; None before the first number."""
        return await self.get(Numbers, merchant_id, sequence)

    async def issued_after(self, merchant_id: str, period: str, number: str, limit: int) -> list[Invoice]:
        """List the next of a merchant's invoices for a period, by number, from behind `number`."""
        where = (Where("kind", "=", "invoice"), Where("period", "=", period), Where("number", ">", number))
        page = await self._documents.query(BILLING, Query(merchant_id, where, order_by="number", limit=limit))
        return [Invoice.model_validate_json(found.body) for found in page.items]

    async def unpaid(self, until: str) -> AsyncIterator[Stored[Invoice]]:
        """List every merchant's invoices whose `due` is at most the day `until`."""
        # Across tenants: the platform sees what is overdue.
        query = Query(None, (Where("due", "<=", until),), order_by="due", limit=100)
        async for stored in self._query(Invoice, query):
            yield stored

    async def merchant_invoices(
        self, merchant_id: str, where: Sequence[Where], limit: int, cursor: str | None, filters: str = ""
    ) -> Page[Stored[Invoice]]:
        """A page of a merchant's invoices, newest numbers first. `filters` stands for `where` in the cursor. Raises
        Problem 400 `cursor_invalid`."""
        conditions = (Where("kind", "=", "invoice"), *where)
        query = Query(merchant_id, conditions, order_by="number", descending=True, limit=limit)
        return await self._page(Invoice, f"invoices:{merchant_id}:{filters}", query, cursor)

    async def consumer_invoices(
        self, consumer_id: str, where: Sequence[Where], limit: int, cursor: str | None
    ) -> Page[Stored[Invoice]]:
        """A page of a consumer's invoices, newest periods first. Raises Problem 400 `cursor_invalid`."""
        list_name = f"invoices:{consumer_id}:{where}"
        conditions = (Where("consumer_id", "=", consumer_id), Where("kind", "=", "invoice"), *where)
        # Across tenants: a consumer's own invoices are its merchants' documents.
        query = Query(None, conditions, order_by="period", descending=True, limit=limit)
        return await self._page(Invoice, list_name, query, cursor)

    async def consumer_invoice(self, consumer_id: str, id: str) -> Stored[Invoice] | None:
        """Read a consumer's own invoice, whichever merchant issued it; None where there is none."""
        where = (Where("consumer_id", "=", consumer_id), Where("id", "=", invoice_document(id)))
        # Across tenants: a consumer's own invoices are its merchants' documents.
        query = Query(None, where, limit=1)
        async for stored in self._query(Invoice, query):
            return stored
        return None

    async def all_invoices(
        self, merchant_id: str | None, where: Sequence[Where], limit: int, cursor: str | None
    ) -> Page[Stored[Invoice]]:
        """A page of one merchant's invoices, or of everybody's, newest periods first. Raises Problem 400
        `cursor_invalid`."""
        list_name = f"all invoices:{merchant_id}:{where}"
        conditions = (Where("kind", "=", "invoice"), *where)
        # Across tenants: the platform sees what is billed on it.
        query = Query(merchant_id, conditions, order_by="period", descending=True, limit=limit)
        return await self._page(Invoice, list_name, query, cursor)

    async def notes(
        self, merchant_id: str, where: Sequence[Where], limit: int, cursor: str | None
    ) -> Page[Stored[CreditNote]]:
        """A page of a merchant's credit notes, newest numbers first. Raises Problem 400 `cursor_invalid`."""
        list_name = f"notes:{merchant_id}:{sha256(repr(where).encode()).hexdigest()[:16]}"
        conditions = (Where("kind", "=", "note"), *where)
        query = Query(merchant_id, conditions, order_by="number", descending=True, limit=limit)
        return await self._page(CreditNote, list_name, query, cursor)
