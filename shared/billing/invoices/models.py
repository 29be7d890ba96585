"""Stored invoices with their lines and payments, and stored credit notes."""

from decimal import Decimal
from hashlib import sha256
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from shared.billing.prices.models import UsedPlan
from shared.billing.tax.models import Party, TaxLine
from shared.billing.usage.models import DayUsage, RecordsProof
from shared.kernel.documents import Identifier, StoredModel
from shared.kernel.http.schemas import StoredView
from shared.kernel.money import ZERO, Amount, Currency, Percent
from shared.kernel.periods import Day, Month


class StepRow(StoredView):
    """One step of the calculation of an amount, such as a tier."""

    label: str
    """Description of the step, for people."""
    quantity: Amount | None = None
    """Quantity of the step; null if the step has none, such as a fee."""
    unit_price: Amount | None = None
    """Price of each unit; null if the step has none."""
    amount: Amount
    """Exact amount of the step."""


class Line(StoredModel):
    """What one charge costs in one stretch of the period, [start, end); or, with `corrects`, what usage of an earlier
    period that was counted after its close changes about it: `quantity` and amounts may be negative then.

    `amount` is rounded, `amount_exact` the same before rounding; `net` = amount − discount + top_up. A correction's
    `net` is what the usage costs now, less `billed_before`.
    """

    service_id: Identifier
    service_name: str
    plan_number: int
    charge_id: str
    description: str
    metric: str
    unit: str
    start: AwareDatetime
    end: AwareDatetime
    quantity: Amount
    billed_quantity: Amount
    steps: tuple[StepRow, ...] = ()
    amount_exact: Amount
    amount: Amount
    discount: Amount
    top_up: Amount
    net: Amount
    corrects: Month | None = None
    quantity_before: Amount | None = None
    billed_before: Amount | None = None


class CreditUse(StoredView):
    """Credit that was applied to an invoice."""

    note_number: str
    """Number of the credit note that the credit comes from."""
    amount: Amount
    """Amount that was applied."""


class Payment(StoredModel):
    """Recorded, not taken. `id` is the client's idempotency key or ours."""

    id: Identifier
    amount: Amount
    reference: Annotated[str, Field(max_length=200)] = ""
    received_on: Day
    recorded_at: AwareDatetime
    recorded_by: Identifier


class NoteShare(StoredView):
    """Share of an invoice that a credit note took back."""

    number: str
    """Number of the credit note."""
    net: Amount
    """Amount without taxes."""
    taxes: tuple[Amount, ...]
    """Part of each of the invoice's taxes, in the order of the invoice."""
    total: Amount
    """Amount with taxes."""


InvoiceStatus = Literal["draft", "issued", "overdue", "paid", "void"]
"""`draft` is what a preview has; it is never stored, so it cannot be stale."""

PAYABLE: frozenset[InvoiceStatus] = frozenset({"issued", "overdue"})
"""Only in these states an invoice has an amount that is still to be paid."""


class Invoice(StoredModel):
    """One consumer's month with one merchant, in one currency, under `inv:{id}`; the id is made from these four, which
    makes it unique. Everything but the last block is frozen when it is issued. There, `paid` and `credited` lower what
    is open of `amount_due`; `due` is the day from which the timer that reminds looks at it next.

    subtotal = Σ line.amount; discounts = Σ line.discount; top_ups = Σ line.top_up;
    net = subtotal − discounts + top_ups; total = net + Σ tax.amount; amount_due = total − Σ credits + carried. What is
    below zero (corrections may be) is carried: credit for the next invoice. The merchant's side: commission = net ×
    commission_percent, rounded once; merchant_net = net − commission. `prints` tell by period whether usage was counted
    since (`shared.billing.usage.sums.fingerprint`).
    """

    kind: Literal["invoice"] = "invoice"
    id: Identifier
    number: str
    merchant_id: Identifier
    consumer_id: Identifier
    pseudonym: str
    currency: Currency
    period: Month
    start: AwareDatetime
    end: AwareDatetime
    time_zone: str
    issued_on: Day
    due_on: Day
    seller: Party
    buyer: Party
    lines: tuple[Line, ...]
    subtotal: Amount
    discounts: Amount
    top_ups: Amount
    net: Amount
    taxes: tuple[TaxLine, ...] = ()
    total: Amount
    credits: tuple[CreditUse, ...] = ()
    carried: Amount = Decimal(0)
    amount_due: Amount
    commission_percent: Percent
    commission: Amount
    merchant_net: Amount
    days: tuple[DayUsage, ...] = ()
    plans: tuple[UsedPlan, ...] = ()
    records: tuple[RecordsProof, ...] = ()
    prints: dict[Month, str] = Field(default_factory=dict)
    payment_details: str = ""
    footer: str = ""
    logo: str | None = None

    status: InvoiceStatus = "issued"
    paid: Amount = Decimal(0)
    credited: Amount = Decimal(0)
    payments: tuple[Payment, ...] = ()
    notes: tuple[NoteShare, ...] = ()
    due: Day | None = None
    reminders: tuple[Day, ...] = ()
    voided_reason: str | None = None


class CreditNote(StoredModel):
    """Takes back some of an invoice's total, under `note:{number}`, in its own series of numbers. First it lowers what
    is due; what is over (the invoice was paid) is credit for the next invoice. `tax` is the part of `total` that was
    tax, in the invoice's proportion."""

    kind: Literal["note"] = "note"
    id: Identifier
    number: str
    invoice_id: Identifier
    invoice_number: str
    invoice_issued_on: Day | None = None
    """Notes of before it was kept have none."""
    merchant_id: Identifier
    consumer_id: Identifier
    pseudonym: str
    currency: Currency
    issued_on: Day
    reason: str
    net: Amount
    taxes: tuple[TaxLine, ...] = ()
    total: Amount
    seller: Party
    buyer: Party


def open_amount(invoice: Invoice) -> Decimal:
    """What is still to be paid of an invoice, in its currency."""
    if invoice.status not in PAYABLE:
        return ZERO
    return invoice.amount_due - invoice.paid - invoice.credited


def invoice_id(*, merchant_id: str, consumer_id: str, period: str, currency: str) -> str:
    """Make the id that is the same for the same four, so that a month is billed once. It does not tell a merchant who
    the consumer is."""
    identity = "\0".join((merchant_id, consumer_id, period, currency))
    return f"inv_{sha256(identity.encode()).hexdigest()[:32]}"
