"""Stored price plans: every version of a service's prices, and the one that an invoice was computed with."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from shared.billing.charges import CHARGES_MAX, Charge
from shared.kernel.documents import Identifier, StoredModel
from shared.kernel.money import Currency
from shared.kernel.periods import Month


class Plan(StoredModel):
    """A version of a service's prices, under `plan:{service_id}:{number:06d}`; immutable, the latest whose
    `effective_from` has come is in force. It always is a local midnight of the merchant. A plan without charges makes
    the service free from then on."""

    kind: Literal["plan"] = "plan"
    service_id: Identifier
    merchant_id: Identifier
    number: Annotated[int, Field(ge=1, le=999_999)]
    name: Annotated[str, Field(min_length=1, max_length=120)]
    currency: Currency
    charges: Annotated[tuple[Charge, ...], Field(max_length=CHARGES_MAX)]
    effective_from: AwareDatetime
    created_at: AwareDatetime
    created_by: Identifier


class UsedPlan(StoredModel):
    """A plan version in force in [start, end) of a period: what makes an invoice recomputable. `subscribed`: the
    consumer had access, so that fees are due without usage."""

    start: AwareDatetime
    end: AwareDatetime
    period: Month
    service_name: str
    subscribed: bool
    plan: Plan
