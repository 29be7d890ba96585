"""An invoice as the API shows it: to the buyer without the merchant's side, to the merchant without who the consumer
is; its pseudonym, and what the consumer wants on its invoices, is what the merchant knows."""

from typing import TypeVar

from pydantic import AwareDatetime

from shared.billing.invoices.models import (
    CreditNote,
    CreditUse,
    Invoice,
    InvoiceStatus,
    NoteShare,
    StepRow,
    open_amount,
)
from shared.billing.tax.models import Party, TaxLine
from shared.billing.usage.models import DayUsage, RecordsProof
from shared.catalog.models import Address
from shared.kernel.http.fields import ConsumerId, CreditNoteId, InvoiceId, MerchantId, NextCursor, Pseudonym, ServiceId
from shared.kernel.http.schemas import View
from shared.kernel.money import Amount, Currency, Percent
from shared.kernel.periods import Day, Month


class PartyView(View):
    """Seller or buyer, as the invoice froze them."""

    name: str
    """Name on the invoice: the legal one, or a consumer's pseudonym."""
    address: Address | None
    """Null where none was known when it was issued."""
    tax_id: str
    """Registration for taxes; empty is none."""


class InvoiceLineView(View):
    """What one charge of one service came to in the period, or in a part of it. `net` = `amount` − `discount` +
    `top_up`."""

    service_id: ServiceId
    service_name: str
    """The service's name as it was then."""
    plan_number: int
    """Version of the price plan that was in force."""
    charge_id: str
    """Id of the charge within its plan."""
    description: str
    """What the invoice prints."""
    metric: str
    """What was counted."""
    unit: str
    """What one of the quantity is called; empty is none."""
    start: AwareDatetime
    """First moment that the line is about."""
    end: AwareDatetime
    """End of what the line is about, excluded."""
    quantity: Amount
    """What was counted, before conversion and free units."""
    billed_quantity: Amount
    """What is paid for."""
    steps: tuple[StepRow, ...]
    """How the amount came about, tier by tier."""
    amount_exact: Amount
    """The amount before rounding."""
    amount: Amount
    """The amount, rounded to the currency's minor unit."""
    discount: Amount
    """What the charge's discount and maximum took off."""
    top_up: Amount
    """What the charge's minimum added."""
    net: Amount
    """What the line adds to the invoice, without tax."""
    corrects: Month | None
    """The earlier month that the line corrects, because usage of it came late; null for usual lines."""


class PaymentView(View):
    """A payment that was recorded for an invoice."""

    id: str
    """Id of the payment: recording one of the same id again changes nothing."""
    amount: Amount
    """What was paid, in the invoice's currency."""
    reference: str
    """The bank's or the payer's reference; empty is none."""
    received_on: Day
    """Day on which it arrived."""
    recorded_at: AwareDatetime
    """When it was entered."""


class InvoiceSummary(View):
    """An invoice in a list. Amounts are in `currency`."""

    id: InvoiceId
    number: str
    """Number that is printed on it, without gaps in each merchant's financial year."""
    status: InvoiceStatus
    """`issued` until it is `paid` or `void`; `overdue` once `due_on` is past."""
    merchant_id: MerchantId
    seller: str
    """Name of the merchant on the invoice."""
    currency: Currency
    """ISO 4217."""
    period: Month
    """Month that it bills, in the merchant's time zone."""
    issued_on: Day
    """Day on it, in the merchant's time zone."""
    due_on: Day
    """Day by which it is to be paid."""
    total: Amount
    """With taxes."""
    amount_due: Amount
    """The total less what credit notes had left over when it was issued."""
    paid: Amount
    """Sum of the payments."""
    credited: Amount
    """Sum of the credit notes on it, with taxes."""
    open: Amount
    """What is left of `amount_due` after payments and credit notes; never negative."""


class MerchantInvoiceSummary(InvoiceSummary):
    """An invoice in a merchant's list."""

    pseudonym: Pseudonym
    buyer: str
    """Name on the invoice, which is the pseudonym where the consumer wants no other."""
    merchant_net: Amount
    """What the merchant keeps of the net amount after the platform's commission."""


class PlatformInvoiceSummary(MerchantInvoiceSummary):
    """An invoice in the operators' list."""

    consumer_id: ConsumerId
    commission: Amount
    """What the platform keeps of the net amount."""


