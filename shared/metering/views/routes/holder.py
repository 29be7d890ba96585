"""`/api/v1/usage`: what the holder of an API key used. The key is the authorisation, and sees its own usage only."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Annotated, Any, cast, get_args

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Security
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from shared.access.gate.service import Holder
from shared.kernel.clock import format_time, utc_now
from shared.kernel.http.parameters import Cursor
from shared.kernel.http.provided import parts_of, provided
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


class UsageSums(BaseModel):
    """Sums over a group. `status` counts requests by HTTP status, `quantity` is a decimal as text."""

    model_config = ConfigDict(frozen=True)

    requests: int
    events: int
    request_bytes: int
    response_bytes: int
    executions: int
    duration_ms: int
    quantity: str
    status: dict[str, int]


class UsageGroup(UsageSums):
    """`start` is the first moment of the hour, day or month. What was not grouped by is null."""

    service: str | None
    api_key: str | None
    start: str | None


class UsageSummary(BaseModel):
    """`to` is exclusive. `total` sums all items."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    start: Annotated[str, Field(alias="from")]
    to: str
    group_by: list[GroupBy]
    items: list[UsageGroup]
    total: UsageSums


class UsageEvents(BaseModel):
    """Raw usage events (CloudEvents 1.0) as they were counted. `next_cursor` is null on the last page."""

    model_config = ConfigDict(frozen=True)

    items: list[dict[str, Any]]
    next_cursor: str | None


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


@router.get("/usage/summary")
async def summarize_usage(
    holder: CurrentHolder,
    queries: UsageQueriesPart,
    start: Annotated[AwareDatetime | None, Query(alias="from", description="Default: start of this UTC month")] = None,
    to: Annotated[AwareDatetime | None, Query(description="Exclusive. Default: end of this quarter hour")] = None,
    group_by: Annotated[str, AfterValidator(_check_group_by), Query(examples=["service,day"])] = "service",
) -> UsageSummary:
    """Sums of this key's usage, in whole quarter hours, fresh within seconds."""
    now = utc_now()
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


@router.get("/usage/events")
async def list_usage_events(
    holder: CurrentHolder,
    queries: UsageQueriesPart,
    day: Annotated[date, Query(alias="date", description="UTC day")],
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Cursor = None,
) -> UsageEvents:
    """This key's raw usage events of a day, by time. A page may be short and still not be the last."""
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
