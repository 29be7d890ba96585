"""Tax: whose place decides what, and that every rate is rounded once on the whole."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.billing.profiles.models import BillingProfile, BuyerDetails
from shared.billing.profiles.parties import buyer_party, seller_party
from shared.billing.tax.models import Party, TaxRegistration
from shared.billing.tax.rules import TaxRate, Treatment, tax_lines, treatment
from shared.catalog.models import Address, Merchant
from shared.kernel.clock import utc_now
from shared.kernel.money import exponent

DIGITS = {"JPY": 0, "EUR": 2, "INR": 2, "KWD": 3}


def registration(country: str, number: str, percent: str, kind: str = "vat") -> TaxRegistration:
    return TaxRegistration.model_validate({"country": country, "kind": kind, "number": number, "percent": percent})


GERMAN = registration("DE", "DE136695976", "19")
FRENCH = registration("FR", "FR40303265045", "20")
FRENCH_OSS = registration("FR", "DE136695976", "20")
IRISH_OSS = registration("IE", "EU372022452", "23")
BRITISH = registration("GB", "GB980780684", "20")
SWISS_ZERO = registration("CH", "CHE107787577IVA", "0")
AUSTRALIAN = registration("AU", "83914571673", "10", "gst")
MAHARASHTRA = registration("IN", "27AAPFU0939F1ZV", "18", "in_gst")
LADAKH = registration("IN", "38AAPFU0939F1ZS", "18", "in_gst")
KARNATAKAN = "29AAPFU0939F1ZR"


def seller(country: str | None, *registrations: TaxRegistration) -> Party:
    address = None if country is None else Address(country=country)
    return Party(name="S", address=address, registrations=registrations)


def buyer(country: str | None = None, tax_id: str = "", region: str = "") -> Party:
    address = None if country is None else Address(country=country, region=region)
    return Party(name="B", address=address, tax_id=tax_id)


def said(of: Treatment) -> str:
    return ", ".join(f"{rate.category} {rate.name} {rate.percent}" for rate in of.rates)


S_DE, S_IN = seller("DE", GERMAN), seller("IN", MAHARASHTRA)

PLACES = [
    # who is not registered
    (seller("DE"), buyer("DE"), "O no tax 0"),
    (seller("DE"), buyer("AT", "ATU13585627"), "O no tax 0"),
    (seller("IN"), buyer(), "O no tax 0"),
    # at home
    (S_DE, buyer("DE"), "S VAT 19"),
    (S_DE, buyer("DE", "DE136695976"), "S VAT 19"),
    (S_DE, buyer(), "S VAT 19"),
    (S_DE, buyer(None, "ATU13585627"), "S VAT 19"),
    (seller(None, GERMAN), buyer(), "S VAT 19"),
    (seller("AU", AUSTRALIAN), buyer("AU"), "S GST 10"),
    (seller("CH", SWISS_ZERO), buyer("CH"), "Z VAT 0"),
    # within the EU
    (S_DE, buyer("AT", "ATU13585627"), "AE reverse charge 0"),
    (S_DE, buyer("GR", "EL094259216"), "AE reverse charge 0"),
    (S_DE, buyer("AT"), "S VAT 19"),
    (S_DE, buyer("AT", "ATU13585628"), "S VAT 19"),
    (S_DE, buyer("AT", "DE136695976"), "S VAT 19"),
    (seller("DE", GERMAN, FRENCH), buyer("FR", "FR40303265045"), "S VAT 20"),
    (seller("DE", GERMAN, FRENCH), buyer("FR"), "S VAT 20"),
    (seller("DE", GERMAN, FRENCH_OSS), buyer("FR", "FR40303265045"), "AE reverse charge 0"),
    (seller("DE", GERMAN, FRENCH_OSS), buyer("FR"), "S VAT 20"),
    (seller("DE", GERMAN, FRENCH_OSS), buyer("DE"), "S VAT 19"),
    (seller("DE", FRENCH_OSS, GERMAN), buyer("AT"), "S VAT 19"),
    # from and to the EU
    (S_DE, buyer("US"), "G export 0"),
    (S_DE, buyer("GB", "GB980780684"), "G export 0"),
    (S_DE, buyer("CH"), "G export 0"),
    (seller("GB", BRITISH), buyer("DE", "DE136695976"), "G export 0"),
    (seller("GB", BRITISH, GERMAN), buyer("DE"), "S VAT 19"),
    (seller("GB", BRITISH, GERMAN), buyer("AT", "ATU13585627"), "AE reverse charge 0"),
    (seller("GB", BRITISH, GERMAN), buyer("AT"), "S VAT 19"),
    (seller("US", IRISH_OSS), buyer("IE"), "S VAT 23"),
    (seller("US", IRISH_OSS), buyer("IE", "IE6433435F"), "AE reverse charge 0"),
    (seller("US", IRISH_OSS), buyer("US"), "O no tax 0"),
    (seller("US", IRISH_OSS), buyer("CA"), "G export 0"),
    # India
    (S_IN, buyer("IN", region="Maharashtra"), "S CGST 9, S SGST 9"),
    (S_IN, buyer("IN", region="IN-MH"), "S CGST 9, S SGST 9"),
    (S_IN, buyer("IN", region="Karnataka"), "S IGST 18"),
    (S_IN, buyer("IN", region="Mars"), "S IGST 18"),
    (S_IN, buyer("IN", "27AAPFU0939F1ZV"), "S CGST 9, S SGST 9"),
    (S_IN, buyer("IN", KARNATAKAN, "Maharashtra"), "S IGST 18"),
    (S_IN, buyer("IN"), "S CGST 9, S SGST 9"),
    (S_IN, buyer(), "S CGST 9, S SGST 9"),
    (S_IN, buyer("SG"), "G export 0"),
    (seller("IN", LADAKH), buyer("IN", region="Ladakh"), "S CGST 9, S UTGST 9"),
    (seller("IN", LADAKH), buyer("IN", region="Jammu & Kashmir"), "S IGST 18"),
    (seller("DE", GERMAN, MAHARASHTRA), buyer("IN", region="KA"), "S IGST 18"),
]


@pytest.mark.parametrize(("of", "to", "expected"), PLACES)
def test_the_buyers_place_decides(of: Party, to: Party, expected: str) -> None:
    assert said(treatment(of, to)) == expected


@pytest.mark.parametrize(("of", "to", "expected"), PLACES)
def test_what_an_invoice_freezes_is_enough(of: Party, to: Party, expected: str) -> None:
    of, to = Party.model_validate_json(of.to_json()), Party.model_validate_json(to.to_json())
    assert said(treatment(of, to)) == expected


@pytest.mark.parametrize(
    ("of", "to", "number"),
    [
        (seller("DE"), buyer("DE"), None),
        (seller("DE", GERMAN, FRENCH), buyer("FR"), "FR40303265045"),
        (seller("DE", FRENCH, GERMAN), buyer("AT", "ATU13585627"), "DE136695976"),
        (seller("GB", BRITISH, GERMAN), buyer("AT"), "DE136695976"),
        (seller("DE", GERMAN, MAHARASHTRA), buyer("IN"), "27AAPFU0939F1ZV"),
        (seller("DE", FRENCH, GERMAN), buyer("US"), "DE136695976"),
        (seller("US", IRISH_OSS), buyer("US"), None),
    ],
)
def test_it_says_under_which_registration(of: Party, to: Party, number: str | None) -> None:
    found = treatment(of, to).registration
    assert (None if found is None else found.number) == number


def test_what_is_not_taxed_says_why() -> None:
    notes = [
        treatment(of, to).rates[0].note
        for of, to in (
            (seller("DE"), buyer("DE")),
            (S_DE, buyer("AT", "ATU13585627")),
            (S_DE, buyer("US")),
            (S_IN, buyer("US")),
        )
    ]
    for note, words in zip(notes, ("not registered", "Art. 196, 2006/112/EC", "export", "Rule 46"), strict=True):
        assert words in note


def lines(percents: list[str], net: str, currency: str) -> list[str]:
    of = Treatment(tuple(TaxRate("VAT", "S", Decimal(percent)) for percent in percents))
    return [str(line.amount) for line in tax_lines(of, Decimal(net), currency)]


@pytest.mark.parametrize(
    ("percents", "net", "currency", "amounts"),
    [
        (["21"], "33.33", "USD", ["7.00"]),  # 6.9993: EN 16931, BR-CO-17 and BR-DEC-20
        (["19"], "0.50", "EUR", ["0.10"]),  # 0.095 is half, which goes up
        (["19"], "-0.50", "EUR", ["-0.10"]),
        (["10"], "105", "JPY", ["11"]),  # 10.5
        (["5"], "1.250", "KWD", ["0.063"]),  # 0.0625
        (["9", "9"], "100.55", "INR", ["9.05", "9.05"]),  # 9.0495 each, where IGST is 18.10 as well
        (["9", "9"], "0.50", "INR", ["0.05", "0.05"]),  # 0.045 each, where IGST is 0.09
        (["18"], "0.50", "INR", ["0.09"]),
        (["70"], "0.0051", "EUR", ["0.00"]),  # 0.00357, from the exact base: 70 % of 0.01 would be 0.01
        (["0"], "100", "EUR", ["0.00"]),
    ],
)
def test_worked_by_hand(percents: list[str], net: str, currency: str, amounts: list[str]) -> None:
    assert lines(percents, net, currency) == amounts


amounts = st.builds(lambda units, digits: Decimal(units).scaleb(-digits), st.integers(-(10**20), 10**20), st.just(4))
percents = st.integers(0, 10**8).map(lambda units: Decimal(units).scaleb(-6))
currencies = st.sampled_from(sorted(DIGITS))


def half_up(value: Fraction, digits: int) -> Fraction:
    """The oracle: integers only, away from zero."""
    units, rest = divmod(abs(value) * 10**digits, 1)
    whole = int(units) + (2 * rest >= 1)
    return Fraction(whole if value >= 0 else -whole, 10**digits)


@given(amounts, percents, currencies)
def test_a_rate_is_rounded_once_on_the_whole(net: Decimal, percent: Decimal, currency: str) -> None:
    (line,) = tax_lines(Treatment((TaxRate("VAT", "S", percent),)), net, currency)

    assert Fraction(line.amount) == half_up(Fraction(net) * Fraction(percent) / 100, DIGITS[currency])
    assert Fraction(line.taxable) == half_up(Fraction(net), DIGITS[currency])
    assert -int(line.amount.as_tuple().exponent) == exponent(currency)


@given(amounts, percents, currencies)
def test_what_is_taken_back_is_what_was_charged(net: Decimal, percent: Decimal, currency: str) -> None:
    of = Treatment((TaxRate("VAT", "S", percent),))
    assert tax_lines(of, -net, currency)[0].amount == -tax_lines(of, net, currency)[0].amount


@given(st.lists(amounts, min_size=1, max_size=20), percents, currencies)
def test_the_whole_is_at_most_a_unit_per_part_from_its_parts(
    nets: list[Decimal], percent: Decimal, currency: str
) -> None:
    """Taxes of parts that are rounded one by one drift; the invoice's does not."""
    of = Treatment((TaxRate("VAT", "S", percent),))
    whole = tax_lines(of, sum(nets, Decimal(0)), currency)[0].amount
    parts = sum((tax_lines(of, net, currency)[0].amount for net in nets), Decimal(0))

    unit = Decimal(1).scaleb(-exponent(currency))
    assert abs(whole - parts) <= unit * (len(nets) + 1) / 2


