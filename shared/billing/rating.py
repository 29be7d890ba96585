"""What usage costs under a charge: pure functions on Decimals.

Amounts are cumulative: what a line costs is A(before + new) − A(before), so that tiers, packages and free units survive
being billed in several lines. The order: convert → round the quantity → free units → price → discount → maximum →
minimum, the last on a period's last line only. Exact throughout; rounded half-up once per line.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from shared.billing.charges import Charge
from shared.kernel.money import ZERO


@dataclass(frozen=True, slots=True)
class Usage:
    """What is to be rated. `quantity` is new usage, `pre_line_quantity` what earlier lines of the period billed already
    (before conversion and free units, like `quantity`), `previously_billed` their net amount.

    A percentage charge that has to look at events takes either `events`, the amount of each in order, with
    `pre_events`, those before; or `event_count`, with `running_total`, the sums after each of the free events.

    `base_fee_share` of the base fee is in this line: 1, 0, or a share of the period. `is_first` has what is due without
    any usage, `is_last` the minimum.
    """

    quantity: Decimal = ZERO
    pre_line_quantity: Decimal = ZERO
    previously_billed: Decimal = ZERO
    events: Sequence[Decimal] | None = None
    pre_events: Sequence[Decimal] = ()
    event_count: int | None = None
    running_total: Sequence[Decimal] | None = None
    base_fee_share: Decimal = Decimal(1)
    is_first: bool = True
    is_last: bool = True


@dataclass(frozen=True, slots=True)
class Step:
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
    `amount`."""

    billed_quantity: Decimal
    free_applied: Decimal
    amount: Decimal
    rounded: Decimal
    steps: tuple[Step, ...]
    discount: Decimal
    commitment_top_up: Decimal
    total: Decimal


def rate(charge: Charge, usage: Usage, currency: str) -> Rated:
    """Raises Problem 400 `request_invalid` for usage that the model cannot be rated with, such as a percentage with
    free events but neither `events` nor `running_total`."""
    raise NotImplementedError
