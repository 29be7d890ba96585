"""What is rated, and what comes of it."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal

from shared.billing.charges import UnitConversion
from shared.kernel.money import ZERO, ended


@dataclass(frozen=True, slots=True)
class Usage:
    """The usage that is to be rated. `quantity` is new usage, `pre_line_quantity` what earlier lines of the period
    billed already (before conversion and free units, like `quantity`), `previously_billed` their net amount, after a
    maximum took `previously_capped` off.

    `events` are the quantity one by one, in order, with `pre_events`, those before. A percentage needs them, unless
    `event_count`, with `running_total`, the sums after each of the free events, says enough.

    `base_fee_share` of the base fee is in this line: 1, 0, or a share of the period. `is_first`: no earlier line had
    the fee that is due without any usage; `is_last` has the minimum.
    """

    quantity: Decimal = ZERO
    _: KW_ONLY
    pre_line_quantity: Decimal = ZERO
    previously_billed: Decimal = ZERO
    events: Sequence[Decimal] | None = None
    pre_events: Sequence[Decimal] = ()
    event_count: int | None = None
    running_total: Sequence[Decimal] | None = None
    base_fee_share: Decimal = Decimal(1)
    is_first: bool = True
    is_last: bool = True
    previously_capped: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class PriceStep:
    """One row of how an amount came about: units of a tier, packages, a fee. `amount` is exact."""

    label: str
    quantity: Decimal | None
    unit_price: Decimal | None
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Rated:
    """`billed_quantity` is what was priced: converted, rounded, without the free units, of this line. `amount` is exact
    and before discounts, `rounded` the same in the currency's minor unit; `discount` (percentage and maximum),
    `commitment_top_up` (minimum) and `total` = rounded − discount + commitment_top_up are rounded. `steps` sum to
    `amount`. `capped` is the maximum's part of the discount: below zero where the amount falls, as that of volume
    prices may, so that less of it is above the maximum than before."""

    billed_quantity: Decimal
    amount: Decimal
    rounded: Decimal
    steps: tuple[PriceStep, ...]
    discount: Decimal
    capped: Decimal
    commitment_top_up: Decimal
    total: Decimal


@dataclass(frozen=True, slots=True)
class Priced:
    """A quantity's price before what all charges have; `billed` is the converted quantity without its free units."""

    billed: Decimal
    steps: list[PriceStep]


def converted(quantity: Decimal, convert: UnitConversion | None) -> Decimal:
    """`quantity op factor`, rounded to a whole number as asked."""
    if convert is None:
        return quantity
    result = quantity * convert.factor if convert.op == "multiply" else quantity / convert.factor
    if convert.rounding == "none":
        return ended(result)
    return result.to_integral_value(_ROUNDING[convert.rounding])


_ROUNDING = {"ceiling": ROUND_CEILING, "floor": ROUND_FLOOR, "half_up": ROUND_HALF_UP}
