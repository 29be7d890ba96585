"""`/api/v1/usage`: what the holder of an API key used. The key is the authorisation, and sees its own usage only."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Annotated, Any, cast, get_args

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Security
from pydantic import AfterValidator, AwareDatetime, Field

from shared.access.gate.service import Holder
from shared.kernel.clock import format_time
from shared.kernel.http.fields import NextCursor, Timestamp
from shared.kernel.http.parameters import Cursor
from shared.kernel.http.provided import Now, parts_of, provided
from shared.kernel.http.schemas import View
from shared.metering.consume.routes import bearer, own_header
from shared.metering.counters import Bucket
from shared.metering.events import encode_event
from shared.metering.parts import MeteringParts
from shared.metering.store import TIME_GROUPS, GroupBy, SummaryGroup, UsageQueries

router = APIRouter(tags=["usage"])


async def holder(
    request: Request, _key: Annotated[object, Security(own_header)], _token: Annotated[object, Security(bearer)]
) -> Holder:
    """Either way of sending the key is for the description only: `identify` reads the headers itself."""
    return await parts_of(request, MeteringParts).consume.identify(request.headers)


CurrentHolder = Annotated[Holder, Depends(holder)]
UsageQueriesPart = Annotated[UsageQueries, Depends(provided(MeteringParts, lambda metering: metering.queries))]


class UsageSums(View):
    """Sums of usage."""

    requests: int
    """Number of requests."""
    events: int
    """Number of usage events."""
    request_bytes: int
    """Bytes of request bodies."""
    response_bytes: int
    """Bytes of response bodies."""
    executions: int
    """Number of executions."""
    duration_ms: int
    """Duration of the work in milliseconds."""
    quantity: str
    """Sum of the events' quantities, a decimal as text."""
    status: dict[str, int]
    """Number of requests by HTTP status."""


class UsageGroup(UsageSums):
    """Usage of one group. Dimensions that are not grouped by are null."""

    service: str | None
    """Id of the service."""
    api_key: str | None
    """Id of the key."""
    start: Timestamp | None
    """Start of the hour, day or month, UTC; null if usage is not grouped by time."""


class UsageSummary(View):
    """Usage of one key."""

    start: Annotated[Timestamp, Field(alias="from")]
    """Start of the range, UTC, included."""
    to: Timestamp
    """End of the range, excluded."""
    group_by: list[GroupBy]
    """Dimensions that usage is grouped by."""
    items: list[UsageGroup]
    """Groups."""
    total: UsageSums
    """Sum of all groups."""


class UsageEvents(View):
    """A page of raw usage events (CloudEvents 1.0), as they were counted."""

    items: list[dict[str, Any]]
    """Usage events, each with the attributes that AMS adds: `consumerid`, `apikeyid`, `serviceid`, `merchantid`,
    `projectid` and `receivedat`."""
    next_cursor: NextCursor


def _split(group_by: str) -> list[GroupBy]:
    return cast("list[GroupBy]", [part for part in group_by.split(",") if part])


def _check_group_by(text: str) -> str:
    parts = _split(text)
    unknown = [part for part in parts if part not in get_args(GroupBy)]
    if unknown or len(set(parts)) != len(parts):
        raise ValueError(f"must be different ones of {', '.join(get_args(GroupBy))}, separated by commas")
    if sum(part in TIME_GROUPS for part in parts) > 1:
        raise ValueError("must name at most one of hour, day, month")
    return text


@router.get("/usage/summary", summary="Summarize a key's usage")
async def summarize_usage(
    holder: CurrentHolder,
    queries: UsageQueriesPart,
    now: Now,
    start: Annotated[
        AwareDatetime | None,
        Query(
            alias="from",
            description="Start of the range, included, in whole quarter hours. Default: start of the current UTC"
            " month.",
        ),
    ] = None,
    to: Annotated[
        AwareDatetime | None,
        Query(
            description="End of the range, excluded, in whole quarter hours. Default: end of the current quarter hour."
        ),
    ] = None,
    group_by: Annotated[
        str,
        AfterValidator(_check_group_by),
        Query(
            description="Dimensions to group by, separated by commas: any of `service`, `api_key`, and at most one"
            " of `hour`, `day`, `month`.",
            examples=["service,day"],
        ),
    ] = "service",
) -> UsageSummary:
    """Read sums of this key's usage, in whole quarter hours. New usage is included within seconds."""
    start = start or now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    to = to or now.replace(minute=now.minute // 15 * 15, second=0, microsecond=0) + timedelta(minutes=15)
    groups = _split(group_by)
    found = await queries.summary(holder.consumer, holder.key.id, start, to, groups)
    return UsageSummary(
        start=format_time(start),
        to=format_time(to),
        group_by=groups,
        items=[_group(group) for group in found],
        total=_total(found),
    )


@router.get("/usage/events", summary="List a key's usage events")
async def list_usage_events(
    holder: CurrentHolder,
    queries: UsageQueriesPart,
    day: Annotated[date, Query(alias="date", description="Day of the events (UTC).")],
    limit: Annotated[int, Query(ge=1, le=1000, description="Maximum number of events in a page.")] = 100,
    cursor: Cursor = None,
) -> UsageEvents:
    """List this key's usage events of one day, ordered by time. A page may be short without being the last one."""
    page = await queries.records(holder.consumer, holder.key.id, day, limit, cursor)
    items = [msgspec.json.decode(encode_event(event)) for event in page.items]
    return UsageEvents(items=items, next_cursor=page.cursor)


def _sums(bucket: Bucket) -> dict[str, Any]:
    return {name: getattr(bucket, name) for name in UsageSums.model_fields}


def _group(group: SummaryGroup) -> UsageGroup:
    return UsageGroup(service=group.service_id, api_key=group.api_key_id, start=group.start, **_sums(group.sums))


def _total(groups: Sequence[SummaryGroup]) -> UsageSums:
    total = Bucket()
    for group in groups:
        total.add(group.sums)
    return UsageSums(**_sums(total))
