"""What usage costs under a charge: pure functions on Decimals.

Amounts are cumulative: what a line costs is A(before + new) − A(before), so that tiers, packages and free units survive
being billed in several lines. The order: convert → round the quantity → free units → price → discount → maximum →
minimum, the last on a period's last line only. Exact throughout (a division that does not end is cut at 48 digits);
rounded half-up once per line.
"""

from dataclasses import replace
from decimal import localcontext

from shared.billing.charges import Charge, PercentageCharge
from shared.billing.rating.figures import Priced, PriceStep, Rated, Usage, converted
from shared.billing.rating.percentages import price_by_events, price_by_sums
from shared.billing.rating.quantities import price_by_quantity, price_steps
from shared.kernel.http.problems import invalid_field
from shared.kernel.money import EXACT, ZERO, ended, round_money

__all__ = ["Rated", "Step", "Usage", "converted", "price_steps", "rate"]


def rate(charge: Charge, usage: Usage, currency: str) -> Rated:
    """Compute what usage costs under a charge, in minor units of `currency` where it is rounded. Raises Problem 400
    `request_invalid` for usage that the model cannot be rated with, such as a percentage with free events but neither
    `events` nor `running_total`."""
    with localcontext(EXACT):
        priced = _price(charge, _with_sum(usage))
        steps = list(priced.steps)
        base_fee = ended(charge.base_fee * usage.base_fee_share)
        if base_fee:
            steps.insert(0, PriceStep("base fee", None, None, base_fee))
        amount = sum((step.amount for step in steps), ZERO)
        rounded = round_money(amount, currency)
        discount, capped = round_money(amount * charge.percentage_discount / 100, currency), ZERO
        if charge.maximum_spend is not None:
            room = max(round_money(charge.maximum_spend, currency) - usage.previously_billed, ZERO)
            above = max(usage.previously_capped + rounded - discount - room, ZERO)  # of all lines so far
            capped = above - usage.previously_capped
            discount += capped
        top_up = ZERO
        if charge.minimum_spend is not None and usage.is_last:
            least = round_money(charge.minimum_spend, currency)
            top_up = max(least - usage.previously_billed - (rounded - discount), ZERO)
        return Rated(
            billed_quantity=priced.billed,
            amount=amount,
            rounded=rounded,
            steps=tuple(steps),
            discount=round_money(discount, currency),
            capped=round_money(capped, currency),
            commitment_top_up=round_money(top_up, currency),
            total=round_money(rounded - discount + top_up, currency),
        )


def _with_sum(usage: Usage) -> Usage:
    """Fill in the quantity that the usage's events add up to."""
    if usage.events is None:
        return usage
    total = sum(usage.events, ZERO)
    if usage.quantity not in (ZERO, total):
        raise invalid_field("usage.quantity", "must be the sum of the events, or be left out")
    if usage.event_count not in (None, len(usage.events)):
        raise invalid_field("usage.event_count", "must be the number of the events, or be left out")
    return replace(usage, quantity=total)


def _price(charge: Charge, usage: Usage) -> Priced:
    if not isinstance(charge, PercentageCharge):
        return price_by_quantity(charge, usage)
    return price_by_sums(charge, usage) if usage.events is None else price_by_events(charge, usage)
