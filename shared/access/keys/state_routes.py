"""`/api/v1/consumers/{consumer_id}/keys/{key_id}/…`: keys stopped and rotated; and what operators see and do."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from pydantic import Field

from shared.access.keys.rotation import OVERLAP_HOURS, Rotation
from shared.access.keys.routes import KeysPart, Wanted, key_view, page_view, shown_view
from shared.access.keys.views import KeysView, KeyView, ShownKeyView
from shared.access.parts import AccessParts
from shared.identity.guard import allowed
from shared.identity.models import Caller
from shared.kernel.http.fields import ConsumerId, KeyId
from shared.kernel.http.parameters import Cursor, IfMatch, PageSize
from shared.kernel.http.provided import provided
from shared.kernel.http.schemas import DecisionReason, Input

router = APIRouter(tags=["keys"])


class KeyDisabling(Input):
    """The disabling of a key."""

    reason: Annotated[str, Field(min_length=1, max_length=1_000)] | None = None
    """Reason for the audit log and for people who read the key; null is none."""


class KeyRotation(Input):
    """The rotation of a key's secret."""

    overlap_hours: Annotated[int, Field(ge=0, le=8_760)] = OVERLAP_HOURS
    """Hours for which the previous secret keeps working; limited by the platform's settings."""


RotationPart = Annotated[Rotation, Depends(provided(AccessParts, lambda access: access.rotation))]


@router.post("/consumers/{consumer_id}/keys/{key_id}/disable", summary="Disable a key")
async def disable_key(
    caller: Annotated[Caller, Depends(allowed("key.set_enabled"))],
    keys: KeysPart,
    consumer_id: ConsumerId,
    key_id: KeyId,
    stop: KeyDisabling,
    response: Response,
) -> KeyView:
    """Refuse calls with the key until it is enabled again."""
    return key_view(await keys.disable(caller.actor, consumer_id, key_id, stop.reason), response)


@router.post("/consumers/{consumer_id}/keys/{key_id}/enable", summary="Enable a key")
async def enable_key(
    caller: Annotated[Caller, Depends(allowed("key.set_enabled"))],
    keys: KeysPart,
    consumer_id: ConsumerId,
    key_id: KeyId,
    response: Response,
) -> KeyView:
    """Accept calls with the key again. Rotate it first if its secret may be known to others."""
    return key_view(await keys.enable(caller.actor, consumer_id, key_id), response)


@router.post("/consumers/{consumer_id}/keys/{key_id}/revoke", summary="Revoke a key")
async def revoke_key(
    caller: Annotated[Caller, Depends(allowed("key.revoke"))],
    keys: KeysPart,
    consumer_id: ConsumerId,
    key_id: KeyId,
    decision: DecisionReason,
    response: Response,
) -> KeyView:
    """Revoke the key permanently. This cannot be undone."""
    return key_view(await keys.revoke(caller.actor, consumer_id, key_id, decision.reason), response)


@router.post("/consumers/{consumer_id}/keys/{key_id}/rotate", summary="Rotate a key's secret")
async def rotate_key(
    caller: Annotated[Caller, Depends(allowed("key.rotate"))],
    rotation: RotationPart,
    consumer_id: ConsumerId,
    key_id: KeyId,
    key_filter: KeyRotation,
    response: Response,
    if_match: IfMatch = None,
) -> ShownKeyView:
    """Create a new secret for the key, shown only in this answer. The previous secret keeps working for
    `overlap_hours`; any older one stops at once. `ttl_days` starts again."""
    overlap = key_filter.overlap_hours
    shown = await rotation.rotate(caller.actor, caller.account, consumer_id, key_id, overlap, if_match)
    return shown_view(shown, response)


@router.get("/admin/consumers/{consumer_id}/keys", summary="List any consumer's keys")
async def list_consumer_keys(
    caller: Annotated[Caller, Depends(allowed("key.list_any"))],
    keys: KeysPart,
    consumer_id: ConsumerId,
    key_filter: Wanted,
    limit: PageSize = 20,
    cursor: Cursor = None,
) -> KeysView:
    """List the API keys of any consumer, for admins. A page may be short without being the last one."""
    return page_view(await keys.page(consumer_id, key_filter, limit, cursor))


@router.post("/admin/consumers/{consumer_id}/keys/{key_id}/force-rotate", summary="Force the rotation of a key")
async def force_key_rotation(
    caller: Annotated[Caller, Depends(allowed("key.force_rotate"))],
    rotation: RotationPart,
    consumer_id: ConsumerId,
    key_id: KeyId,
    decision: DecisionReason,
    response: Response,
) -> KeyView:
    """Invalidate all secrets of a key at once. Its owner is notified by e-mail and creates a new one by rotating the
    key."""
    return key_view(await rotation.force(caller.actor, consumer_id, key_id, decision.reason), response)
