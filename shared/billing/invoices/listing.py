"""Invoices and credit notes as lists: a merchant's, a consumer's, everybody's for the platform."""

from shared.access.store import AccessStore
from shared.access.subscribers.directory import find_consumer_id
from shared.billing.invoices.models import CreditNote, Invoice, InvoiceStatus
from shared.billing.invoices.store import InvoiceStore
from shared.kernel.documents import Stored
from shared.kernel.http.paging import Page
from shared.kernel.http.problems import not_found
from shared.platform.documents import Where


class InvoiceListing:
    """Lists invoices and credit notes. Every list raises Problem 400 `cursor_invalid`."""

    def __init__(self, invoices: InvoiceStore, access: AccessStore) -> None:
        self._invoices = invoices
        self._access = access

    async def of_merchant(
        self,
        merchant_id: str,
        limit: int,
        cursor: str | None,
        *,
        status: InvoiceStatus | None = None,
        period: str | None = None,
        pseudonym: str | None = None,
    ) -> Page[Stored[Invoice]]:
        """A page of a merchant's invoices, newest numbers first; an empty one for a pseudonym that is not the
        merchant's."""
        where = _where(status=status, period=period)
        # A cursor can be read by whoever has it: the pseudonym is in it, never the id that is looked up for it.
        asked = f"{status}:{period}:{pseudonym}"
        if pseudonym is not None:
            consumer_id = await find_consumer_id(self._access, merchant_id, pseudonym)
            if consumer_id is None:
                return Page((), None)
            where.append(Where("consumer_id", "=", consumer_id))
        return await self._invoices.merchant_invoices(merchant_id, where, limit, cursor, asked)

    async def of_consumer(
        self,
        consumer_id: str,
        limit: int,
        cursor: str | None,
        *,
        status: InvoiceStatus | None = None,
        period: str | None = None,
    ) -> Page[Stored[Invoice]]:
        """A page of a consumer's invoices of all its merchants, newest periods first."""
        return await self._invoices.consumer_invoices(consumer_id, _where(status=status, period=period), limit, cursor)

    async def of_platform(
        self,
        limit: int,
        cursor: str | None,
        *,
        merchant_id: str | None = None,
        consumer_id: str | None = None,
        status: InvoiceStatus | None = None,
        period: str | None = None,
    ) -> Page[Stored[Invoice]]:
        """A page of one merchant's invoices, or of everybody's, newest periods first."""
        where = _where(consumer_id=consumer_id, status=status, period=period)
        return await self._invoices.all_invoices(merchant_id, where, limit, cursor)

    async def notes_of_merchant(self, merchant_id: str, limit: int, cursor: str | None) -> Page[Stored[CreditNote]]:
        """A page of a merchant's credit notes, newest numbers first."""
        return await self._invoices.notes(merchant_id, (), limit, cursor)

    async def notes_of_invoice(
        self, consumer_id: str, invoice_id: str, limit: int, cursor: str | None
    ) -> Page[Stored[CreditNote]]:
        """A page of the credit notes that took back some of a consumer's invoice, newest numbers first. Raises Problem
        404."""
        stored = await self._invoices.consumer_invoice(consumer_id, invoice_id)
        if stored is None:
            raise not_found()
        numbers = tuple(note.number for note in stored.value.notes)
        if not numbers:
            return Page((), None)
        return await self._invoices.notes(stored.value.merchant_id, (Where("number", "in", numbers),), limit, cursor)


def _where(**wanted: str | None) -> list[Where]:
    return [Where(field, "=", value) for field, value in wanted.items() if value is not None]
