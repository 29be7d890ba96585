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
from shared.kernel.http.schemas import View
from shared.kernel.money import Amount, Currency, Percent
from shared.kernel.periods import Day, Month


class PartyView(View):
    name: str
    address: Address | None
    tax_id: str


class InvoiceLineView(View):
    """`net` = amount − discount + top_up. `corrects` names the earlier period that a correction is for."""

    service_id: str
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
    steps: tuple[StepRow, ...]
    amount_exact: Amount
    amount: Amount
    discount: Amount
    top_up: Amount
    net: Amount
    corrects: Month | None


class PaymentView(View):
    id: str
    amount: Amount
    reference: str
    received_on: Day
    recorded_at: AwareDatetime


class InvoiceSummary(View):
    """`paid` and `credited` lower what is `open` of `amount_due`. Amounts are in `currency`."""

    id: str
    number: str
    status: InvoiceStatus
    merchant_id: str
    seller: str
    currency: Currency
    period: Month
    issued_on: Day
    due_on: Day
    total: Amount
    amount_due: Amount
    paid: Amount
    credited: Amount
    open: Amount


class MerchantInvoiceSummary(InvoiceSummary):
    """`buyer` is the name on the invoice, which is the pseudonym where the consumer wants no other."""

    pseudonym: str
    buyer: str
    merchant_net: Amount


class PlatformInvoiceSummary(MerchantInvoiceSummary):
    consumer_id: str
    commission: Amount


class BuyerInvoice(InvoiceSummary):
    """What the consumer sees."""

    start: AwareDatetime
    end: AwareDatetime
    time_zone: str
    seller_party: PartyView
    buyer_party: PartyView
    lines: tuple[InvoiceLineView, ...]
    subtotal: Amount
    discounts: Amount
    top_ups: Amount
    net: Amount
    taxes: tuple[TaxLine, ...]
    credits: tuple[CreditUse, ...]
    carried: Amount
    days: tuple[DayUsage, ...]
    records: tuple[RecordsProof, ...]
    payments: tuple[PaymentView, ...]
    notes: tuple[NoteShare, ...]
    voided_reason: str | None


class MerchantInvoice(BuyerInvoice):
    """The same with the merchant's side: what the platform keeps, and what is left."""

    pseudonym: str
    commission_percent: Percent
    commission: Amount
    merchant_net: Amount


S = TypeVar("S", bound=InvoiceSummary)


def summary(invoice: Invoice, view: type[S]) -> S:
    return view.model_validate(_summary_fields(invoice, view))


def _summary_fields(invoice: Invoice, view: type[InvoiceSummary]) -> dict[str, object]:
    known = invoice.model_dump(include=set(view.model_fields) - {"seller", "buyer", "open"})
    names = {"seller": invoice.seller.name, "buyer": invoice.buyer.name}
    return {**known, **names, "open": open_amount(invoice)}


def buyer_view(invoice: Invoice) -> BuyerInvoice:
    return BuyerInvoice.model_validate(_fields(invoice, BuyerInvoice))


def merchant_view(invoice: Invoice) -> MerchantInvoice:
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
    """A credit note. `total` is with its taxes."""

    id: str
    number: str
    invoice_id: str
    invoice_number: str
    invoice_issued_on: Day | None
    merchant_id: str
    currency: Currency
    issued_on: Day
    reason: str
    net: Amount
    taxes: tuple[TaxLine, ...]
    total: Amount


class CreditNotesView(View):
    items: list[CreditNoteView]
    next_cursor: str | None


def note_view(note: CreditNote) -> CreditNoteView:
    return CreditNoteView.model_validate(note.model_dump(include=set(CreditNoteView.model_fields)))
