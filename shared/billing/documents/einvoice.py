"""An invoice as an e-invoice: UBL 2.1 after EN 16931, for accounting software.

What is tiered has no single unit price, as EN 16931 wants one: such a line is one of something at its amount, and its
note says how much was used. CGST and SGST are one rate in it, since EN 16931 knows one tax at a time; the note names
both. A buyer who gave no address leaves the invoice short of what EN 16931 asks for (BT-55), and an invoice without a
registration of the seller names no VAT id.
"""

import re
from decimal import Decimal
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from shared.billing.models import Invoice, Line, Party, TaxLine
from shared.billing.tax import treatment
from shared.kernel.clock import format_time
from shared.kernel.money import ZERO, decimal_text, money_text, round_money
from shared.kernel.periods import Period

UBL = "urn:oasis:names:specification:ubl:schema:xsd"
_ROOT, CBC, CAC = f"{UBL}:Invoice-2", f"{UBL}:CommonBasicComponents-2", f"{UBL}:CommonAggregateComponents-2"
CUSTOMIZATION = "urn:cen.eu:en16931:2017"
COMMERCIAL_INVOICE = "380"
UNITS = {"MB": "4L", "min": "MIN"}
"""UN/ECE Recommendation 20; anything else is C62, one of it."""

INSTRUMENT_NOT_DEFINED = "1"
"""UNCL 4461: how to pay is said in words."""

_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def render_xml(invoice: Invoice) -> bytes:
    """UTF-8, indented, with an XML declaration; the same invoice gives the same bytes."""
    root = Element("Invoice", {"xmlns": _ROOT, "xmlns:cac": CAC, "xmlns:cbc": CBC})
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
    sellers, buyers = _tax_ids(invoice)
    _party(_group(root, "AccountingSupplierParty"), invoice.seller, invoice.merchant_id, sellers)
    _party(_group(root, "AccountingCustomerParty"), invoice.buyer, invoice.pseudonym, buyers)
    if invoice.payment_details:
        means = _group(root, "PaymentMeans")
        _text(means, "PaymentMeansCode", INSTRUMENT_NOT_DEFINED)
        _text(_group(root, "PaymentTerms"), "Note", invoice.payment_details)
    _taxes(root, invoice)
    _totals(root, invoice)
    for number, line in enumerate(invoice.lines, 1):
        _line(root, number, line, invoice)
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


def _tax_ids(invoice: Invoice) -> tuple[str, str]:
    """The seller's and the buyer's; EN 16931 wants none where no tax applies (BR-O-02, BR-O-03)."""
    under, buyer = treatment(invoice.seller, invoice.buyer).registration, invoice.buyer
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
        for name, text in (("StreetName", first), ("AdditionalStreetName", second), ("CityName", address.city),
                           ("PostalZone", address.postal_code), ("CountrySubentity", address.region)):  # fmt: skip
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


def _one_tax(invoice: Invoice) -> TaxLine:
    """All rates are on the whole invoice, so they are one."""
    first = invoice.taxes[0]
    percent = sum((tax.percent for tax in invoice.taxes), ZERO)
    return first.model_copy(update={"percent": percent, "amount": sum((tax.amount for tax in invoice.taxes), ZERO)})


def _taxes(root: Element, invoice: Invoice) -> None:
    tax, currency = _one_tax(invoice), invoice.currency
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


def _totals(root: Element, invoice: Invoice) -> None:
    prepaid = sum((use.amount for use in invoice.credits), ZERO)
    amounts = [
        ("LineExtensionAmount", invoice.net), ("TaxExclusiveAmount", invoice.net),
        ("TaxInclusiveAmount", invoice.total),
        *([("PrepaidAmount", prepaid)] if prepaid else []), ("PayableAmount", invoice.total - prepaid),
    ]  # fmt: skip
    group = _group(root, "LegalMonetaryTotal")
    for name, amount in amounts:
        _money(group, name, amount, invoice.currency)


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
    _text(item, "Description", f"{line.service_name}, {line.start:%Y-%m-%d} to {format_time(line.end)[:10]}")
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