@given(amounts, st.integers(0, 10**7).map(lambda units: Decimal(units).scaleb(-5)), currencies)
def test_cgst_and_sgst_are_halves_and_close_to_igst(net: Decimal, percent: Decimal, currency: str) -> None:
    of = seller("IN", registration("IN", "27AAPFU0939F1ZV", f"{percent:f}", "in_gst"))
    near = tax_lines(treatment(of, buyer("IN", region="MH")), net, currency)
    far = tax_lines(treatment(of, buyer("IN", region="KA")), net, currency)

    assert len(far) == 1
    assert sum(line.percent for line in near) == far[0].percent == percent
    assert len({line.amount for line in near}) == 1
    assert {line.taxable for line in near} == {far[0].taxable}
    difference = abs(sum(line.amount for line in near) - far[0].amount)
    assert difference <= Decimal(1).scaleb(-exponent(currency))


@given(amounts, amounts, percents, currencies)
def test_more_is_never_taxed_less(first: Decimal, second: Decimal, percent: Decimal, currency: str) -> None:
    of = Treatment((TaxRate("VAT", "S", percent),))
    taxes = [tax_lines(of, net, currency)[0].amount for net in sorted((first, second))]
    assert taxes == sorted(taxes)


@pytest.mark.parametrize("percent", ["99999999", "100.000001", "-1", "NaN", "Infinity", "1e1", "", 19, 0.19, None])
def test_a_rate_that_is_none_is_refused(percent: Any) -> None:
    with pytest.raises(ValidationError) as refused:
        TaxRegistration.model_validate({"country": "DE", "kind": "vat", "number": "DE136695976", "percent": percent})
    assert [error["loc"] for error in refused.value.errors()] == [("percent",)]


