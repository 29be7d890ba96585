"""Invites for merchants, by admins."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from pydantic import AwareDatetime, Field

from shared.catalog.merchants.invites import Invites, InviteStatus
from shared.catalog.merchants.models import MerchantInvite
from shared.catalog.parts import CatalogParts
from shared.identity.guard import allowed
from shared.identity.models import Caller, Email
from shared.kernel.documents import Stored
from shared.kernel.http.etags import entity_tag
from shared.kernel.http.fields import CreatedAt, InviteId, NextCursor
from shared.kernel.http.parameters import Cursor, IfMatch, PageSize
from shared.kernel.http.provided import Now, provided
from shared.kernel.http.schemas import Input, View

router = APIRouter(prefix="/admin/invites", tags=["invites"])


class NewMerchantInvite(Input):
    """An invite to become a merchant."""

    email: Annotated[Email | None, Field(examples=["sales@example.com"])] = None
    """E-mail address that the invite is sent to; only an account with this verified address can use it. Null lets
    everybody who has the code use it."""
    note: Annotated[str, Field(max_length=500)] = ""
    """Note for the list of invites; only admins see it."""
    days: Annotated[int | None, Field(ge=1, le=90)] = None
    """Number of days until the invite expires; null is the platform's setting."""


class MerchantInviteView(View):
    """An invite to become a merchant."""

    id: str
    """Id of the invite, a hash of its code. The code itself is not stored."""
    status: InviteStatus
    """Status of the invite. Only an `open` invite can be used."""
    email: str | None
    """E-mail address whose account can use the invite; null lets everybody who has the code use it."""
    note: str
    """Note of the admin for the list of invites; empty is none."""
    created_by: str
    """Id of the account that created the invite."""
    created_at: CreatedAt
    expires_at: AwareDatetime
    """Time at which the invite expires."""
    accepted_by: str | None
    """Id of the account that used the invite; null until then."""
    merchant_id: str | None
    """Id of the merchant that registered with the invite; null until then."""


class MerchantInviteWithCode(MerchantInviteView):
    """An invite with its code."""

    code: str
    """Code for the registration, only in this answer."""


class MerchantInviteList(View):
    """A page of invites."""

    items: list[MerchantInviteView]
    """Items of the page."""
    next_cursor: NextCursor


InvitesPart = Annotated[Invites, Depends(provided(CatalogParts, lambda catalog: catalog.invites))]


def _view(invite: MerchantInvite, now: datetime) -> MerchantInviteView:
    status: InviteStatus = "expired" if invite.expired(now) else invite.status
    return MerchantInviteView.model_validate({**invite.model_dump(), "status": status})


def _answer(stored: Stored[MerchantInvite], response: Response, now: datetime) -> MerchantInviteView:
    response.headers["ETag"] = entity_tag(stored.etag)
    return _view(stored.value, now)


@router.post("", status_code=201, summary="Invite a merchant")
async def create_merchant_invite(
    caller: Annotated[Caller, Depends(allowed("invite.create"))],
    service: InvitesPart,
    now: Now,
    body: NewMerchantInvite,
    response: Response,
) -> MerchantInviteWithCode:
    """Invite a merchant. The code is only in this answer, and in the e-mail if the invite has an address."""
    email = None if body.email is None else body.email.lower()
    stored, code = await service.create(caller.actor, email, body.note, body.days)
    return MerchantInviteWithCode(**_answer(stored, response, now).model_dump(), code=code)


@router.get("", summary="List all invites of merchants")
async def list_merchant_invites(
    caller: Annotated[Caller, Depends(allowed("invite.list"))],
    service: InvitesPart,
    now: Now,
    status: Annotated[InviteStatus | None, Query(description="Only invites with this status.")] = None,
    limit: PageSize = 20,
    cursor: Cursor = None,
) -> MerchantInviteList:
    """List all invites of merchants, newest first."""
    page = await service.page(status, limit, cursor)
    return MerchantInviteList(items=[_view(invite, now) for invite in page.items], next_cursor=page.cursor)


@router.get("/{invite_id}", summary="Read an invite of a merchant")
async def read_merchant_invite(
    caller: Annotated[Caller, Depends(allowed("invite.list"))],
    service: InvitesPart,
    now: Now,
    invite_id: InviteId,
    response: Response,
) -> MerchantInviteView:
    """Read one invite of a merchant."""
    return _answer(await service.read(invite_id), response, now)


@router.post("/{invite_id}/revoke", summary="Revoke an invite of a merchant")
async def revoke_merchant_invite(
    caller: Annotated[Caller, Depends(allowed("invite.revoke"))],
    service: InvitesPart,
    now: Now,
    invite_id: InviteId,
    response: Response,
    if_match: IfMatch = None,
) -> MerchantInviteView:
    """Revoke an invite, so that nobody can use it."""
    return _answer(await service.revoke(caller.actor, invite_id, if_match), response, now)
