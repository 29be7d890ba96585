"""Closes of months, and what is still to be filed of them: documents in and out."""

from collections.abc import AsyncIterator

from shared.billing.month_close.models import Close, Filing
from shared.billing.profiles.store import CLOSES
from shared.billing.store import BILLING, BillingStore
from shared.kernel.documents import Stored
from shared.platform.documents import Query, Where


def close_document(period: str) -> str:
    """Name the document of a period's close, in the merchant's partition."""
    return f"{CLOSES}{period}"


def filing_document(period: str) -> str:
    """Name the document that says which of a period's invoices are still to be filed, in the merchant's partition."""
    return f"filing:{period}"


class CloseStore(BillingStore):
    """Reads closes and filings, and keeps how far a close is."""

    async def close(self, merchant_id: str, period: str) -> Stored[Close] | None:
        """Read the close of a merchant's period; None before it has begun."""
        return await self.get(Close, merchant_id, close_document(period))

    async def closes(self, merchant_id: str) -> list[Close]:
        """List all closes of a merchant, by period."""
        return [stored.value async for stored in self._all(Close, merchant_id, CLOSES)]

    async def save_progress(self, close: Close, etag: str) -> str:
        """Store how far a close is: nothing that anybody decides, so it is not in the audit log. Returns the new ETag.
        Raises PreconditionFailed; DocumentsUnavailable."""
        name = close_document(close.period)
        return await self._documents.replace(BILLING, close.merchant_id, name, close.to_json(), etag=etag)

    async def create_filing(self, filing: Filing) -> None:
        """Leave a filing to whoever files. Raises DocumentExists; DocumentsUnavailable."""
        name = filing_document(filing.period)
        await self._documents.create(BILLING, filing.merchant_id, name, filing.to_json())

    async def filings(self) -> AsyncIterator[Stored[Filing]]:
        """List the filings of every merchant that has one."""
        # Across tenants: the platform makes everybody's documents.
        query = Query(None, (Where("kind", "=", "filing"),), order_by="kind", limit=100)
        async for stored in self._query(Filing, query):
            yield stored
