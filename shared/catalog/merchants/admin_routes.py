"""What admins decide about merchants."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from shared.catalog.merchants.routes import MerchantsPart, MerchantView, fields
from shared.catalog.models import Merchant, MerchantStatus
from shared.identity.guard import allowed
from shared.identity.models import Caller
from shared.kernel.documents import Stored
from shared.kernel.http.etags import entity_tag
from shared.kernel.http.fields import MerchantId, NextCursor
from shared.kernel.http.parameters import Cursor, PageSize
from shared.kernel.http.schemas import Reasoned, View

router = APIRouter(prefix="/admin/merchants", tags=["merchants"])


class MerchantForAdmins(MerchantView):
    """A merchant as operators see it."""

    flagged: bool
    """Whether an operator marked it for a closer look; the merchant does not see this."""
    account_ids: list[str]
    """Ids of the accounts that run it, which are told by mail of what is decided."""


class MerchantList(View):
    """A page of merchants."""

    items: list[MerchantForAdmins]
    """The page's items."""
    next_cursor: NextCursor


MerchantDecider = Annotated[Caller, Depends(allowed("merchant.decide"))]


def _view(merchant: Merchant) -> MerchantForAdmins:
    return MerchantForAdmins.model_validate(fields(merchant))


def _answer(stored: Stored[Merchant], response: Response) -> MerchantForAdmins:
    response.headers["ETag"] = entity_tag(stored.etag)
    return _view(stored.value)


@router.get("")
async def list_merchants(
    caller: Annotated[Caller, Depends(allowed("merchant.list"))],
    service: MerchantsPart,
    status: Annotated[MerchantStatus | None, Query(description="Only merchants of this status")] = None,
    flagged: Annotated[bool | None, Query(description="Only merchants that are flagged, or that are not")] = None,
    slug: Annotated[str | None, Query(max_length=63, pattern="^[a-z0-9-]*$", description="What it starts with")] = None,
    limit: PageSize = 20,
    cursor: Cursor = None,
) -> MerchantList:
    """All merchants, by slug."""
    page = await service.page(status, flagged, slug, limit, cursor)
    return MerchantList(items=[_view(stored.value) for stored in page.items], next_cursor=page.cursor)


@router.get("/{merchant_id}")
async def read_merchant_for_admins(
    caller: Annotated[Caller, Depends(allowed("merchant.list"))],
    service: MerchantsPart,
    merchant_id: MerchantId,
    response: Response,
) -> MerchantForAdmins:
    """One merchant, with what only admins see."""
    return _answer(await service.read(merchant_id), response)


@router.post("/{merchant_id}/activate")
async def activate_merchant(
    caller: MerchantDecider, service: MerchantsPart, merchant_id: MerchantId, why: Reasoned, response: Response
) -> MerchantForAdmins:
    """Let a pending merchant offer its services. Its people are told by mail."""
    return _answer(await service.decide(caller.actor, merchant_id, "activate", why.reason), response)


@router.post("/{merchant_id}/reject")
async def reject_merchant(
    caller: MerchantDecider, service: MerchantsPart, merchant_id: MerchantId, why: Reasoned, response: Response
) -> MerchantForAdmins:
    """Turn a pending merchant away, for good. Its people are told by mail."""
    return _answer(await service.decide(caller.actor, merchant_id, "reject", why.reason), response)


@router.post("/{merchant_id}/suspend")
async def suspend_merchant(
    caller: MerchantDecider, service: MerchantsPart, merchant_id: MerchantId, why: Reasoned, response: Response
) -> MerchantForAdmins:
    """Stop an active merchant for a while: calls to its services are refused at once, and they leave the catalogue. Its
    people are told by mail."""
    return _answer(await service.decide(caller.actor, merchant_id, "suspend", why.reason), response)


@router.post("/{merchant_id}/disable")
async def disable_merchant(
    caller: MerchantDecider, service: MerchantsPart, merchant_id: MerchantId, why: Reasoned, response: Response
) -> MerchantForAdmins:
    """Stop an active or suspended merchant, meant to last; the effects are those of a suspension. Its people are told
    by mail."""
    return _answer(await service.decide(caller.actor, merchant_id, "disable", why.reason), response)


@router.post("/{merchant_id}/restore")
async def restore_merchant(
    caller: MerchantDecider, service: MerchantsPart, merchant_id: MerchantId, why: Reasoned, response: Response
) -> MerchantForAdmins:
    """Make a suspended or disabled merchant active again. Its people are told by mail."""
    return _answer(await service.decide(caller.actor, merchant_id, "restore", why.reason), response)


@router.post("/{merchant_id}/flag")
async def flag_merchant(
    caller: MerchantDecider, service: MerchantsPart, merchant_id: MerchantId, why: Reasoned, response: Response
) -> MerchantForAdmins:
    """Mark a merchant for review among admins. This has no effect of its own, and nobody else sees it."""
    return _answer(await service.mark(caller.actor, merchant_id, "flag", why.reason), response)


@router.post("/{merchant_id}/unflag")
async def unflag_merchant(
    caller: MerchantDecider, service: MerchantsPart, merchant_id: MerchantId, why: Reasoned, response: Response
) -> MerchantForAdmins:
    """Take the mark away."""
    return _answer(await service.mark(caller.actor, merchant_id, "unflag", why.reason), response)


@router.post("/{merchant_id}/block-subscriptions")
async def block_subscriptions(
    caller: MerchantDecider, service: MerchantsPart, merchant_id: MerchantId, why: Reasoned, response: Response
) -> MerchantForAdmins:
    """Refuse new access requests to the merchant's services; existing grants go on. Its people are told by mail."""
    return _answer(await service.mark(caller.actor, merchant_id, "block-subscriptions", why.reason), response)


@router.post("/{merchant_id}/allow-subscriptions")
async def allow_subscriptions(
    caller: MerchantDecider, service: MerchantsPart, merchant_id: MerchantId, why: Reasoned, response: Response
) -> MerchantForAdmins:
    """Take access requests again. Its people are told by mail."""
    return _answer(await service.mark(caller.actor, merchant_id, "allow-subscriptions", why.reason), response)
