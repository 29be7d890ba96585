"""Access requests and grants: the consumer's at `/api/v1/consumers/{consumer_id}`, the rest at `/api/v1/admin`."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from pydantic import AwareDatetime, Field

from shared.access.grants.service import Grants
from shared.access.models import Grant, GrantStatus
from shared.access.parts import AccessParts
from shared.identity.guard import allowed
from shared.identity.models import Caller
from shared.kernel.documents import Held, Identifier
from shared.kernel.http.etags import entity_tag
from shared.kernel.http.fields import ConsumerId, ProjectId, ServiceId
from shared.kernel.http.paging import Page
from shared.kernel.http.parameters import Cursor, IfMatch, PageSize
from shared.kernel.http.provided import provided
from shared.kernel.http.schemas import Input, Reasoned, View

router = APIRouter(tags=["access"])

Note = Annotated[str, Field(max_length=2_000, description="For whoever decides")]


class ProjectAccessRequest(Input):
    """`service` is a slug or an id."""

    service: Annotated[str, Field(min_length=1, max_length=64)]
    note: Note = ""


class AccessRequest(ProjectAccessRequest):
    """With `project_id`, only that project's keys may use the service."""

    project_id: Identifier | None = None


class GrantApproval(Input):
    reason: Annotated[str, Field(max_length=1_000)] | None = None


class GrantProjects(Input):
    """Only keys of these projects may use the service; keys of any, and of none, when it is empty."""

    project_ids: Annotated[tuple[Identifier, ...], Field(max_length=1_000)]


class GrantView(View):
    """A consumer's access to a service. `status` is the platform's decision, `restricted` the merchant's. `reason` says
    why it is what it is."""

    service_id: str
    merchant_id: str | None
    status: GrantStatus
    restricted: bool
    project_ids: list[str]
    note: str
    reason: str | None
    requested_at: AwareDatetime | None
    decided_at: AwareDatetime | None


class GrantsView(View):
    items: list[GrantView]
    next_cursor: str | None


class AdminGrantView(GrantView):
    consumer_id: str


class AccessRequests(View):
    items: list[AdminGrantView]
    next_cursor: str | None


GrantsPart = Annotated[Grants, Depends(provided(AccessParts, lambda access: access.grants))]
_DECIDER = Depends(allowed("grant.decide"))


@router.post("/consumers/{consumer_id}/access-requests", status_code=201)
async def request_access(
    caller: Annotated[Caller, Depends(allowed("grant.request"))],
    grants: GrantsPart,
    consumer_id: ConsumerId,
    asked: AccessRequest,
    response: Response,
) -> GrantView:
    """Ask for a service. The answer's `status` is `approved` when service and platform approve at once."""
    held = await grants.request(caller.actor, consumer_id, asked.service, asked.note, asked.project_id)
    return _one(held, response)


@router.post("/consumers/{consumer_id}/projects/{project_id}/access-requests", status_code=201, tags=["projects"])
async def request_access_for_project(
    caller: Annotated[Caller, Depends(allowed("grant.request_for_project"))],
    grants: GrantsPart,
    consumer_id: ConsumerId,
    project_id: ProjectId,
    asked: ProjectAccessRequest,
    response: Response,
) -> GrantView:
    """Ask for a service for the keys of one project."""
    return _one(await grants.request(caller.actor, consumer_id, asked.service, asked.note, project_id), response)


@router.get("/consumers/{consumer_id}/grants")
async def list_grants(
    caller: Annotated[Caller, Depends(allowed("grant.list"))],
    grants: GrantsPart,
    consumer_id: ConsumerId,
    status: GrantStatus | None = None,
    project_id: Annotated[str | None, Query(description="Only what this project's keys may use")] = None,
    limit: PageSize = 20,
    cursor: Cursor = None,
) -> GrantsView:
    """What the consumer asked for and may use. People of a project name it as `project_id`."""
    return _list(await grants.page(consumer_id, status, project_id, limit, cursor))


