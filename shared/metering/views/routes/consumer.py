"""`/api/v1/consumers/{consumer_id}/usage`: what a consumer, or one of its projects, used."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import StreamingResponse
from pydantic import Field

from shared.identity.guard import allowed
from shared.identity.models import Caller
from shared.kernel.http.fields import ConsumerId, ProjectId
from shared.kernel.http.parameters import Cursor, PageSize
from shared.kernel.http.problems import not_found
from shared.kernel.http.provided import provided
from shared.metering.events import UsageEvent
from shared.metering.parts import MeteringParts
from shared.metering.views.consumer import ConsumerUsage, RecordFilter, StatusClass
from shared.metering.views.figures import UsageMetric, figures, largest, rows
from shared.metering.views.routes.answers import Sums, trend_answer
from shared.metering.views.routes.consumer_views import (
    ConsumerDayView,
    ConsumerTopItem,
    ConsumerTopView,
    ConsumerUsageItem,
    ConsumerUsageView,
    UsageRecordItem,
    UsageRecordsView,
)
from shared.metering.views.routes.parameters import (
    TABLE,
    Asked,
    Csv,
    UsageFigures,
    UsageTrend,
    Zone,
    csv_file,
    csv_table,
    day_range,
    grouping,
    items,
    range_fields,
)
from shared.metering.views.selection import Dimension, UsageSelection

router = APIRouter(tags=["usage"])
DIMENSIONS: tuple[Dimension, ...] = ("service", "api_key", "project", "image", "version", "feature")
HOME, PROJECT = "/consumers/{consumer_id}/usage", "/consumers/{consumer_id}/projects/{project_id}/usage"
GROUP_BY = (
    f"Dimensions to group by, separated by commas: any of {', '.join(DIMENSIONS)}, and at most one of hour, day, month."
)


@dataclass(frozen=True, slots=True)
class ConsumerUsageScope:
    """Whose usage is asked for, and what of it."""

    usage: ConsumerUsage
    consumer_id: str
    only: Mapping[Dimension, str]

    @property
    def sums(self) -> Sums:
        return partial(self.usage.sums, self.consumer_id)


ConsumerUsageReader = Annotated[Caller, Depends(allowed("usage.read"))]
LocalDay = Annotated[date, Path(description="Day in `time_zone`.", examples=["2026-03-01"])]


ConsumerUsagePart = Annotated[ConsumerUsage, Depends(provided(MeteringParts, lambda metering: metering.consumer_usage))]


async def scope(
    caller: ConsumerUsageReader,
    usage: ConsumerUsagePart,
    consumer_id: ConsumerId,
    project_id: Annotated[
        ProjectId | None, Field(description="Only usage of this project's keys.")
    ] = None,  # of the path, or of the query: by it the guard decided
    service: Annotated[str | None, Query(max_length=128, description="Only usage of this service, by id.")] = None,
    api_key: Annotated[str | None, Query(max_length=128, description="Only usage with this key, by id.")] = None,
    image: Annotated[str | None, Query(max_length=512, description="Only usage of this container image.")] = None,
    version: Annotated[str | None, Query(max_length=128, description="Only usage of this container version.")] = None,
    feature: Annotated[str | None, Query(max_length=128, description="Only usage of this feature.")] = None,
) -> ConsumerUsageScope:
    if caller.relation != "own" and not project_id:
        raise not_found()  # a member sees their project, and nothing else of the tenant's
    wanted: dict[Dimension, str | None] = {
        "service": service,
        "api_key": api_key,
        "project": project_id or None,
        "image": image,
        "version": version,
        "feature": feature,
    }
    return ConsumerUsageScope(usage, consumer_id, {name: value for name, value in wanted.items() if value is not None})


ConsumerScoped = Annotated[ConsumerUsageScope, Depends(scope)]


def consumer_and_project_route(
    path: str, *, summary: str, **kw: Any
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Serve the same view of a consumer and of one project. `summary` has `{whose}` for either."""

    def add(endpoint: Callable[..., Any]) -> Callable[..., Any]:
        for home, whose in ((HOME, "consumer"), (PROJECT, "project")):
            name = endpoint.__name__.replace("consumer", whose)
            said = summary.format(whose=f"a {whose}'s")
            router.get(home + path, name=name, summary=said, responses=TABLE, **kw)(endpoint)
        return endpoint

    return add


@consumer_and_project_route("", response_model=ConsumerUsageView, summary="Read {whose} usage")
async def read_consumer_usage(
    caller: ConsumerUsageReader,
    scope: ConsumerScoped,
    asked: Asked,
    csv: Csv,
    group_by: Annotated[str, Query(max_length=200, description=GROUP_BY, examples=["service,day"])] = "service",
) -> ConsumerUsageView | StreamingResponse:
    """Usage of the consumer or project, grouped. New usage is included within seconds."""
    by, step = grouping(group_by, DIMENSIONS)
    window = asked.window(step)
    summed = await scope.sums(UsageSelection(window, by, scope.only))
    found = rows(summed, window, by)
    if csv:
        return csv_table("usage", window, summed.as_of, ConsumerUsageItem, found)
    total = UsageFigures.model_validate(figures(summed.total))
    return ConsumerUsageView(**range_fields(window, summed.as_of), items=items(ConsumerUsageItem, found), total=total)


