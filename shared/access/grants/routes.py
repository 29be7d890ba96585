"""Access requests and grants: the consumer's at `/api/v1/consumers/{consumer_id}`, the rest at `/api/v1/admin`."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from pydantic import AwareDatetime, Field

from shared.access.grants.service import Grants
from shared.access.models import Grant, GrantStatus
from shared.access.parts import AccessParts
from shared.identity.guard import allowed
from shared.identity.models import Caller
from shared.kernel.documents import Identifier, Stored
from shared.kernel.http.etags import entity_tag
from shared.kernel.http.fields import ConsumerId, NextCursor, ProjectId, ServiceId
from shared.kernel.http.paging import Page
from shared.kernel.http.parameters import Cursor, IfMatch, PageSize
from shared.kernel.http.provided import provided
from shared.kernel.http.schemas import DecisionReason, Input, View

router = APIRouter(tags=["access"])

Note = Annotated[str, Field(max_length=2_000)]


class ProjectAccessRequest(Input):
    """A request for access to a service."""

    service: Annotated[str, Field(min_length=1, max_length=64)]
    """Slug or id of the service."""
    note: Note = ""
    """Note for the admin who decides: what the service is needed for. Empty is none."""


class AccessRequest(ProjectAccessRequest):
    """A request for access to a service, for the whole consumer or for one project."""

    project_id: Identifier | None = None
    """Id of the project whose keys may use the service; null requests access for the whole consumer."""


class GrantApproval(Input):
    """An approval, with an optional reason."""

    reason: Annotated[str, Field(max_length=1_000)] | None = None
    """Reason for the audit log and the consumer; null is none."""


class GrantProjects(Input):
    """Which projects' keys may use a service."""

    project_ids: Annotated[tuple[Identifier, ...], Field(max_length=1_000)]
    """Ids of the projects. Empty allows all keys, also those of no project."""


class GrantView(View):
    """A grant: a consumer's access to one service, or its request for access."""

    service_id: ServiceId
    merchant_id: str | None
    """Id of the service's merchant; null for grants that were seeded without a merchant."""
    status: GrantStatus
    """Decision of the platform. Calls are accepted only while it is `approved`."""
    restricted: bool
    """Whether the merchant has blocked the consumer for the service, regardless of the status."""
    project_ids: list[str]
    """Ids of the projects whose keys may use the service. Empty allows all keys, also those of no project."""
    note: str
    """The consumer's note for the admin who decides; empty is none."""
    reason: str | None
    """Reason of the last decision; null if it has none."""
    requested_at: AwareDatetime | None
    """Time of the last request; null for seeded grants."""
    decided_at: AwareDatetime | None
    """Time of the platform's last decision; null while the request waits."""


class GrantsView(View):
    """A page of grants."""

    items: list[GrantView]
    """Items of the page."""
    next_cursor: NextCursor


class AdminGrantView(GrantView):
    """A grant with its consumer, as admins see it."""

    consumer_id: ConsumerId


class AccessRequests(View):
    """A page of access requests that wait for a decision."""

    items: list[AdminGrantView]
    """Items of the page."""
    next_cursor: NextCursor


GrantsPart = Annotated[Grants, Depends(provided(AccessParts, lambda access: access.grants))]
_DECIDER = Depends(allowed("grant.decide"))


@router.post("/consumers/{consumer_id}/access-requests", status_code=201, summary="Request access to a service")
async def request_access(
    caller: Annotated[Caller, Depends(allowed("grant.request"))],
    grants: GrantsPart,
    consumer_id: ConsumerId,
    asked: AccessRequest,
    response: Response,
) -> GrantView:
    """Request access to a service. `status` in the answer is `approved` if the service approves requests automatically
    and the platform allows that; otherwise an admin decides."""
    stored = await grants.request(caller.actor, consumer_id, asked.service, asked.note, asked.project_id)
    return _one(stored, response)


@router.post(
    "/consumers/{consumer_id}/projects/{project_id}/access-requests",
    status_code=201,
    tags=["projects"],
    summary="Request access to a service for a project",
)
async def request_access_for_project(
    caller: Annotated[Caller, Depends(allowed("grant.request_for_project"))],
    grants: GrantsPart,
    consumer_id: ConsumerId,
    project_id: ProjectId,
    asked: ProjectAccessRequest,
    response: Response,
) -> GrantView:
    """Request access to a service for the keys of one project."""
    return _one(await grants.request(caller.actor, consumer_id, asked.service, asked.note, project_id), response)


@router.get("/consumers/{consumer_id}/grants", summary="List a consumer's grants")
async def list_grants(
    caller: Annotated[Caller, Depends(allowed("grant.list"))],
    grants: GrantsPart,
    consumer_id: ConsumerId,
    status: Annotated[GrantStatus | None, Query(description="Only grants with this status.")] = None,
    project_id: Annotated[str | None, Query(description="Only grants that this project's keys may use.")] = None,
    limit: PageSize = 20,
    cursor: Cursor = None,
) -> GrantsView:
    """List the services that the consumer may use or has requested. Members of a project must pass `project_id`."""
    return _list(await grants.page(consumer_id, status, project_id, limit, cursor))