@router.get("/consumers/{consumer_id}/grants/{service_id}")
async def read_grant(
    caller: Annotated[Caller, Depends(allowed("grant.read"))],
    grants: GrantsPart,
    consumer_id: ConsumerId,
    service_id: ServiceId,
    response: Response,
    project_id: Annotated[str | None, Query(description="Only if this project's keys may use it")] = None,
) -> GrantView:
    """The consumer's access to one service. People of a project name it as `project_id`."""
    return _one(await grants.read(consumer_id, service_id, project_id), response)


@router.delete("/consumers/{consumer_id}/grants/{service_id}")
async def leave_service(
    caller: Annotated[Caller, Depends(allowed("grant.leave"))],
    grants: GrantsPart,
    consumer_id: ConsumerId,
    service_id: ServiceId,
    response: Response,
    if_match: IfMatch = None,
) -> GrantView:
    """Give the service up, or take a request back. All keys lose the service at once; it may be asked for again."""
    return _one(await grants.leave(caller.actor, consumer_id, service_id, if_match), response)


@router.put("/consumers/{consumer_id}/grants/{service_id}/projects")
async def restrict_grant_to_projects(
    caller: Annotated[Caller, Depends(allowed("grant.restrict"))],
    grants: GrantsPart,
    consumer_id: ConsumerId,
    service_id: ServiceId,
    projects: GrantProjects,
    response: Response,
    if_match: IfMatch = None,
) -> GrantView:
    """Say which projects' keys may use the service."""
    held = await grants.restrict_to_projects(caller.actor, consumer_id, service_id, projects.project_ids, if_match)
    return _one(held, response)


@router.get("/admin/access-requests")
async def list_access_requests(
    caller: Annotated[Caller, Depends(allowed("grant.review"))],
    grants: GrantsPart,
    limit: PageSize = 20,
    cursor: Cursor = None,
) -> AccessRequests:
    """Requests that wait for a decision, oldest first."""
    page = await grants.queue(limit, cursor)
    items = [AdminGrantView.model_validate(held.value.model_dump()) for held in page.items]
    return AccessRequests(items=items, next_cursor=page.cursor)


@router.post("/admin/consumers/{consumer_id}/grants/{service_id}/approve")
async def approve_grant(
    caller: Annotated[Caller, _DECIDER],
    grants: GrantsPart,
    consumer_id: ConsumerId,
    service_id: ServiceId,
    decision: GrantApproval,
    response: Response,
) -> AdminGrantView:
    """Approve a request. The consumer is told by mail."""
    return _admins(await grants.approve(caller.actor, consumer_id, service_id, decision.reason), response)


@router.post("/admin/consumers/{consumer_id}/grants/{service_id}/deny")
async def deny_grant(
    caller: Annotated[Caller, _DECIDER],
    grants: GrantsPart,
    consumer_id: ConsumerId,
    service_id: ServiceId,
    decision: Reasoned,
    response: Response,
) -> AdminGrantView:
    """Deny a request. The consumer is told by mail, and may ask again."""
    return _admins(await grants.deny(caller.actor, consumer_id, service_id, decision.reason), response)


@router.post("/admin/consumers/{consumer_id}/grants/{service_id}/withdraw")
async def withdraw_grant(
    caller: Annotated[Caller, _DECIDER],
    grants: GrantsPart,
    consumer_id: ConsumerId,
    service_id: ServiceId,
    decision: Reasoned,
    response: Response,
) -> AdminGrantView:
    """Take an approval back. All keys lose the service at once. The consumer is told by mail, and may ask again."""
    return _admins(await grants.withdraw(caller.actor, consumer_id, service_id, decision.reason), response)


def _list(page: Page[Held[Grant]]) -> GrantsView:
    items = [GrantView.model_validate(held.value.model_dump()) for held in page.items]
    return GrantsView(items=items, next_cursor=page.cursor)


def _one(held: Held[Grant], response: Response) -> GrantView:
    response.headers["ETag"] = entity_tag(held.etag)
    return GrantView.model_validate(held.value.model_dump())


def _admins(held: Held[Grant], response: Response) -> AdminGrantView:
    response.headers["ETag"] = entity_tag(held.etag)
    return AdminGrantView.model_validate(held.value.model_dump())
