"""Which tax an invoice bears, and how much: from seller and buyer alone, so that anybody can compute it again.

What decides, in this order:

1. A seller without any registration charges no tax.
2. A buyer who says nothing of its place is taxed like one where the seller is.
3. Within the EU, a buyer in another state with a valid VAT id pays none and accounts for it: reverse charge. Without
   one it pays the rate that the seller registered for its country (there, or by the One-Stop-Shop), else the seller's
   own.
4. A buyer where the seller is registered pays that country's rate. In India, one in the seller's state pays CGST and
   SGST (UTGST in a union territory), half the rate each and each rounded for itself, one in another state IGST.
5. In the seller's own country, where it is not registered, there is no tax; everywhere else it is an export.

Not told apart, since neither address nor id says so: territories that VAT leaves out or takes in (the Canary Islands,
Monaco), India's special economic zones.
"""

from dataclasses import dataclass
from decimal import Context, Decimal, DivisionByZero, InvalidOperation, Overflow, localcontext
from typing import Literal

from shared.billing.tax.ids import EU, UNION_TERRITORIES, gst_state, is_one_stop_shop, is_valid_tax_id
from shared.billing.tax.models import Party, TaxLine, TaxRegistration
from shared.kernel.money import ZERO, round_money

Category = Literal["S", "Z", "E", "AE", "G", "O"]

_UNROUNDED = Context(prec=120, traps=[InvalidOperation, DivisionByZero, Overflow])
"""Holds the product of any `Amount` and any `Percent`, so that the only rounding is the one to the minor unit."""


@dataclass(frozen=True, slots=True)
class TaxRate:
    """One rate of one tax; `category` is UNCL 5305's, `note` what the law wants said about it."""

    name: str
    category: Category
    percent: Decimal
    note: str = ""


@dataclass(frozen=True, slots=True)
class Treatment:
    """The rates that apply to all of an invoice, each to the whole; `registration` is the seller's that it is made
    under."""

    rates: tuple[TaxRate, ...]
    registration: TaxRegistration | None = None


NO_TAX = TaxRate("no tax", "O", ZERO, "The seller is not registered for tax.")
REVERSE_CHARGE = TaxRate(
    "reverse charge", "AE", ZERO, "Reverse charge: the buyer accounts for VAT (Art. 196, 2006/112/EC)."
)
EXPORT = TaxRate("export", "G", ZERO, "Outside the scope of the seller's tax: export of services.")
INDIAN_EXPORT = TaxRate(
    "export",
    "G",
    ZERO,
    "Supply meant for export under letter of undertaking without payment of integrated tax (Rule 46, CGST Rules).",
)


def treatment(seller: Party, buyer: Party) -> Treatment:
    """Decide which rates an invoice from `seller` to `buyer` bears."""
    if not seller.registrations:
        return Treatment((NO_TAX,))
    home = _home(seller)
    if buyer.address is None:
        return _domestic(home, buyer)
    country = buyer.address.country
    local = next((each for each in seller.registrations if each.country == country), None)
    if country in EU:
        european = _european(seller, home)
        if european is not None and (local is None or is_one_stop_shop(country, local.number)):
            if is_valid_tax_id(country, buyer.tax_id):
                return Treatment((REVERSE_CHARGE,), european)
            return _domestic(local or european, buyer)
    if local is not None:
        return _domestic(local, buyer)
    if seller.address is not None and seller.address.country == country:
        return Treatment((NO_TAX,))
    return Treatment((INDIAN_EXPORT if home.kind == "in_gst" else EXPORT,), home)


def _home(seller: Party) -> TaxRegistration:
    """The registration where the seller is, or else the first."""
    country = None if seller.address is None else seller.address.country
    return next((each for each in seller.registrations if each.country == country), seller.registrations[0])


def _european(seller: Party, home: TaxRegistration) -> TaxRegistration | None:
    """What the seller is in the EU by: home, or else a registration of its own there, or else the One-Stop-Shop."""
    found = [each for each in (home, *seller.registrations) if each.country in EU]
    own = [each for each in found if not is_one_stop_shop(each.country, each.number)]
    return next(iter([*own, *found]), None)


def _domestic(registration: TaxRegistration, buyer: Party) -> Treatment:
    percent, name = registration.percent, registration.kind.removeprefix("in_").upper()
    if not percent:
        return Treatment((TaxRate(name, "Z", ZERO),), registration)
    if registration.kind != "in_gst":
        return Treatment((TaxRate(name, "S", percent),), registration)
    state = gst_state(registration.number[:2])
    if state is None or _place_of_supply(buyer, state) != state:
        return Treatment((TaxRate("IGST", "S", percent),), registration)
    state_tax = "UTGST" if state in UNION_TERRITORIES else "SGST"
    with localcontext(_UNROUNDED):
        half = percent / 2
    return Treatment((TaxRate("CGST", "S", half), TaxRate(state_tax, "S", half)), registration)


def place_of_supply(seller: Party, buyer: Party) -> str | None:
    """Find the state of India that GST goes to, by its two digits: Rule 46(n) of the CGST Rules wants it named. None
    for what is not India's GST, or for no state of India."""
    under = treatment(seller, buyer).registration
    if under is None or under.kind != "in_gst" or (buyer.address is not None and buyer.address.country != "IN"):
        return None
    state = gst_state(under.number[:2])
    return None if state is None else _place_of_supply(buyer, state)


def _place_of_supply(buyer: Party, sellers: str) -> str | None:
    """A state of India: of the buyer's GSTIN, else of its address, else the seller's (section 12(2), IGST Act). None
    for a region that is no state."""
    if is_valid_tax_id("IN", buyer.tax_id):
        return gst_state(buyer.tax_id[:2])
    if buyer.address is None or not buyer.address.region:
        return sellers
    return gst_state(buyer.address.region)


def tax_lines(of: Treatment, net: Decimal, currency: str) -> tuple[TaxLine, ...]:
    """Compute one line for each rate on the whole net amount, exact or rounded, each rounded once (EN 16931 BR-CO-17).
    Raises ValueError for a net amount that is no number, or a currency that is none."""
    if not net.is_finite():
        raise ValueError("the net amount must be a finite number")
    taxable = round_money(net, currency)
    with localcontext(_UNROUNDED):
        return tuple(
            TaxLine(
                name=rate.name,
                category=rate.category,
                percent=rate.percent,
                taxable=taxable,
                amount=round_money(net * rate.percent / 100, currency),
                note=rate.note,
            )
            for rate in of.rates
        )
