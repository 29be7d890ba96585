"""The e-invoice against the official rules of EN 16931 (their Schematron), and totals worked out by hand."""

from collections.abc import Callable
from decimal import Decimal
from xml.etree.ElementTree import fromstring

import pytest

from shared.billing.documents.einvoice import CAC, CBC, render_xml
from shared.billing.invoices.models import CreditUse, Invoice
from shared.billing.invoices.totals import total_up
from shared.billing.tax.models import Party, TaxRegistration
from shared.billing.tax.rules import tax_lines, treatment
from shared.catalog.models import Address
from tests.support.billing.einvoice_rules import rules
from tests.support.billing.invoice_samples import BERLIN, BUYER, INDIAN_SELLER, SELLER, make_invoice, make_line

Broken = Callable[[bytes], list[str]]


@pytest.fixture(scope="module")
def broken() -> Broken:
    """The rules that an e-invoice breaks."""
    return rules().broken


def _amounts(xml: bytes) -> dict[str, str]:
    root = fromstring(xml)
    totals = root.find(f"{{{CAC}}}LegalMonetaryTotal")
    tax = root.find(f"{{{CAC}}}TaxTotal/{{{CBC}}}TaxAmount")
    assert totals is not None
    assert tax is not None
    return {element.tag.partition("}")[2]: element.text or "" for element in [*totals, tax]}


def test_one_rate(broken: Broken) -> None:
    """100.00 and 33.33 at 19 %: 25.3327 is 25.33."""
    xml = render_xml(make_invoice(lines=[make_line("100"), make_line("33.33", charge_id="more")]))
    assert broken(xml) == []
    assert _amounts(xml) == {
        "LineExtensionAmount": "133.33",
        "TaxExclusiveAmount": "133.33",
        "TaxInclusiveAmount": "158.66",
        "PayableAmount": "158.66",
        "TaxAmount": "25.33",
    }


def test_cgst_and_sgst(broken: Broken) -> None:
    """9 % each of 100.55 is 9.0495, 9.05 each."""
    pune = Address(lines=("MG Road",), city="Pune", region="Maharashtra", country="IN")
    xml = render_xml(
        make_invoice(
            lines=[make_line("100.55")], seller=INDIAN_SELLER, buyer=Party(name="B", address=pune), currency="INR"
        )
    )
    assert broken(xml) == []
    assert _amounts(xml)["TaxAmount"] == "18.10"
    assert _amounts(xml)["PayableAmount"] == "118.65"
    assert "CGST 9 %: 9.05; SGST 9 %: 9.05" in xml.decode()


def test_reverse_charge(broken: Broken) -> None:
    buyer = Party(name="B", address=Address(city="Wien", country="AT"), tax_id="ATU13585627")
    xml = render_xml(make_invoice(lines=[make_line("50")], buyer=buyer))
    assert broken(xml) == []
    assert _amounts(xml)["TaxAmount"] == "0.00"
    assert ">AE<" in xml.decode()


def test_the_sellers_id_is_the_one_of_the_buyers_country(broken: Broken) -> None:
    french = TaxRegistration(country="FR", kind="vat", number="FR40303265045", percent=Decimal(20))
    seller = SELLER.model_copy(update={"registrations": (*SELLER.registrations, french)})
    buyer = Party(name="B", address=Address(city="Lyon", country="FR"))
    xml = render_xml(make_invoice(lines=[make_line("100")], seller=seller, buyer=buyer))
    assert broken(xml) == []
    numbers = fromstring(xml).iterfind(f".//{{{CAC}}}PartyTaxScheme/{{{CBC}}}CompanyID")
    assert [number.text for number in numbers] == ["FR40303265045"]
    assert _amounts(xml)["TaxAmount"] == "20.00"


def test_discounts_minimum_and_credit(broken: Broken) -> None:
    """80.00 − 8.00 + 28.00 = 100.00, 19.00 of tax, 20.00 of credit."""
    line = make_line("80", discount="8", top_up="28")
    xml = render_xml(make_invoice(lines=[line], credit=[CreditUse(note_number="ACME26C000001", amount=Decimal(20))]))
    assert broken(xml) == []
    assert _amounts(xml) == {
        "LineExtensionAmount": "100.00",
        "TaxExclusiveAmount": "100.00",
        "TaxInclusiveAmount": "119.00",
        "PrepaidAmount": "20.00",
        "PayableAmount": "99.00",
        "TaxAmount": "19.00",
    }


def test_yen_have_no_digits_after_the_point(broken: Broken) -> None:
    xml = render_xml(make_invoice(lines=[make_line("1999")], currency="JPY"))
    assert broken(xml) == []
    assert (_amounts(xml)["TaxAmount"], _amounts(xml)["PayableAmount"]) == ("380", "2379")


def test_a_correction_below_zero(broken: Broken) -> None:
    xml = render_xml(make_invoice(lines=[make_line("10"), make_line("-2.5", charge_id="late", corrects="2026-02")]))
    assert broken(xml) == []
    assert _amounts(xml)["TaxExclusiveAmount"] == "7.50"


def test_a_seller_without_tax(broken: Broken) -> None:
    xml = render_xml(make_invoice(lines=[make_line("10")], seller=Party(name="Small", address=BERLIN)))
    assert broken(xml) == []


def test_what_people_wrote_stays_text(broken: Broken) -> None:
    buyer = Party(name='<b>&"\x00\x0bÄÖ ₹ Ω', address=BERLIN)
    xml = render_xml(make_invoice(lines=[make_line("10")], buyer=buyer))
    assert broken(xml) == []
    name = fromstring(xml).find(f".//{{{CAC}}}AccountingCustomerParty//{{{CBC}}}RegistrationName")
    assert name is not None
    assert name.text == '<b>&"��ÄÖ ₹ Ω'


def test_an_address_that_is_missing_is_what_the_rules_ask_for(broken: Broken) -> None:
    """So that the rules are known to find something."""
    assert broken(render_xml(make_invoice(lines=[make_line("10")], buyer=Party(name="cus_1")))) == ["BR-11"]


def test_the_samples_add_up() -> None:
    invoice: Invoice = make_invoice(lines=[make_line("80", discount="8", top_up="28")])
    taxes = tax_lines(treatment(SELLER, BUYER), Decimal(100), "EUR")
    assert total_up(invoice.lines, taxes, (), "EUR").total == invoice.total == Decimal(119)
