"""Drafts become invoices: the number, the invoice and the credit that it uses are one transaction.

Numbers of a merchant have no gap, because the sequence's document and the invoices are written together or not at all,
and no duplicate, because the sequence is replaced by its ETag. An invoice that exists already is left as it is: its id
says what it is for.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from shared.audit.journal import Journal
from shared.audit.models import SYSTEM, Actor, Change
from shared.billing.invoices.credit import Credit, use_credit
from shared.billing.invoices.models import CreditUse, Invoice
from shared.billing.invoices.store import InvoiceStore, credit_document, invoice_document
from shared.billing.month_close.models import Close
from shared.billing.numbering import Numbers, invoice_number, sequence_document
from shared.billing.store import BILLING
from shared.billing.tasks import AnnounceInvoices
from shared.kernel.clock import format_time, utc_now
from shared.kernel.documents import Stored
from shared.kernel.errors import Problem
from shared.platform.documents import Create, Delete, DocumentsUnavailable, Operation, Replace

SERIES = "invoice"
INVOICES_AT_ONCE_MAX = 40
"""In one transaction: with the credit of each, the sequence, audit entry and task they stay under 100 operations."""

BYTES_AT_ONCE_MAX = 1_200_000
ATTEMPTS_MAX = 200
ANNOUNCE_AFTER_S = 1
"""Left to the outbox's timer: mails must not slow a close down."""

DraftOutcome = Literal["issued", "known", "stale"]


@dataclass(slots=True, eq=False)
class Draft:
    """An invoice without its number. `credit` is what it was computed with; should that change meanwhile, the draft is
    stale and has to be made again."""

    close: Close
    invoice: Invoice
    credit: Stored[Credit] | None
    outcome: DraftOutcome | None = None


def check_size(draft: Draft) -> None:
    """Refuse a draft that the store would not take. Raises ValueError: with the payments and notes to come, an invoice
    is one document."""
    size = len(draft.invoice.to_json())
    if size > BYTES_AT_ONCE_MAX:
        raise ValueError(f"its invoice in {draft.invoice.currency} has {size} bytes, more than {BYTES_AT_ONCE_MAX}")


class InvoiceIssuer:
    """Issues drafts as invoices. There is one in each process."""

    def __init__(self, invoices: InvoiceStore, journal: Journal, now: Callable[[], datetime] = utc_now) -> None:
        self._invoices = invoices
        self._journal = journal
        self._now = now

    async def issue(self, drafts: Sequence[Draft]) -> None:
        """Give the drafts of one merchant their numbers, in their order, and store them. Afterwards each has an
        `outcome`, and `invoice` is as it is stored unless it is stale. Raises DocumentsUnavailable."""
        merchant_id = drafts[0].invoice.merchant_id
        for start in range(0, len(drafts), INVOICES_AT_ONCE_MAX):
            await self._issue_some(merchant_id, list(drafts[start : start + INVOICES_AT_ONCE_MAX]))

    async def _issue_some(self, merchant_id: str, drafts: list[Draft]) -> None:
        todo = drafts
        for _ in range(ATTEMPTS_MAX):
            todo = [draft for draft in todo if draft.outcome is None]
            if not todo:
                return
            try:
                await self._commit(merchant_id, _fitting(todo))
            except Problem as problem:
                if problem.code != "conflict":
                    raise
                await self._settle_collision(merchant_id, todo)
        raise DocumentsUnavailable(f"invoices of {merchant_id} kept colliding for {ATTEMPTS_MAX} attempts")

    async def _commit(self, merchant_id: str, drafts: Sequence[Draft]) -> None:
        """Issue drafts of one close in one transaction. Raises Problem 409 `conflict`."""
        close = drafts[0].close
        sequence = sequence_document(SERIES, close.financial_year)
        stored = await self._invoices.numbers(merchant_id, sequence)
        last = 0 if stored is None else stored.value.last
        issued = [_numbered(draft, number) for number, draft in enumerate(drafts, last + 1)]
        after = Numbers(last=last + len(drafts)).to_json()
        operations: list[Operation] = [
            Create(sequence, after) if stored is None else Replace(sequence, after, stored.etag)
        ]
        for draft, invoice in zip(drafts, issued, strict=True):
            operations.append(Create(invoice_document(invoice.id), invoice.to_json()))
            operations += _credit_operations(draft.credit, invoice)
        numbers = {"first": issued[0].number, "last": issued[-1].number, "count": len(issued)}
        change = Change(_ACTOR, "invoice.issue", close.resource, after=numbers)
        announce = AnnounceInvoices(
            merchant_id=merchant_id,
            ids=tuple(invoice.id for invoice in issued),
            at=format_time(self._now()),
            delay_s=ANNOUNCE_AFTER_S,
        )
        await self._journal.commit(BILLING, merchant_id, operations, change, tasks=[announce])
        for draft, invoice in zip(drafts, issued, strict=True):
            draft.invoice, draft.outcome = invoice, "issued"

    async def _settle_collision(self, merchant_id: str, drafts: Sequence[Draft]) -> None:
        """Give drafts their outcome after a collision: what is stored already is success, what rests on another credit
        is stale."""
        for draft in drafts:
            stored = await self._invoices.invoice(merchant_id, draft.invoice.id)
            if stored is not None:
                draft.invoice, draft.outcome = stored.value, "known"
                continue
            invoice = draft.invoice
            credit = await self._invoices.credit(merchant_id, invoice.consumer_id, invoice.currency)
            if (credit and credit.etag) != (draft.credit and draft.credit.etag):
                draft.outcome = "stale"


_ACTOR = Actor(SYSTEM.account_id, SYSTEM.role)


def _fitting(drafts: Sequence[Draft]) -> list[Draft]:
    """Choose the first of the drafts that are of one close and fit a transaction."""
    chosen, size = [drafts[0]], len(drafts[0].invoice.to_json())
    for draft in drafts[1:]:
        if any(draft.invoice.id == other.invoice.id for other in chosen):
            continue  # it will find the other one there
        size += len(draft.invoice.to_json())
        if draft.close.period != chosen[0].close.period or size > BYTES_AT_ONCE_MAX:
            break
        chosen.append(draft)
    return chosen


def _numbered(draft: Draft, last: int) -> Invoice:
    """Make the invoice of a draft, as it is stored. With nothing to pay it is paid at once."""
    close, invoice = draft.close, draft.invoice
    settled = not invoice.amount_due
    number = invoice_number(close.profile.number_prefix, close.financial_year, last)
    return invoice.model_copy(
        update={
            "number": number,
            "status": "paid" if settled else "issued",
            "due": None if settled else invoice.due_on,
        }
    )


def _credit_operations(credit: Stored[Credit] | None, invoice: Invoice) -> list[Operation]:
    """What is left of the credit after an invoice that uses it, or adds to it."""
    if not invoice.credits and not invoice.carried:
        return []
    left = use_credit(() if credit is None else credit.value.left, invoice.credits)
    if invoice.carried:
        left = (*left, CreditUse(note_number=invoice.number, amount=invoice.carried))
    document = credit_document(invoice.consumer_id, invoice.currency)
    body = Credit(consumer_id=invoice.consumer_id, currency=invoice.currency, left=left).to_json()
    if credit is None:
        return [Create(document, body)]
    return [Replace(document, body, credit.etag)] if left else [Delete(document, credit.etag)]