class BuyerInvoice(InvoiceSummary):
    """An invoice as the consumer sees it."""

    start: AwareDatetime
    """First moment of the period."""
    end: AwareDatetime
    """End of the period, excluded."""
    time_zone: str
    """The merchant's, by which the period is cut (IANA)."""
    seller_party: PartyView
    """The merchant, as frozen on the invoice."""
    buyer_party: PartyView
    """The consumer, as frozen on the invoice."""
    lines: tuple[InvoiceLineView, ...]
    """What is billed, line by line."""
    subtotal: Amount
    """Sum of the lines' amounts."""
    discounts: Amount
    """Sum of the lines' discounts."""
    top_ups: Amount
    """Sum of the lines' top-ups."""
    net: Amount
    """Sum of the lines' net amounts: what taxes are added to."""
    taxes: tuple[TaxLine, ...]
    """One for each rate of each tax; empty is none."""
    credits: tuple[CreditUse, ...]
    """Credit notes whose rest was used up on this invoice."""
    carried: Amount
    """What was below zero in total and is carried over as credit; zero otherwise."""
    days: tuple[DayUsage, ...]
    """Requests of each local day of the period, for the chart."""
    records: tuple[RecordsProof, ...]
    """Which raw records the invoice rests on, with their hash: anybody can compute it again from those."""
    payments: tuple[PaymentView, ...]
    """What was paid so far."""
    notes: tuple[NoteShare, ...]
    """What credit notes took back of it."""
    voided_reason: str | None
    """Why it was voided; null while it is valid."""


class MerchantInvoice(BuyerInvoice):
    """An invoice with the merchant's side: what the platform keeps, and what is left."""

    pseudonym: Pseudonym
    commission_percent: Percent
    """The platform's share of the net amount, as it held when the close began."""
    commission: Amount
    """What the platform keeps of the net amount."""
    merchant_net: Amount
    """What the merchant keeps of it."""


S = TypeVar("S", bound=InvoiceSummary)


def invoice_summary(invoice: Invoice, view: type[S]) -> S:
    return view.model_validate(_summary_fields(invoice, view))


def _summary_fields(invoice: Invoice, view: type[InvoiceSummary]) -> dict[str, object]:
    known = invoice.model_dump(include=set(view.model_fields) - {"seller", "buyer", "open"})
    names = {"seller": invoice.seller.name, "buyer": invoice.buyer.name}
    return {**known, **names, "open": open_amount(invoice)}


def buyer_invoice_view(invoice: Invoice) -> BuyerInvoice:
    return BuyerInvoice.model_validate(_fields(invoice, BuyerInvoice))


def merchant_invoice_view(invoice: Invoice) -> MerchantInvoice:
    return MerchantInvoice.model_validate(_fields(invoice, MerchantInvoice))


def _fields(invoice: Invoice, view: type[BuyerInvoice]) -> dict[str, object]:
    known = invoice.model_dump(include=set(view.model_fields) - {"lines", "seller", "payments"})
    payments = [payment.model_dump(include=set(PaymentView.model_fields)) for payment in invoice.payments]
    lines = [line.model_dump(include=set(InvoiceLineView.model_fields)) for line in invoice.lines]
    parties = {"seller_party": _party(invoice.seller), "buyer_party": _party(invoice.buyer)}
    return {**known, **_summary_fields(invoice, InvoiceSummary), **parties, "lines": lines, "payments": payments}


def _party(party: Party) -> PartyView:
    return PartyView(name=party.name, address=party.address, tax_id=party.tax_id)


class CreditNoteView(View):
    """A credit note: what was taken back of an invoice."""

    id: CreditNoteId
    number: str
    """Number that is printed on it, without gaps in each merchant's financial year."""
    invoice_id: InvoiceId
    invoice_number: str
    """Number of the invoice that it is about."""
    invoice_issued_on: Day | None
    """Day of that invoice; null on notes from before it was kept."""
    merchant_id: MerchantId
    currency: Currency
    """ISO 4217."""
    issued_on: Day
    """Day on it, in the merchant's time zone."""
    reason: str
    """Why, as printed on it."""
    net: Amount
    """What is taken back without taxes."""
    taxes: tuple[TaxLine, ...]
    """What is taken back of each of the invoice's taxes."""
    total: Amount
    """What is taken back with taxes."""


class CreditNotesView(View):
    """A page of credit notes."""

    items: list[CreditNoteView]
    """The page's items."""
    next_cursor: NextCursor


def note_view(note: CreditNote) -> CreditNoteView:
    return CreditNoteView.model_validate(note.model_dump(include=set(CreditNoteView.model_fields)))
