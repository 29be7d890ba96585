"""What usage costs under a charge: pure functions on Decimals.

Amounts are cumulative: what a line costs is A(before + new) − A(before), so that tiers, packages and free units survive
being billed in several lines. The order: convert → round the quantity → free units → price → discount → maximum →
minimum, the last on a period's last line only. Exact throughout; rounded half-up once per line.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal, localcontext
from typing import Literal, TypeVar

from shared.billing.charges import (
    Charge,
    Convert,
    Dynamic,
    Graduated,
    GraduatedPackage,
    GraduatedPercentage,
    Package,
    PackageTier,
    Percentage,
    PercentTier,
    PerUnit,
    UnitTier,
    Volume,
    VolumePackage,
)
from shared.kernel.errors import FieldError, Problem
from shared.kernel.money import EXACT, ZERO, decimal_text, round_money


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
    with localcontext(EXACT):
        priced = _percentage(charge, usage) if isinstance(charge, Percentage) else _by_quantity(charge, usage)
        steps = list(priced.steps)
        base_fee = charge.base_fee * usage.base_fee_share
        if base_fee:
            steps.insert(0, Step("base fee", None, None, base_fee))
        amount = sum((step.amount for step in steps), ZERO)
        rounded = round_money(amount, currency)
        discount = round_money(amount * charge.percentage_discount / 100, currency)
        if charge.maximum_spend is not None:
            room = max(round_money(charge.maximum_spend, currency) - usage.previously_billed, ZERO)
            discount += max(rounded - discount - room, ZERO)
        top_up = ZERO
        if charge.minimum_spend is not None and usage.is_last:
            least = round_money(charge.minimum_spend, currency)
            top_up = max(least - usage.previously_billed - (rounded - discount), ZERO)
        return Rated(
            billed_quantity=priced.billed,
            free_applied=priced.free,
            amount=amount,
            rounded=rounded,
            steps=tuple(steps),
            discount=round_money(discount, currency),
            commitment_top_up=round_money(top_up, currency),
            total=round_money(rounded - discount + top_up, currency),
        )


@dataclass(frozen=True, slots=True)
class _Priced:
    billed: Decimal
    free: Decimal
    steps: list[Step]


def converted(quantity: Decimal, convert: Convert | None) -> Decimal:
    """`quantity op factor`, rounded to a whole number as asked."""
    if convert is None:
        return quantity
    result = quantity * convert.factor if convert.op == "multiply" else quantity / convert.factor
    if convert.rounding == "none":
        return result
    return result.to_integral_value(_ROUNDING[convert.rounding])


_ROUNDING = {"ceiling": ROUND_CEILING, "floor": ROUND_FLOOR, "half_up": ROUND_HALF_UP}


def _by_quantity(charge: Charge, usage: Usage) -> _Priced:
    before = converted(usage.pre_line_quantity, charge.convert)
    after = converted(usage.pre_line_quantity + usage.quantity, charge.convert)
    free_before, free_after = min(before, charge.free_units), min(after, charge.free_units)
    steps = price_steps(charge, after - free_after)
    if not (usage.is_first and not usage.pre_line_quantity):
        billed = sum((step.amount for step in price_steps(charge, before - free_before)), ZERO)
        if billed:
            steps.append(Step(_EARLIER, None, None, -billed))
    return _Priced((after - free_after) - (before - free_before), free_after - free_before, steps)


_EARLIER = "in earlier lines of the period"


def price_steps(charge: Charge, quantity: Decimal) -> list[Step]:
    """What a whole quantity costs, from nothing; without what all charges have, such as the base fee."""
    match charge:
        case PerUnit():
            return _units("units", quantity, charge.unit_price)
        case Dynamic():
            return _units("amounts", quantity, charge.multiplier)
        case Package():
            return _packages("packages", quantity, charge.package_price, charge.package_size, charge.round)
        case Graduated():
            return _graduated(charge.tiers, quantity, charge.flat_fee_at_zero)
        case GraduatedPercentage():
            return _graduated(_as_units(charge.tiers), quantity, charge.flat_fee_at_zero)
        case Volume():
            tier, label = _reached(charge.tiers, quantity)
            if not quantity:
                return _fee(label, tier.flat_fee) if charge.flat_fee_at_zero else []
            return _units(label, quantity, tier.unit_price) + _fee(label, tier.flat_fee)
        case GraduatedPackage():
            return [
                step
                for label, pack, inside in _tiers(charge.tiers, quantity)
                for step in _packages(label, inside, pack.package_price, pack.package_size, "up")
            ]
        case VolumePackage():
            pack, label = _reached(charge.tiers, quantity)
            return _packages(label, quantity, pack.package_price, pack.package_size, "up")
    raise TypeError(f"a {charge.model} is not priced by its quantity")


def _units(label: str, quantity: Decimal, unit_price: Decimal) -> list[Step]:
    return [Step(label, quantity, unit_price, quantity * unit_price)] if quantity else []


def _fee(label: str, fee: Decimal) -> list[Step]:
    return [Step(f"{label}: flat fee", None, None, fee)] if fee else []


def _packages(
    label: str, quantity: Decimal, price: Decimal, size: Decimal, rounding: Literal["up", "down"]
) -> list[Step]:
    count = quantity // size + (1 if rounding == "up" and quantity % size else 0)
    return [Step(f"{label} of {decimal_text(size)}", count, price, count * price)] if count else []


def _graduated(tiers: Sequence[UnitTier], quantity: Decimal, fee_at_zero: bool) -> list[Step]:
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


def _percentage(charge: Percentage, usage: Usage) -> _Priced:
    if usage.events is None:
        return _percentage_of_sums(charge, usage)
    before = [converted(event, charge.convert) for event in usage.pre_events]
    events = [converted(event, charge.convert) for event in usage.events]
    free_before, _ = _of_events(charge, before)
    free, costs = _of_events(charge, before + events)
    new = costs[len(before) :]
    billed = sum(events, ZERO) - (free - free_before)
    fixed = sum(1 for cost in new if cost is not None)
    amount = sum((cost for cost in new if cost is not None), ZERO)
    label = f"{decimal_text(charge.rate_percent)} % of {fixed} of {len(events)} events"
    return _Priced(billed, free - free_before, [Step(label, billed, None, amount)] if fixed else [])


def _of_events(charge: Percentage, events: Sequence[Decimal]) -> tuple[Decimal, list[Decimal | None]]:
    """How much is free, and what each costs; None where it is free altogether."""
    free = ZERO
    costs: list[Decimal | None] = []
    some_free = bool(charge.free_events or charge.free_amount)
    for number, event in enumerate(events):
        within = some_free and (not charge.free_events or number < charge.free_events)
        left = (charge.free_amount - free if charge.free_amount else event) if within else ZERO
        part = min(left, event)
        free += part
        if within and part == event and (not charge.free_amount or left):
            costs.append(None)
            continue
        cost = (event - part) * charge.rate_percent / 100 + charge.fixed_fee
        cost = cost if charge.per_event_min is None else max(cost, charge.per_event_min)
        costs.append(cost if charge.per_event_max is None else min(cost, charge.per_event_max))
    return free, costs


def _percentage_of_sums(charge: Percentage, usage: Usage) -> _Priced:
    """Of the sum and the number of events, where these are enough."""
    if charge.per_event_min is not None or charge.per_event_max is not None:
        raise _refused("usage.events", "must list the amounts: the charge bounds what one event costs")
    if charge.fixed_fee and usage.event_count is None:
        raise _refused("usage.event_count", "must say how many events there were: each has a fixed fee")
    if usage.pre_line_quantity and (charge.free_events or charge.free_amount):
        raise _refused("usage.events", "must list the amounts: some events are free, and there were earlier lines")
    totals = [converted(total, charge.convert) for total in usage.running_total or ()]
    quantity = converted(usage.quantity, charge.convert)
    free, free_count = ZERO, 0
    if charge.free_events:
        if len(totals) < min(charge.free_events, usage.event_count or charge.free_events):
            raise _refused("usage.running_total", "must have the sum after each of the free events")
        free, free_count = totals[: charge.free_events][-1] if totals else ZERO, len(totals[: charge.free_events])
    if charge.free_amount:
        within = [total for total in (totals[: charge.free_events] if charge.free_events else totals)
                  if total <= charge.free_amount]  # fmt: skip
        free = min(free if charge.free_events else quantity, charge.free_amount)
        free_count = len(within)
    billed = quantity - free
    steps = _units(f"{decimal_text(charge.rate_percent)} % of the amount", billed, charge.rate_percent / 100)
    fees = Decimal((usage.event_count or 0) - free_count)
    if charge.fixed_fee and fees > 0:
        steps += _units("events", fees, charge.fixed_fee)
    return _Priced(billed, free, steps)


def _refused(field: str, rule: str) -> Problem:
    return Problem(400, "request_invalid", f"`{field}` {rule}.", errors=(FieldError(field, rule),))
