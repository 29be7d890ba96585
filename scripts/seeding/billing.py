"""How a seeded merchant bills, and what its services cost. What is there already stays: prices that were in force are
never changed."""

import contextlib
from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field

from shared.billing.charges import Charge
from shared.billing.prices.models import Plan
from shared.billing.prices.store import plan_document
from shared.billing.profiles.models import BillingProfile
from shared.billing.profiles.store import PROFILE
from shared.billing.store import BILLING
from shared.billing.tax.models import TaxRegistration
from shared.bootstrap import Application
from shared.kernel.clock import utc_now
from shared.kernel.money import Currency
from shared.kernel.periods import anchored, midnight, month_of, previous_month
from shared.platform.documents import DocumentExists


class Described(BaseModel):
    """A part of a market's file; a field that it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DescribedBilling(Described):
    """A merchant's billing profile. It bills from the beginning of last month on."""

    number_prefix: Annotated[str, Field(pattern=r"^[A-Z0-9]{1,4}$")]
    time_zone: str = "UTC"
    financial_year_month: Annotated[int, Field(ge=1, le=12)] = 1
    payment_terms_days: Annotated[int, Field(ge=0, le=365)] = 30
    payment_details: str = ""
    footer: str = ""
    registrations: tuple[TaxRegistration, ...] = ()


class DescribedPrices(Described):
    """A service's first price plan, in force from the beginning of last month on."""

    name: Annotated[str, Field(min_length=1, max_length=120)] = "Standard"
    currency: Currency
    charges: tuple[Charge, ...]


def _begin(time_zone: str) -> datetime:
    zone = ZoneInfo(time_zone)
    return midnight(anchored(previous_month(month_of(utc_now().astimezone(zone).date())), 1), zone)


async def put_merchant_billing(app: Application, merchant_id: str, described: DescribedBilling) -> None:
    begin = _begin(described.time_zone)
    profile = BillingProfile(merchant_id=merchant_id, billing_from=begin, **described.model_dump())
    with contextlib.suppress(DocumentExists):
        await app.ports.documents.create(BILLING, merchant_id, PROFILE, profile.to_json())


async def put_prices(app: Application, merchant_id: str, service_id: str, described: DescribedPrices) -> None:
    stored = await app.billing.profile_store.profile(merchant_id)
    plan = Plan(
        service_id=service_id,
        merchant_id=merchant_id,
        number=1,
        name=described.name,
        currency=described.currency,
        charges=described.charges,
        effective_from=_begin("UTC" if stored is None else stored.value.time_zone),
        created_at=utc_now(),
        created_by="seed",
    )
    with contextlib.suppress(DocumentExists):
        await app.ports.documents.create(BILLING, merchant_id, plan_document(service_id, 1), plan.to_json())
