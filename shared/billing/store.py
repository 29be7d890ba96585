"""Money's documents in and out: reads, names of documents, pages."""

from collections.abc import AsyncIterator, Sequence
from functools import partial
from hashlib import sha256
from typing import TypeVar

from shared.billing.close_models import Close, Filing
from shared.billing.credit_models import Credit
from shared.billing.models import BillingProfile, BuyerDetails, CreditNote, Invoice, Plan, Terms
from shared.kernel.documents import Held, StoredModel
from shared.kernel.http.paging import Page, read_all, read_page
from shared.platform.documents import CONTAINERS, Documents, Query, Where

BILLING = CONTAINERS["billing"]
PROFILE, TERMS, BUYER = "profile", "terms", "buyer"
M = TypeVar("M", bound=StoredModel)


def plan_document(service_id: str, number: int) -> str:
    return f"plan:{service_id}:{number:06d}"


def invoice_document(id: str) -> str:
    return f"inv:{id}"


def note_document(id: str) -> str:
    return f"note:{id}"


def close_document(period: str) -> str:
    return f"close:{period}"


def filing_document(period: str) -> str:
    return f"filing:{period}"


def credit_document(consumer_id: str, currency: str) -> str:
    return f"credit:{consumer_id}:{currency}"


def sequence_document(series: str, financial_year: str) -> str:
    return f"seq:{series}:{financial_year}"