@pytest.mark.parametrize("net", ["NaN", "sNaN", "Infinity", "-Infinity"])
def test_what_is_no_number_is_not_taxed(net: str) -> None:
    with pytest.raises(ValueError, match="must be a finite number"):
        tax_lines(treatment(S_DE, buyer()), Decimal(net), "EUR")


def test_what_is_no_currency_is_not_taxed() -> None:
    with pytest.raises(ValueError, match="must be a currency of ISO 4217"):
        tax_lines(treatment(S_DE, buyer()), Decimal(1), "XAU")


def test_a_seller_is_the_merchant_with_its_registrations() -> None:
    profile = BillingProfile(
        merchant_id="mer_1", number_prefix="ACME", billing_from=utc_now(), registrations=(GERMAN, FRENCH)
    )
    address = Address(city="Berlin", country="DE")
    merchant = Merchant(id="mer_1", slug="acme", name="Acme", legal_name="Acme GmbH", address=address, tax_id="37/1")

    party = seller_party(merchant, profile)

    assert party == Party(name="Acme GmbH", address=address, tax_id="37/1", registrations=(GERMAN, FRENCH))
    assert seller_party(merchant.model_copy(update={"legal_name": ""}), profile).name == "Acme"


def test_a_buyer_is_named_as_it_wants_or_not_at_all() -> None:
    address = Address(city="Wien", country="AT")
    details = BuyerDetails(
        consumer_id="con_1", legal_name="Bé AG", address=address, tax_id="ATU13585627", email="bills@be.example"
    )

    assert buyer_party(details, "cus_1", "Ann") == Party(name="Bé AG", address=address, tax_id="ATU13585627")
    assert buyer_party(None, "cus_1", "Ann") == Party(name="Ann")
    assert buyer_party(None, "cus_1", None) == Party(name="cus_1")
