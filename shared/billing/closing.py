"""The month's close: every merchant's every period that is over, in order, each exactly once.

What an invoice depends on besides usage is frozen in the close's document when it begins. Its consumers are done in the
order of their pseudonyms, so that going on after a kill gives the same invoices the same numbers; what exists already
is success. Two that close at once do the same, and the store decides. A consumer who cannot be billed (its counters and
records differ) is held, with the reason, told to the platform, and tried again by the next run; the next period waits
until nobody is held, because corrections rest on what was billed before.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from shared.access.letters import Letters
from shared.access.models import Grant
from shared.access.store import AccessStore
from shared.audit.journal import Journal
from shared.audit.models import SYSTEM, Change
from shared.audit.platform import PlatformSettingsStore
from shared.billing.drafting import Basis, Drafter, Subscriber
from shared.billing.issuing import Draft, Issuer
from shared.billing.models import BillingProfile, Close
from shared.billing.months import CountersDiffer
from shared.billing.numbering import financial_year
from shared.billing.parties import seller_party
from shared.billing.store import BILLING, BillingStore, close_document
from shared.catalog.store import CatalogStore
from shared.kernel.clock import utc_now
from shared.kernel.errors import Problem
from shared.kernel.periods import Period, name_at, next_month, period
from shared.kernel.problems import not_found
from shared.kernel.stored import Held
from shared.platform.documents import Create, Documents, PreconditionFailed, Query, Replace, Where

AT_ONCE = 32
"""Consumers whose drafts are made at once, and issued together."""

GROUPS_PER_SAVE = 10
STALE_ATTEMPTS_MAX = 5
HELD_MAX = 1_000
"""Reasons that a close keeps; with more it stops, for something is wrong with all of them."""

_logger = logging.getLogger(__name__)


class NotOver(Exception):  # noqa: N818 - an answer about a period
    """The period, or its grace, is not over yet."""


class Closer:
    """One per process."""

    def __init__(
        self, documents: Documents, store: BillingStore, access: AccessStore, catalog: CatalogStore,
        drafter: Drafter, issuer: Issuer, journal: Journal, settings: PlatformSettingsStore, letters: Letters,
        now: Callable[[], datetime] = utc_now,
    ) -> None:  # fmt: skip
        self.documents = documents
        self.store = store
        self._access = access
        self._catalog = catalog
        self.drafter = drafter
        self.issuer = issuer
        self.journal = journal
        self._settings = settings
        self.letters = letters
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
        until its end is a correction on the next invoice. Raises NotOver; DocumentsUnavailable."""
        grace = timedelta(hours=(await self._settings.current()).close_grace_hours)
        if of.end + grace > self.now() and not early:
            raise NotOver(f"{of.name} and its {grace.total_seconds() / 3600:g} hours of grace end {of.end + grace}")
        held = await self._begun(profile, of)
        if held.value.status == "done":
            return held.value
        basis = await self.drafter.basis(held.value)
        run = _Run(self, held, basis)
        await run.again()
        await run.all()
        return await run.finish()

    async def _begun(self, profile: BillingProfile, of: Period) -> Held[Close]:
        found = await self.store.close(profile.merchant_id, of.name)
        if found is not None:
            return found
        close = await self.thought(profile, of)
        change = Change(SYSTEM, "close.begin", _resource(close), after={"start": str(of.start), "end": str(of.end)})
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
        if grant.status == "approved" and (grant.decided_at is None or grant.decided_at < end)
    )
    return Subscriber(grants[0].consumer_id, grants[0].pseudonym or "", subscribed)


def _resource(close: Close) -> str:
    return f"close:{close.merchant_id}:{close.period}"