class BillingStore:
    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def get(self, model: type[M], partition: str, id: str) -> Held[M] | None:
        document = await self._documents.get(BILLING, partition, id)
        return None if document is None else Held(model.model_validate_json(document.body), document.etag)

    async def profile(self, merchant_id: str) -> Held[BillingProfile] | None:
        return await self.get(BillingProfile, merchant_id, PROFILE)

    async def terms(self, merchant_id: str) -> Held[Terms] | None:
        return await self.get(Terms, merchant_id, TERMS)

    async def buyer(self, consumer_id: str) -> Held[BuyerDetails] | None:
        return await self.get(BuyerDetails, consumer_id, BUYER)

    async def invoice(self, merchant_id: str, id: str) -> Held[Invoice] | None:
        return await self.get(Invoice, merchant_id, invoice_document(id))

    async def note(self, merchant_id: str, id: str) -> Held[CreditNote] | None:
        return await self.get(CreditNote, merchant_id, note_document(id))

    async def close(self, merchant_id: str, period: str) -> Held[Close] | None:
        return await self.get(Close, merchant_id, close_document(period))

    async def credit(self, merchant_id: str, consumer_id: str, currency: str) -> Held[Credit] | None:
        return await self.get(Credit, merchant_id, credit_document(consumer_id, currency))

    async def plans(self, merchant_id: str, service_id: str | None = None) -> list[Plan]:
        """All versions of a service's plan, or of all services of the merchant, by service and number."""
        prefix = "plan:" if service_id is None else f"plan:{service_id}:"
        return [held.value async for held in self._all(Plan, merchant_id, prefix)]

    async def closes(self, merchant_id: str) -> list[Close]:
        """By period."""
        return [held.value async for held in self._all(Close, merchant_id, "close:")]

    async def profiles(self) -> AsyncIterator[BillingProfile]:
        """Of every merchant who bills."""
        # Across tenants: the platform closes everybody's month.
        query = Query(None, (Where("kind", "=", "profile"),), order_by="kind", limit=1000)
        async for held in self._query(BillingProfile, query):
            yield held.value

    async def filings(self) -> AsyncIterator[Held[Filing]]:
        """Of every merchant that has one."""
        # Across tenants: the platform makes everybody's documents.
        query = Query(None, (Where("kind", "=", "filing"),), order_by="kind", limit=100)
        async for held in self._query(Filing, query):
            yield held

    async def issued_after(self, merchant_id: str, period: str, number: str, limit: int) -> list[Invoice]:
        """The next of a merchant's invoices for a period, by number."""
        where = (Where("kind", "=", "invoice"), Where("period", "=", period), Where("number", ">", number))
        page = await self._documents.query(BILLING, Query(merchant_id, where, order_by="number", limit=limit))
        return [Invoice.model_validate_json(found.body) for found in page.items]

    async def unpaid(self, until: str) -> AsyncIterator[Held[Invoice]]:
        """Every merchant's invoices whose `due` is at most that day."""
        # Across tenants: the platform sees what is overdue.
        query = Query(None, (Where("due", "<=", until),), order_by="due", limit=100)
        async for held in self._query(Invoice, query):
            yield held

    async def merchant_invoices(
        self, merchant_id: str, where: Sequence[Where], limit: int, cursor: str | None, asked: str = ""
    ) -> Page[Held[Invoice]]:
        """Newest numbers first. `asked` names the filters for the cursor. Raises Problem 400 `cursor_invalid`."""
        conditions = (Where("kind", "=", "invoice"), *where)
        query = Query(merchant_id, conditions, order_by="number", descending=True, limit=limit)
        return await self._page(Invoice, f"invoices:{merchant_id}:{asked}", query, cursor)

    async def consumer_invoices(
        self, consumer_id: str, where: Sequence[Where], limit: int, cursor: str | None
    ) -> Page[Held[Invoice]]:
        """Newest periods first. Raises Problem 400 `cursor_invalid`."""
        asked = f"invoices:{consumer_id}:{where}"
        conditions = (Where("consumer_id", "=", consumer_id), Where("kind", "=", "invoice"), *where)
        # Across tenants: a consumer's own invoices are its merchants' documents.
        query = Query(None, conditions, order_by="period", descending=True, limit=limit)
        return await self._page(Invoice, asked, query, cursor)

    async def consumer_invoice(self, consumer_id: str, id: str) -> Held[Invoice] | None:
        where = (Where("consumer_id", "=", consumer_id), Where("id", "=", invoice_document(id)))
        # Across tenants: a consumer's own invoices are its merchants' documents.
        query = Query(None, where, limit=1)
        async for held in self._query(Invoice, query):
            return held
        return None

    async def all_invoices(
        self, merchant_id: str | None, where: Sequence[Where], limit: int, cursor: str | None
    ) -> Page[Held[Invoice]]:
        """One merchant's, or everybody's: newest periods first. Raises Problem 400 `cursor_invalid`."""
        asked = f"all invoices:{merchant_id}:{where}"
        conditions = (Where("kind", "=", "invoice"), *where)
        # Across tenants: the platform sees what is billed on it.
        query = Query(merchant_id, conditions, order_by="period", descending=True, limit=limit)
        return await self._page(Invoice, asked, query, cursor)

    async def notes(
        self, merchant_id: str, where: Sequence[Where], limit: int, cursor: str | None
    ) -> Page[Held[CreditNote]]:
        """A merchant's credit notes, newest numbers first. Raises Problem 400 `cursor_invalid`."""
        asked = f"notes:{merchant_id}:{sha256(repr(where).encode()).hexdigest()[:16]}"
        conditions = (Where("kind", "=", "note"), *where)
        query = Query(merchant_id, conditions, order_by="number", descending=True, limit=limit)
        return await self._page(CreditNote, asked, query, cursor)

    async def _page(self, model: type[M], asked: str, query: Query, cursor: str | None) -> Page[Held[M]]:
        page = await read_page(partial(self._documents.query, BILLING, query), asked=asked, cursor=cursor)
        return page.map(lambda found: Held(model.model_validate_json(found.body), found.etag))

    async def _all(self, model: type[M], partition: str, prefix: str) -> AsyncIterator[Held[M]]:
        query = Query(partition, (Where("id", "starts_with", prefix),), order_by="id", limit=1000)
        async for held in self._query(model, query):
            yield held

    async def _query(self, model: type[M], query: Query) -> AsyncIterator[Held[M]]:
        async for document in read_all(partial(self._documents.query, BILLING, query)):
            yield Held(model.model_validate_json(document.body), document.etag)
