"""The month's close: every merchant's every period that is over, in order, each exactly once.

What an invoice depends on besides usage is frozen in the close's document when it begins. Its consumers are done in the
order of their pseudonyms, so that going on after a kill gives the same invoices the same numbers; what exists already
is success. Two that close at once do the same, and the store decides. A consumer who cannot be billed (its counters and
records differ) is held, with the reason, told to the platform, and tried again by the next run; the next period waits
until nobody is held, because corrections rest on what was billed before.
"""

import logging
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from shared.access.mails import AccessMails
from shared.access.models import Grant
from shared.access.store import AccessStore
from shared.audit.journal import Journal
from shared.audit.models import SYSTEM, Change
from shared.audit.platform import PlatformSettingsStore
from shared.billing.close_models import Close
from shared.billing.models import BillingProfile
from shared.billing.month_close.drafting import Drafter, Subscriber
from shared.billing.month_close.issuing import Issuer
from shared.billing.month_close.run import CloseRun
from shared.billing.numbering import financial_year
from shared.billing.profiles.parties import seller_party
from shared.billing.store import BILLING, BillingStore, close_document
from shared.catalog.store import CatalogStore
from shared.kernel.clock import utc_now
from shared.kernel.documents import Held
from shared.kernel.errors import Problem
from shared.kernel.http.problems import not_found
from shared.kernel.periods import Period, name_at, next_month, period
from shared.platform.documents import Create, Documents, Query, Where

_logger = logging.getLogger(__name__)


class NotOver(Exception):
    """The period, or its grace, is not over yet."""


class NotBegun(NotOver):
    """The period is in the future: nobody can have used anything in it."""


