"""Price plans: what a merchant announces for a service, and what everybody sees of it in the catalogue."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import AwareDatetime, Field

from shared.billing.charges import CHARGES_MAX, Charge
from shared.billing.parts import BillingParts
from shared.billing.prices.models import Plan
from shared.billing.prices.service import Plans, PlanState, PlanVersion
from shared.catalog.marketplace.routes import Visible, cacheable, caching
from shared.identity.guard import allowed
from shared.identity.models import Caller
from shared.kernel.http.etags import entity_tag
from shared.kernel.http.fields import CreatedAt, NextCursor, ServiceId
from shared.kernel.http.parameters import Cursor, IfMatch, PageSize
from shared.kernel.http.provided import provided
from shared.kernel.http.schemas import Input, View
from shared.kernel.money import Currency

router = APIRouter(tags=["prices"])


class PlanInput(Input):
    """A version of a service's prices."""

    name: Annotated[str, Field(min_length=1, max_length=120, examples=["Standard"])]
    """Name of the price plan, as invoices and the catalogue show it."""
    currency: Currency
    """Currency of all prices (ISO 4217)."""
    charges: Annotated[tuple[Charge, ...], Field(max_length=CHARGES_MAX)]
    """Charges, each with its own `id`, a `name` and a `metric`. Without charges the service is free."""
    effective_from: AwareDatetime | None = None
    """Time from which the prices apply: a future midnight in the merchant's time zone; null is the start of the
    merchant's next billing period."""


class PriceView(View):
    """A version of a service's prices, which applies from `effective_from` until the next version applies."""

    number: int
    """Number of the version of the service's prices, from 1."""
    name: str
    """Name of the price plan."""
    currency: str
    """Currency of all prices (ISO 4217)."""
    charges: tuple[Charge, ...]
    """Charges; empty is a free service."""
    effective_from: AwareDatetime
    """Time from which the prices apply."""


class PlanView(PriceView):
    """A version of a service's prices, as the merchant sees it."""

    service_id: ServiceId
    state: PlanState
    """State: `announced` until `effective_from`, then `in_force`, and `past` once another version applies."""
    created_at: CreatedAt
    created_by: str
    """Id of the account that announced the version."""


class PlansView(View):
    """A page of versions of a service's prices."""

    items: list[PlanView]
    """Items of the page."""
    next_cursor: NextCursor


class ServicePricesView(View):
    """Current and next prices of a service."""

    current: PriceView | None
    """Current prices; null while the service has none."""
    next: PriceView | None
    """Announced next prices; null if there are none."""


PlansPart = Annotated[Plans, Depends(provided(BillingParts, lambda billing: billing.plans))]
PlanEditor = Annotated[Caller, Depends(allowed("plan.manage"))]
PlanReader = Annotated[Caller, Depends(allowed("plan.read"))]
Number = Annotated[int, Path(ge=1, le=999_999, description="Number of the version of the service's prices, from 1.")]


@router.post("/services/{service_id}/plans", status_code=201, summary="Announce a service's prices")
async def add_plan(
    caller: PlanEditor, service: PlansPart, service_id: ServiceId, body: PlanInput, response: Response
) -> PlanView:
    """Announce a version of the service's prices. Consumers with access to the service are notified by e-mail."""
    version = await service.add(
        caller.actor,
        service_id,
        name=body.name,
        currency=body.currency,
        charges=body.charges,
        effective_from=body.effective_from,
    )
    return _answer(version, response)


@router.get("/services/{service_id}/plans", summary="List a service's price plans")
async def list_plans(
    caller: PlanReader,
    service: PlansPart,
    service_id: ServiceId,
    limit: PageSize = 20,
    cursor: Cursor = None,
) -> PlansView:
    """List all versions of the service's prices, newest first."""
    page = await service.page(service_id, limit, cursor)
    return PlansView(items=[_view(version) for version in page.items], next_cursor=page.cursor)


@router.get("/services/{service_id}/plans/{number}", summary="Read a service's price plan")
async def read_plan(
    caller: PlanReader, service: PlansPart, service_id: ServiceId, number: Number, response: Response
) -> PlanView:
    """Read one version of the service's prices."""
    return _answer(await service.read(service_id, number), response)


@router.delete("/services/{service_id}/plans/{number}", status_code=204, summary="Withdraw a service's price plan")
async def withdraw_plan(
    caller: PlanEditor, service: PlansPart, service_id: ServiceId, number: Number, if_match: IfMatch = None
) -> None:
    """Withdraw a version of the prices that has not taken effect yet. Consumers with access to the service are notified
    by e-mail."""
    await service.withdraw(caller.actor, service_id, number, if_match)


@router.get(
    "/catalog/services/{slug}/plan",
    response_model=ServicePricesView,
    responses={304: {"description": "The content is still the version that `If-None-Match` names."}},
    summary="Read a service's prices in the catalogue",
)
async def show_catalog_prices(request: Request, service: PlansPart, detail: Visible) -> Response:
    """Read the service's current prices and the announced next ones. The service is found as in `GET
    /catalog/services/{slug}`."""
    prices = await service.current_prices(detail.service)
    return cacheable(
        request, ServicePricesView(current=_price(prices.current), next=_price(prices.next)), caching(detail)
    )


def _price(plan: Plan | None) -> PriceView | None:
    return None if plan is None else PriceView.model_validate(plan, from_attributes=True)


def _view(version: PlanVersion) -> PlanView:
    plan = version.plan
    return PlanView(
        number=plan.number,
        name=plan.name,
        currency=plan.currency,
        charges=plan.charges,
        effective_from=plan.effective_from,
        service_id=plan.service_id,
        state=version.state,
        created_at=plan.created_at,
        created_by=plan.created_by,
    )


def _answer(version: PlanVersion, response: Response) -> PlanView:
    response.headers["ETag"] = entity_tag(version.etag)
    return _view(version)
