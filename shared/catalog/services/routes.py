"""A merchant's services: drafts, edits, what is asked of the platform about them."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from pydantic import AwareDatetime, ConfigDict, Field, JsonValue

from shared.catalog.logos import logo_path
from shared.catalog.models import (
    BaseUrl,
    BodyBytes,
    Limits,
    Listing,
    Revision,
    Service,
    ServiceStatus,
    ServiceType,
    TimeoutS,
    Visibility,
)
from shared.catalog.parts import CatalogParts
from shared.catalog.services.service import Detail, Services
from shared.identity.guard import allowed
from shared.identity.models import Caller
from shared.kernel.documents import Name, Slug
from shared.kernel.http.etags import entity_tag
from shared.kernel.http.fields import MerchantId, ServiceId
from shared.kernel.http.parameters import Cursor, IfMatch, PageSize
from shared.kernel.http.provided import provided
from shared.kernel.http.schemas import Input, View

router = APIRouter(tags=["services"])

Notes = Annotated[str, Field(max_length=2_000, description="What changes, for whoever reviews it and for consumers")]
_CONFIG = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


class LimitsInput(Limits):
    """Null is no limit."""

    model_config = _CONFIG


class UpstreamInput(Input):
    """Where calls go. Its secret is set apart from it."""

    base_url: Annotated[BaseUrl, Field(examples=["https://api.example.com/v1"])]
    timeout_s: TimeoutS = 30.0
    request_bytes_max: BodyBytes = 100 * 2**20
    response_bytes_max: BodyBytes = 2**30


class UpstreamChange(UpstreamInput):
    """Only what is given is changed."""

    base_url: BaseUrl = ""


class _Writable(Listing):
    """What a merchant says of a service."""

    model_config = _CONFIG

    limits: LimitsInput = LimitsInput()
    visibility: Visibility = "public"
    auto_approve: bool = False


class NewService(_Writable):
    """`slug` is for good, and unique on the platform; so is `type`."""

    slug: Annotated[Slug, Field(examples=["weather"])]
    type: ServiceType = "api"
    upstream: UpstreamInput | None = None


class ServiceChange(_Writable):
    """Only what is given is changed. In `upstream` and `limits` too; null clears."""

    name: Name = ""
    upstream: UpstreamChange | None = None
    notes: Notes | None = None


class OptionalReason(Input):
    reason: Annotated[str, Field(max_length=1_000)] | None = None


class UpstreamView(View):
    """`auth_header` is set by AMS on every call; nobody is told its value."""

    base_url: str
    timeout_s: float
    request_bytes_max: int
    response_bytes_max: int
    auth_header: str | None


class RevisionView(View):
    """Changes that wait for approval: `values` by field name. Rejected ones have the `reason`: the merchant may change
    or withdraw them."""

    values: dict[str, JsonValue]
    notes: str
    proposed_at: AwareDatetime
    reason: str | None


class ServiceSummary(View):
    """A service as its merchant and the operators see it, without what waits for approval. `review` says what is under
    review, `openapi` whether there is a document, `versions` how many there are."""

    id: str
    merchant_id: str
    slug: str
    type: ServiceType
    status: ServiceStatus
    name: str
    description: str
    documentation_url: str | None
    version: str
    category: str
    tags: list[str]
    pricing: str
    price_model: str | None
    authentication: str
    formats: list[str]
    sla: str
    upstream: UpstreamView | None
    limits: Limits
    visibility: Visibility
    visibility_override: Visibility | None
    auto_approve: bool
    logo_url: str | None
    openapi: bool
    versions: int
    review: str | None
    submitted_at: AwareDatetime | None
    reason: str | None
    created_at: AwareDatetime | None


class ServiceView(ServiceSummary):
    """With the changes that wait for approval, if there are any."""

    revision: RevisionView | None


class ServicesView(View):
    items: list[ServiceSummary]
    next_cursor: str | None


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
    status: ServiceStatus | None = None,
    limit: PageSize = 20,
    cursor: Cursor = None,
) -> ServicesView:
    """The merchant's services, newest first."""
    page = await services.page(merchant_id, status, limit, cursor)
    return ServicesView(items=[summary(held.value) for held in page.items], next_cursor=page.cursor)


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


def view(detail: Detail, response: Response) -> ServiceView:
    response.headers["ETag"] = entity_tag(detail.held.etag)
    return full_view(detail)


def full_view(detail: Detail) -> ServiceView:
    return ServiceView.model_validate({**_fields(detail.service), "revision": _revision(detail.revision)})


def _fields(service: Service) -> dict[str, Any]:
    return {**service.model_dump(), "openapi": service.openapi is not None, "logo_url": logo_path(service.logo)}


def _revision(revision: Revision | None) -> dict[str, Any] | None:
    """A document under review is named by where it is kept, which is nobody's business."""
    if revision is None:
        return None
    values = {field: True if field == "openapi" else value for field, value in revision.values.items()}
    return {**revision.model_dump(), "values": values}