class Closer:
    """One per process."""

    def __init__(
        self,
        documents: Documents,
        store: BillingStore,
        access: AccessStore,
        catalog: CatalogStore,
        drafter: Drafter,
        issuer: Issuer,
        journal: Journal,
        settings: PlatformSettingsStore,
        mails: AccessMails,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self.documents = documents
        self.store = store
        self._access = access
        self._catalog = catalog
        self.drafter = drafter
        self.issuer = issuer
        self.journal = journal
        self._settings = settings
        self.mails = mails
        self.now = now

    async def run(self) -> int:
        """Close whatever is over, of every merchant. Returns how many periods are closed now. One merchant's trouble
        does not stop the others; raises the last DocumentsUnavailable or so, to be tried again."""
        closed, trouble = 0, None
        async for profile in self.store.profiles():
            try:
                closed += await self.close_merchant(profile)
            except Exception as error:
                _logger.exception("closing %s failed", profile.merchant_id)
                trouble = error
        if trouble is not None:
            raise trouble
        return closed

    async def close_merchant(self, profile: BillingProfile, until: str | None = None) -> int:
        """Every period of a merchant that is over, the grace included, up to the one named `until`."""
        closed = 0
        while True:
            due = await self.next_period(profile)
            if until is not None and due.name > until:
                return closed
            try:
                close = await self.close(profile, due)
            except NotOver:
                return closed
            if close.status != "done":
                return closed
            closed += 1

    async def next_period(self, profile: BillingProfile) -> Period:
        """The first that is not closed. A zone that was changed holds from where the last one ended."""
        closes = await self.store.closes(profile.merchant_id)
        for close in closes:
            if close.status != "done":
                return close.as_period
        zone, anchor = profile.time_zone, profile.anchor_day
        if closes:
            return period(next_month(closes[-1].period), zone, anchor, start=closes[-1].end)
        return period(name_at(profile.billing_from, zone, anchor), zone, anchor)

    async def thought(self, profile: BillingProfile, of: Period) -> Close:
        """What the close of a period would freeze if it began now; nothing is stored. Raises Problem 404."""
        merchant = await self._catalog.merchant(profile.merchant_id)
        if merchant is None:
            raise not_found()
        terms = await self.store.terms(profile.merchant_id)
        agreed = None if terms is None else terms.value.commission_percent
        today = self.now().astimezone(ZoneInfo(of.zone)).date()
        return Close(
            merchant_id=profile.merchant_id,
            period=of.name,
            start=of.start,
            end=of.end,
            time_zone=of.zone,
            issued_on=str(today),
            due_on=str(today + timedelta(days=profile.payment_terms_days)),
            financial_year=financial_year(today, profile.financial_year_month),
            commission_percent=(await self._settings.current()).commission_percent if agreed is None else agreed,
            seller=seller_party(merchant, profile),
            profile=profile,
            logo=merchant.logo,
            begun_at=self.now().astimezone(UTC),
        )

    async def close(self, profile: BillingProfile, of: Period, *, early: bool = False) -> Close:
        """Begin or go on; returns the close as it is afterwards. A period that is closed `early` goes on: what is used
        until its end is a correction on the next invoice. Raises NotOver; NotBegun, also when `early`;
        DocumentsUnavailable."""
        if of.start > self.now():
            raise NotBegun(f"{of.name} has not begun")
        grace = timedelta(hours=(await self._settings.current()).close_grace_hours)
        if of.end + grace > self.now() and not early:
            raise NotOver(f"{of.name} and its {grace.total_seconds() / 3600:g} hours of grace end {of.end + grace}")
        held = await self._begun(profile, of)
        if held.value.status == "done":
            return held.value
        basis = await self.drafter.basis(held.value)
        run = CloseRun(self, held, basis)
        await run.again()
        await run.all()
        return await run.finish()

    async def _begun(self, profile: BillingProfile, of: Period) -> Held[Close]:
        found = await self.store.close(profile.merchant_id, of.name)
        if found is not None:
            return found
        close = await self.thought(profile, of)
        change = Change(SYSTEM, "close.begin", close.resource, after={"start": str(of.start), "end": str(of.end)})
        try:
            etags = await self.journal.commit(
                BILLING, close.merchant_id, [Create(close_document(of.name), close.to_json())], change
            )
        except Problem:  # somebody else began it
            found = await self.store.close(profile.merchant_id, of.name)
            if found is None:
                raise
            return found
        return Held(close, etags[0])

    async def subscribers(self, close: Close, after: str = "") -> AsyncIterator[Subscriber]:
        """A merchant's consumers by pseudonym, from behind `after`."""
        where = [Where("merchant_id", "=", close.merchant_id)]
        if after:
            where.append(Where("pseudonym", ">", after))
        group: list[Grant] = []
        # Across tenants: a merchant's own grants.
        query = Query(None, tuple(where), order_by="pseudonym", limit=1_000)
        async for held in self._access.stream(Grant, query):
            if group and group[0].pseudonym != held.value.pseudonym:
                yield _subscriber(group, close.end)
                group = []
            group.append(held.value)
        if group:
            yield _subscriber(group, close.end)

    async def subscriber(self, close: Close, pseudonym: str) -> Subscriber | None:
        where = (Where("merchant_id", "=", close.merchant_id), Where("pseudonym", "=", pseudonym))
        # Across tenants: a merchant's own grants.
        grants = [held.value async for held in self._access.stream(Grant, Query(None, where))]
        return _subscriber(grants, close.end) if grants else None

    async def subscriber_of(self, close: Close, consumer_id: str) -> Subscriber | None:
        grants = [held.value for held in await self._access.all_of(Grant, consumer_id, "grant:")]
        grants = [grant for grant in grants if grant.merchant_id == close.merchant_id and grant.pseudonym is not None]
        return _subscriber(grants, close.end) if grants else None


def _subscriber(grants: list[Grant], end: datetime) -> Subscriber:
    """Who has access now, and had it before the period was over, subscribed to the service in it."""
    subscribed = frozenset(
        grant.service_id
        for grant in grants
        if grant.status == "approved" and not grant.restricted and (grant.decided_at is None or grant.decided_at < end)
    )
    return Subscriber(grants[0].consumer_id, grants[0].pseudonym or "", subscribed)
