"""Shares of amounts of money that events carry: from each event's amount, or from sums where these are enough."""

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise

from shared.billing.charges import PercentageCharge
from shared.billing.rating.figures import Priced, PriceStep, Usage, converted
from shared.kernel.errors import Problem
from shared.kernel.http.problems import invalid_field
from shared.kernel.money import ZERO, decimal_text, ended


def price_by_events(charge: PercentageCharge, usage: Usage) -> Priced:
    """Price a percentage from the amount of each event. Raises Problem for earlier lines whose events are not known,
    where these decide what is free."""
    if usage.pre_line_quantity and not usage.pre_events and (charge.free_events or charge.free_amount):
        raise invalid_field("usage.pre_line_quantity", "must be 0: what is free depends on each of the events before")
    events = [converted(event, charge.convert) for event in (*usage.pre_events, *(usage.events or ()))]
    new = _free_parts(charge, events)[len(usage.pre_events) :]
    free = sum((part for part, _ in new), ZERO)
    billed = sum(events[len(usage.pre_events) :], ZERO) - free
    costs = [
        _cost(charge, event - part)
        for event, (part, whole) in zip(events[len(usage.pre_events) :], new, strict=True)
        if not whole
    ]
    steps = _steps(charge, billed, len(costs))
    if charge.per_event_min is not None or charge.per_event_max is not None:
        bounds = ended(sum(costs, ZERO) - sum((step.amount for step in steps), ZERO))
        steps += [PriceStep("bounds of what one event costs", None, None, bounds)] if bounds else []
    return Priced(billed, steps)


def _free_parts(charge: PercentageCharge, events: Sequence[Decimal]) -> list[tuple[Decimal, bool]]:
    """How much of each is free, and whether the event is free altogether, its fee too."""
    parts, used = [], ZERO
    for number, event in enumerate(events):
        within = bool(charge.free_events or charge.free_amount)
        if charge.free_events:
            within = number < charge.free_events
        part = event if within else ZERO
        if within and charge.free_amount:
            part = min(event, charge.free_amount - used)
            within = used < charge.free_amount and part == event
        parts.append((part, within))
        used += part
    return parts


def _cost(charge: PercentageCharge, amount: Decimal) -> Decimal:
    """Compute what one event costs, within the charge's bounds."""
    cost = amount * charge.rate_percent / 100 + charge.fixed_fee
    cost = cost if charge.per_event_min is None else max(cost, charge.per_event_min)
    return cost if charge.per_event_max is None else min(cost, charge.per_event_max)


def _steps(charge: PercentageCharge, billed: Decimal, count: int) -> list[PriceStep]:
    """`count` events are not free."""
    steps = []
    if billed:
        share = charge.rate_percent / 100
        steps.append(
            PriceStep(f"{decimal_text(charge.rate_percent)} % of the amount", billed, share, ended(billed * share))
        )
    if charge.fixed_fee and count:
        steps.append(PriceStep("events", Decimal(count), charge.fixed_fee, count * charge.fixed_fee))
    return steps


def price_by_sums(charge: PercentageCharge, usage: Usage) -> Priced:
    """Price a percentage from the sum and the number of events. Raises Problem where these are not enough."""
    if charge.per_event_min is not None or charge.per_event_max is not None:
        raise invalid_field("usage.events", "must list the amounts: the charge bounds what one event costs")
    if charge.convert is not None and charge.convert.rounding != "none":
        raise invalid_field("usage.events", "must list the amounts: the charge rounds each of them")
    if charge.fixed_fee and usage.event_count is None:
        raise invalid_field("usage.event_count", "must say how many events there were: each has a fixed fee")
    if usage.pre_line_quantity and (charge.free_events or charge.free_amount):
        raise invalid_field("usage.pre_line_quantity", "must be 0: what is free depends on each of the events before")
    _check_totals(usage)
    quantity = converted(usage.quantity, charge.convert)
    free, free_count = _free_of_sums(charge, usage, quantity)
    return Priced(quantity - free, _steps(charge, quantity - free, (usage.event_count or 0) - free_count))


def _check_totals(usage: Usage) -> None:
    totals = usage.running_total or ()
    if any(later < earlier for earlier, later in pairwise(totals)) or (totals and totals[-1] > usage.quantity):
        raise invalid_field("usage.running_total", "must not fall, nor be above the quantity")
    if usage.event_count is not None and len(totals) > usage.event_count:
        raise invalid_field("usage.running_total", "must not have more sums than there were events")


def _free_of_sums(charge: PercentageCharge, usage: Usage, quantity: Decimal) -> tuple[Decimal, int]:
    """How much of the quantity is free, and how many events are free altogether, their fixed fee too."""
    totals = [converted(total, charge.convert) for total in usage.running_total or ()]
    if charge.free_events:
        count = charge.free_events if usage.event_count is None else min(charge.free_events, usage.event_count)
        if quantity and len(totals) < count:
            raise _missing_totals()
        totals = totals[:count]
        free = totals[-1] if totals else ZERO
    else:
        count, free = 0, quantity if charge.free_amount else ZERO
    if charge.free_amount:
        if charge.fixed_fee and quantity and usage.running_total is None:
            raise _missing_totals()
        return min(free, charge.free_amount), _count_within(charge.free_amount, totals)
    return free, count


def _missing_totals() -> Problem:
    return invalid_field("usage.running_total", "must have the sum after each of the free events")


def _count_within(amount: Decimal, totals: Sequence[Decimal]) -> int:
    """How many events are within a free amount as a whole; `totals` are the sums after each of them. One that comes
    when the amount is used up already is not, not even one of zero."""
    return sum(before < amount >= after for before, after in pairwise((ZERO, *totals)))
