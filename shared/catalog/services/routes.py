"""A merchant's services: drafts, edits, what is asked of the platform about them."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response

from shared.catalog.logos import logo_path
from shared.catalog.models import (
    Revision,
    Service,
    ServiceStatus,
)
from shared.catalog.parts import CatalogParts
from shared.catalog.services.schemas import (
    NewService,
    OptionalReason,
    ServiceChange,
    ServiceSummary,
    ServicesView,
    ServiceView,
)
from shared.catalog.services.service import ServiceDetail, Services
from shared.identity.guard import allowed
from shared.identity.models import Caller
from shared.kernel.http.etags import entity_tag
from shared.kernel.http.fields import MerchantId, ServiceId
from shared.kernel.http.parameters import Cursor, IfMatch, PageSize
from shared.kernel.http.provided import provided

router = APIRouter(tags=["services"])


ServicesPart = Annotated[Services, Depends(provided(CatalogParts, lambda catalog: catalog.services))]


@router.post("/merchants/{merchant_id}/services", status_code=201, summary="Create a service")
async def create_service(
    caller: Annotated[Caller, Depends(allowed("service.create"))],
    services: ServicesPart,
    merchant_id: MerchantId,
    new: NewService,
    response: Response,
) -> ServiceView:
    """Create a service as a draft. Only its merchant and admins see it until it is approved."""
    values = new.model_dump(mode="json", exclude_unset=True, exclude={"slug"})
    return view(await services.create(caller.actor, merchant_id, new.slug, values), response)


@router.get("/merchants/{merchant_id}/services", summary="List a merchant's services")
async def list_services(
    caller: Annotated[Caller, Depends(allowed("service.list"))],
    services: ServicesPart,
    merchant_id: MerchantId,
    status: Annotated[ServiceStatus | None, Query(description="Only services with this status.")] = None,
    limit: PageSize = 20,
    cursor: Cursor = None,
) -> ServicesView:
    """List the merchant's services, newest first."""
    page = await services.page(merchant_id, status, limit, cursor)
    return ServicesView(items=[service_summary(stored.value) for stored in page.items], next_cursor=page.cursor)


@router.get("/services/{service_id}", summary="Read a service")
async def read_service(
    caller: Annotated[Caller, Depends(allowed("service.read"))],
    services: ServicesPart,
    service_id: ServiceId,
    response: Response,
) -> ServiceView:
    """Read one service with the changes of it that wait for approval."""
    return view(await services.read(service_id), response)


@router.patch("/services/{service_id}", summary="Change a service")
async def change_service(
    caller: Annotated[Caller, Depends(allowed("service.update"))],
    services: ServicesPart,
    service_id: ServiceId,
    change: ServiceChange,
    response: Response,
    if_match: IfMatch = None,
) -> ServiceView:
    """Change a service. Changes of a live service that consumers rely on go into its revision, which an admin approves;
    the rest applies at once. If a revision already waits, the new changes are added to it."""
    values = change.model_dump(mode="json", exclude_unset=True, exclude={"notes"})
    return view(await services.update(caller.actor, service_id, values, change.notes, if_match), response)


@router.post("/services/{service_id}/submit", summary="Submit a service for approval")
async def submit_service(
    caller: Annotated[Caller, Depends(allowed("service.submit"))],
    services: ServicesPart,
    service_id: ServiceId,
    response: Response,
) -> ServiceView:
    """Submit a draft, or a rejected service that was changed, for approval."""
    return view(await services.submit(caller.actor, service_id), response)


@router.post("/services/{service_id}/withdraw", summary="Withdraw a service from review")
async def withdraw_service(
    caller: Annotated[Caller, Depends(allowed("service.submit"))],
    services: ServicesPart,
    service_id: ServiceId,
    response: Response,
) -> ServiceView:
    """Withdraw what waits for approval: the service becomes a draft again, or its revision is discarded."""
    return view(await services.withdraw(caller.actor, service_id), response)


@router.post("/services/{service_id}/retire", summary="Retire a service")
async def retire_service(
    caller: Annotated[Caller, Depends(allowed("service.retire"))],
    services: ServicesPart,
    service_id: ServiceId,
    why: OptionalReason,
    response: Response,
) -> ServiceView:
    """Retire the service permanently. Its calls are refused at once."""
    return view(await services.retire(caller.actor, service_id, why.reason), response)


def service_summary(service: Service) -> ServiceSummary:
    return ServiceSummary.model_validate(_fields(service))


def view(detail: ServiceDetail, response: Response) -> ServiceView:
    response.headers["ETag"] = entity_tag(detail.stored.etag)
    return full_view(detail)


def full_view(detail: ServiceDetail) -> ServiceView:
    return ServiceView.model_validate({**_fields(detail.service), "revision": _revision(detail.revision)})


def _fields(service: Service) -> dict[str, Any]:
    return {**service.model_dump(), "openapi": service.openapi is not None, "logo_url": logo_path(service.logo)}


def _revision(revision: Revision | None) -> dict[str, Any] | None:
    """A document under review is named by where it is kept, which is nobody's business."""
    if revision is None:
        return None
    values = {field: True if field == "openapi" else value for field, value in revision.values.items()}
    return {**revision.model_dump(), "values": values}
