"""Laws of rating, and an oracle that counts unit by unit."""

from collections.abc import Sequence
from dataclasses import asdict
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from shared.billing.charges import CHARGE, Charge
from shared.billing.invoices.models import StepRow
from shared.billing.rating import Usage, rate
from shared.kernel.money import EXACT, ZERO, Amount, decimal_text, ended
from tests.support.billing.prices import bounds, package, per_unit, prices, tiered


@st.composite
def packaged(draw: st.DrawFn, model: str) -> dict[str, Any]:
    upper = [str(bound) for bound in draw(bounds)] + [None]
    tiers = [
        {"up_to": bound, "package_price": str(draw(prices)), "package_size": str(draw(st.integers(1, 9)))}
        for bound in upper
    ]
    return {"model": model, "tiers": tiers}


@st.composite
def percents(draw: st.DrawFn) -> dict[str, Any]:
    price = draw(tiered("graduated_percentage"))
    return {**price, "tiers": [{**tier, "rate_percent": tier["unit_price"]} for tier in price["tiers"]]}


dynamic = prices.map(lambda price: {"model": "dynamic", "multiplier": str(price)})
models = st.one_of(
    per_unit,
    dynamic,
    tiered("graduated"),
    tiered("volume"),
    percents(),
    package(),
    packaged("graduated_package"),
    packaged("volume_package"),
)
conversions = st.one_of(
    st.none(),
    st.builds(
        lambda op, rounding: {"op": op, "factor": "2", "rounding": rounding},
        st.sampled_from(["multiply", "divide"]),
        st.sampled_from(["none", "ceiling", "floor", "half_up"]),
    ),
)
shared = st.fixed_dictionaries({"free_units": st.integers(0, 10).map(str), "convert": conversions})


def charge_of(price: dict[str, Any], extra: dict[str, Any] | None = None) -> Charge:
    tiers = [{n: v for n, v in tier.items() if n != "unit_price"} for tier in price.get("tiers", [])]
    own = {"tiers": tiers} if price["model"] == "graduated_percentage" else {}
    return CHARGE.validate_python({**price, **own, **(extra or {})})


charges = st.builds(charge_of, models, shared)
quantities = st.integers(0, 120)


def amount(charge: Charge, quantity: int, before: int = 0, *, first: bool = True) -> Decimal:
    return rate(charge, Usage(Decimal(quantity), pre_line_quantity=Decimal(before), is_first=first), "EUR").amount