@consumer_and_project_route(
    "/trend", response_model=UsageTrend, summary="Compare {whose} usage with the previous range"
)
async def read_consumer_usage_trend(
    caller: ConsumerUsageReader, scope: ConsumerScoped, asked: Asked, csv: Csv
) -> UsageTrend | StreamingResponse:
    """Usage in the range, and in the equally long range before it."""
    return await trend_answer(scope.sums, asked, UsageSelection(asked.window(), (), scope.only), csv=csv)


@consumer_and_project_route("/top", response_model=ConsumerTopView, summary="Rank {whose} usage")
async def read_consumer_usage_top(
    caller: ConsumerUsageReader,
    scope: ConsumerScoped,
    asked: Asked,
    csv: Csv,
    by: Annotated[
        Literal["service", "api_key", "project", "image", "version", "feature"],
        Query(description="The dimension to rank."),
    ] = "service",
    metric: Annotated[UsageMetric, Query(description="The metric to rank by.")] = "requests",
    limit: PageSize = 10,
) -> ConsumerTopView | StreamingResponse:
    """The services, keys, projects, images, versions or features with the highest value of a metric."""
    window = asked.window()
    summed = await scope.sums(UsageSelection(window, (by,), scope.only))
    found = [
        {by: group.values[0], **figures(group.sums), "share": share} for group, share in largest(summed, metric, limit)
    ]
    if csv:
        return csv_table("usage-top", window, summed.as_of, ConsumerTopItem, found)
    return ConsumerTopView(**range_fields(window, summed.as_of), metric=metric, items=items(ConsumerTopItem, found))


@consumer_and_project_route("/days/{day}", response_model=ConsumerDayView, summary="Read a day of {whose} usage")
async def read_consumer_usage_day(
    caller: ConsumerUsageReader, scope: ConsumerScoped, day: LocalDay, zone: Zone, csv: Csv
) -> ConsumerDayView | StreamingResponse:
    """Usage of one local day by hour and by service."""
    window = day_range(day, zone).window("hour")
    hours = await scope.sums(UsageSelection(window, (), scope.only))
    by_hour = rows(hours, window, ())
    if csv:
        return csv_table("usage-day", window, hours.as_of, ConsumerUsageItem, by_hour)
    services = await scope.sums(UsageSelection(day_range(day, zone).window(), ("service",), scope.only))
    return ConsumerDayView(
        **range_fields(window, hours.as_of),
        items=items(ConsumerUsageItem, by_hour),
        total=UsageFigures.model_validate(figures(hours.total)),
        services=items(ConsumerUsageItem, rows(services, day_range(day, zone).window(), ("service",))),
    )


@consumer_and_project_route(
    "/days/{day}/records", response_model=UsageRecordsView, summary="List {whose} usage records of a day"
)
async def read_consumer_usage_records(
    caller: ConsumerUsageReader,
    scope: ConsumerScoped,
    day: LocalDay,
    zone: Zone,
    csv: Csv,
    status: Annotated[
        StatusClass | None,
        Query(description="Only records with this class of HTTP status; `none`: only records without a status."),
    ] = None,
    limit: PageSize = 50,
    cursor: Cursor = None,
) -> UsageRecordsView | StreamingResponse:
    """Usage records of one local day, ordered by time. `image`, `version` and `feature` do not filter them. A page may
    be short, even empty, without being the last one. CSV has all records."""
    asked, only = day_range(day, zone), scope.only
    record_filter = RecordFilter(
        start=asked.start,
        end=asked.end,
        service_id=only.get("service"),
        api_key_id=only.get("api_key"),
        project_id=only.get("project"),
        status_class=status,
    )
    if csv:
        await scope.usage.records(scope.consumer_id, record_filter, 1, None)  # a fault is said before the file begins
        log = _log(scope.usage.all_records(scope.consumer_id, record_filter))
        return csv_file(f"usage-records-{day}.csv", UsageRecordItem, log)
    page = await scope.usage.records(scope.consumer_id, record_filter, limit, cursor)
    return UsageRecordsView(items=items(UsageRecordItem, map(_record, page.items)), next_cursor=page.cursor)


async def _log(events: AsyncIterator[UsageEvent]) -> AsyncIterator[Mapping[str, object]]:
    async for event in events:
        record = _record(event)
        yield {**record, "metadata": bytes(event.data.metadata).decode() or None}


def _record(event: UsageEvent) -> dict[str, object]:
    data = event.data
    return {
        "id": event.id,
        "source": event.source,
        "time": event.time,
        "received_at": event.received_at,
        "service": event.service_id,
        "api_key": event.api_key_id,
        "project": event.project_id,
        **{name: getattr(data, name) for name in _DATA},
        "metadata": msgspec.json.decode(data.metadata) if bytes(data.metadata) else None,
    }


_DATA = (
    "requests",
    "request_bytes",
    "response_bytes",
    "response_time_ms",
    "status_code",
    "executions",
    "duration_ms",
    "image",
    "version",
    "feature",
    "resource",
    "quantity",
)
