"""One process's work on one close: subscribers in the order of their pseudonyms, groups at a time.

Read it from top to bottom: `retry_held`, `process_remaining` and `finish` are its three stages, each followed by the
steps that it takes. The close's own document says how far the work is; when two processes work on the same close, both
do the same, and the one that is further says so.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from datetime import datetime

from shared.access.mails import AccessMails
from shared.audit.journal import Journal
from shared.audit.models import SYSTEM, Change
from shared.billing.month_close.drafting import Basis, Drafter
from shared.billing.month_close.issuing import Draft, InvoiceIssuer, check_size
from shared.billing.month_close.models import Close, Filing
from shared.billing.month_close.store import CloseStore, close_document, filing_document
from shared.billing.month_close.subscribers import BilledSubscriber, BilledSubscribers
from shared.billing.store import BILLING
from shared.billing.usage.month import CountersDiffer
from shared.kernel.documents import Stored
from shared.kernel.errors import Problem
from shared.platform.documents import DocumentExists, Operation, PreconditionFailed, Replace, Upsert

AT_ONCE = 32
"""Subscribers whose drafts are made at once, and issued together."""

GROUPS_PER_SAVE = 10
STALE_ATTEMPTS_MAX = 5
HELD_MAX = 1_000
"""Reasons that a close keeps; with more it stops, for something is wrong with all of them."""

_logger = logging.getLogger(__name__)


class CloseRun:
    """One process's work on one close."""

    def __init__(
        self,
        stored: Stored[Close],
        basis: Basis,
        *,
        closes: CloseStore,
        subscribers: BilledSubscribers,
        drafter: Drafter,
        issuer: InvoiceIssuer,
        journal: Journal,
        mails: AccessMails,
        now: Callable[[], datetime],
    ) -> None:
        self._stored = stored
        self._close = stored.value
        self._basis = basis
        self._closes = closes
        self._subscribers = subscribers
        self._drafter = drafter
        self._issuer = issuer
        self._journal = journal
        self._mails = mails
        self._now = now

    async def retry_held(self) -> None:
        """Bill those who were held by an earlier run, as far as they can be billed now."""
        for pseudonym in sorted(self._close.held):
            subscriber = await self._subscribers.by_pseudonym(self._close, pseudonym)
            others = {name: reason for name, reason in self._close.held.items() if name != pseudonym}
            self._close = self._close.model_copy(update={"held": others})
            await self._issue_group([] if subscriber is None else [subscriber])
        await self._save_progress()

    async def process_remaining(self) -> None:
        """Bill every subscriber behind the last one that was done, and save from time to time how far that is."""
        group: list[BilledSubscriber] = []
        groups = 0
        async for subscriber in self._subscribers.behind(self._close, self._close.after):
            group.append(subscriber)
            if len(group) == AT_ONCE:
                await self._process_group(group)
                group, groups = [], groups + 1
                if groups % GROUPS_PER_SAVE == 0:
                    await self._save_progress()
        if group:
            await self._process_group(group)
        await self._save_progress()

    async def _process_group(self, group: list[BilledSubscriber]) -> None:
        await self._issue_group(group)
        close = self._close
        self._close = close.model_copy(update={"done": close.done + len(group), "after": group[-1].pseudonym})

    async def _issue_group(self, group: list[BilledSubscriber]) -> None:
        """Draft the subscribers' invoices side by side, then issue all of them in order."""
        drafts_by_subscriber = await asyncio.gather(*(self._draft_or_hold(subscriber) for subscriber in group))
        drafts = [draft for drafts in drafts_by_subscriber for draft in drafts]
        if drafts:
            await self._issuer.issue(drafts)
        invoices = sum(draft.outcome != "stale" for draft in drafts)
        for subscriber, drafts in zip(group, drafts_by_subscriber, strict=True):
            if any(draft.outcome == "stale" for draft in drafts):
                invoices += await self._redo_stale(subscriber)
        self._close = self._close.model_copy(update={"invoices": self._close.invoices + invoices})

    async def _draft_or_hold(self, subscriber: BilledSubscriber) -> list[Draft]:
        """The subscriber's drafts; none for one who cannot be billed, and is held with the reason."""
        try:
            drafts = await self._drafter.draft_invoices(self._basis, subscriber)
            for draft in drafts:
                check_size(draft)
            return drafts
        except (CountersDiffer, Problem, ArithmeticError, ValueError) as error:
            _logger.exception("holding %s in %s", subscriber.pseudonym, self._close.resource)
            self._hold(subscriber, str(error) or type(error).__name__)
            return []

    async def _redo_stale(self, subscriber: BilledSubscriber) -> int:
        """Draft again what rested on credit that changed meanwhile. Returns how many invoices that issued."""
        for _ in range(STALE_ATTEMPTS_MAX):
            drafts = await self._draft_or_hold(subscriber)
            if drafts:
                await self._issuer.issue(drafts)
            if all(draft.outcome != "stale" for draft in drafts):
                return sum(draft.outcome == "issued" for draft in drafts)
        self._hold(subscriber, "its credit kept changing")
        return 0

    def _hold(self, subscriber: BilledSubscriber, reason: str) -> None:
        held = {**self._close.held, subscriber.pseudonym: reason[:500]}
        if len(held) > HELD_MAX:
            raise RuntimeError(f"over {HELD_MAX} consumers of {self._close.resource} could not be billed: {reason}")
        self._close = self._close.model_copy(update={"held": held})

    async def finish(self) -> Close:
        """Mark the close as done and leave its invoices to be filed; while somebody is held, tell the platform instead.
        Returns the close as it is afterwards."""
        while self._close.status != "done":
            if self._close.held:
                await self._file_issued_so_far()
                await self._notify_held()
                break
            close = self._close.model_copy(update={"status": "done", "finished_at": self._now()})
            counts = {"consumers": close.done, "invoices": close.invoices}
            change = Change(SYSTEM, "close.finish", close.resource, after=counts)
            writes: list[Operation] = [Replace(close_document(close.period), close.to_json(), self._stored.etag)]
            if close.invoices:
                writes.append(Upsert(filing_document(close.period), self._filing.to_json()))
            try:
                await self._journal.commit(BILLING, close.merchant_id, writes, change)
            except Problem:
                await self._merge_with_stored()
            else:
                self._close = close
        return self._close

    async def _file_issued_so_far(self) -> None:
        """Leave what was issued to be filed: the others are not to wait for those who are held."""
        if self._close.invoices > self._close.filed:
            with contextlib.suppress(DocumentExists):
                await self._closes.create_filing(self._filing)
            self._close = self._close.model_copy(update={"filed": self._close.invoices})
            await self._save_progress()

    @property
    def _filing(self) -> Filing:
        return Filing(merchant_id=self._close.merchant_id, period=self._close.period)

    async def _notify_held(self) -> None:
        """Tell the platform of everybody who is held, once: that it was told is in the transaction that leaves the
        mail."""
        while self._close.status != "done" and (new := sorted(self._close.held.items() - self._close.told.items())):
            close = self._close.model_copy(update={"told": self._close.held})
            try:
                etags = await self._commit_with_mail(close, new)
            except Problem:
                await self._merge_with_stored()
            else:
                self._stored, self._close = Stored(close, etags[0]), close

    async def _commit_with_mail(self, close: Close, new: Sequence[tuple[str, str]]) -> Sequence[str]:
        """Store the close together with a mail about `new`, pseudonyms with reasons. Raises Problem 409."""
        reasons = "\n".join(f"{pseudonym}: {reason}" for pseudonym, reason in new[:20])
        text = f"{len(new)} consumers of merchant {close.merchant_id} could not be billed for {close.period}.\n\n"
        tasks = await self._mails.to_platform(f"Invoices held: {close.period}", f"{text}{reasons}\n")
        write = Replace(close_document(close.period), close.to_json(), self._stored.etag)
        change = Change(SYSTEM, "close.hold", close.resource, after={"held": len(close.held)})
        return await self._journal.commit(BILLING, close.merchant_id, [write], change, tasks=tasks)

    async def _save_progress(self) -> None:
        """Store how far the close is; when another process is further, take over what that one stored."""
        while True:
            try:
                etag = await self._closes.save_progress(self._close, self._stored.etag)
            except PreconditionFailed:
                await self._merge_with_stored()
                if self._close.status == "done":
                    return
            else:
                self._stored = Stored(self._close, etag)
                _logger.info(
                    "%s: %d consumers, %d invoices, %d held",
                    self._close.resource,
                    self._close.done,
                    self._close.invoices,
                    len(self._close.held),
                )
                return

    async def _merge_with_stored(self) -> None:
        """Go on from whichever of the two closes is further, after another process's write."""
        stored = await self._closes.close(self._close.merchant_id, self._close.period)
        assert stored is not None, "closes are never deleted"
        theirs, mine = stored.value, self._close
        further = theirs if theirs.status == "done" or theirs.after > mine.after else mine
        self._stored, self._close = stored, further.model_copy(update={"told": {**mine.told, **theirs.told}})
