"""Percentages of events, against an oracle that goes from event to event; and what sums are enough for."""

from decimal import Decimal
from fractions import Fraction
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.billing.charges import CHARGE
from shared.billing.rating import Rated, Usage, rate
from shared.kernel.errors import Problem
from shared.kernel.money import ZERO

amounts = st.integers(0, 40).map(lambda n: Decimal(n) / 4)  # few, so that free amounts are often met exactly
events_lists = st.lists(amounts, max_size=12)
unbounded = st.fixed_dictionaries(
    {
        "rate_percent": st.sampled_from(["0", "2.5", "100"]),
        "fixed_fee": st.sampled_from(["0", "0.3"]),
        "free_events": st.integers(0, 4),
        "free_amount": st.integers(0, 15).map(str),
    },
)
bounded = st.builds(
    lambda price, least, most: {**price, "per_event_min": least, "per_event_max": most},
    unbounded,
    st.sampled_from([None, "0.4"]),
    st.sampled_from([None, "0.5"]),
)


def rated(price: dict[str, Any], usage: Usage) -> Rated:
    return rate(CHARGE.validate_python({"model": "percentage", **price}), usage, "EUR")


def oracle(price: dict[str, Any], events: list[Decimal]) -> Fraction:
    """What is left of the free events and of the free amount goes down with each event; None is without a limit."""
    left_events = price["free_events"] or None
    left_amount = Fraction(price["free_amount"]) or None
    allowance = left_events is not None or left_amount is not None
    total = Fraction(0)
    for event in map(Fraction, events):
        if allowance and left_events != 0 and left_amount != 0:
            left_events = None if left_events is None else left_events - 1
            if left_amount is None or event <= left_amount:
                left_amount = None if left_amount is None else left_amount - event
                continue
            event, left_amount = event - left_amount, Fraction(0)
        cost = event * Fraction(price["rate_percent"]) / 100 + Fraction(price["fixed_fee"])
        cost = max(cost, Fraction(price.get("per_event_min") or cost))
        total += min(cost, Fraction(price.get("per_event_max") or cost))
    return total


@given(bounded, events_lists)
def test_as_counted_event_by_event(price: dict[str, Any], events: list[Decimal]) -> None:
    found = rated(price, Usage(events=events))
    assert Fraction(found.amount) == oracle(price, events)
    assert sum((step.amount for step in found.steps), ZERO) == found.amount


@given(bounded, events_lists, st.integers(0, 12))
def test_a_percentage_in_parts_is_the_percentage_of_all(price: dict[str, Any], events: list[Decimal], cut: int) -> None:
    first, rest = events[:cut], events[cut:]
    parts = [
        rated(price, Usage(sum(first, ZERO), events=first)),
        rated(
            price,
            Usage(sum(rest, ZERO), pre_line_quantity=sum(first, ZERO), events=rest, pre_events=first, is_first=False),
        ),
    ]
    whole = rated(price, Usage(events=events))
    assert sum(part.amount for part in parts) == whole.amount
    assert sum(part.billed_quantity for part in parts) == whole.billed_quantity


@given(bounded, st.data(), events_lists)
def test_the_order_matters_only_to_what_is_free(
    price: dict[str, Any], data: st.DataObject, events: list[Decimal]
) -> None:
    nothing_free = {**price, "free_events": 0, "free_amount": "0"}
    shuffled = data.draw(st.permutations(events))
    assert rated(nothing_free, Usage(events=shuffled)).amount == rated(nothing_free, Usage(events=events)).amount


NOTHING_LEFT: dict[str, Any] = {"rate_percent": "1", "fixed_fee": "1", "free_events": 0, "free_amount": "5"}


@example(NOTHING_LEFT, [Decimal(5), Decimal(0)])  # an event of nothing, when the free amount is used up: it has its fee
@given(unbounded, events_lists)
def test_sums_say_the_same_as_events(price: dict[str, Any], events: list[Decimal]) -> None:
    totals = tuple(accumulate(events))
    found = rated(price, Usage(sum(events, ZERO), event_count=len(events), running_total=totals))
    by_event = rated(price, Usage(events=events))
    assert (found.amount, found.billed_quantity) == (by_event.amount, by_event.billed_quantity)


@given(st.sampled_from([{"model": "per_unit", "unit_price": "3"}, {"model": "dynamic"}]), events_lists)
def test_events_of_other_models_are_their_sum(price: dict[str, Any], events: list[Decimal]) -> None:
    charge = CHARGE.validate_python(price)
    assert rate(charge, Usage(events=events), "EUR") == rate(charge, Usage(sum(events, ZERO)), "EUR")


ONE, FREE = {"rate_percent": "1"}, {"rate_percent": "1", "free_events": 2}


@pytest.mark.parametrize(
    ("price", "usage", "field"),
    [
        ({**ONE, "per_event_min": "1"}, Usage(Decimal(5)), "usage.events"),
        ({**ONE, "per_event_max": "1"}, Usage(Decimal(5)), "usage.events"),
        ({**ONE, "convert": {"op": "divide", "factor": "2", "rounding": "floor"}}, Usage(Decimal(5)), "usage.events"),
        ({**ONE, "fixed_fee": "1"}, Usage(Decimal(5)), "usage.event_count"),
        (FREE, Usage(Decimal(5), event_count=3), "usage.running_total"),
        (FREE, Usage(Decimal(5), running_total=(Decimal(1),)), "usage.running_total"),
        ({**ONE, "free_amount": "2", "fixed_fee": "1"}, Usage(Decimal(5), event_count=3), "usage.running_total"),
        (FREE, Usage(Decimal(5), running_total=(Decimal(2), Decimal(1))), "usage.running_total"),
        (FREE, Usage(Decimal(5), running_total=(Decimal(2), Decimal(6))), "usage.running_total"),
        (FREE, Usage(Decimal(5), event_count=1, running_total=(Decimal(1), Decimal(2))), "usage.running_total"),
        (FREE, Usage(Decimal(5), pre_line_quantity=Decimal(1)), "usage.pre_line_quantity"),
        (FREE, Usage(pre_line_quantity=Decimal(1), events=(Decimal(5),)), "usage.pre_line_quantity"),
        (ONE, Usage(Decimal(4), events=(Decimal(5),)), "usage.quantity"),
        (ONE, Usage(events=(Decimal(5),), event_count=2), "usage.event_count"),
    ],
)
def test_usage_that_says_too_little_or_contradicts_itself(price: dict[str, Any], usage: Usage, field: str) -> None:
    with pytest.raises(Problem) as refused:
        rated(price, usage)
    assert (refused.value.status, refused.value.code) == (400, "request_invalid")
    assert [error.field for error in refused.value.errors] == [field]


def test_without_usage_nothing_has_to_be_said() -> None:
    assert rated({**FREE, "free_amount": "3", "fixed_fee": "1"}, Usage(event_count=0)).amount == 0