def oracle(price: dict[str, Any], quantity: Fraction) -> Fraction:
    """What a quantity costs, half a unit after the other, in fractions: written from the models' descriptions alone."""
    tiers, halves = price.get("tiers", []), range(int(quantity * 2))

    def tier_of(half: int) -> int:
        return next(n for n, tier in enumerate(tiers) if tier["up_to"] is None or half < 2 * int(tier["up_to"]))

    match price["model"]:
        case "per_unit" | "dynamic":
            return quantity * Fraction(price["unit_price" if price["model"] == "per_unit" else "multiplier"])
        case "package":
            size = 2 * int(price["package_size"])
            opened, filled = sum(half % size == 0 for half in halves), sum((half + 1) % size == 0 for half in halves)
            return (opened if price["round"] == "up" else filled) * Fraction(price["package_price"])
    if not halves:
        return Fraction(tiers[0]["flat_fee"]) if price.get("flat_fee_at_zero") else Fraction(0)
    used = [tier_of(half) for half in halves]
    if price["model"].startswith("volume"):
        used = [used[-1]] * len(used)
    if price["model"].endswith("_package"):
        packages = {n: -(-used.count(n) // (2 * int(tiers[n]["package_size"]))) for n in set(used)}
        return sum((count * Fraction(tiers[n]["package_price"]) for n, count in packages.items()), Fraction(0))
    each = sum((Fraction(tiers[n]["unit_price"]) / 2 for n in used), Fraction(0))
    fees = sum((Fraction(tiers[n]["flat_fee"]) for n in set(used)), Fraction(0))
    return fees + (each / 100 if price["model"] == "graduated_percentage" else each)


def priced_quantity(extra: dict[str, Any], quantity: int) -> Fraction:
    """Converted and rounded, then without what is free."""
    found, convert = Fraction(quantity), extra["convert"]
    if convert is not None:
        found = found * 2 if convert["op"] == "multiply" else found / 2
        rounding = {
            "none": lambda n: n,
            "ceiling": ceil,
            "floor": floor,
            "half_up": lambda n: floor(n + Fraction(1, 2)),
        }
        found = Fraction(rounding[convert["rounding"]](found))
    return max(found - int(extra["free_units"]), Fraction(0))


@given(models, shared, quantities)
def test_as_counted_unit_by_unit(price: dict[str, Any], extra: dict[str, Any], quantity: int) -> None:
    wanted = oracle(price, priced_quantity(extra, quantity))
    assert Fraction(amount(charge_of(price, extra), quantity)) == wanted


@given(charges, st.lists(st.integers(0, 40), min_size=1, max_size=6))
def test_lines_of_any_split_add_up_to_the_whole(charge: Charge, parts: Sequence[int]) -> None:
    before, total = 0, ZERO
    for number, part in enumerate(parts):
        total += rate(
            charge,
            Usage(Decimal(part), pre_line_quantity=Decimal(before), is_first=number == 0, base_fee_share=ZERO),
            "EUR",
        ).amount
        before += part
    assert total == amount(charge, before)


@given(st.one_of(per_unit, tiered("graduated"), percents(), package()).map(charge_of), quantities)
def test_more_usage_never_costs_less(charge: Charge, quantity: int) -> None:
    assert amount(charge, quantity) <= amount(charge, quantity + 1)


def test_volume_prices_may_fall() -> None:
    charge = CHARGE.validate_python(
        {"model": "volume", "tiers": [{"up_to": "15", "unit_price": "10"}, {"up_to": None, "unit_price": "5"}]}
    )
    assert [amount(charge, 15), amount(charge, 16)] == [150, 80]


@given(charges, quantities, quantities)
def test_steps_explain_the_amount(charge: Charge, before: int, quantity: int) -> None:
    rated = rate(charge, Usage(Decimal(quantity), pre_line_quantity=Decimal(before), is_first=not before), "EUR")
    assert sum((step.amount for step in rated.steps), ZERO) == rated.amount
    for step in rated.steps:
        if step.quantity is not None and step.unit_price is not None:
            assert step.quantity * step.unit_price == step.amount


@given(
    per_unit,
    quantities,
    st.integers(0, 100),
    st.one_of(st.none(), st.integers(0, 50)),
    st.one_of(st.none(), st.integers(51, 90)),
    st.integers(0, 120),
    st.sampled_from(["EUR", "JPY", "KWD"]),
)
def test_discount_maximum_and_minimum(
    price: dict[str, Any], quantity: int, percent: int, least: int | None, most: int | None, billed: int, currency: str
) -> None:
    bounds = {"minimum_spend": least, "maximum_spend": most}
    charge = CHARGE.validate_python(
        {**price, "percentage_discount": str(percent), **{n: str(v) for n, v in bounds.items() if v is not None}}
    )
    rated = rate(charge, Usage(Decimal(quantity), previously_billed=Decimal(billed)), currency)
    assert rated.total == rated.rounded - rated.discount + rated.commitment_top_up
    assert 0 <= rated.discount <= rated.rounded
    if most is not None and billed <= most:
        assert billed + rated.total <= most
    if least is not None:
        assert billed + rated.total >= least
    later = rate(charge, Usage(Decimal(quantity), previously_billed=Decimal(billed), is_last=False), currency)
    assert later.commitment_top_up == 0


@given(charges, quantities, quantities, st.sampled_from([("JPY", 0), ("EUR", 2), ("KWD", 3)]))
def test_rounded_once_half_away_from_zero(
    charge: Charge, before: int, quantity: int, currency: tuple[str, int]
) -> None:
    """Also below zero, where volume prices fall."""
    rated = rate(charge, Usage(Decimal(quantity), pre_line_quantity=Decimal(before), is_first=not before), currency[0])
    units = abs(Fraction(rated.amount)) * 10 ** currency[1]
    minor = floor(units + Fraction(1, 2)) * (-1 if rated.amount < 0 else 1)
    assert Fraction(rated.rounded) == Fraction(minor, 10 ** currency[1])
    assert -int(rated.rounded.as_tuple().exponent) == currency[1]


@pytest.mark.parametrize(("currency", "rounded"), [("JPY", "14"), ("EUR", "13.97"), ("KWD", "13.965")])
def test_half_up_to_the_currencys_minor_unit(currency: str, rounded: str) -> None:
    charge = CHARGE.validate_python({"model": "per_unit", "unit_price": "13.965"})
    rated = rate(charge, Usage(Decimal(1)), currency)
    assert (str(rated.rounded), rated.amount) == (rounded, Decimal("13.965"))


MOST = Decimal("999999999999999999.999999999999")


@pytest.mark.parametrize(
    ("price", "usage"),
    [
        ({"unit_price": "0.01"}, Usage(ended(EXACT.divide(Decimal(100), Decimal(60_000))))),
        ({"unit_price": "0.01", "base_fee": "0.5"}, Usage(base_fee_share=EXACT.divide(Decimal(1), Decimal(31)))),
        ({"unit_price": "0.000000000001", "convert": {"op": "divide", "factor": "7"}}, Usage(Decimal(1))),
        (
            {"unit_price": str(MOST)[6:], "convert": {"op": "multiply", "factor": str(MOST)}},
            Usage(MOST),
        ),
    ],
)
def test_whatever_is_rated_can_be_stored(price: dict[str, Any], usage: Usage) -> None:
    rated = rate(CHARGE.validate_python({"model": "per_unit", **price}), usage, "EUR")
    rows = [StepRow.model_validate(asdict(step)) for step in rated.steps]
    assert sum((Fraction(row.amount) for row in rows), Fraction(0)) == Fraction(rated.amount)
    for value in (rated.amount, rated.billed_quantity, usage.quantity):
        assert TypeAdapter(Amount).validate_python(decimal_text(value)) == value
