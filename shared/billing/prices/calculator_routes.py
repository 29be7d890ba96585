"""The price calculator: what usage would cost under a charge."""

from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from shared.billing.charges import Charge
from shared.billing.rating import Usage, rate
from shared.kernel.http.schemas import Input, View
from shared.kernel.money import ZERO, Amount, Currency, Digits, Quantity

router = APIRouter(tags=["prices"])
EVENTS_MAX = 10_000
Amounts = Annotated[tuple[Quantity, ...], Field(max_length=EVENTS_MAX)]
Billed = Annotated[Decimal, Digits(18, 12, signed=True)]


class PreviewUsageInput(Input):
    """Usage to be priced."""

    quantity: Annotated[Quantity, Field(examples=["1200"])] = ZERO
    """New usage, before conversion and free units."""
    pre_line_quantity: Quantity = ZERO
    """What earlier lines of the same period billed already."""
    previously_billed: Billed = ZERO
    """For how much they did."""
    events: Amounts | None = None
    """The quantity one by one, which a percentage may need; null where sum and number are enough."""
    event_count: Annotated[int, Field(ge=0, le=10**12)] | None = None
    """How many events there were, instead of `events`; null is unknown."""
    running_total: Amounts | None = None
    """With `event_count`: the sums after each of the free events; null is unknown."""


class PricePreviewInput(Input):
    """A charge, and usage to be priced by it."""

    charge: Charge
    """As in a price plan."""
    usage: PreviewUsageInput
    """What was used."""
    currency: Currency
    """ISO 4217; amounts are rounded to its minor unit."""


class PriceStepView(View):
    """One step of how an amount came about, such as a tier."""

    label: str
    """What the step is, for people."""
    quantity: Amount | None
    """Of how many; null where the step has none, such as a fee."""
    unit_price: Amount | None
    """At what price each; null where the step has none."""
    amount: Amount
    """What the step comes to, exact."""


class PricePreviewView(View):
    """What usage costs: `total` = `rounded` − `discount` + `commitment_top_up`."""

    amount: Amount
    """Exact; the sum of `lines`."""
    rounded: Amount
    """The amount in the currency's minor unit."""
    lines: list[PriceStepView]
    """How the amount came about, step by step."""
    discount: Amount
    """What the charge's discount and maximum take off."""
    commitment_top_up: Amount
    """What the charge's minimum adds."""
    total: Amount
    """What is due for the usage, without taxes."""
    billed_quantity: Amount
    """What is paid for, after conversion and free units."""


@router.post("/pricing/preview", summary="Calculate a price")
async def preview_price(body: PricePreviewInput) -> PricePreviewView:
    """Calculate what usage costs under a charge. Nothing is stored. The base fee is only in the first line of a
    period."""
    usage = body.usage
    first = not usage.pre_line_quantity
    rated = rate(
        body.charge,
        Usage(
            usage.quantity,
            pre_line_quantity=usage.pre_line_quantity,
            previously_billed=usage.previously_billed,
            events=usage.events,
            event_count=usage.event_count,
            running_total=usage.running_total,
            base_fee_share=ZERO + first,
            is_first=first,
        ),
        body.currency,
    )
    steps = [
        PriceStepView(label=s.label, quantity=s.quantity, unit_price=s.unit_price, amount=s.amount) for s in rated.steps
    ]
    return PricePreviewView(
        amount=rated.amount,
        rounded=rated.rounded,
        lines=steps,
        discount=rated.discount,
        commitment_top_up=rated.commitment_top_up,
        total=rated.total,
        billed_quantity=rated.billed_quantity,
    )
