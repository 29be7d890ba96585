"""Laws of rating, and an oracle that counts unit by unit."""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.billing.charges import CHARGE, Charge
from shared.billing.rating import Usage, rate
from shared.kernel.money import ZERO

prices = st.integers(0, 2_000).map(lambda n: Decimal(n) / 1000)
bounds = st.lists(st.integers(1, 60), min_size=0, max_size=4, unique=True).map(sorted)


@st.composite
def tiered(draw: st.DrawFn, model: str) -> dict[str, Any]:
    upper = [str(bound) for bound in draw(bounds)] + [None]
    tiers = [{"up_to": bound, "unit_price": str(draw(prices)), "flat_fee": str(draw(prices))} for bound in upper]
    return {"model": model, "tiers": tiers, "flat_fee_at_zero": draw(st.booleans())}


@st.composite
def packaged(draw: st.DrawFn, model: str) -> dict[str, Any]:
    upper = [str(bound) for bound in draw(bounds)] + [None]
    tiers = [
        {"up_to": bound, "package_price": str(draw(prices)), "package_size": str(draw(st.integers(1, 9)))}
        for bound in upper
    ]
    return {"model": model, "tiers": tiers}


@st.composite
def package(draw: st.DrawFn) -> dict[str, Any]:
    size, rounding = str(draw(st.integers(1, 9))), draw(st.sampled_from(["up", "down"]))
    return {"model": "package", "package_price": str(draw(prices)), "package_size": size, "round": rounding}


per_unit = prices.map(lambda price: {"model": "per_unit", "unit_price": str(price)})
models = st.one_of(
    per_unit, tiered("graduated"), tiered("volume"), package(), packaged("graduated_package"),
    packaged("volume_package"),
)  # fmt: skip


@st.composite
def charges(draw: st.DrawFn) -> Charge:
    """With free units and a conversion now and then; without what is bounded by the period."""
    extra: dict[str, Any] = {"free_units": str(draw(st.integers(0, 10)))}
    if draw(st.booleans()):
        rounding = draw(st.sampled_from(["none", "ceiling", "floor", "half_up"]))
        extra["convert"] = {"op": draw(st.sampled_from(["multiply", "divide"])), "factor": "2", "rounding": rounding}
    return CHARGE.validate_python({**draw(models), **extra})


quantities = st.integers(0, 120)


def amount(charge: Charge, quantity: int, before: int = 0, *, first: bool = True) -> Decimal:
    return rate(charge, Usage(Decimal(quantity), Decimal(before), is_first=first), "EUR").amount


