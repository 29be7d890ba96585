"""What happens to an invoice once it is issued: payments are recorded, it is voided, credit notes take some of it back.

    issued  → overdue | paid | void
    overdue → paid | void

It is paid when nothing of `amount_due` is open any more. Credit notes lower what is open first; what is over, because
the invoice was paid, is credit for the consumer's next one. Each change is one transaction in the merchant's partition.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from decimal import Decimal, localcontext
from zoneinfo import ZoneInfo

from shared.audit.journal import Journal, Task
from shared.audit.models import Actor, changed
from shared.billing.announcing import Announcer
from shared.billing.models import Credit, CreditNote, CreditUse, Invoice, InvoiceStatus, NoteShare, Payment
from shared.billing.models import Sequence as Numbers
from shared.billing.numbering import financial_year, note_number
from shared.billing.store import (
    BILLING,
    BillingStore,
    credit_document,
    invoice_document,
    note_document,
    sequence_document,
)
from shared.kernel.clock import utc_now
from shared.kernel.errors import FieldError, Problem
from shared.kernel.ids import new_id
from shared.kernel.money import EXACT, ZERO, exponent, money_text, round_money
from shared.kernel.problems import not_found
from shared.kernel.stored import Held
from shared.platform.documents import Create, Operation, Replace

NOTES = "note"
ATTEMPTS_MAX = 200
"""Of a change that another process's came before. Within one they take turns, as all numbers of a merchant's notes come
from one sequence."""

PAYMENTS_MAX = 1_000
_PAYABLE: frozenset[InvoiceStatus] = frozenset({"issued", "overdue"})
Made = tuple[list[Operation], list[Task], Invoice]


def open_amount(invoice: Invoice) -> Decimal:
    """What is still to be paid."""
    if invoice.status not in _PAYABLE:
        return ZERO
    return invoice.amount_due - invoice.paid - invoice.credited


class Receivables:
    """One per process."""

    def __init__(
        self, store: BillingStore, journal: Journal, announcer: Announcer, now: Callable[[], datetime] = utc_now
    ) -> None:
        self._store = store
        self._journal = journal
        self._announcer = announcer
        self._now = now
        self._turns: dict[str, asyncio.Lock] = {}

    async def pay(self, actor: Actor, merchant_id: str, id: str, payment: Payment) -> Held[Invoice]:
        """Record a payment, of all or a part. One that is recorded already, by its id, changes nothing. Raises Problem
        400 for more than is open, and for more digits than the currency has; 404; 409 `state_invalid`, `conflict`."""

        async def make(held: Held[Invoice]) -> Made | None:
            invoice = held.value
            known = next((each for each in invoice.payments if each.id == payment.id), None)
            if known is not None:
                if (known.amount, known.reference, known.received_on) == (
                    payment.amount, payment.reference, payment.received_on
                ):  # fmt: skip
                    return None
                raise Problem(409, "conflict", "Another payment was recorded with this id.")
            _check_payable(invoice, "paid")
            _check_amount(payment.amount, open_amount(invoice), invoice.currency)
            if len(invoice.payments) >= PAYMENTS_MAX:
                raise Problem(409, "limit_reached", f"An invoice has at most {PAYMENTS_MAX} payments.")
            after = _settled(
                invoice.model_copy(
                    update={"paid": invoice.paid + payment.amount, "payments": (*invoice.payments, payment)}
                )
            )
            return [], await self._if_paid(after), after

        return await self._change(actor, "invoice.pay", merchant_id, id, make)

    async def void(self, actor: Actor, merchant_id: str, id: str, reason: str) -> Held[Invoice]:
        """Nothing is owed any more; the number stays, and the usage is not billed again. Credit that it used is given
        back. Raises Problem 404; 409 `state_invalid`, also once something was paid or credited."""

        async def make(held: Held[Invoice]) -> Made:
            invoice = held.value
            _check_payable(invoice, "void")
            if invoice.paid or invoice.credited:
                raise _illegal(invoice, "void", "something of it was paid or credited: give a credit note")
            after = invoice.model_copy(update={"status": "void", "due": None, "voided_reason": reason})
            operations = await self._give_back(invoice, invoice.credits) if invoice.credits else []
            return operations, await self._announcer.voided(after), after

        return await self._change(actor, "invoice.void", merchant_id, id, make, reason)

    async def credit(
        self, actor: Actor, merchant_id: str, id: str, amount: Decimal, reason: str
    ) -> tuple[CreditNote, Held[Invoice]]:
        """A credit note over `amount`, tax included. Its tax is in the invoice's proportion, so that notes over all of
        it sum to the invoice's net and taxes exactly. Raises Problem 400 for more than is left; 404; 409."""
        made: list[CreditNote] = []

        async def make(held: Held[Invoice]) -> Made:
            invoice = held.value
            if invoice.status == "void":
                raise _illegal(invoice, "credited", "it is void")
            left = invoice.total - sum((share.total for share in invoice.notes), ZERO)
            _check_amount(amount, left, invoice.currency)
            note, numbering = await self._numbered(invoice, _share(invoice, amount), reason)
            applied = min(amount, open_amount(invoice))
            share = NoteShare(
                number=note.number, net=note.net, taxes=tuple(tax.amount for tax in note.taxes), total=note.total
            )
            after = _settled(
                invoice.model_copy(update={"credited": invoice.credited + applied, "notes": (*invoice.notes, share)})
            )
            operations: list[Operation] = [numbering, Create(note_document(note.id), note.to_json())]
            if amount > applied:
                over = CreditUse(note_number=note.number, amount=round_money(amount - applied, invoice.currency))
                operations += await self._give_back(invoice, (over,))
            made[:] = [note]
            tasks = await self._announcer.credited(after, note)
            return operations, [*tasks, *(await self._if_paid(after) if after.status != invoice.status else [])], after

        held = await self._change(actor, "credit_note.issue", merchant_id, id, make, reason)
        return made[0], held

    async def _change(
        self, actor: Actor, action: str, merchant_id: str, id: str,
        make: Callable[[Held[Invoice]], Awaitable[Made | None]], reason: str | None = None,
    ) -> Held[Invoice]:  # fmt: skip
        for _ in range(ATTEMPTS_MAX):
            async with self._turns.setdefault(merchant_id, asyncio.Lock()):
                changed_to = await self._attempt(actor, action, merchant_id, id, make, reason)
            if changed_to is not None:
                return changed_to
        raise Problem(409, "conflict", "It kept being changed by somebody else. Read it again, then repeat.")

    async def _attempt(
        self, actor: Actor, action: str, merchant_id: str, id: str,
        make: Callable[[Held[Invoice]], Awaitable[Made | None]], reason: str | None,
    ) -> Held[Invoice] | None:  # fmt: skip
        """None when another process came before."""
        held = await self._store.invoice(merchant_id, id)
        if held is None:
            raise not_found()
        made = await make(held)
        if made is None:
            return held
        operations, tasks, after = made
        change = changed(actor, action, f"invoice:{id}", _kept(held.value), _kept(after), reason=reason)
        write = Replace(invoice_document(id), after.to_json(), held.etag)
        try:
            etags = await self._journal.commit(BILLING, merchant_id, [write, *operations], change, tasks=tasks)
        except Problem as problem:
            if problem.code != "conflict":
                raise
            return None
        return Held(after, etags[0])

    async def _if_paid(self, after: Invoice) -> list[Task]:
        return await self._announcer.paid(after) if after.status == "paid" else []

    async def _give_back(self, invoice: Invoice, uses: tuple[CreditUse, ...]) -> list[Operation]:
        """To the consumer's credit."""
        merchant_id, consumer_id, currency = invoice.merchant_id, invoice.consumer_id, invoice.currency
        held = await self._store.credit(merchant_id, consumer_id, currency)
        left = uses if held is None else (*held.value.left, *uses)
        body = Credit(consumer_id=consumer_id, currency=currency, left=left).to_json()
        document = credit_document(consumer_id, currency)
        return [Create(document, body) if held is None else Replace(document, body, held.etag)]

    async def _numbered(
        self, invoice: Invoice, share: tuple[Decimal, tuple[Decimal, ...]], reason: str
    ) -> tuple[CreditNote, Operation]:
        """The note, and what takes its number."""
        profile = await self._store.profile(invoice.merchant_id)
        if profile is None:
            raise not_found()
        today = self._now().astimezone(ZoneInfo(invoice.time_zone)).date()
        year = financial_year(today, profile.value.financial_year_month)
        document = sequence_document(NOTES, year)
        held = await self._store.get(Numbers, invoice.merchant_id, document)
        last = 1 if held is None else held.value.last + 1
        net, taxes = share
        note = CreditNote(
            id=new_id("crn"),
            number=note_number(profile.value.number_prefix, year, last),
            invoice_id=invoice.id,
            invoice_number=invoice.number,
            merchant_id=invoice.merchant_id,
            consumer_id=invoice.consumer_id,
            pseudonym=invoice.pseudonym,
            currency=invoice.currency,
            issued_on=str(today),
            reason=reason,
            net=net,
            taxes=tuple(
                tax.model_copy(update={"taxable": net, "amount": amount})
                for tax, amount in zip(invoice.taxes, taxes, strict=True)
            ),
            total=net + sum(taxes, ZERO),
            seller=invoice.seller,
            buyer=invoice.buyer,
        )
        body = Numbers(last=last).to_json()
        return note, Create(document, body) if held is None else Replace(document, body, held.etag)


