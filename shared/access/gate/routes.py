"""`/api/v1/consumers/{consumer_id}/keys/{key_id}/refusals`: how often a key was refused, and why."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime, Field

from shared.access.gate.refusal_counts import DAYS_KEPT, RefusalCounts
from shared.access.keys.routes import KeysPart
from shared.access.parts import AccessParts
from shared.identity.guard import allowed
from shared.identity.models import Caller
from shared.kernel.http.fields import ConsumerId, KeyId
from shared.kernel.http.problems import invalid_field
from shared.kernel.http.provided import Now, provided
from shared.kernel.http.schemas import View

router = APIRouter(tags=["keys"])

DAYS_SHOWN = 7


class RefusalView(View):
    """Number of calls refused in one hour for one reason."""

    hour: AwareDatetime
    """Start of the hour, UTC."""
    code: str
    """Problem code of the refusal (docs/errors.md)."""
    count: int
    """Number of calls."""


class RefusalsView(View):
    """Refusals of one key by hour and code."""

    first: Annotated[date, Field(alias="from")]
    """First day of the range (UTC), included."""
    to: date
    """Last day of the range (UTC), included."""
    total: int
    """Sum of all counts."""
    items: list[RefusalView]
    """Counts for each hour and code, ordered by hour."""


RefusalsPart = Annotated[RefusalCounts, Depends(provided(AccessParts, lambda access: access.refusal_counts))]


@router.get("/consumers/{consumer_id}/keys/{key_id}/refusals", summary="Read a key's refusals")
async def read_refusals(
    caller: Annotated[Caller, Depends(allowed("key.refusals"))],
    keys: KeysPart,
    refusals: RefusalsPart,
    now: Now,
    consumer_id: ConsumerId,
    key_id: KeyId,
    first: Annotated[
        date | None, Query(alias="from", description="First day of the range (UTC). Default: six days before `to`.")
    ] = None,
    to: Annotated[date | None, Query(description="Last day of the range (UTC), included. Default: today.")] = None,
) -> RefusalsView:
    """Calls with this key that consume refused, counted by hour and code. Counts may be 5 seconds old and are kept for
    40 days."""
    await keys.read(consumer_id, key_id)
    last = to or now.date()
    begin = first or date.fromordinal(max(1, last.toordinal() - DAYS_SHOWN + 1))
    if not 0 <= (last - begin).days <= DAYS_KEPT:
        raise invalid_field("from", f"must be at most {DAYS_KEPT} days before `to`, and not after it")
    found = await refusals.read(consumer_id, key_id, begin, last)
    items = [RefusalView(hour=each.hour, code=each.code, count=each.count) for each in found]
    return RefusalsView(first=begin, to=last, total=sum(each.count for each in found), items=items)
