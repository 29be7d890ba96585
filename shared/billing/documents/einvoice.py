"""An invoice, or a credit note, as an e-invoice: UBL 2.1 after EN 16931, for accounting software.

What is tiered has no single unit price, as EN 16931 wants one: such a line is one of something at its amount, and its
note says how much was used. CGST and SGST are one rate in it, since EN 16931 knows one tax at a time; the note names
both. A buyer who gave no address leaves the invoice short of what EN 16931 asks for (BT-55), and an invoice without a
registration of the seller names no VAT id.
"""

import re
from decimal import Decimal
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from shared.billing.invoices.models import CreditNote, Invoice, Line
from shared.billing.tax.models import Party, TaxLine
from shared.billing.tax.rules import treatment
from shared.kernel.money import ZERO, decimal_text, money_text, round_money
from shared.kernel.periods import Period

UBL = "urn:oasis:names:specification:ubl:schema:xsd"
CBC, CAC = f"{UBL}:CommonBasicComponents-2", f"{UBL}:CommonAggregateComponents-2"
CUSTOMIZATION = "urn:cen.eu:en16931:2017"
COMMERCIAL_INVOICE, CREDIT_NOTE = "380", "381"
"""UNCL 1001."""

UNITS = {"MB": "4L", "min": "MIN"}
"""UN/ECE Recommendation 20; anything else is C62, one of it."""

INSTRUMENT_NOT_DEFINED = "1"
"""UNCL 4461: how to pay is said in words."""

HOW_A_NOTE_IS_SETTLED = "Lowers what is due of the invoice; what is over is credit for the next one."
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def render_xml(invoice: Invoice) -> bytes:
    """Render an invoice as UBL: UTF-8, indented, with an XML declaration; the same invoice gives the same bytes."""
    root = _root("Invoice")
    for name, text in (
        ("CustomizationID", CUSTOMIZATION),
        ("ID", invoice.number),
        ("IssueDate", invoice.issued_on),
        ("DueDate", invoice.due_on),
        ("InvoiceTypeCode", COMMERCIAL_INVOICE),
        ("Note", _note(invoice)),
        ("DocumentCurrencyCode", invoice.currency),
    ):
        _text(root, name, text)
    _period(root, Period(invoice.period, invoice.start, invoice.end, invoice.time_zone))
    _parties(root, invoice)
    if invoice.payment_details:
        means = _group(root, "PaymentMeans")
        _text(means, "PaymentMeansCode", INSTRUMENT_NOT_DEFINED)
        _text(_group(root, "PaymentTerms"), "Note", invoice.payment_details)
    _taxes(root, invoice)
    prepaid = sum((use.amount for use in invoice.credits), ZERO)
    _amounts(root, invoice.currency, net=invoice.net, total=invoice.total, prepaid=prepaid)
    for number, line in enumerate(invoice.lines, 1):
        _line(root, number, line, invoice)
    return _written(root)


def render_note_xml(note: CreditNote) -> bytes:
    """Render a credit note as UBL, in the form of `render_xml`. What a note takes back is positive in it, as its kind
    says which way it goes; it has one line, since a note is over an amount."""
    root = _root("CreditNote")
    for name, text in (
        ("CustomizationID", CUSTOMIZATION),
        ("ID", note.number),
        ("IssueDate", note.issued_on),
        ("CreditNoteTypeCode", CREDIT_NOTE),
        ("Note", note.reason),
        ("DocumentCurrencyCode", note.currency),
    ):
        _text(root, name, text)
    reference = _group(_group(root, "BillingReference"), "InvoiceDocumentReference")
    _text(reference, "ID", note.invoice_number)
    if note.invoice_issued_on is not None:
        _text(reference, "IssueDate", note.invoice_issued_on)
    _parties(root, note)
    _text(_group(root, "PaymentTerms"), "Note", HOW_A_NOTE_IS_SETTLED)
    _taxes(root, note)
    _amounts(root, note.currency, net=note.net, total=note.total, prepaid=ZERO)
    line = _group(root, "CreditNoteLine")
    _text(line, "ID", "1")
    _text(line, "CreditedQuantity", "1", unitCode="C62")
    _money(line, "LineExtensionAmount", note.net, note.currency)
    item = _group(line, "Item")
    _text(item, "Description", note.reason)
    _text(item, "Name", f"Credit for invoice {note.invoice_number}")
    _category(item, "ClassifiedTaxCategory", _one_tax(note), reason=False)
    _text(_group(line, "Price"), "PriceAmount", decimal_text(note.net), currencyID=note.currency)
    return _written(root)


