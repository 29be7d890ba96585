"""Models that price a quantity: units, tiers, packages."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Literal, TypeVar

from shared.billing.charges import (
    Charge,
    DynamicCharge,
    GraduatedCharge,
    GraduatedPackageCharge,
    GraduatedPercentageCharge,
    PackageCharge,
    PerUnitCharge,
    VolumeCharge,
    VolumePackageCharge,
)
from shared.billing.rating.figures import Priced, PriceStep, Usage, converted
from shared.billing.tiers import PackageTier, PercentTier, UnitTier
from shared.kernel.money import ZERO, decimal_text, ended


def price_by_quantity(charge: Charge, usage: Usage) -> Priced:
    """Price a quantity as A(before + new) − A(before), so that tiers go on where earlier lines left off."""
    before = converted(usage.pre_line_quantity, charge.convert)
    after = converted(usage.pre_line_quantity + usage.quantity, charge.convert)
    free_before, free_after = min(before, charge.free_units), min(after, charge.free_units)
    steps = price_steps(charge, after - free_after)
    if before > free_before or not usage.is_first:
        billed = sum((step.amount for step in price_steps(charge, before - free_before)), ZERO)
        if billed:
            steps.append(PriceStep(_EARLIER, None, None, -billed))
    return Priced((after - free_after) - (before - free_before), steps)


_EARLIER = "in earlier lines of the period"


def price_steps(charge: Charge, quantity: Decimal) -> list[PriceStep]:
    """Price a whole quantity, from nothing; without what all charges have, such as the base fee."""
    match charge:
        case PerUnitCharge():
            return _units("units", quantity, charge.unit_price)
        case DynamicCharge():
            return _units("amounts", quantity, charge.multiplier)
        case PackageCharge():
            return _packages("packages", quantity, charge.package_price, charge.package_size, charge.round)
        case GraduatedCharge():
            return _graduated(charge.tiers, quantity, charge.flat_fee_at_zero)
        case GraduatedPercentageCharge():
            return _graduated(_as_units(charge.tiers), quantity, charge.flat_fee_at_zero)
        case VolumeCharge():
            tier, label = _reached(charge.tiers, quantity)
            if not quantity:
                return _fee(label, tier.flat_fee) if charge.flat_fee_at_zero else []
            return _units(label, quantity, tier.unit_price) + _fee(label, tier.flat_fee)
        case GraduatedPackageCharge():
            return [
                step
                for label, pack, inside in _tiers(charge.tiers, quantity)
                for step in _packages(label, inside, pack.package_price, pack.package_size, "up")
            ]
        case VolumePackageCharge():
            pack, label = _reached(charge.tiers, quantity)
            return _packages(label, quantity, pack.package_price, pack.package_size, "up")
    raise TypeError(f"a {charge.model} is not priced by its quantity")


def _units(label: str, quantity: Decimal, unit_price: Decimal) -> list[PriceStep]:
    return [PriceStep(label, quantity, unit_price, ended(quantity * unit_price))] if quantity else []


def _fee(label: str, fee: Decimal) -> list[PriceStep]:
    return [PriceStep(f"{label}: flat fee", None, None, fee)] if fee else []


def _packages(
    label: str, quantity: Decimal, price: Decimal, size: Decimal, rounding: Literal["up", "down"]
) -> list[PriceStep]:
    count = quantity // size + (1 if rounding == "up" and quantity % size else 0)
    return [PriceStep(f"{label} of {decimal_text(size)}", count, price, count * price)] if count else []


def _graduated(tiers: Sequence[UnitTier], quantity: Decimal, fee_at_zero: bool) -> list[PriceStep]:
    if not quantity:
        return _fee(_label(tiers, 0), tiers[0].flat_fee) if fee_at_zero else []
    steps = []
    for label, tier, inside in _tiers(tiers, quantity):
        steps += _units(label, inside, tier.unit_price) + _fee(label, tier.flat_fee)
    return steps


def _as_units(tiers: Sequence[PercentTier]) -> tuple[UnitTier, ...]:
    """A percentage of money is a price for one unit of it."""
    return tuple(
        UnitTier.model_construct(up_to=tier.up_to, unit_price=tier.rate_percent / 100, flat_fee=tier.flat_fee)
        for tier in tiers
    )


T = TypeVar("T", UnitTier, PackageTier)


def _tiers(tiers: Sequence[T], quantity: Decimal) -> Iterator[tuple[str, T, Decimal]]:
    """Label, tier, and how much of the quantity is in it; those that are reached."""
    lower = ZERO
    for number, tier in enumerate(tiers):
        upper = quantity if tier.up_to is None else min(quantity, tier.up_to)
        if upper <= lower:
            return
        yield _label(tiers, number), tier, upper - lower
        lower = upper


def _reached(tiers: Sequence[T], quantity: Decimal) -> tuple[T, str]:
    for number, tier in enumerate(tiers):
        if tier.up_to is None or quantity <= tier.up_to:
            return tier, _label(tiers, number)
    raise AssertionError("the last tier has no bound")


def _label(tiers: Sequence[T], number: int) -> str:
    bound = tiers[number].up_to
    if bound is not None:
        return f"up to {decimal_text(bound)}"
    below = tiers[number - 1].up_to if number else None
    return "units" if below is None else f"above {decimal_text(below)}"
