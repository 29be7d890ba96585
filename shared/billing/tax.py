"""Which tax an invoice bears, and how much: from seller and buyer alone, so that anybody can compute it again.

Whoever has no registration charges no tax. Else the buyer's place decides: a registration in its country is used there;
a business of another EU state with a valid VAT id pays none and accounts for it (reverse charge, Article 196 of
Directive 2006/112/EC); a consumer in the EU pays the seller's own rate; elsewhere it is an export. In India a buyer in
the seller's state pays CGST and SGST, half the rate each and rounded each for itself, one in another state IGST. A
buyer who says nothing of its place is taxed as one next door.
"""

from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import Literal

from shared.billing.models import Party, TaxLine, TaxRegistration
from shared.billing.tax_ids import EU, is_valid_tax_id
from shared.kernel.money import EXACT, ZERO, round_money

Category = Literal["S", "Z", "E", "AE", "G", "O"]


@dataclass(frozen=True, slots=True)
class Rate:
    name: str
    category: Category
    percent: Decimal
    note: str = ""


@dataclass(frozen=True, slots=True)
class Treatment:
    """The rates that apply to all of an invoice, each to the whole."""

    rates: tuple[Rate, ...]


NOT_REGISTERED = Treatment((Rate("no tax", "O", ZERO, "The seller is not registered for tax."),))
REVERSE_CHARGE = Treatment(
    (Rate("reverse charge", "AE", ZERO, "Reverse charge: the buyer accounts for VAT (Art. 196, 2006/112/EC)."),)
)
EXPORT = Treatment((Rate("export", "G", ZERO, "Outside the scope of the seller's tax: export of services."),))


def treatment(seller: Party, buyer: Party) -> Treatment:
    if not seller.registrations:
        return NOT_REGISTERED
    home = _home(seller)
    country = home.country if buyer.address is None else buyer.address.country
    there = next((each for each in seller.registrations if each.country == country), None)
    if there is not None:
        return _domestic(there, buyer)
    if home.country.lower() in EU and country.lower() in EU:
        if buyer.tax_id and is_valid_tax_id(country, buyer.tax_id):
            return REVERSE_CHARGE
        return _domestic(home, buyer)
    return EXPORT


def _home(seller: Party) -> TaxRegistration:
    """The registration where the seller is, or else the first."""
    country = None if seller.address is None else seller.address.country
    return next((each for each in seller.registrations if each.country == country), seller.registrations[0])


def _domestic(registration: TaxRegistration, buyer: Party) -> Treatment:
    percent = registration.percent
    if not percent:
        return Treatment((Rate(registration.kind.upper().removeprefix("IN_"), "Z", ZERO),))
    if registration.kind != "in_gst":
        return Treatment((Rate(registration.kind.upper(), "S", percent),))
    state = registration.number[:2]
    if _indian_state(buyer, state) == state:
        with localcontext(EXACT):
            half = percent / 2
        return Treatment((Rate("CGST", "S", half), Rate("SGST", "S", half)))
    return Treatment((Rate("IGST", "S", percent),))


def _indian_state(buyer: Party, default: str) -> str:
    """The two digits that GSTINs begin with: by the buyer's own, or by its address."""
    if buyer.tax_id and is_valid_tax_id("IN", buyer.tax_id):
        return buyer.tax_id[:2]
    region = "" if buyer.address is None else buyer.address.region.strip().lower()
    return GST_STATES.get(region.removeprefix("in-"), default if not region else "")


def tax_lines(of: Treatment, net: Decimal, currency: str) -> tuple[TaxLine, ...]:
    """One line for each rate on the whole net amount, rounded once (EN 16931 BR-CO-17)."""
    with localcontext(EXACT):
        return tuple(
            TaxLine(
                name=rate.name,
                category=rate.category,
                percent=rate.percent,
                taxable=round_money(net, currency),
                amount=round_money(net * rate.percent / 100, currency),
                note=rate.note,
            )
            for rate in of.rates
        )


_STATES = (
    "01 jk jammu and kashmir|02 hp himachal pradesh|03 pb punjab|04 ch chandigarh|05 uk uttarakhand|06 hr haryana|"
    "07 dl delhi|08 rj rajasthan|09 up uttar pradesh|10 br bihar|11 sk sikkim|12 ar arunachal pradesh|13 nl nagaland|"
    "14 mn manipur|15 mz mizoram|16 tr tripura|17 ml meghalaya|18 as assam|19 wb west bengal|20 jh jharkhand|"
    "21 od odisha|22 cg chhattisgarh|23 mp madhya pradesh|24 gj gujarat|26 dh dadra and nagar haveli and daman and diu|"
    "27 mh maharashtra|29 ka karnataka|30 ga goa|31 ld lakshadweep|32 kl kerala|33 tn tamil nadu|34 py puducherry|"
    "35 an andaman and nicobar islands|36 ts telangana|37 ad andhra pradesh|38 la ladakh"
)
GST_STATES: dict[str, str] = {}
"""State code of GST by the code itself, ISO 3166-2:IN's letters and the name, in lower case."""
for _state in _STATES.split("|"):
    _code, _letters, _name = _state.split(" ", 2)
    GST_STATES |= {_code: _code, _letters: _code, _name: _code}
GST_STATES |= {"tg": "36", "ap": "37", "ut": "05", "ct": "22", "or": "21"}
