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
from shared.kernel.http.schemas import DecisionReason, View

router = APIRouter(prefix="/admin/merchants", tags=["merchants"])


class MerchantForAdmins(MerchantView):
    """A merchant, as admins see it."""

    flagged: bool
    """Whether an admin flagged the merchant for review; the merchant does not see this."""
    account_ids: list[str]
    """Ids of the accounts that act for the merchant. They are notified of decisions by e-mail."""


class MerchantList(View):
    """A page of merchants."""

    items: list[MerchantForAdmins]
    """Items of the page."""
    next_cursor: NextCursor


MerchantDecider = Annotated[Caller, Depends(allowed("merchant.decide"))]


def _view(merchant: Merchant) -> MerchantForAdmins:
    return MerchantForAdmins.model_validate(fields(merchant))


def _answer(stored: Stored[Merchant], response: Response) -> MerchantForAdmins:
    response.headers["ETag"] = entity_tag(stored.etag)
    return _view(stored.value)


@router.get("", summary="List all merchants")
async def list_merchants(
    caller: Annotated[Caller, Depends(allowed("merchant.list"))],
    service: MerchantsPart,
    status: Annotated[MerchantStatus | None, Query(description="Only merchants with this status.")] = None,
    flagged: Annotated[
        bool | None, Query(description="`true`: only flagged merchants; `false`: only merchants that are not flagged.")
    ] = None,
    slug: Annotated[
        str | None,
        Query(max_length=63, pattern="^[a-z0-9-]*$", description="Only merchants whose slug starts with this."),
    ] = None,
    limit: PageSize = 20,
    cursor: Cursor = None,
) -> MerchantList:
    """List all merchants, ordered by slug."""
    page = await service.page(status, flagged, slug, limit, cursor)
    return MerchantList(items=[_view(stored.value) for stored in page.items], next_cursor=page.cursor)


@router.get("/{merchant_id}", summary="Read a merchant as an admin")
async def read_merchant_for_admins(
    caller: Annotated[Caller, Depends(allowed("merchant.list"))],
    service: MerchantsPart,
    merchant_id: MerchantId,
    response: Response,
) -> MerchantForAdmins:
    """Read one merchant, with the fields that only admins see."""
    return _answer(await service.read(merchant_id), response)


@router.post("/{merchant_id}/activate", summary="Activate a merchant")
async def activate_merchant(
    caller: MerchantDecider, service: MerchantsPart, merchant_id: MerchantId, why: DecisionReason, response: Response
) -> MerchantForAdmins:
    """Activate a pending merchant, so that it can offer services. The merchant is notified by e-mail."""
    return _answer(await service.decide(caller.actor, merchant_id, "activate", why.reason), response)


@router.post("/{merchant_id}/reject", summary="Reject a merchant")
async def reject_merchant(
    caller: MerchantDecider, service: MerchantsPart, merchant_id: MerchantId, why: DecisionReason, response: Response
) -> MerchantForAdmins:
    """Reject a pending merchant permanently. The merchant is notified by e-mail."""
    return _answer(await service.decide(caller.actor, merchant_id, "reject", why.reason), response)


@router.post("/{merchant_id}/suspend", summary="Suspend a merchant")
async def suspend_merchant(
    caller: MerchantDecider, service: MerchantsPart, merchant_id: MerchantId, why: DecisionReason, response: Response
) -> MerchantForAdmins:
    """Suspend an active merchant: calls to its services are refused at once, and the services leave the catalogue. The
    merchant is notified by e-mail."""
    return _answer(await service.decide(caller.actor, merchant_id, "suspend", why.reason), response)


@router.post("/{merchant_id}/disable", summary="Disable a merchant")
async def disable_merchant(
    caller: MerchantDecider, service: MerchantsPart, merchant_id: MerchantId, why: DecisionReason, response: Response
) -> MerchantForAdmins:
    """Disable an active or suspended merchant for an indefinite time, with the effects of a suspension. The merchant is
    notified by e-mail."""
    return _answer(await service.decide(caller.actor, merchant_id, "disable", why.reason), response)


@router.post("/{merchant_id}/restore", summary="Restore a merchant")
async def restore_merchant(
    caller: MerchantDecider, service: MerchantsPart, merchant_id: MerchantId, why: DecisionReason, response: Response
) -> MerchantForAdmins:
    """Make a suspended or disabled merchant active again. The merchant is notified by e-mail."""
    return _answer(await service.decide(caller.actor, merchant_id, "restore", why.reason), response)


@router.post("/{merchant_id}/flag", summary="Flag a merchant")
async def flag_merchant(
    caller: MerchantDecider, service: MerchantsPart, merchant_id: MerchantId, why: DecisionReason, response: Response
) -> MerchantForAdmins:
    """Flag a merchant for review. The flag has no effect, and only admins see it."""
    return _answer(await service.mark(caller.actor, merchant_id, "flag", why.reason), response)


@router.post("/{merchant_id}/unflag", summary="Unflag a merchant")
async def unflag_merchant(
    caller: MerchantDecider, service: MerchantsPart, merchant_id: MerchantId, why: DecisionReason, response: Response
) -> MerchantForAdmins:
    """Remove the flag from a merchant."""
    return _answer(await service.mark(caller.actor, merchant_id, "unflag", why.reason), response)


@router.post("/{merchant_id}/block-subscriptions", summary="Block new subscriptions to a merchant")
async def block_subscriptions(
    caller: MerchantDecider, service: MerchantsPart, merchant_id: MerchantId, why: DecisionReason, response: Response
) -> MerchantForAdmins:
    """Refuse new access requests to the merchant's services; existing grants remain. The merchant is notified by
    e-mail."""
    return _answer(await service.mark(caller.actor, merchant_id, "block-subscriptions", why.reason), response)


@router.post("/{merchant_id}/allow-subscriptions", summary="Allow new subscriptions to a merchant")
async def allow_subscriptions(
    caller: MerchantDecider, service: MerchantsPart, merchant_id: MerchantId, why: DecisionReason, response: Response
) -> MerchantForAdmins:
    """Accept access requests to the merchant's services again. The merchant is notified by e-mail."""
    return _answer(await service.mark(caller.actor, merchant_id, "allow-subscriptions", why.reason), response)
