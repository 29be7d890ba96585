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
    """`quantity` is new usage, `pre_line_quantity` what earlier lines of the period billed, `previously_billed` for how
    much. `events` are the quantity one by one, which a percentage may need; where its sum and number are enough, there
    is `event_count` with `running_total`, the sums after each of the free events."""

    quantity: Annotated[Quantity, Field(examples=["1200"])] = ZERO
    pre_line_quantity: Quantity = ZERO
    previously_billed: Billed = ZERO
    events: Amounts | None = None
    event_count: Annotated[int, Field(ge=0, le=10**12)] | None = None
    running_total: Amounts | None = None


class PricePreviewInput(Input):
    charge: Charge
    usage: PreviewUsageInput
    currency: Currency


class PriceStepView(View):
    label: str
    quantity: Amount | None
    unit_price: Amount | None
    amount: Amount


class PricePreviewView(View):
    """`amount` is exact, `rounded` in the currency's minor unit; total = rounded − discount + commitment_top_up.
    `lines` sum to `amount`."""

    amount: Amount
    rounded: Amount
    lines: list[PriceStepView]
    discount: Amount
    commitment_top_up: Amount
    total: Amount
    billed_quantity: Amount


@router.post("/pricing/preview")
async def preview_price(body: PricePreviewInput) -> PricePreviewView:
    """What usage costs under a charge. Nothing is stored; the base fee is in the period's first line only."""
    usage = body.usage
    first = not usage.pre_line_quantity
    rated = rate(
        body.charge,
        Usage(
            usage.quantity,
            usage.pre_line_quantity,
            usage.previously_billed,
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
