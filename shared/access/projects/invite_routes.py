"""Invites into a project, and their acceptance at `/api/v1/project-invites/accept`."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Response
from pydantic import AfterValidator, AwareDatetime, Field

from shared.access.models import ProjectInvite, ProjectRole
from shared.access.parts import AccessParts
from shared.access.projects.invites import ProjectInvites
from shared.identity.guard import allowed
from shared.identity.models import Caller, clean_email
from shared.kernel.documents import Stored
from shared.kernel.http.etags import entity_tag
from shared.kernel.http.fields import ConsumerId, CreatedAt, InviteId, NextCursor, ProjectId
from shared.kernel.http.parameters import Cursor, IfMatch, PageSize
from shared.kernel.http.provided import provided
from shared.kernel.http.schemas import Input, View

router = APIRouter(tags=["projects"])


def _check_email(text: str) -> str:
    email = clean_email(text)
    if email is None:
        raise ValueError("must be an e-mail address")
    return email


class NewProjectInvite(Input):
    """A person to invite, and the role that they get."""

    email: Annotated[str, AfterValidator(_check_email), Field(max_length=254, examples=["moe@example.com"])]
    """E-mail address of the person. Only an account with this verified address can accept."""
    role: Literal["manager", "member"] = "member"
    """Role of the person. The role `owner` is given by a transfer only."""


class ProjectInvitation(View):
    """Answer to an invitation. It is the same whether the person was added or an e-mail was sent, so that it does not
    disclose who has an account."""

    email: str
    """E-mail address of the invited person."""
    role: ProjectRole
    """Role of the person in the project."""


class ProjectInviteView(View):
    """An open invite to a project."""

    id: InviteId
    email: str
    """E-mail address that the invite was sent to."""
    role: ProjectRole
    """Role that the person gets by accepting."""
    created_at: CreatedAt
    expires_at: AwareDatetime
    """Time at which the invite expires."""


class ProjectInvitesView(View):
    """A page of invites."""

    items: list[ProjectInviteView]
    """Items of the page."""
    next_cursor: NextCursor


class InviteAcceptance(Input):
    """An invite to accept."""

    code: Annotated[str, Field(min_length=1, max_length=200)]
    """Code from the link in the e-mail."""


class ProjectMembership(View):
    """Your membership of a project."""

    consumer_id: ConsumerId
    project_id: ProjectId
    role: ProjectRole
    """Your role in the project."""


ProjectInvitesPart = Annotated[ProjectInvites, Depends(provided(AccessParts, lambda access: access.project_invites))]
_LEADER = Depends(allowed("member.invite"))


@router.post(
    "/consumers/{consumer_id}/projects/{project_id}/invites", status_code=202, summary="Invite a person to a project"
)
async def invite_member(
    caller: Annotated[Caller, _LEADER],
    invites: ProjectInvitesPart,
    consumer_id: ConsumerId,
    project_id: ProjectId,
    new: NewProjectInvite,
) -> ProjectInvitation:
    """Invite a person by e-mail address. A person with an account is added at once, everybody else gets a link. The
    answer is the same in both cases."""
    await invites.invite(caller.account, caller.actor, consumer_id, project_id, new.email, new.role)
    return ProjectInvitation(email=new.email, role=new.role)


@router.get("/consumers/{consumer_id}/projects/{project_id}/invites", summary="List a project's invites")
async def list_project_invites(
    caller: Annotated[Caller, _LEADER],
    invites: ProjectInvitesPart,
    consumer_id: ConsumerId,
    project_id: ProjectId,
    limit: PageSize = 20,
    cursor: Cursor = None,
) -> ProjectInvitesView:
    """List the project's open invites."""
    page = await invites.page(consumer_id, project_id, limit, cursor)
    items = [ProjectInviteView.model_validate(stored.value.model_dump()) for stored in page.items]
    return ProjectInvitesView(items=items, next_cursor=page.cursor)


@router.get("/consumers/{consumer_id}/projects/{project_id}/invites/{invite_id}", summary="Read a project's invite")
async def read_project_invite(
    caller: Annotated[Caller, _LEADER],
    invites: ProjectInvitesPart,
    consumer_id: ConsumerId,
    project_id: ProjectId,
    invite_id: InviteId,
    response: Response,
) -> ProjectInviteView:
    """Read one open invite of a project."""
    return _one(await invites.read(consumer_id, project_id, invite_id), response)


@router.delete(
    "/consumers/{consumer_id}/projects/{project_id}/invites/{invite_id}",
    status_code=204,
    summary="Revoke a project's invite",
)
async def revoke_project_invite(
    caller: Annotated[Caller, _LEADER],
    invites: ProjectInvitesPart,
    consumer_id: ConsumerId,
    project_id: ProjectId,
    invite_id: InviteId,
    if_match: IfMatch = None,
) -> None:
    """Revoke an invite; its link stops working."""
    await invites.revoke(caller.actor, consumer_id, project_id, invite_id, if_match)


@router.post(
    "/project-invites/accept",
    responses={404: {"description": "The invite does not exist, or is not for your address."}},
    summary="Accept an invite to a project",
)
async def accept_project_invite(
    caller: Annotated[Caller, Depends(allowed("member.accept"))],
    invites: ProjectInvitesPart,
    acceptance: InviteAcceptance,
) -> ProjectMembership:
    """Join the project that an invite is for. The invite's address must be the verified address of your account."""
    stored = await invites.accept(caller.actor, caller.account, acceptance.code)
    return ProjectMembership.model_validate(stored.value.model_dump())


def _one(stored: Stored[ProjectInvite], response: Response) -> ProjectInviteView:
    response.headers["ETag"] = entity_tag(stored.etag)
    return ProjectInviteView.model_validate(stored.value.model_dump())
