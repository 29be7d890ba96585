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
    """Usage to price."""

    quantity: Annotated[Quantity, Field(examples=["1200"])] = ZERO
    """Quantity of the usage, before conversion and free units."""
    pre_line_quantity: Quantity = ZERO
    """Quantity that earlier lines of the same period billed."""
    previously_billed: Billed = ZERO
    """Amount that earlier lines of the same period billed."""
    events: Amounts | None = None
    """Quantity of each event, which a percentage charge may need; null if sum and number are enough."""
    event_count: Annotated[int, Field(ge=0, le=10**12)] | None = None
    """Number of events, instead of `events`; null is unknown."""
    running_total: Amounts | None = None
    """With `event_count`: the running sum after each of the free events; null is unknown."""


class PricePreviewInput(Input):
    """A charge, and usage to price with it."""

    charge: Charge
    """Charge, as in a price plan."""
    usage: PreviewUsageInput
    """Usage that the charge prices."""
    currency: Currency
    """Currency (ISO 4217). Amounts are rounded to its minor unit."""


class PriceStepView(View):
    """One step of the calculation of an amount, such as a tier."""

    label: str
    """Description of the step, for people."""
    quantity: Amount | None
    """Quantity of the step; null if the step has none, such as a fee."""
    unit_price: Amount | None
    """Price of each unit; null if the step has none."""
    amount: Amount
    """Exact amount of the step."""


class PricePreviewView(View):
    """Cost of the usage: `total` = `rounded` − `discount` + `commitment_top_up`."""

    amount: Amount
    """Exact amount, which is the sum of `lines`."""
    rounded: Amount
    """Amount, rounded to the currency's minor unit."""
    lines: list[PriceStepView]
    """Calculation of the amount, step by step."""
    discount: Amount
    """Reduction by the charge's discount and maximum."""
    commitment_top_up: Amount
    """Addition by the charge's minimum."""
    total: Amount
    """Amount due for the usage, without taxes."""
    billed_quantity: Amount
    """Billed quantity, after conversion and free units."""


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
