"""Billing profiles, terms and buyers' details: documents in and out."""

from collections.abc import AsyncIterator
from datetime import datetime

from pydantic import AwareDatetime

from shared.billing.profiles.models import BillingProfile, BuyerDetails, Terms
from shared.billing.store import BILLING, BillingStore
from shared.kernel.documents import Stored, StoredModel
from shared.platform.documents import Query, Where

PROFILE, TERMS, BUYER = "profile", "terms", "buyer"
"""Names of documents: the first two in the merchant's partition, the last one in the consumer's."""

CLOSES = "close:"
"""What the names of a merchant's closes begin with."""


class _ClosedMonth(StoredModel):
    """The part of a close (`shared.billing.month_close`) that prices and profiles depend on."""

    end: AwareDatetime


class ProfileStore(BillingStore):
    """Reads how merchants bill and how consumers want to be billed."""

    async def profile(self, merchant_id: str) -> Stored[BillingProfile] | None:
        """Read a merchant's billing profile; None for one who does not bill."""
        return await self.get(BillingProfile, merchant_id, PROFILE)

    async def profiles(self) -> AsyncIterator[BillingProfile]:
        """List the profiles of every merchant who bills."""
        # Across tenants: the platform closes everybody's month.
        query = Query(None, (Where("kind", "=", "profile"),), order_by="kind", limit=1000)
        async for stored in self._query(BillingProfile, query):
            yield stored.value

    async def terms(self, merchant_id: str) -> Stored[Terms] | None:
        """Read what an admin agreed with a merchant; None while nothing was agreed."""
        return await self.get(Terms, merchant_id, TERMS)

    async def buyer(self, consumer_id: str) -> Stored[BuyerDetails] | None:
        """Read what a consumer wants on its invoices; None while it has said nothing."""
        return await self.get(BuyerDetails, consumer_id, BUYER)

    async def closed_until(self, merchant_id: str) -> datetime | None:
        """The end of a merchant's last period whose close has begun; None before the first one."""
        query = Query(merchant_id, (Where("id", "starts_with", CLOSES),), order_by="id", descending=True, limit=1)
        page = await self._documents.query(BILLING, query)
        return _ClosedMonth.model_validate_json(page.items[0].body).end if page.items else None
