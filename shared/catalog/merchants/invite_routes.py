"""Invites for merchants, by admins."""

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from pydantic import AwareDatetime, Field

from shared.catalog.merchants.invites import Invites, InviteStatus
from shared.identity.guard import allowed
from shared.identity.models import Caller, Email, MerchantInvite
from shared.kernel.clock import utc_now
from shared.kernel.documents import Held
from shared.kernel.http.etags import entity_tag
from shared.kernel.http.schemas import Input, View

router = APIRouter(prefix="/admin/invites", tags=["invites"])

InviteId = Annotated[str, Path(max_length=64)]


class NewInvite(Input):
    """With `email`, only whoever proves that address can use it, and it goes there by mail. `days` it can be used;
    by default the platform's setting."""

    email: Annotated[Email | None, Field(examples=["sales@example.com"])] = None
    note: Annotated[str, Field(max_length=500, description="For the list; nobody else sees it")] = ""
    days: Annotated[int | None, Field(ge=1, le=90)] = None


class InviteView(View):
    """`id` is a hash of the code, which is not kept."""

    id: str
    status: InviteStatus
    email: str | None
    note: str
    created_by: str
    created_at: AwareDatetime
    expires_at: AwareDatetime
    accepted_by: str | None
    merchant_id: str | None


class InviteWithCode(InviteView):
    """`code` is shown this once."""

    code: str


class InviteList(View):
    items: list[InviteView]
    next_cursor: str | None


async def invites(request: Request) -> Invites:
    return request.app.state.parts.invites  # type: ignore[no-any-return]  # set by create_app


Desk = Annotated[Invites, Depends(invites)]


def _view(invite: MerchantInvite) -> InviteView:
    status: InviteStatus = "expired" if invite.expired(utc_now()) else invite.status
    return InviteView.model_validate({**invite.model_dump(), "status": status})


def _answer(held: Held[MerchantInvite], response: Response) -> InviteView:
    response.headers["ETag"] = entity_tag(held.etag)
    return _view(held.value)


@router.post("", status_code=201)
async def create_invite(
    caller: Annotated[Caller, Depends(allowed("invite.create"))], desk: Desk, body: NewInvite, response: Response
) -> InviteWithCode:
    """Invite a merchant. The code is in the answer this once, and in the mail."""
    email = None if body.email is None else body.email.lower()
    held, code = await desk.create(caller.actor, email, body.note, body.days)
    return InviteWithCode(**_answer(held, response).model_dump(), code=code)


@router.get("")
async def list_invites(
    caller: Annotated[Caller, Depends(allowed("invite.list"))],
    desk: Desk,
    status: InviteStatus | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: str | None = None,
) -> InviteList:
    """All invites, newest first."""
    page = await desk.page(status, limit, cursor)
    return InviteList(items=[_view(invite) for invite in page.items], next_cursor=page.cursor)


@router.get("/{invite_id}")
async def read_invite(
    caller: Annotated[Caller, Depends(allowed("invite.list"))], desk: Desk, invite_id: InviteId, response: Response
) -> InviteView:
    """One invite."""
    return _answer(await desk.read(invite_id), response)


@router.post("/{invite_id}/revoke")
async def revoke_invite(
    caller: Annotated[Caller, Depends(allowed("invite.revoke"))],
    desk: Desk,
    invite_id: InviteId,
    response: Response,
    if_match: Annotated[str | None, Header(description="The ETag that was read")] = None,
) -> InviteView:
    """Nobody can use it any more."""
    return _answer(await desk.revoke(caller.actor, invite_id, if_match), response)
