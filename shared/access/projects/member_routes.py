"""`/api/v1/consumers/{consumer_id}/projects/{project_id}/members`: the people of a project."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Response
from pydantic import AwareDatetime

from shared.access.models import Member, ProjectRole
from shared.access.parts import AccessParts
from shared.access.projects.members import Members
from shared.identity.guard import allowed
from shared.identity.models import Caller
from shared.kernel.documents import Identifier, Stored
from shared.kernel.http.etags import entity_tag
from shared.kernel.http.fields import AccountId, ConsumerId, NextCursor, ProjectId
from shared.kernel.http.parameters import Cursor, IfMatch, PageSize
from shared.kernel.http.provided import provided
from shared.kernel.http.schemas import Input, View

router = APIRouter(tags=["projects"])

GivenRole = Literal["manager", "member"]
"""The owner's role is only given by a transfer."""


class MemberChange(Input):
    """A change of a member's role."""

    role: GivenRole
    """New role of the member. The role `owner` is given by a transfer only."""


class ProjectTransfer(Input):
    """The transfer of a project to a new owner."""

    account_id: Identifier
    """Account id of the member who becomes the owner. The previous owner becomes a manager."""


class MemberView(View):
    """A member of a project."""

    account_id: AccountId
    role: ProjectRole
    """Role of the member. An `owner` or `manager` administers the project; a `member` reads it."""
    name: str
    """Name of the member."""
    email: str | None
    """E-mail address of the member, if it was verified when they joined; otherwise null."""
    joined_at: AwareDatetime
    """Time at which the member joined."""


class MembersView(View):
    """A page of members."""

    items: list[MemberView]
    """Items of the page."""
    next_cursor: NextCursor


MembersPart = Annotated[Members, Depends(provided(AccessParts, lambda access: access.members))]


@router.get("/consumers/{consumer_id}/projects/{project_id}/members", summary="List a project's members")
async def list_members(
    caller: Annotated[Caller, Depends(allowed("member.list"))],
    members: MembersPart,
    consumer_id: ConsumerId,
    project_id: ProjectId,
    limit: PageSize = 20,
    cursor: Cursor = None,
) -> MembersView:
    """List all members of the project."""
    page = await members.page(consumer_id, project_id, limit, cursor)
    items = [MemberView.model_validate(stored.value.model_dump()) for stored in page.items]
    return MembersView(items=items, next_cursor=page.cursor)


@router.get("/consumers/{consumer_id}/projects/{project_id}/members/{account_id}", summary="Read a project's member")
async def read_member(
    caller: Annotated[Caller, Depends(allowed("member.list"))],
    members: MembersPart,
    consumer_id: ConsumerId,
    project_id: ProjectId,
    account_id: AccountId,
    response: Response,
) -> MemberView:
    """Read one member of a project."""
    return _one(await members.read(consumer_id, project_id, account_id), response)


@router.patch("/consumers/{consumer_id}/projects/{project_id}/members/{account_id}", summary="Change a member's role")
async def change_member(
    caller: Annotated[Caller, Depends(allowed("member.update"))],
    members: MembersPart,
    consumer_id: ConsumerId,
    project_id: ProjectId,
    account_id: AccountId,
    change: MemberChange,
    response: Response,
    if_match: IfMatch = None,
) -> MemberView:
    """Make a member a manager, or a manager a member. The owner changes only by a transfer."""
    stored = await members.set_role(caller.actor, consumer_id, project_id, account_id, change.role, if_match)
    return _one(stored, response)


@router.delete(
    "/consumers/{consumer_id}/projects/{project_id}/members/{account_id}",
    status_code=204,
    summary="Remove a project's member",
)
async def remove_member(
    caller: Annotated[Caller, Depends(allowed("member.remove"))],
    members: MembersPart,
    consumer_id: ConsumerId,
    project_id: ProjectId,
    account_id: AccountId,
    if_match: IfMatch = None,
) -> None:
    """Remove a member. They lose access at once, and keys that they created in the project are disabled."""
    await members.remove(caller.actor, consumer_id, project_id, account_id, if_match)


@router.post("/consumers/{consumer_id}/projects/{project_id}/leave", status_code=204, summary="Leave a project")
async def leave_project(
    caller: Annotated[Caller, Depends(allowed("member.leave"))],
    members: MembersPart,
    consumer_id: ConsumerId,
    project_id: ProjectId,
) -> None:
    """Leave the project. Keys that you created in it are disabled. An owner transfers the project first."""
    await members.leave(caller.actor, consumer_id, project_id)


@router.post("/consumers/{consumer_id}/projects/{project_id}/transfer", summary="Transfer a project")
async def transfer_project(
    caller: Annotated[Caller, Depends(allowed("project.transfer"))],
    members: MembersPart,
    consumer_id: ConsumerId,
    project_id: ProjectId,
    transfer: ProjectTransfer,
    response: Response,
) -> MemberView:
    """Make a member the owner of the project; the previous owner becomes a manager. The consumer that pays stays the
    same."""
    return _one(await members.transfer(caller.actor, consumer_id, project_id, transfer.account_id), response)


def _one(stored: Stored[Member], response: Response) -> MemberView:
    response.headers["ETag"] = entity_tag(stored.etag)
    return MemberView.model_validate(stored.value.model_dump())
