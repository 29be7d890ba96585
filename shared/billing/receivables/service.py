"""What happens to an invoice once it is issued: payments are recorded, it is voided, credit notes take some of it back.

    issued  → overdue | paid | void
    overdue → paid | void

It is paid when nothing of `amount_due` is open any more. Credit notes lower what is open first; what is over, because
the invoice was paid, is credit for the consumer's next one. Each change is one transaction in the merchant's partition.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from shared.audit.journal import Journal
from shared.audit.models import Actor, changed
from shared.audit.tasks import Task
from shared.billing.invoices.announcements import Announcer
from shared.billing.invoices.credit import Credit, CreditUses, give_back
from shared.billing.invoices.models import PAYABLE, CreditNote, CreditUse, Invoice, Payment, open_amount
from shared.billing.invoices.store import InvoiceStore, credit_document, invoice_document
from shared.billing.profiles.store import ProfileStore
from shared.billing.receivables.credit_notes import left_of, share_of, write_note
from shared.billing.store import BILLING
from shared.kernel.clock import utc_now
from shared.kernel.documents import Stored
from shared.kernel.errors import FieldError, Problem
from shared.kernel.http.problems import not_found
from shared.kernel.ids import new_id
from shared.kernel.money import exponent, money_text, round_money
from shared.platform.documents import Create, Operation, Replace

ATTEMPTS_MAX = 200
"""Of a change that another process's came before. Within one they take turns, as all numbers of a merchant's notes come
from one sequence."""

PAYMENTS_MAX = NOTES_MAX = 1_000
"""Of one invoice, as they are kept in its document."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Decision:
    """What becomes of an invoice, with what is written and what is left to the outbox in the same transaction."""

    invoice: Invoice
    operations: Sequence[Operation] = ()
    tasks: Sequence[Task] = ()


_Decide = Callable[[Invoice], Awaitable[_Decision | None]]
"""Decides on an invoice as it is stored; None when there is nothing to change."""


