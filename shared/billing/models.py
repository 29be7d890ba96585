"""Plans, profiles, invoices, credit notes: what is stored of money.

All of one merchant's documents share the partition of its id in the container `billing`, so that a number, the invoice
that bears it and the credit that it uses are one transaction (docs/adr/0013).
"""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from shared.billing.charges import CHARGES_MAX, Charge
from shared.catalog.models import Address
from shared.kernel.documents import Identifier, StoredModel
from shared.kernel.money import Amount, Currency, Percent
from shared.kernel.periods import Day, Month


class Plan(StoredModel):
    """A version of a service's prices, under `plan:{service_id}:{number:06d}`; immutable, the latest whose
    `effective_from` has come is in force. It always is a local midnight of the merchant. A plan without charges makes
    the service free from then on."""

    kind: Literal["plan"] = "plan"
    service_id: Identifier
    merchant_id: Identifier
    number: Annotated[int, Field(ge=1, le=999_999)]
    name: Annotated[str, Field(min_length=1, max_length=120)]
    currency: Currency
    charges: Annotated[tuple[Charge, ...], Field(max_length=CHARGES_MAX)]
    effective_from: AwareDatetime
    created_at: AwareDatetime
    created_by: Identifier


class TaxRegistration(StoredModel):
    """Where a merchant is registered, once per country. `country` is ISO 3166-1 alpha-2; `number` is checked by the
    country's own rule, or is that of another EU state for the One-Stop-Shop. `percent` is what buyers in that country
    pay; `in_gst` is India's: of the whole rate CGST and SGST are half each within a state, IGST is all of it between
    states."""

    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$")]
    kind: Literal["vat", "gst", "in_gst"]
    number: Annotated[str, Field(min_length=2, max_length=40)]
    percent: Percent


class BillingProfile(StoredModel):
    """How a merchant bills, under `profile`. Without one nothing is closed.

    `number_prefix` begins its invoice numbers: `{prefix}{financial year}-{six digits}`, at most 16 characters (India's
    CGST Rule 46(b)). `financial_year_month` is the month in which its financial year begins. The anchor day cannot be
    changed once a month was closed; another time zone holds for the periods that are not closed yet, of which the first
    begins where the last closed one ended. `payment_details` are printed as they are.
    """

    kind: Literal["profile"] = "profile"
    merchant_id: Identifier
    time_zone: str = "UTC"
    anchor_day: Annotated[int, Field(ge=1, le=31)] = 1
    number_prefix: Annotated[str, Field(pattern=r"^[A-Z0-9]{1,4}$")]
    financial_year_month: Annotated[int, Field(ge=1, le=12)] = 1
    payment_terms_days: Annotated[int, Field(ge=0, le=365)] = 30
    payment_details: Annotated[str, Field(max_length=1_000)] = ""
    footer: Annotated[str, Field(max_length=1_000)] = ""
    registrations: Annotated[tuple[TaxRegistration, ...], Field(max_length=50)] = ()
    billing_from: AwareDatetime
    """When the first profile was made: the period that has it is the first that is billed, and as a whole."""


class Terms(StoredModel):
    """What an admin agreed with a merchant, under `terms`. None: the platform's own commission."""

    kind: Literal["terms"] = "terms"
    commission_percent: Percent | None = None


class BuyerDetails(StoredModel):
    """What a consumer wants on its invoices, under `buyer` in its own partition of `billing`. Merchants who bill it see
    it there; without, an invoice names the consumer by its pseudonym."""

    kind: Literal["buyer"] = "buyer"
    consumer_id: Identifier
    legal_name: Annotated[str, Field(min_length=1, max_length=200)]
    address: Address
    tax_id: Annotated[str, Field(max_length=40)] = ""
    email: Annotated[str, Field(max_length=254)] | None = None
    """Where invoices are sent; None: to the consumer's account."""


class Party(StoredModel):
    """Seller or buyer, frozen into an invoice with all that its tax depends on: a seller has registrations."""

    name: str
    address: Address | None = None
    tax_id: str = ""
    registrations: tuple[TaxRegistration, ...] = ()


class StepRow(StoredModel):
    """`shared.billing.rating.Step`, frozen."""

    label: str
    quantity: Amount | None = None
    unit_price: Amount | None = None
    amount: Amount


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


class TaxLine(StoredModel):
    """One rate of one tax on all that it applies to, rounded once (EN 16931 BR-CO-17). `category` is UNCL 5305's: S
    standard, Z zero, E exempt, AE reverse charge, G export, O outside scope."""

    name: str
    category: Literal["S", "Z", "E", "AE", "G", "O"]
    percent: Percent
    taxable: Amount
    amount: Amount
    note: str = ""


class RecordsProof(StoredModel):
    """Which raw records an invoice (a period's part of it) rests on: the consumer's with these services in [start,
    end). `sha256` is of their export as CSV (`shared.billing.usage.records`)."""

    period: Month
    service_ids: tuple[Identifier, ...]
    start: AwareDatetime
    end: AwareDatetime
    time_zone: str
    count: int
    sha256: str


class CreditUse(StoredModel):
    note_number: str
    amount: Amount


class UsedPlan(StoredModel):
    """A plan version in force in [start, end) of a period: what makes an invoice recomputable. `subscribed`: the
    consumer had access, so that fees are due without usage."""

    start: AwareDatetime
    end: AwareDatetime
    period: Month
    service_name: str
    subscribed: bool
    plan: Plan


class DayUsage(StoredModel):
    """For the chart: requests of a local day."""

    day: Day
    requests: int


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

    status: "InvoiceStatus" = "issued"
    paid: Amount = Decimal(0)
    credited: Amount = Decimal(0)
    payments: "tuple[Payment, ...]" = ()
    notes: "tuple[NoteShare, ...]" = ()
    due: Day | None = None
    reminders: tuple[Day, ...] = ()
    voided_reason: str | None = None


class NoteShare(StoredModel):
    """What a credit note took back of an invoice: `taxes` in the order of the invoice's."""

    number: str
    net: Amount
    taxes: tuple[Amount, ...]
    total: Amount


InvoiceStatus = Literal["draft", "issued", "overdue", "paid", "void"]
"""`draft` is what a preview has; it is never stored, so it cannot be stale."""


class Payment(StoredModel):
    """Recorded, not taken. `id` is the client's idempotency key or ours."""

    id: Identifier
    amount: Amount
    reference: Annotated[str, Field(max_length=200)] = ""
    received_on: Day
    recorded_at: AwareDatetime
    recorded_by: Identifier


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
