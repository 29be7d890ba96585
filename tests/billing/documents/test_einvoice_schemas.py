"""E-invoices and credit notes of every kind of sample: the schemas of UBL, the rules of EN 16931, what must be in."""

from decimal import Decimal
from xml.etree.ElementTree import Element, fromstring

import pytest

from shared.billing.documents.einvoice import CAC, CBC, HOW_A_NOTE_IS_SETTLED, render_note_xml, render_xml
from shared.billing.invoices.models import Invoice
from tests.support.billing import document_samples as samples
from tests.support.billing.einvoice_rules import against_schema, rules

PREFIXES = {"cac": CAC, "cbc": CBC}


def _texts(root: Element, path: str) -> list[str]:
    return [found.text or "" for found in root.findall(path, PREFIXES)]


def _sum(root: Element, path: str) -> Decimal:
    return sum(map(Decimal, _texts(root, path)), Decimal(0))


@pytest.mark.parametrize("name", samples.ALL)
def test_every_invoice_keeps_schema_and_rules(name: str) -> None:
    xml = render_xml(samples.ALL[name]())
    assert against_schema(xml, "Invoice") == []
    assert rules().broken(xml) == []


@pytest.mark.parametrize("name", ["rich", "foreign", "reverse", "unregistered", "yen", "hostile"])
def test_every_credit_note_keeps_schema_and_rules(name: str) -> None:
    xml = render_note_xml(samples.note(samples.ALL[name]()))
    assert against_schema(xml, "CreditNote") == []
    assert rules().broken(xml) == []


def test_the_schema_finds_something() -> None:
    xml = render_xml(samples.rich()).replace(b"cbc:IssueDate", b"cbc:IssuedDate")
    assert against_schema(xml, "Invoice") != []


@pytest.mark.parametrize("name", samples.ALL)
def test_totals_add_up_as_the_standard_asks(name: str) -> None:
    """BR-CO-10, -13 to -17 and -27, worked out here once more."""
    invoice: Invoice = samples.ALL[name]()
    root, totals = fromstring(render_xml(invoice)), "cac:LegalMonetaryTotal/cbc:"
    net, taxes = _sum(root, "cac:InvoiceLine/cbc:LineExtensionAmount"), _sum(root, "cac:TaxTotal/cbc:TaxAmount")
    assert _sum(root, f"{totals}LineExtensionAmount") == net == invoice.net
    assert _sum(root, f"{totals}TaxExclusiveAmount") == net
    assert _sum(root, "cac:TaxTotal/cac:TaxSubtotal/cbc:TaxableAmount") == net
    assert _sum(root, "cac:TaxTotal/cac:TaxSubtotal/cbc:TaxAmount") == taxes
    assert _sum(root, f"{totals}TaxInclusiveAmount") == net + taxes == invoice.total
    payable = net + taxes - _sum(root, f"{totals}PrepaidAmount")
    assert _sum(root, f"{totals}PayableAmount") == payable == invoice.amount_due - invoice.carried