def _root(kind: str) -> Element:
    return Element(kind, {"xmlns": f"{UBL}:{kind}-2", "xmlns:cac": CAC, "xmlns:cbc": CBC})


def _written(root: Element) -> bytes:
    indent(root)
    written: str = tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{written}\n'.encode()


def _note(invoice: Invoice) -> str:
    proofs = [f"{proof.count} usage records of {proof.period}, SHA-256 {proof.sha256}" for proof in invoice.records]
    names = [
        f"{tax.name} {decimal_text(tax.percent)} %: {money_text(tax.amount, invoice.currency)}" for tax in invoice.taxes
    ]
    return "; ".join([*proofs, *(names if len(names) > 1 else [])]) or "no usage records"


def _group(parent: Element, name: str) -> Element:
    return SubElement(parent, f"cac:{name}")


def _text(parent: Element, name: str, text: str, **attributes: str) -> None:
    SubElement(parent, f"cbc:{name}", attributes).text = _CONTROLS.sub("\ufffd", text)


def _money(parent: Element, name: str, amount: Decimal, currency: str) -> None:
    _text(parent, name, money_text(amount, currency), currencyID=currency)


def _period(parent: Element, of: Period) -> None:
    group = _group(parent, "InvoicePeriod")
    _text(group, "StartDate", str(of.first_day))
    _text(group, "EndDate", str(of.last_day))


def _parties(root: Element, of: Invoice | CreditNote) -> None:
    sellers, buyers = _tax_ids(of)
    _party(_group(root, "AccountingSupplierParty"), of.seller, of.merchant_id, sellers)
    _party(_group(root, "AccountingCustomerParty"), of.buyer, of.pseudonym, buyers)


def _tax_ids(of: Invoice | CreditNote) -> tuple[str, str]:
    """The seller's and the buyer's; EN 16931 wants none where no tax applies (BR-O-02, BR-O-03)."""
    under, buyer = treatment(of.seller, of.buyer).registration, of.buyer
    if under is None:
        return "", ""
    country = "" if buyer.address is None else buyer.address.country
    return _with_country(under.country, under.number), _with_country(country, buyer.tax_id)


def _with_country(country: str, tax_id: str) -> str:
    return tax_id if not tax_id or tax_id[:2].isalpha() else f"{country}{tax_id}"


def _party(parent: Element, party: Party, known_as: str, tax_id: str) -> None:
    group, address = _group(parent, "Party"), party.address
    _text(_group(group, "PartyIdentification"), "ID", known_as)
    _text(_group(group, "PartyName"), "Name", party.name)
    postal = _group(group, "PostalAddress")
    if address is not None:
        first, second, *rest = (*address.lines, "", "")
        for name, text in (
            ("StreetName", first),
            ("AdditionalStreetName", second),
            ("CityName", address.city),
            ("PostalZone", address.postal_code),
            ("CountrySubentity", address.region),
        ):
            if text:
                _text(postal, name, text)
        if "".join(rest):
            _text(_group(postal, "AddressLine"), "Line", ", ".join(filter(None, rest)))
        _text(_group(postal, "Country"), "IdentificationCode", address.country)
    if tax_id:
        scheme = _group(group, "PartyTaxScheme")
        _text(scheme, "CompanyID", tax_id)
        _text(_group(scheme, "TaxScheme"), "ID", "VAT")
    _text(_group(group, "PartyLegalEntity"), "RegistrationName", party.name)


