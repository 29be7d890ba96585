"""One process's work on one close: consumers in the order of their pseudonyms, groups at a time, and how far it is."""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from shared.audit.models import SYSTEM, Change
from shared.billing.close_models import Close, Filing
from shared.billing.month_close.drafting import Basis, Subscriber
from shared.billing.month_close.issuing import Draft, check_size
from shared.billing.store import BILLING, close_document, filing_document
from shared.billing.usage.month import CountersDiffer
from shared.kernel.documents import Held
from shared.kernel.errors import Problem
from shared.platform.documents import DocumentExists, Operation, PreconditionFailed, Replace, Upsert

if TYPE_CHECKING:
    from shared.billing.month_close.service import Closer

AT_ONCE = 32
"""Consumers whose drafts are made at once, and issued together."""

GROUPS_PER_SAVE = 10
STALE_ATTEMPTS_MAX = 5
HELD_MAX = 1_000
"""Reasons that a close keeps; with more it stops, for something is wrong with all of them."""

_logger = logging.getLogger(__name__)


class CloseRun:
    """One process's work on one close."""

    def __init__(self, closer: "Closer", held: Held[Close], basis: Basis) -> None:
        self._closer = closer
        self._held = held
        self._basis = basis
        self._close = held.value

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
            drafts = await self._closer.drafter.drafts(self._basis, subscriber)
            for draft in drafts:
                check_size(draft)
            return drafts
        except (CountersDiffer, Problem, ArithmeticError, ValueError) as error:
            _logger.exception("holding %s in %s", subscriber.pseudonym, self._close.resource)
            self._hold(subscriber, str(error) or type(error).__name__)
            return []

    def _hold(self, subscriber: Subscriber, reason: str) -> None:
        held = {**self._close.held, subscriber.pseudonym: reason[:500]}
        if len(held) > HELD_MAX:
            raise RuntimeError(f"over {HELD_MAX} consumers of {self._close.resource} could not be billed: {reason}")
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
                    "%s: %d consumers, %d invoices, %d held",
                    self._close.resource,
                    self._close.done,
                    self._close.invoices,
                    len(self._close.held),
                )
                return

    async def _merge(self) -> None:
        held = await self._closer.store.close(self._close.merchant_id, self._close.period)
        assert held is not None, "closes are never deleted"
        theirs, mine = held.value, self._close
        further = theirs if theirs.status == "done" or theirs.after > mine.after else mine
        self._held, self._close = held, further.model_copy(update={"told": {**mine.told, **theirs.told}})

    async def finish(self) -> Close:
        while self._close.status != "done":
            if self._close.held:
                await self._file_what_is_there()
                await self._tell()
                break
            close = self._close.model_copy(update={"status": "done", "finished_at": self._closer.now()})
            counts = {"consumers": close.done, "invoices": close.invoices}
            change = Change(SYSTEM, "close.finish", close.resource, after=counts)
            writes: list[Operation] = [Replace(close_document(close.period), close.to_json(), self._held.etag)]
            if close.invoices:
                writes.append(Upsert(filing_document(close.period), self._filing.to_json()))
            try:
                await self._closer.journal.commit(BILLING, close.merchant_id, writes, change)
            except Problem:
                await self._merge()
            else:
                self._close = close
        return self._close

    @property
    def _filing(self) -> Filing:
        return Filing(merchant_id=self._close.merchant_id, period=self._close.period)

    async def _file_what_is_there(self) -> None:
        """The others are not to wait for who is held."""
        if self._close.invoices > self._close.filed:
            name = filing_document(self._close.period)
            with contextlib.suppress(DocumentExists):
                await self._closer.documents.create(BILLING, self._close.merchant_id, name, self._filing.to_json())
            self._close = self._close.model_copy(update={"filed": self._close.invoices})
            await self._save()

    async def _tell(self) -> None:
        """The platform, of each once: that it was told is in the transaction that leaves the mail."""
        while self._close.status != "done" and (new := sorted(self._close.held.items() - self._close.told.items())):
            close = self._close.model_copy(update={"told": self._close.held})
            try:
                etags = await self._leave_mail(close, new)
            except Problem:
                await self._merge()
            else:
                self._held, self._close = Held(close, etags[0]), close

    async def _leave_mail(self, close: Close, new: Sequence[tuple[str, str]]) -> Sequence[str]:
        reasons = "\n".join(f"{pseudonym}: {reason}" for pseudonym, reason in new[:20])
        text = f"{len(new)} consumers of merchant {close.merchant_id} could not be billed for {close.period}.\n\n"
        tasks = await self._closer.mails.to_platform(f"Invoices held: {close.period}", f"{text}{reasons}\n")
        write = Replace(close_document(close.period), close.to_json(), self._held.etag)
        change = Change(SYSTEM, "close.hold", close.resource, after={"held": len(close.held)})
        return await self._closer.journal.commit(BILLING, close.merchant_id, [write], change, tasks=tasks)