def oracle(price: dict[str, Any], quantity: int) -> Fraction:
    """What `quantity` units cost, one after the other, in fractions: written from the models' descriptions alone."""
    tiers = price.get("tiers", [])

    def tier_of(unit: int) -> int:
        return next(n for n, tier in enumerate(tiers) if tier["up_to"] is None or unit <= int(tier["up_to"]))

    match price["model"]:
        case "per_unit":
            return quantity * Fraction(price["unit_price"])
        case "package":
            opened = sum((unit - 1) % int(price["package_size"]) == 0 for unit in range(1, quantity + 1))
            filled = sum(unit % int(price["package_size"]) == 0 for unit in range(1, quantity + 1))
            return (opened if price["round"] == "up" else filled) * Fraction(price["package_price"])
        case "graduated":
            if not quantity:
                return Fraction(tiers[0]["flat_fee"]) if price["flat_fee_at_zero"] else Fraction(0)
            used = [tier_of(unit) for unit in range(1, quantity + 1)]
            fees = sum(Fraction(tiers[n]["flat_fee"]) for n in set(used))
            return fees + sum(Fraction(tiers[n]["unit_price"]) for n in used)
        case "volume":
            if not quantity:
                return Fraction(tiers[0]["flat_fee"]) if price["flat_fee_at_zero"] else Fraction(0)
            tier = tiers[tier_of(quantity)]
            return quantity * Fraction(tier["unit_price"]) + Fraction(tier["flat_fee"])
        case "graduated_package":
            used = [tier_of(unit) for unit in range(1, quantity + 1)]
            packages = {n: -(-used.count(n) // int(tiers[n]["package_size"])) for n in set(used)}
            return sum((count * Fraction(tiers[n]["package_price"]) for n, count in packages.items()), Fraction(0))
        case _:
            tier = tiers[tier_of(quantity)]
            return -(-quantity // int(tier["package_size"])) * Fraction(tier["package_price"])


@given(models, quantities)
def test_as_counted_unit_by_unit(price: dict[str, Any], quantity: int) -> None:
    assert Fraction(amount(CHARGE.validate_python(price), quantity)) == oracle(price, quantity)


@given(charges(), st.lists(st.integers(0, 40), min_size=1, max_size=6))
def test_lines_of_any_split_add_up_to_the_whole(charge: Charge, parts: Sequence[int]) -> None:
    before, total = 0, ZERO
    for number, part in enumerate(parts):
        total += rate(
            charge, Usage(Decimal(part), Decimal(before), is_first=number == 0, base_fee_share=ZERO), "EUR"
        ).amount  # fmt: skip
        before += part
    assert total == amount(charge, before)


@given(st.one_of(per_unit, tiered("graduated"), package()).map(CHARGE.validate_python), quantities)
def test_more_usage_never_costs_less(charge: Charge, quantity: int) -> None:
    assert amount(charge, quantity) <= amount(charge, quantity + 1)


def test_volume_prices_may_fall() -> None:
    charge = CHARGE.validate_python(
        {"model": "volume", "tiers": [{"up_to": "15", "unit_price": "10"}, {"up_to": None, "unit_price": "5"}]}
    )
    assert (amount(charge, 15), amount(charge, 16)) == (150, 80)


@given(charges(), quantities, quantities)
def test_steps_explain_the_amount(charge: Charge, before: int, quantity: int) -> None:
    rated = rate(charge, Usage(Decimal(quantity), Decimal(before), is_first=not before), "EUR")
    assert sum((step.amount for step in rated.steps), ZERO) == rated.amount
    for step in rated.steps:
        if step.quantity is not None and step.unit_price is not None:
            assert step.quantity * step.unit_price == step.amount


@given(
    per_unit, quantities, st.integers(0, 100), st.one_of(st.none(), st.integers(0, 50)),
    st.one_of(st.none(), st.integers(51, 90)), st.integers(0, 120), st.sampled_from(["EUR", "JPY", "KWD"]),
)  # fmt: skip
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


amounts = st.integers(0, 3_000).map(lambda n: Decimal(n) / 10)


@given(st.lists(amounts, max_size=12), st.integers(0, 12), st.integers(0, 5), st.integers(0, 500))
def test_a_percentage_in_parts_is_the_percentage_of_all(
    events: list[Decimal], cut: int, free_events: int, free_amount: int
) -> None:
    charge = CHARGE.validate_python(
        {
            "model": "percentage", "rate_percent": "2.5", "fixed_fee": "0.3", "free_events": free_events,
            "free_amount": str(free_amount), "per_event_min": "0.5", "per_event_max": "4",
        }
    )  # fmt: skip
    whole = rate(charge, Usage(sum(events, ZERO), events=events), "EUR").amount
    first = rate(charge, Usage(sum(events[:cut], ZERO), events=events[:cut]), "EUR").amount
    rest = rate(charge, Usage(sum(events[cut:], ZERO), events=events[cut:], pre_events=events[:cut]), "EUR").amount
    assert first + rest == whole


@pytest.mark.parametrize(("currency", "rounded"), [("JPY", "14"), ("EUR", "13.97"), ("KWD", "13.965")])
def test_half_up_to_the_currencys_minor_unit(currency: str, rounded: str) -> None:
    charge = CHARGE.validate_python({"model": "per_unit", "unit_price": "13.965"})
    rated = rate(charge, Usage(Decimal(1)), currency)
    assert (str(rated.rounded), rated.amount) == (rounded, Decimal("13.965"))