def _one_tax(of: Invoice | CreditNote) -> TaxLine:
    """All rates are on the whole document, so they are one."""
    percent = sum((tax.percent for tax in of.taxes), ZERO)
    amount = sum((tax.amount for tax in of.taxes), ZERO)
    return of.taxes[0].model_copy(update={"percent": percent, "amount": amount})


def _taxes(root: Element, of: Invoice | CreditNote) -> None:
    tax, currency = _one_tax(of), of.currency
    total = _group(root, "TaxTotal")
    _money(total, "TaxAmount", tax.amount, currency)
    subtotal = _group(total, "TaxSubtotal")
    _money(subtotal, "TaxableAmount", tax.taxable, currency)
    _money(subtotal, "TaxAmount", tax.amount, currency)
    _category(subtotal, "TaxCategory", tax, reason=True)


def _category(parent: Element, name: str, tax: TaxLine, *, reason: bool) -> None:
    group = _group(parent, name)
    _text(group, "ID", tax.category)
    if tax.category != "O":
        _text(group, "Percent", decimal_text(tax.percent))
    if reason and tax.category in ("E", "AE", "G", "O"):
        _text(group, "TaxExemptionReason", tax.note or tax.name)
    _text(_group(group, "TaxScheme"), "ID", "VAT")


def _amounts(root: Element, currency: str, *, net: Decimal, total: Decimal, prepaid: Decimal) -> None:
    amounts = [
        ("LineExtensionAmount", net),
        ("TaxExclusiveAmount", net),
        ("TaxInclusiveAmount", total),
        *([("PrepaidAmount", prepaid)] if prepaid else []),
        ("PayableAmount", total - prepaid),
    ]
    group = _group(root, "LegalMonetaryTotal")
    for name, amount in amounts:
        _money(group, name, amount, currency)


def _line(root: Element, number: int, line: Line, invoice: Invoice) -> None:
    currency, group = invoice.currency, _group(root, "InvoiceLine")
    _text(group, "ID", str(number))
    _text(group, "Note", f"{decimal_text(line.quantity)} {line.unit or line.metric}".strip())
    quantity, price, unit = _priced(line, currency)
    _text(group, "InvoicedQuantity", decimal_text(quantity), unitCode=unit)
    _money(group, "LineExtensionAmount", line.net, currency)
    _period(group, Period(invoice.period, line.start, line.end, invoice.time_zone))
    for charge, amount, reason in (("false", line.discount, "discount"), ("true", line.top_up, "up to the minimum")):
        if amount:
            allowance = _group(group, "AllowanceCharge")
            _text(allowance, "ChargeIndicator", charge)
            _text(allowance, "AllowanceChargeReason", reason)
            _money(allowance, "Amount", amount, currency)
    item = _group(group, "Item")
    correction = "" if line.corrects is None else f", correction of {line.corrects}"
    _text(item, "Description", f"{line.service_name}{correction}")
    _text(item, "Name", line.description or line.charge_id)
    _category(item, "ClassifiedTaxCategory", _one_tax(invoice), reason=False)
    _text(_group(group, "Price"), "PriceAmount", decimal_text(price), currencyID=currency)


def _priced(line: Line, currency: str) -> tuple[Decimal, Decimal, str]:
    """Quantity, price of one (never below zero, BR-27) and unit, whose product is the line's amount."""
    if len(line.steps) == 1 and line.corrects is None:
        step = line.steps[0]
        if step.quantity is not None and step.unit_price is not None and step.quantity == line.quantity:
            return step.quantity, step.unit_price, UNITS.get(line.unit, "C62")
    sign = Decimal(-1) if line.amount < 0 else Decimal(1)
    return sign, round_money(abs(line.amount), currency), "C62"
