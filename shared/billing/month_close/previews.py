"""What an invoice would be if the period were closed now: computed afresh each time, never stored."""

import asyncio
from collections.abc import Callable
from datetime import datetime

from shared.access.models import Grant
from shared.access.store import AccessStore
from shared.billing.invoices.models import Invoice
from shared.billing.month_close.drafting import Drafter
from shared.billing.month_close.models import Close
from shared.billing.month_close.service import Closer
from shared.billing.month_close.subscribers import BilledSubscriber, BilledSubscribers
from shared.billing.profiles.models import BillingProfile
from shared.billing.profiles.store import ProfileStore
from shared.billing.usage.month import CountersDiffer
from shared.kernel.clock import utc_now
from shared.kernel.errors import FieldError, Problem
from shared.kernel.http.problems import not_found
from shared.kernel.periods import Period, next_month, period

MERCHANTS_MAX = 100
"""Whose previews a consumer gets at once."""


class Previews:
    """Computes what invoices would be now. There is one in each process."""

    def __init__(
        self,
        *,
        profiles: ProfileStore,
        subscribers: BilledSubscribers,
        access: AccessStore,
        drafter: Drafter,
        closer: Closer,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._profiles = profiles
        self._subscribers = subscribers
        self._access = access
        self._drafter = drafter
        self._closer = closer
        self._now = now

    async def of_subscriber(self, merchant_id: str, pseudonym: str, name: str | None) -> list[Invoice]:
        """Draft a subscriber's invoices, one for each currency, of the period that is running, or of the named one that
        is not closed yet. Raises Problem 404, also for a merchant who does not bill; 400 `range_invalid` for a period
        that is closed or to come; 409 `state_invalid` while counters and records differ."""
        stored = await self._profiles.profile(merchant_id)
        if stored is None:
            raise not_found()
        close = await self._closer.draft_close(stored.value, await self._period(stored.value, name))
        subscriber = await self._subscribers.by_pseudonym(close, pseudonym)
        if subscriber is None:
            raise not_found()
        return await self._drafts(close, subscriber)

    async def of_consumer(self, consumer_id: str) -> list[Invoice]:
        """Draft what the running period of every merchant comes to for a consumer so far, by merchant. Raises Problem
        409 as above."""
        grants = [stored.value for stored in await self._access.all_of(Grant, consumer_id, "grant:")]
        merchants = sorted({grant.merchant_id for grant in grants if grant.merchant_id is not None})[:MERCHANTS_MAX]
        found = await asyncio.gather(*(self._of_merchant(consumer_id, merchant_id) for merchant_id in merchants))
        return [invoice for invoices in found for invoice in invoices]

    async def _of_merchant(self, consumer_id: str, merchant_id: str) -> list[Invoice]:
        stored = await self._profiles.profile(merchant_id)
        if stored is None:
            return []
        close = await self._closer.draft_close(stored.value, await self._period(stored.value, None))
        subscriber = await self._subscribers.by_consumer(close, consumer_id)
        return [] if subscriber is None else await self._drafts(close, subscriber)

    async def _drafts(self, close: Close, subscriber: BilledSubscriber) -> list[Invoice]:
        basis = await self._drafter.load_basis(close)
        # Records of a running period change while they are read; of one that is over they are on the invoice.
        try:
            drafts = await self._drafter.draft_invoices(basis, subscriber, proven=close.as_period.end <= self._now())
        except CountersDiffer as error:
            rule = f"{error}, so nothing can be said of it yet"
            raise Problem(
                409, "state_invalid", f"Usage is not settled: {rule}.", (FieldError("usage", rule),)
            ) from None
        return [draft.invoice for draft in drafts]

    async def _period(self, profile: BillingProfile, name: str | None) -> Period:
        found = await self._closer.next_period(profile)
        while found.end <= self._now() and found.name != name:
            found = period(next_month(found.name), profile.time_zone, profile.anchor_day, start=found.end)
        if name not in (None, found.name):
            rule = "must be a period that has begun and is not closed yet"
            raise Problem(400, "range_invalid", f"`period` {rule}.", errors=(FieldError("period", rule),))
        return found
