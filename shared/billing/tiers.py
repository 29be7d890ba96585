"""Tiers of charges: each prices what is in it, from just above the tier before up to and including its bound.

Tiers that could be read in two ways are refused: a last tier with a bound would give away what is above it.
"""

from decimal import Decimal
from typing import Annotated, TypeVar

from pydantic import AfterValidator, ConfigDict, Field

from shared.kernel.http.schemas import StoredView
from shared.kernel.money import Percent, Price, Quantity

TIERS_MAX = 100
Size = Annotated[Quantity, Field(gt=0)]


class Strict(StoredView):
    """Unknown fields are refused: a misspelt price must not become no price."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class UnitTier(Strict):
    """A price tier, from just above the previous tier up to and including `up_to`, counted from the first unit of the
    period."""

    up_to: Quantity | None = None
    """Last unit of the tier, included; null in the last tier, which has no upper bound."""
    unit_price: Price = Decimal(0)
    """Price of each unit in the tier, in the plan's currency."""
    flat_fee: Price = Decimal(0)
    """Fee for the tier, due once a unit falls into it."""


class PercentTier(Strict):
    """A percentage tier, from just above the previous tier up to and including `up_to`."""

    up_to: Quantity | None = None
    """Last amount of the tier, included; null in the last tier, which has no upper bound."""
    rate_percent: Percent = Decimal(0)
    """Percentage of the amount that falls into the tier."""
    flat_fee: Price = Decimal(0)
    """Fee for the tier, due once an amount falls into it."""


class PackageTier(Strict):
    """A package tier, from just above the previous tier up to and including `up_to`."""

    up_to: Quantity | None = None
    """Last unit of the tier, included; null in the last tier, which has no upper bound."""
    package_price: Price
    """Price of one package, in the plan's currency."""
    package_size: Size
    """Number of units in one package."""


T = TypeVar("T", UnitTier, PercentTier, PackageTier)


def _checked(tiers: tuple[T, ...]) -> tuple[T, ...]:
    if not tiers:
        raise ValueError("must have at least one")
    previous = Decimal(0)
    for number, tier in enumerate(tiers[:-1], 1):
        if tier.up_to is None:
            raise ValueError(f"only the last tier may have `up_to` null, and tier {number} of {len(tiers)} has")
        if tier.up_to <= previous:
            raise ValueError(f"`up_to` must rise from tier to tier, from above 0: tier {number} does not")
        previous = tier.up_to
    if tiers[-1].up_to is not None:
        raise ValueError("the last one must have `up_to` null, or usage above it would be free")
    return tiers


# Not `min_length`: pydantic would call a list of one wrong tier too short as well.
_Count = Field(max_length=TIERS_MAX, json_schema_extra={"minItems": 1})
UnitTiers = Annotated[tuple[UnitTier, ...], _Count, AfterValidator(_checked)]
PercentTiers = Annotated[tuple[PercentTier, ...], _Count, AfterValidator(_checked)]
PackageTiers = Annotated[tuple[PackageTier, ...], _Count, AfterValidator(_checked)]