class Receivables:
    """Decides on payments, voids and credit notes. There is one in each process."""

    def __init__(
        self,
        *,
        invoices: InvoiceStore,
        profiles: ProfileStore,
        journal: Journal,
        announcer: Announcer,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._invoices = invoices
        self._profiles = profiles
        self._journal = journal
        self._announcer = announcer
        self._now = now
        self._locks: dict[str, asyncio.Lock] = {}

    async def pay(self, actor: Actor, merchant_id: str, id: str, payment: Payment) -> Stored[Invoice]:
        """Record a payment, of all or a part. One that is recorded already, by its id, changes nothing. Raises Problem
        400 for more than is open, and for more digits than the currency has; 404; 409 `state_invalid`, `conflict`."""

        async def decide(invoice: Invoice) -> _Decision | None:
            known = next((each for each in invoice.payments if each.id == payment.id), None)
            if known is not None:
                if (known.amount, known.reference, known.received_on) == (
                    payment.amount,
                    payment.reference,
                    payment.received_on,
                ):
                    return None
                raise Problem(409, "conflict", "Another payment was recorded with this id.")
            _check_payable(invoice, "paid")
            _check_day(payment.received_on, self._today(invoice))
            _check_amount(payment.amount, open_amount(invoice), invoice.currency)
            if len(invoice.payments) >= PAYMENTS_MAX:
                raise Problem(409, "limit_reached", f"An invoice has at most {PAYMENTS_MAX} payments.")
            after = _settled(
                invoice.model_copy(
                    update={"paid": invoice.paid + payment.amount, "payments": (*invoice.payments, payment)}
                )
            )
            return _Decision(invoice=after, tasks=await self._if_paid(after))

        return await self._change(actor, "invoice.pay", merchant_id, id, decide)

    async def void(self, actor: Actor, merchant_id: str, id: str, reason: str) -> Stored[Invoice]:
        """Void an invoice: nothing is owed any more, the number stays, and the usage is not billed again. Credit that
        it used is given back. Raises Problem 404; 409 `state_invalid`, also once something was paid or credited."""

        async def decide(invoice: Invoice) -> _Decision:
            _check_payable(invoice, "void")
            if invoice.paid or invoice.credited:
                raise _illegal(invoice, "void", "something of it was paid or credited: give a credit note")
            after = invoice.model_copy(update={"status": "void", "due": None, "voided_reason": reason})
            operations: list[Operation] = []
            if invoice.credits:
                operations = await self._put_credit(invoice, lambda left: give_back(left, invoice.credits))
            return _Decision(invoice=after, operations=operations, tasks=await self._announcer.voided(after))

        return await self._change(actor, "invoice.void", merchant_id, id, decide, reason)

    async def credit(
        self, actor: Actor, merchant_id: str, id: str, amount: Decimal, reason: str, *, note_id: str | None = None
    ) -> tuple[CreditNote, Stored[Invoice]]:
        """Give a credit note over `amount`, tax included. Its tax is in the invoice's proportion, so that notes over
        all of it sum to the invoice's net and taxes exactly. One that was given already, by `note_id`, is given once.
        Raises Problem 400 for more than is left; 404; 409."""
        given: list[CreditNote] = []
        note_id = note_id or new_id("crn")

        async def decide(invoice: Invoice) -> _Decision | None:
            known = await self._invoices.note(merchant_id, note_id)
            if known is not None:
                if (known.value.invoice_id, known.value.total, known.value.reason) != (id, amount, reason):
                    raise Problem(409, "conflict", "Another credit note was given with this id.")
                given[:] = [known.value]
                return None
            if invoice.status == "void":
                raise _illegal(invoice, "credited", "it is void")
            _check_amount(amount, left_of(invoice), invoice.currency)
            if len(invoice.notes) >= NOTES_MAX:
                raise Problem(409, "limit_reached", f"An invoice has at most {NOTES_MAX} credit notes.")
            note, operations = await self._number_note(note_id, invoice, amount, reason)
            applied = min(amount, open_amount(invoice))
            notes = (*invoice.notes, share_of(note))
            after = _settled(invoice.model_copy(update={"credited": invoice.credited + applied, "notes": notes}))
            if amount > applied:
                over = CreditUse(note_number=note.number, amount=round_money(amount - applied, invoice.currency))
                operations += await self._put_credit(invoice, lambda left: (*left, over))
            given[:] = [note]
            tasks: list[Task] = [*await self._announcer.credited(after, note)]
            if after.status != invoice.status:
                tasks += await self._if_paid(after)
            return _Decision(invoice=after, operations=operations, tasks=tasks)

        stored = await self._change(actor, "credit_note.issue", merchant_id, id, decide, reason)
        return given[0], stored

    async def _change(
        self,
        actor: Actor,
        action: str,
        merchant_id: str,
        id: str,
        decide: _Decide,
        reason: str | None = None,
    ) -> Stored[Invoice]:
        for _ in range(ATTEMPTS_MAX):
            async with self._locks.setdefault(merchant_id, asyncio.Lock()):
                stored = await self._attempt(actor, action, merchant_id, id, decide, reason)
            if stored is not None:
                return stored
        raise Problem(409, "conflict", "It kept being changed by somebody else. Read it again, then repeat.")

    async def _attempt(
        self,
        actor: Actor,
        action: str,
        merchant_id: str,
        id: str,
        decide: _Decide,
        reason: str | None,
    ) -> Stored[Invoice] | None:
        """Decide and commit once; None when another process came before."""
        stored = await self._invoices.invoice(merchant_id, id)
        if stored is None:
            raise not_found()
        decision = await decide(stored.value)
        if decision is None:
            return stored
        after = decision.invoice
        change = changed(actor, action, f"invoice:{id}", _for_audit(stored.value), _for_audit(after), reason=reason)
        writes = [Replace(invoice_document(id), after.to_json(), stored.etag), *decision.operations]
        try:
            etags = await self._journal.commit(BILLING, merchant_id, writes, change, tasks=decision.tasks)
        except Problem as problem:
            if problem.code != "conflict":
                raise
            return None
        return Stored(after, etags[0])

    async def _number_note(
        self, id: str, invoice: Invoice, amount: Decimal, reason: str
    ) -> tuple[CreditNote, list[Operation]]:
        """Write a note with the next number; returns it with what stores it."""
        profile = await self._profiles.profile(invoice.merchant_id)
        if profile is None:
            raise not_found()
        today = self._today(invoice)
        unnumbered = write_note(id, invoice, amount, reason, profile.value, today)
        stored = await self._invoices.numbers(invoice.merchant_id, unnumbered.sequence)
        note, operations = unnumbered.numbered(stored)
        return note, list(operations)

    def _today(self, invoice: Invoice) -> date:
        """The day that it is where the merchant is."""
        return self._now().astimezone(ZoneInfo(invoice.time_zone)).date()

    async def _if_paid(self, after: Invoice) -> list[Task]:
        return await self._announcer.paid(after) if after.status == "paid" else []

    async def _put_credit(
        self, invoice: Invoice, change: Callable[[CreditUses], tuple[CreditUse, ...]]
    ) -> list[Operation]:
        """Write the consumer's credit after a change."""
        merchant_id, consumer_id, currency = invoice.merchant_id, invoice.consumer_id, invoice.currency
        stored = await self._invoices.credit(merchant_id, consumer_id, currency)
        left = change(() if stored is None else stored.value.left)
        body = Credit(consumer_id=consumer_id, currency=currency, left=left).to_json()
        document = credit_document(consumer_id, currency)
        return [Create(document, body) if stored is None else Replace(document, body, stored.etag)]


def _settled(invoice: Invoice) -> Invoice:
    """Mark an invoice as paid when nothing of it is open."""
    if invoice.status in PAYABLE and not open_amount(invoice):
        return invoice.model_copy(update={"status": "paid", "due": None})
    return invoice


def _for_audit(invoice: Invoice) -> Invoice:
    """Reduce an invoice to what the audit log is to have of it: of payments and notes the last, which is the one that
    came; what does not change is left out anyway."""
    return invoice.model_copy(update={"payments": invoice.payments[-1:], "notes": invoice.notes[-1:], "lines": ()})


def _check_payable(invoice: Invoice, to: str) -> None:
    if invoice.status not in PAYABLE:
        raise _illegal(invoice, to, "only what is issued or overdue can be")


def _illegal(invoice: Invoice, to: str, why: str) -> Problem:
    return Problem(409, "state_invalid", f"The invoice is {invoice.status} and cannot become {to}: {why}.")


def _check_amount(amount: Decimal, most: Decimal, currency: str) -> None:
    rule = None
    if amount <= 0:
        rule = "must be above 0"
    elif amount != round_money(amount, currency):
        rule = f"must have at most {exponent(currency)} digits after the point, as {currency} has"
    elif amount > most:
        rule = f"must be at most {money_text(most, currency)}, which is what is left"
    if rule is not None:
        raise _refused("amount", rule)


def _check_day(received_on: str, today: date) -> None:
    if date.fromisoformat(received_on) > today + timedelta(days=1):  # it may be tomorrow where the payer is
        raise _refused("received_on", "must not be in the future")


def _refused(field: str, rule: str) -> Problem:
    return Problem(400, "request_invalid", f"`{field}` {rule}.", errors=(FieldError(field, rule),))