class _Run:
    """One process's work on one close."""

    def __init__(self, closer: Closer, held: Held[Close], basis: Basis) -> None:
        self._closer = closer
        self._held = held
        self._basis = basis
        self._close = held.value
        self._known = dict(held.value.held)

    async def again(self) -> None:
        """Those who were held: perhaps they can be billed now."""
        for pseudonym in sorted(self._close.held):
            subscriber = await self._closer.subscriber(self._close, pseudonym)
            left = {name: reason for name, reason in self._close.held.items() if name != pseudonym}
            self._close = self._close.model_copy(update={"held": left})
            await self._do([] if subscriber is None else [subscriber])
        await self._save()

    async def all(self) -> None:
        group: list[Subscriber] = []
        groups = 0
        async for subscriber in self._closer.subscribers(self._close, self._close.after):
            group.append(subscriber)
            if len(group) == AT_ONCE:
                await self._next(group)
                group, groups = [], groups + 1
                if groups % GROUPS_PER_SAVE == 0:
                    await self._save()
        if group:
            await self._next(group)
        await self._save()

    async def _next(self, group: list[Subscriber]) -> None:
        await self._do(group)
        close = self._close
        self._close = close.model_copy(update={"done": close.done + len(group), "after": group[-1].pseudonym})

    async def _do(self, group: list[Subscriber]) -> None:
        found = await asyncio.gather(*(self._drafts(subscriber) for subscriber in group))
        drafts = [draft for drafts in found for draft in drafts]
        if drafts:
            await self._closer.issuer.issue(drafts)
        there = sum(draft.outcome != "stale" for draft in drafts)
        for subscriber, made in zip(group, found, strict=True):
            if any(draft.outcome == "stale" for draft in made):
                there += await self._again(subscriber)
        self._close = self._close.model_copy(update={"invoices": self._close.invoices + there})

    async def _again(self, subscriber: Subscriber) -> int:
        """A draft whose credit changed meanwhile."""
        for _ in range(STALE_ATTEMPTS_MAX):
            drafts = await self._drafts(subscriber)
            await self._closer.issuer.issue(drafts)
            if all(draft.outcome != "stale" for draft in drafts):
                return sum(draft.outcome == "issued" for draft in drafts)
        self._hold(subscriber, "its credit kept changing")
        return 0

    async def _drafts(self, subscriber: Subscriber) -> list[Draft]:
        try:
            return await self._closer.drafter.drafts(self._basis, subscriber)
        except (CountersDiffer, Problem, ArithmeticError, ValueError) as error:
            _logger.exception("holding %s in %s", subscriber.pseudonym, _resource(self._close))
            self._hold(subscriber, str(error) or type(error).__name__)
            return []

    def _hold(self, subscriber: Subscriber, reason: str) -> None:
        held = {**self._close.held, subscriber.pseudonym: reason[:500]}
        if len(held) > HELD_MAX:
            raise RuntimeError(f"over {HELD_MAX} consumers of {_resource(self._close)} could not be billed: {reason}")
        self._close = self._close.model_copy(update={"held": held})

    async def _save(self) -> None:
        """How far it is. When another process is on the same close, the one that is further says so."""
        while True:
            body = self._close.to_json()
            try:
                etag = await self._closer.documents.replace(
                    BILLING, self._close.merchant_id, close_document(self._close.period), body, etag=self._held.etag
                )
            except PreconditionFailed:
                await self._merge()
                if self._close.status == "done":
                    return
            else:
                self._held = Held(self._close, etag)
                _logger.info(
                    "%s: %d consumers, %d invoices, %d held", _resource(self._close), self._close.done,
                    self._close.invoices, len(self._close.held),
                )  # fmt: skip
                return

    async def _merge(self) -> None:
        held = await self._closer.store.close(self._close.merchant_id, self._close.period)
        assert held is not None, "closes are never deleted"
        theirs, mine = held.value, self._close
        further = theirs if theirs.status == "done" or theirs.after > mine.after else mine
        self._held, self._close = held, further

    async def finish(self) -> Close:
        if self._close.held:
            await self._tell()
            return self._close
        while self._close.status != "done":
            close = self._close.model_copy(update={"status": "done", "finished_at": self._closer.now()})
            counts = {"consumers": close.done, "invoices": close.invoices}
            change = Change(SYSTEM, "close.finish", _resource(close), after=counts)
            write = Replace(close_document(close.period), close.to_json(), self._held.etag)
            try:
                await self._closer.journal.commit(BILLING, close.merchant_id, [write], change)
            except Problem:
                await self._merge()
            else:
                self._close = close
        return self._close

    async def _tell(self) -> None:
        """The platform, of whom it was not told by the run before."""
        close = self._close
        new = sorted(close.held.items() - self._known.items())
        if not new:
            return
        reasons = "\n".join(f"{pseudonym}: {reason}" for pseudonym, reason in new[:20])
        text = f"{len(new)} consumers of merchant {close.merchant_id} could not be billed for {close.period}.\n\n"
        tasks = await self._closer.letters.to_platform(f"Invoices held: {close.period}", f"{text}{reasons}\n")
        write = Replace(close_document(close.period), close.to_json(), self._held.etag)
        change = Change(SYSTEM, "close.hold", _resource(close), after={"held": len(close.held)})
        await self._closer.journal.commit(BILLING, close.merchant_id, [write], change, tasks=tasks)
