"""What admins decide about services."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from pydantic import JsonValue

from shared.catalog.models import ServiceStatus, Visibility
from shared.catalog.parts import CatalogParts
from shared.catalog.services.reviews import Review, Reviews
from shared.catalog.services.routes import full_view, service_summary, view
from shared.catalog.services.schemas import OptionalReason, ServicesView, ServiceView
from shared.identity.guard import allowed
from shared.identity.models import Caller
from shared.kernel.http.fields import NextCursor, ServiceId
from shared.kernel.http.parameters import Cursor, IfMatch, OptionalIfMatch, PageSize
from shared.kernel.http.provided import provided
from shared.kernel.http.schemas import DecisionReason, View

router = APIRouter(prefix="/admin/services", tags=["service reviews"])


class VisibilityOverride(DecisionReason):
    """An admin's decision on a service's visibility."""

    visibility: Visibility | None
    """Visibility that overrides the merchant's choice; null removes the override."""


class FieldChangeView(View):
    """A field that a revision changes."""

    field: str
    """Name of the field."""
    before: JsonValue
    """Current value. For an OpenAPI document, the path where it is stored."""
    after: JsonValue
    """Proposed value. For an OpenAPI document, the path where it is stored."""


class ServiceReviewView(View):
    """A service or revision that waits for an admin's decision."""

    service: ServiceView
    """Service. Its `review` names what waits: the `service` itself or a `revision` of it."""
    changes: list[FieldChangeView]
    """Fields that the revision changes; empty if the service itself waits."""


class ServiceReviewsView(View):
    """A page of services and revisions under review."""

    items: list[ServiceReviewView]
    """Items of the page."""
    next_cursor: NextCursor


ReviewsPart = Annotated[Reviews, Depends(provided(CatalogParts, lambda catalog: catalog.reviews))]
ServiceDecider = Annotated[Caller, Depends(allowed("service.decide"))]


@router.get("", summary="List all services")
async def list_all_services(
    caller: Annotated[Caller, Depends(allowed("service.review"))],
    reviews: ReviewsPart,
    status: Annotated[ServiceStatus | None, Query(description="Only services with this status.")] = None,
    merchant: Annotated[str | None, Query(max_length=64, description="Only this merchant, by id.")] = None,
    limit: PageSize = 20,
    cursor: Cursor = None,
) -> ServicesView:
    """List all services of the platform by status; those of one merchant newest first."""
    page = await reviews.page(status, merchant, limit, cursor)
    return ServicesView(items=[service_summary(stored.value) for stored in page.items], next_cursor=page.cursor)


@router.get("/review", summary="List services under review")
async def list_reviews(
    caller: Annotated[Caller, Depends(allowed("service.review"))],
    reviews: ReviewsPart,
    limit: PageSize = 20,
    cursor: Cursor = None,
) -> ServiceReviewsView:
    """List services and revisions that wait for a decision, longest wait first."""
    found, next_cursor = await reviews.queue(limit, cursor)
    return ServiceReviewsView(items=[_review(one) for one in found], next_cursor=next_cursor)


@router.post("/{service_id}/approve", summary="Approve a service")
async def approve_service(
    caller: ServiceDecider,
    reviews: ReviewsPart,
    service_id: ServiceId,
    why: OptionalReason,
    response: Response,
    if_match: OptionalIfMatch = None,
) -> ServiceView:
    """Approve the service or the revision that is under review. The merchant is notified by e-mail."""
    return view(await reviews.approve(caller.actor, service_id, why.reason, if_match), response)


@router.post("/{service_id}/reject", summary="Reject a service")
async def reject_service(
    caller: ServiceDecider,
    reviews: ReviewsPart,
    service_id: ServiceId,
    why: DecisionReason,
    response: Response,
    if_match: OptionalIfMatch = None,
) -> ServiceView:
    """Reject the service or the revision that is under review. The merchant is notified by e-mail, and may change and
    submit it again."""
    return view(await reviews.reject(caller.actor, service_id, why.reason, if_match), response)


@router.post("/{service_id}/disable", summary="Suspend a service")
async def disable_service(
    caller: ServiceDecider, reviews: ReviewsPart, service_id: ServiceId, why: DecisionReason, response: Response
) -> ServiceView:
    """Suspend an active service: its calls are refused at once. The merchant is notified by e-mail."""
    return view(await reviews.disable(caller.actor, service_id, why.reason), response)


@router.post("/{service_id}/restore", summary="Restore a service")
async def restore_service(
    caller: ServiceDecider, reviews: ReviewsPart, service_id: ServiceId, why: DecisionReason, response: Response
) -> ServiceView:
    """Lift a service's suspension. The merchant is notified by e-mail."""
    return view(await reviews.restore(caller.actor, service_id, why.reason), response)


@router.put("/{service_id}/visibility", summary="Override a service's visibility")
async def override_visibility(
    caller: ServiceDecider,
    reviews: ReviewsPart,
    service_id: ServiceId,
    override: VisibilityOverride,
    response: Response,
    if_match: IfMatch = None,
) -> ServiceView:
    """Set who may see a service, regardless of the merchant's choice."""
    stored = await reviews.override_visibility(caller.actor, service_id, override.visibility, override.reason, if_match)
    return view(stored, response)


def _review(review: Review) -> ServiceReviewView:
    changes = [FieldChangeView(field=field, before=before, after=after) for field, before, after in review.changes]
    return ServiceReviewView(service=full_view(review.detail), changes=changes)