def test_what_must_be_in_an_invoice_is() -> None:
    """By the numbers of EN 16931: BT-1, 2, 3, 5, 9, 24, 73, 74; BG-4, 7, 22, 23 and 25."""
    root = fromstring(render_xml(samples.rich()))
    for path, value in (
        ("cbc:ID", "ACME26-000001"),
        ("cbc:IssueDate", "2026-04-02"),
        ("cbc:DueDate", "2026-05-02"),
        ("cbc:InvoiceTypeCode", "380"),
        ("cbc:DocumentCurrencyCode", "EUR"),
        ("cbc:CustomizationID", "urn:cen.eu:en16931:2017"),
        ("cac:InvoicePeriod/cbc:StartDate", "2026-03-01"),
        ("cac:InvoicePeriod/cbc:EndDate", "2026-03-31"),
        ("cac:AccountingSupplierParty//cbc:RegistrationName", "Acme GmbH"),
        ("cac:AccountingSupplierParty//cac:PartyTaxScheme/cbc:CompanyID", "DE136695976"),
        ("cac:AccountingSupplierParty//cac:Country/cbc:IdentificationCode", "DE"),
        ("cac:AccountingCustomerParty//cbc:RegistrationName", "Globex AG"),
        ("cac:TaxTotal/cac:TaxSubtotal/cac:TaxCategory/cbc:ID", "S"),
        ("cac:TaxTotal/cac:TaxSubtotal/cac:TaxCategory/cbc:Percent", "19"),
        ("cac:LegalMonetaryTotal/cbc:PrepaidAmount", "50.00"),
        ("cac:LegalMonetaryTotal/cbc:PayableAmount", "535.52"),
    ):
        assert _texts(root, path) == [value], path
    assert len(root.findall("cac:InvoiceLine", PREFIXES)) == 4
    assert _texts(root, "cac:InvoiceLine/cac:Item/cbc:Description")[-1] == "Routing, correction of 2026-02"


def test_a_quantity_with_one_price_keeps_both_and_its_unit() -> None:
    root = fromstring(render_xml(samples.rich()))
    quantities = root.findall("cac:InvoiceLine/cbc:InvoicedQuantity", PREFIXES)
    assert [(each.text, each.get("unitCode")) for each in quantities] == [
        ("1", "C62"),
        ("8123.456789", "4L"),
        ("240", "C62"),
        ("-1", "C62"),
    ]
    assert _texts(root, "cac:InvoiceLine/cac:Price/cbc:PriceAmount") == ["387.5", "0.012", "0.05", "4.2"]


def test_days_are_the_merchants_not_londons() -> None:
    """March in Kolkata begins on 28 February, 18:30 UTC."""
    invoice = samples.foreign()
    kolkata = {"start": "2026-02-28T18:30:00Z", "end": "2026-03-31T18:30:00Z"}
    line = type(invoice.lines[0]).model_validate({**invoice.lines[0].model_dump(), **kolkata})
    moved = {**invoice.model_dump(), **kolkata, "time_zone": "Asia/Kolkata", "lines": (line,)}
    root = fromstring(render_xml(Invoice.model_validate(moved)))
    assert _texts(root, ".//cac:InvoicePeriod/cbc:StartDate") == ["2026-03-01", "2026-03-01"]
    assert _texts(root, ".//cac:InvoicePeriod/cbc:EndDate") == ["2026-03-31", "2026-03-31"]
    assert b"2026-02-28" not in render_xml(Invoice.model_validate(moved))


def test_a_credit_note_names_its_invoice_and_its_amounts() -> None:
    """A third of 492.03 and of 93.49: 164.01 and 31.16."""
    root = fromstring(render_note_xml(samples.note()))
    for path, value in (
        ("cbc:CreditNoteTypeCode", "381"),
        ("cbc:ID", "ACME26C000001"),
        ("cac:BillingReference/cac:InvoiceDocumentReference/cbc:ID", "ACME26-000001"),
        ("cac:BillingReference/cac:InvoiceDocumentReference/cbc:IssueDate", "2026-04-02"),
        ("cac:TaxTotal/cbc:TaxAmount", "31.16"),
        ("cac:LegalMonetaryTotal/cbc:TaxExclusiveAmount", "164.01"),
        ("cac:LegalMonetaryTotal/cbc:PayableAmount", "195.17"),
        ("cac:PaymentTerms/cbc:Note", HOW_A_NOTE_IS_SETTLED),
        ("cac:CreditNoteLine/cbc:LineExtensionAmount", "164.01"),
    ):
        assert _texts(root, path) == [value], path


def test_nobody_learns_who_the_consumer_is() -> None:
    assert b"con_1" not in render_xml(samples.rich())
    assert b"con_1" not in render_note_xml(samples.note())
