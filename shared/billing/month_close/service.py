"""Closing: every merchant's every period that is over, in order, each exactly once.

The package's docstring walks through a close. This module decides which period is due, freezes what its invoices
depend on, and hands the close to its run.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from shared.access.mails import AccessMails
from shared.audit.journal import Journal
from shared.audit.models import SYSTEM, Change
from shared.audit.platform import PlatformSettingsStore
from shared.billing.month_close.drafting import Drafter
from shared.billing.month_close.issuing import InvoiceIssuer
from shared.billing.month_close.models import Close
from shared.billing.month_close.run import CloseRun
from shared.billing.month_close.store import CloseStore, close_document
from shared.billing.month_close.subscribers import BilledSubscribers
from shared.billing.numbering import financial_year
from shared.billing.profiles.models import BillingProfile
from shared.billing.profiles.parties import seller_party
from shared.billing.profiles.store import ProfileStore
from shared.billing.store import BILLING
from shared.catalog.store import CatalogStore
from shared.kernel.clock import utc_now
from shared.kernel.documents import Stored
from shared.kernel.errors import Problem
from shared.kernel.http.problems import not_found
from shared.kernel.periods import Period, name_at, next_month, period
from shared.platform.documents import Create

_logger = logging.getLogger(__name__)


class PeriodNotOver(Exception):
    """The period, or its grace, is not over yet."""


class PeriodNotBegun(PeriodNotOver):
    """The period is in the future: nobody can have used anything in it."""


class Closer:
    """Closes billing periods. There is one in each process."""

    def __init__(
        self,
        *,
        closes: CloseStore,
        profiles: ProfileStore,
        catalog: CatalogStore,
        subscribers: BilledSubscribers,
        drafter: Drafter,
        issuer: InvoiceIssuer,
        journal: Journal,
        settings: PlatformSettingsStore,
        mails: AccessMails,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._closes = closes
        self._profiles = profiles
        self._catalog = catalog
        self._subscribers = subscribers
        self._drafter = drafter
        self._issuer = issuer
        self._journal = journal
        self._settings = settings
        self._mails = mails
        self.now = now

    async def run(self) -> int:
        """Close whatever is over, of every merchant. Returns how many periods are closed now. One merchant's trouble
        does not stop the others; raises the last DocumentsUnavailable or so, to be tried again."""
        closed, trouble = 0, None
        async for profile in self._profiles.profiles():
            try:
                closed += await self.close_merchant(profile)
            except Exception as error:
                _logger.exception("closing %s failed", profile.merchant_id)
                trouble = error
        if trouble is not None:
            raise trouble
        return closed

    async def close_merchant(self, profile: BillingProfile, until: str | None = None) -> int:
        """Close every period of a merchant that is over, the grace included, up to the one named `until`. Returns how
        many are closed now."""
        closed = 0
        while True:
            due = await self.next_period(profile)
            if until is not None and due.name > until:
                return closed
            try:
                close = await self.close(profile, due)
            except PeriodNotOver:
                return closed
            if close.status != "done":
                return closed
            closed += 1

    async def next_period(self, profile: BillingProfile) -> Period:
        """Find the first period of a merchant that is not closed. A zone that was changed holds from where the last one
        ended."""
        closes = await self._closes.closes(profile.merchant_id)
        for close in closes:
            if close.status != "done":
                return close.as_period
        zone, anchor = profile.time_zone, profile.anchor_day
        if closes:
            return period(next_month(closes[-1].period), zone, anchor, start=closes[-1].end)
        return period(name_at(profile.billing_from, zone, anchor), zone, anchor)

    async def close(self, profile: BillingProfile, of: Period, *, early: bool = False) -> Close:
        """Begin a period's close or go on with it; returns the close as it is afterwards. A period that is closed
        `early` goes on: what is used until its end is a correction on the next invoice. Raises PeriodNotOver;
        PeriodNotBegun, also when `early`; DocumentsUnavailable."""
        await self._check_over(of, early=early)
        stored = await self._begin_or_resume(profile, of)
        if stored.value.status == "done":
            return stored.value
        run = CloseRun(
            stored,
            await self._drafter.load_basis(stored.value),
            closes=self._closes,
            subscribers=self._subscribers,
            drafter=self._drafter,
            issuer=self._issuer,
            journal=self._journal,
            mails=self._mails,
            now=self.now,
        )
        await run.retry_held()
        await run.process_remaining()
        return await run.finish()

    async def _check_over(self, of: Period, *, early: bool) -> None:
        """Raises PeriodNotOver; PeriodNotBegun, also when `early`."""
        if of.start > self.now():
            raise PeriodNotBegun(f"{of.name} has not begun")
        grace = timedelta(hours=(await self._settings.current()).close_grace_hours)
        if of.end + grace > self.now() and not early:
            hours = grace.total_seconds() / 3600
            raise PeriodNotOver(f"{of.name} and its {hours:g} hours of grace end {of.end + grace}")

    async def _begin_or_resume(self, profile: BillingProfile, of: Period) -> Stored[Close]:
        """The period's close as it is stored: as it was begun before, or frozen now."""
        found = await self._closes.close(profile.merchant_id, of.name)
        if found is not None:
            return found
        close = await self.draft_close(profile, of)
        change = Change(SYSTEM, "close.begin", close.resource, after={"start": str(of.start), "end": str(of.end)})
        create = Create(close_document(of.name), close.to_json())
        try:
            etags = await self._journal.commit(BILLING, close.merchant_id, [create], change)
        except Problem:  # another process began it
            found = await self._closes.close(profile.merchant_id, of.name)
            if found is None:
                raise
            return found
        return Stored(close, etags[0])

    async def draft_close(self, profile: BillingProfile, of: Period) -> Close:
        """Make what the close of a period would freeze if it began now; nothing is stored. Raises Problem 404."""
        merchant = await self._catalog.merchant(profile.merchant_id)
        if merchant is None:
            raise not_found()
        terms = await self._profiles.terms(profile.merchant_id)
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
