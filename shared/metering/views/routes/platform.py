"""`/api/v1/admin/usage`: the whole platform's usage."""

from collections.abc import Mapping
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse

from shared.identity.guard import allowed
from shared.identity.models import Caller
from shared.kernel.http.parameters import PageSize
from shared.kernel.http.provided import provided
from shared.metering.parts import MeteringParts
from shared.metering.views.figures import UsageMetric, figures, largest, rows
from shared.metering.views.platform import PlatformUsage
from shared.metering.views.routes.answers import trend_answer
from shared.metering.views.routes.parameters import (
    TABLE,
    Asked,
    Csv,
    Months,
    Range,
    UsageAnswer,
    UsageFigures,
    UsagePiece,
    UsageTrend,
    csv_table,
    grouping,
    items,
    range_fields,
)
from shared.metering.views.selection import Dimension, UsageSelection

router = APIRouter(tags=["usage"])
DIMENSIONS: tuple[Dimension, ...] = ("merchant", "service")
HOME = "/admin/usage"
GROUP_BY = (
    f"Dimensions to group by, separated by commas: any of {', '.join(DIMENSIONS)}, and at most one of hour, day, month."
)


class PlatformUsageItem(UsageFigures, UsagePiece):
    """Usage of one group. Dimensions that are not grouped by are null."""

    merchant: str | None = None
    """Id of the merchant."""
    service: str | None = None
    """Id of the service."""


class PlatformUsageView(UsageAnswer):
    """Usage of the whole platform."""

    items: list[PlatformUsageItem]
    """Groups, ordered by the grouped dimensions."""
    total: UsageFigures
    """Sum of all groups."""


class PlatformTopItem(PlatformUsageItem):
    """One item of a ranking, with its usage."""

    share: float | None
    """Share of the metric's total, from 0 to 1; null if the total is 0."""


class PlatformTopView(UsageAnswer):
    """A ranking by a metric."""

    metric: UsageMetric
    """Metric of the ranking."""
    items: list[PlatformTopItem]
    """Items with the highest values, highest first."""


PlatformUsageReader = Annotated[Caller, Depends(allowed("usage.read_platform"))]


async def asked_filters(
    merchant: Annotated[str | None, Query(max_length=64, description="Only this merchant, by id.")] = None,
    service: Annotated[str | None, Query(max_length=64, description="Only this service, by id.")] = None,
) -> Mapping[Dimension, str]:
    wanted: dict[Dimension, str | None] = {"merchant": merchant, "service": service}
    return {name: value for name, value in wanted.items() if value is not None}


PlatformUsagePart = Annotated[PlatformUsage, Depends(provided(MeteringParts, lambda metering: metering.platform_usage))]
Only = Annotated[Mapping[Dimension, str], Depends(asked_filters)]


@router.get(HOME, response_model=PlatformUsageView, responses=TABLE, summary="Read the platform's usage")
async def read_platform_usage(
    caller: PlatformUsageReader,
    usage: PlatformUsagePart,
    only: Only,
    asked: Asked,
    csv: Csv,
    group_by: Annotated[str, Query(max_length=200, description=GROUP_BY, examples=["merchant,month"])] = "day",
) -> PlatformUsageView | StreamingResponse:
    """Usage of the whole platform, grouped."""
    return await _summary(usage, only, asked, group_by, csv=csv)


@router.get(
    f"{HOME}/months", response_model=PlatformUsageView, responses=TABLE, summary="Read the platform's usage by month"
)
async def read_platform_usage_months(
    caller: PlatformUsageReader, usage: PlatformUsagePart, only: Only, months: Months, csv: Csv
) -> PlatformUsageView | StreamingResponse:
    """Usage of the whole platform by calendar month, the current month included."""
    return await _summary(usage, only, months, "month", csv=csv)


@router.get(f"{HOME}/top", response_model=PlatformTopView, responses=TABLE, summary="Rank the platform's usage")
async def read_platform_usage_top(
    caller: PlatformUsageReader,
    usage: PlatformUsagePart,
    only: Only,
    asked: Asked,
    csv: Csv,
    by: Annotated[Literal["merchant", "service"], Query(description="The dimension to rank.")] = "service",
    metric: Annotated[UsageMetric, Query(description="The metric to rank by.")] = "requests",
    limit: PageSize = 10,
) -> PlatformTopView | StreamingResponse:
    """The merchants or services with the highest value of a metric."""
    window = asked.window()
    summed = await usage.sums(UsageSelection(window, (by,), only))
    found = [
        {by: group.values[0], **figures(group.sums), "share": share} for group, share in largest(summed, metric, limit)
    ]
    if csv:
        return csv_table("usage-top", window, summed.as_of, PlatformTopItem, found)
    return PlatformTopView(**range_fields(window, summed.as_of), metric=metric, items=items(PlatformTopItem, found))


@router.get(
    f"{HOME}/trend",
    response_model=UsageTrend,
    responses=TABLE,
    summary="Compare the platform's usage with the previous range",
)
async def read_platform_usage_trend(
    caller: PlatformUsageReader, usage: PlatformUsagePart, only: Only, asked: Asked, csv: Csv
) -> UsageTrend | StreamingResponse:
    """Usage in the range, and in the equally long range before it."""
    return await trend_answer(usage.sums, asked, UsageSelection(asked.window(), (), only), csv=csv)


async def _summary(
    usage: PlatformUsage, only: Mapping[Dimension, str], asked: Range, group_by: str, *, csv: bool
) -> PlatformUsageView | StreamingResponse:
    by, step = grouping(group_by, DIMENSIONS)
    window = asked.window(step)
    summed = await usage.sums(UsageSelection(window, by, only))
    found = rows(summed, window, by)
    if csv:
        return csv_table("usage", window, summed.as_of, PlatformUsageItem, found)
    total = UsageFigures.model_validate(figures(summed.total))
    return PlatformUsageView(**range_fields(window, summed.as_of), items=items(PlatformUsageItem, found), total=total)