@router.get("/consumers/{consumer_id}/grants/{service_id}", summary="Read a grant")
async def read_grant(
    caller: Annotated[Caller, Depends(allowed("grant.read"))],
    grants: GrantsPart,
    consumer_id: ConsumerId,
    service_id: ServiceId,
    response: Response,
    project_id: Annotated[
        str | None, Query(description="Only if this project's keys may use the service; else 404.")
    ] = None,
) -> GrantView:
    """Read the consumer's access to one service. Members of a project must pass `project_id`."""
    return _one(await grants.read(consumer_id, service_id, project_id), response)


@router.delete("/consumers/{consumer_id}/grants/{service_id}", summary="Leave a service")
async def leave_service(
    caller: Annotated[Caller, Depends(allowed("grant.leave"))],
    grants: GrantsPart,
    consumer_id: ConsumerId,
    service_id: ServiceId,
    response: Response,
    if_match: IfMatch = None,
) -> GrantView:
    """Give up access to the service, or withdraw the request for it. Keys lose the service at once; access can be
    requested again."""
    return _one(await grants.leave(caller.actor, consumer_id, service_id, if_match), response)


@router.put("/consumers/{consumer_id}/grants/{service_id}/projects", summary="Restrict a grant to projects")
async def restrict_grant_to_projects(
    caller: Annotated[Caller, Depends(allowed("grant.restrict"))],
    grants: GrantsPart,
    consumer_id: ConsumerId,
    service_id: ServiceId,
    projects: GrantProjects,
    response: Response,
    if_match: IfMatch = None,
) -> GrantView:
    """Set which projects' keys may use the service."""
    stored = await grants.restrict_to_projects(caller.actor, consumer_id, service_id, projects.project_ids, if_match)
    return _one(stored, response)


@router.get("/admin/access-requests", summary="List open access requests")
async def list_access_requests(
    caller: Annotated[Caller, Depends(allowed("grant.review"))],
    grants: GrantsPart,
    limit: PageSize = 20,
    cursor: Cursor = None,
) -> AccessRequests:
    """List the access requests that wait for a decision, oldest first."""
    page = await grants.queue(limit, cursor)
    items = [AdminGrantView.model_validate(stored.value.model_dump()) for stored in page.items]
    return AccessRequests(items=items, next_cursor=page.cursor)


@router.post("/admin/consumers/{consumer_id}/grants/{service_id}/approve", summary="Approve an access request")
async def approve_grant(
    caller: Annotated[Caller, _DECIDER],
    grants: GrantsPart,
    consumer_id: ConsumerId,
    service_id: ServiceId,
    decision: GrantApproval,
    response: Response,
) -> AdminGrantView:
    """Approve an access request. The consumer is notified by e-mail."""
    return _admins(await grants.approve(caller.actor, consumer_id, service_id, decision.reason), response)


@router.post("/admin/consumers/{consumer_id}/grants/{service_id}/deny", summary="Deny an access request")
async def deny_grant(
    caller: Annotated[Caller, _DECIDER],
    grants: GrantsPart,
    consumer_id: ConsumerId,
    service_id: ServiceId,
    decision: DecisionReason,
    response: Response,
) -> AdminGrantView:
    """Deny an access request. The consumer is notified by e-mail, and may request access again."""
    return _admins(await grants.deny(caller.actor, consumer_id, service_id, decision.reason), response)


@router.post("/admin/consumers/{consumer_id}/grants/{service_id}/withdraw", summary="Withdraw a grant")
async def withdraw_grant(
    caller: Annotated[Caller, _DECIDER],
    grants: GrantsPart,
    consumer_id: ConsumerId,
    service_id: ServiceId,
    decision: DecisionReason,
    response: Response,
) -> AdminGrantView:
    """Withdraw an approval. All keys of the consumer lose the service at once. The consumer is notified by e-mail, and
    may request access again."""
    return _admins(await grants.withdraw(caller.actor, consumer_id, service_id, decision.reason), response)


def _list(page: Page[Stored[Grant]]) -> GrantsView:
    items = [GrantView.model_validate(stored.value.model_dump()) for stored in page.items]
    return GrantsView(items=items, next_cursor=page.cursor)


def _one(stored: Stored[Grant], response: Response) -> GrantView:
    response.headers["ETag"] = entity_tag(stored.etag)
    return GrantView.model_validate(stored.value.model_dump())


def _admins(stored: Stored[Grant], response: Response) -> AdminGrantView:
    response.headers["ETag"] = entity_tag(stored.etag)
    return AdminGrantView.model_validate(stored.value.model_dump())
