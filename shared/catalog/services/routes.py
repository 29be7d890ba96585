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


@router.post("/merchants/{merchant_id}/services", status_code=201)
async def create_service(
    caller: Annotated[Caller, Depends(allowed("service.create"))],
    services: ServicesPart,
    merchant_id: MerchantId,
    new: NewService,
    response: Response,
) -> ServiceView:
    """Draft a service. Nobody else sees it until it is submitted."""
    values = new.model_dump(mode="json", exclude_unset=True, exclude={"slug"})
    return view(await services.create(caller.actor, merchant_id, new.slug, values), response)


@router.get("/merchants/{merchant_id}/services")
async def list_services(
    caller: Annotated[Caller, Depends(allowed("service.list"))],
    services: ServicesPart,
    merchant_id: MerchantId,
    status: Annotated[ServiceStatus | None, Query(description="Only services of this status")] = None,
    limit: PageSize = 20,
    cursor: Cursor = None,
) -> ServicesView:
    """The merchant's services, newest first."""
    page = await services.page(merchant_id, status, limit, cursor)
    return ServicesView(items=[summary(stored.value) for stored in page.items], next_cursor=page.cursor)


@router.get("/services/{service_id}")
async def read_service(
    caller: Annotated[Caller, Depends(allowed("service.read"))],
    services: ServicesPart,
    service_id: ServiceId,
    response: Response,
) -> ServiceView:
    """One service: as it is, and the changes of it that wait for approval."""
    return view(await services.read(service_id), response)


@router.patch("/services/{service_id}")
async def change_service(
    caller: Annotated[Caller, Depends(allowed("service.update"))],
    services: ServicesPart,
    service_id: ServiceId,
    change: ServiceChange,
    response: Response,
    if_match: IfMatch = None,
) -> ServiceView:
    """Edit a service. Of a live one, what consumers rely on goes into its revision, which an admin approves; the rest
    applies at once. A revision that waits already takes up the new edits."""
    values = change.model_dump(mode="json", exclude_unset=True, exclude={"notes"})
    return view(await services.update(caller.actor, service_id, values, change.notes, if_match), response)


@router.post("/services/{service_id}/submit")
async def submit_service(
    caller: Annotated[Caller, Depends(allowed("service.submit"))],
    services: ServicesPart,
    service_id: ServiceId,
    response: Response,
) -> ServiceView:
    """Ask for the approval of a draft, or of a rejected service that was mended."""
    return view(await services.submit(caller.actor, service_id), response)


@router.post("/services/{service_id}/withdraw")
async def withdraw_service(
    caller: Annotated[Caller, Depends(allowed("service.submit"))],
    services: ServicesPart,
    service_id: ServiceId,
    response: Response,
) -> ServiceView:
    """Take back what waits for approval: the service is a draft again, or its revision is dropped."""
    return view(await services.withdraw(caller.actor, service_id), response)


@router.post("/services/{service_id}/retire")
async def retire_service(
    caller: Annotated[Caller, Depends(allowed("service.retire"))],
    services: ServicesPart,
    service_id: ServiceId,
    why: OptionalReason,
    response: Response,
) -> ServiceView:
    """Take the service off the market for good. Its calls are refused at once."""
    return view(await services.retire(caller.actor, service_id, why.reason), response)


def summary(service: Service) -> ServiceSummary:
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
