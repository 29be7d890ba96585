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
    """Seller or buyer, as printed on the invoice."""

    name: str
    """Name on the invoice: the legal name, or a consumer's pseudonym."""
    address: Address | None
    """Address on the invoice; null if none was known at issue."""
    tax_id: str
    """Tax id; empty is none."""


class InvoiceLineView(View):
    """A line of an invoice: the cost of one charge of one service in the period, or in a part of it. `net` = `amount` −
    `discount` + `top_up`."""

    service_id: ServiceId
    service_name: str
    """Name of the service at that time."""
    plan_number: int
    """Version of the service's prices that applied."""
    charge_id: str
    """Id of the charge within its plan."""
    description: str
    """Text on the invoice."""
    metric: str
    """Metric that is billed."""
    unit: str
    """Unit of the quantity; empty is none."""
    start: AwareDatetime
    """Start of the billed time, included."""
    end: AwareDatetime
    """End of the billed time, excluded."""
    quantity: Amount
    """Counted quantity, before conversion and free units."""
    billed_quantity: Amount
    """Billed quantity, after conversion and free units."""
    steps: tuple[StepRow, ...]
    """Calculation of the amount, step by step."""
    amount_exact: Amount
    """The amount before rounding."""
    amount: Amount
    """The amount, rounded to the currency's minor unit."""
    discount: Amount
    """Reduction by the charge's discount and maximum."""
    top_up: Amount
    """Addition by the charge's minimum."""
    net: Amount
    """Net amount of the line, without tax."""
    corrects: Month | None
    """Earlier month that the line corrects because of late usage; null for ordinary lines."""


class PaymentView(View):
    """A payment that was recorded for an invoice."""

    id: str
    """Id of the payment: recording the same id again changes nothing."""
    amount: Amount
    """Amount of the payment in the invoice's currency."""
    reference: str
    """Reference of the bank or the payer; empty is none."""
    received_on: Day
    """Date on which the payment arrived."""
    recorded_at: AwareDatetime
    """Time at which the payment was recorded."""


class InvoiceSummary(View):
    """An invoice in a list. Amounts are in `currency`."""

    id: InvoiceId
    number: str
    """Printed number, without gaps in each merchant's financial year."""
    status: InvoiceStatus
    """Status: `issued` until the invoice is `paid` or `void`; `overdue` once `due_on` is past."""
    merchant_id: MerchantId
    seller: str
    """Name of the merchant on the invoice."""
    currency: Currency
    """Currency (ISO 4217)."""
    period: Month
    """Month that is billed, in the merchant's time zone."""
    issued_on: Day
    """Date of issue, in the merchant's time zone."""
    due_on: Day
    """Due date."""
    total: Amount
    """Total with taxes."""
    amount_due: Amount
    """Amount to pay: the total less credit applied when the invoice was issued."""
    paid: Amount
    """Sum of all payments."""
    credited: Amount
    """Sum of the invoice's credit notes, with taxes."""
    open: Amount
    """Open amount: `amount_due` less payments and credit notes; never negative."""


class MerchantInvoiceSummary(InvoiceSummary):
    """An invoice in a merchant's list."""

    pseudonym: Pseudonym
    buyer: str
    """Name of the consumer on the invoice; the pseudonym if the consumer stored no billing details."""
    merchant_net: Amount
    """Part of the net amount that the merchant keeps after the platform's commission."""


class PlatformInvoiceSummary(MerchantInvoiceSummary):
    """An invoice in the admins' list."""

    consumer_id: ConsumerId
    commission: Amount
    """Commission: the part of the net amount that the platform keeps."""


class BuyerInvoice(InvoiceSummary):
    """An invoice, as the consumer sees it."""

    start: AwareDatetime
    """Start of the period, included."""
    end: AwareDatetime
    """End of the period, excluded."""
    time_zone: str
    """Time zone of the merchant, whose calendar defines the period (IANA)."""
    seller_party: PartyView
    """Merchant, as printed on the invoice."""
    buyer_party: PartyView
    """Consumer, as printed on the invoice."""
    lines: tuple[InvoiceLineView, ...]
    """Lines of the invoice."""
    subtotal: Amount
    """Sum of the lines' amounts."""
    discounts: Amount
    """Sum of the lines' discounts."""
    top_ups: Amount
    """Sum of the lines' top-ups."""
    net: Amount
    """Sum of the lines' net amounts, to which taxes are added."""
    taxes: tuple[TaxLine, ...]
    """Taxes, one for each rate; empty is none."""
    credits: tuple[CreditUse, ...]
    """Credit from earlier credit notes that was applied to this invoice."""
    carried: Amount
    """Negative total carried over to the next invoice as credit; otherwise 0."""
    days: tuple[DayUsage, ...]
    """Requests on each day of the period, for charts."""
    records: tuple[RecordsProof, ...]
    """Proof of the raw usage records behind the invoice, from which anybody can recompute it."""
    payments: tuple[PaymentView, ...]
    """Payments that were recorded."""
    notes: tuple[NoteShare, ...]
    """Shares of the invoice that credit notes took back."""
    voided_reason: str | None
    """Reason of the voiding; null while the invoice is valid."""


class MerchantInvoice(BuyerInvoice):
    """An invoice, as the merchant sees it: with the platform's commission and the amount that the merchant keeps."""

    pseudonym: Pseudonym
    commission_percent: Percent
    """The platform's share of the net amount in percent, as it was when the close began."""
    commission: Amount
    """Commission: the part of the net amount that the platform keeps."""
    merchant_net: Amount
    """Part of the net amount that the merchant keeps."""


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
    """A credit note, which takes back part or all of an invoice."""

    id: CreditNoteId
    number: str
    """Printed number, without gaps in each merchant's financial year."""
    invoice_id: InvoiceId
    invoice_number: str
    """Number of the invoice."""
    invoice_issued_on: Day | None
    """Date of issue of the invoice; null on old credit notes."""
    merchant_id: MerchantId
    currency: Currency
    """Currency (ISO 4217)."""
    issued_on: Day
    """Date of issue, in the merchant's time zone."""
    reason: str
    """Reason, as printed on the credit note."""
    net: Amount
    """Amount without taxes."""
    taxes: tuple[TaxLine, ...]
    """Part of each of the invoice's taxes."""
    total: Amount
    """Amount with taxes."""


class CreditNotesView(View):
    """A page of credit notes."""

    items: list[CreditNoteView]
    """Items of the page."""
    next_cursor: NextCursor


def note_view(note: CreditNote) -> CreditNoteView:
    return CreditNoteView.model_validate(note.model_dump(include=set(CreditNoteView.model_fields)))