def _share(invoice: Invoice, amount: Decimal) -> tuple[Decimal, tuple[Decimal, ...]]:
    """Net and taxes of a note: what all notes so far take with it, less what they took without."""
    before = sum((share.total for share in invoice.notes), ZERO)
    with localcontext(EXACT):
        taxes = tuple(
            round_money(tax.amount * (before + amount) / invoice.total, invoice.currency)
            - sum((share.taxes[number] for share in invoice.notes), ZERO)
            for number, tax in enumerate(invoice.taxes)
        )
    return round_money(amount - sum(taxes, ZERO), invoice.currency), taxes


def _settled(invoice: Invoice) -> Invoice:
    """Paid, when nothing is open."""
    if invoice.status in _PAYABLE and not open_amount(invoice):
        return invoice.model_copy(update={"status": "paid", "due": None})
    return invoice


def _kept(invoice: Invoice) -> Invoice:
    """For the audit log: without the lines, which do not change."""
    return invoice.model_copy(update={"lines": (), "plans": (), "days": ()})


def _check_payable(invoice: Invoice, to: str) -> None:
    if invoice.status not in _PAYABLE:
        raise _illegal(invoice, to, "only what is issued or overdue can be")


def _illegal(invoice: Invoice, to: str, why: str) -> Problem:
    return Problem(409, "state_invalid", f"The invoice is {invoice.status} and cannot become {to}: {why}.")


def _check_amount(amount: Decimal, most: Decimal, currency: str) -> None:
    """Raises Problem 400."""
    rule = None
    if amount <= 0:
        rule = "must be above 0"
    elif amount != round_money(amount, currency):
        rule = f"must have at most {exponent(currency)} digits after the point, as {currency} has"
    elif amount > most:
        rule = f"must be at most {money_text(most, currency)}, which is what is left"
    if rule is not None:
        raise Problem(400, "request_invalid", f"`amount` {rule}.", errors=(FieldError("amount", rule),))
