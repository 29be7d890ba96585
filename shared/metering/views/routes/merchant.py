"""`/api/v1/merchants/{merchant_id}/usage`: how a merchant's services are used, by consumers who stay pseudonymous."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse

from shared.identity.guard import allowed
from shared.identity.models import Caller
from shared.kernel.http.fields import MerchantId, ServiceId
from shared.kernel.http.parameters import PageSize
from shared.kernel.http.provided import Now, provided
from shared.metering.parts import MeteringParts
from shared.metering.views.figures import UsageMetric, figures, largest
from shared.metering.views.merchant import MerchantUsage
from shared.metering.views.routes.answers import Sums, distribution_answer, spikes_answer, trend_answer
from shared.metering.views.routes.parameters import (
    TABLE,
    Asked,
    Csv,
    Months,
    Range,
    UsageAnswer,
    UsageDistribution,
    UsageFigures,
    UsagePiece,
    UsageSpikes,
    UsageTrend,
    csv_table,
    grouping,
    items,
    range_fields,
)
from shared.metering.views.selection import Dimension, UsageSelection
from shared.metering.views.spikes import THRESHOLD

router = APIRouter(tags=["usage"])
DIMENSIONS: tuple[Dimension, ...] = ("service", "consumer", "api_key", "image", "version", "feature")
HOME, SERVICE = "/merchants/{merchant_id}/usage", "/merchants/{merchant_id}/services/{service_id}/usage"
GROUP_BY = (
    f"Dimensions to group by, separated by commas: any of {', '.join(DIMENSIONS)}, and at most one of hour, day, month."
)
Grouping = Annotated[str, Query(max_length=200, description=GROUP_BY, examples=["consumer,day"])]
SpikeThreshold = Annotated[float, Query(ge=1, le=100, description="Minimum absolute z-score for a day to be listed.")]


class MerchantUsageItem(UsageFigures, UsagePiece):
    """Usage of one group. Dimensions that are not grouped by are null. An empty value is usage without one."""

    service: str | None = None
    """Id of the service."""
    pseudonym: str | None = None
    """Pseudonym of the consumer."""
    api_key: str | None = None
    """Id of the key."""
    key_prefix: str | None = None
    """First characters of the clear key."""
    key_last4: str | None = None
    """Last four characters of the clear key."""
    image: str | None = None
    """Container image, as reported."""
    version: str | None = None
    """Version of the container, as reported."""
    feature: str | None = None
    """Feature, as reported."""


class MerchantUsageView(UsageAnswer):
    """Usage of a merchant's services."""

    items: list[MerchantUsageItem]
    """Groups, ordered by the grouped dimensions."""
    total: UsageFigures
    """Sum of all groups."""


class MerchantTopItem(MerchantUsageItem):
    """One item of a ranking, with its usage."""

    share: float | None
    """Share of the metric's total, from 0 to 1; null if the total is 0."""


class MerchantTopView(UsageAnswer):
    """A ranking by a metric."""

    metric: UsageMetric
    """Metric of the ranking."""
    items: list[MerchantTopItem]
    """Items with the highest values, highest first."""


@dataclass(frozen=True, slots=True)
class MerchantUsageScope:
    """Usage of which services, of all consumers or of one."""

    usage: MerchantUsage
    merchant_id: str
    pseudonym: str | None
    only: Mapping[Dimension, str]

    @property
    def sums(self) -> Sums:
        return partial(self.usage.sums, self.merchant_id, pseudonym=self.pseudonym)


MerchantUsageReader = Annotated[Caller, Depends(allowed("usage.read_merchant"))]


MerchantUsagePart = Annotated[MerchantUsage, Depends(provided(MeteringParts, lambda metering: metering.merchant_usage))]


async def scope(
    usage: MerchantUsagePart,
    merchant_id: MerchantId,
    service: Annotated[str | None, Query(max_length=64, description="Only this service, by id.")] = None,
    pseudonym: Annotated[
        str | None, Query(max_length=64, description="Only usage of the consumer with this pseudonym.")
    ] = None,
    api_key: Annotated[str | None, Query(max_length=128, description="Only usage with this key, by id.")] = None,
) -> MerchantUsageScope:
    wanted: dict[Dimension, str | None] = {"service": service, "api_key": api_key}
    return MerchantUsageScope(
        usage, merchant_id, pseudonym, {name: value for name, value in wanted.items() if value is not None}
    )


MerchantScoped = Annotated[MerchantUsageScope, Depends(scope)]


@router.get(HOME, response_model=MerchantUsageView, responses=TABLE, summary="Read a merchant's usage")
async def read_merchant_usage(
    caller: MerchantUsageReader, scope: MerchantScoped, asked: Asked, csv: Csv, group_by: Grouping = "service"
) -> MerchantUsageView | StreamingResponse:
    """Usage of the merchant's services, grouped. `pseudonym` selects one consumer."""
    return await _summary(scope, asked, group_by, csv=csv)


@router.get(SERVICE, response_model=MerchantUsageView, responses=TABLE, summary="Read a service's usage")
async def read_service_usage(
    caller: MerchantUsageReader,
    usage: MerchantUsagePart,
    merchant_id: MerchantId,
    service_id: ServiceId,
    asked: Asked,
    csv: Csv,
    group_by: Grouping = "day",
    pseudonym: Annotated[
        str | None, Query(max_length=64, description="Only usage of the consumer with this pseudonym.")
    ] = None,
) -> MerchantUsageView | StreamingResponse:
    """Usage of one of the merchant's services, grouped."""
    return await _summary(
        MerchantUsageScope(usage, merchant_id, pseudonym, {"service": service_id}), asked, group_by, csv=csv
    )


@router.get(
    f"{HOME}/months", response_model=MerchantUsageView, responses=TABLE, summary="Read a merchant's usage by month"
)
async def read_merchant_usage_months(
    caller: MerchantUsageReader, scope: MerchantScoped, months: Months, csv: Csv
) -> MerchantUsageView | StreamingResponse:
    """Usage of the merchant's services by calendar month, the current month included."""
    return await _summary(scope, months, "month", csv=csv)


@router.get(f"{HOME}/top", response_model=MerchantTopView, responses=TABLE, summary="Rank a merchant's usage")
async def read_merchant_usage_top(
    caller: MerchantUsageReader,
    scope: MerchantScoped,
    asked: Asked,
    csv: Csv,
    by: Annotated[
        Literal["consumer", "api_key", "service", "image", "version", "feature"],
        Query(description="The dimension to rank."),
    ] = "consumer",
    metric: Annotated[UsageMetric, Query(description="The metric to rank by.")] = "requests",
    limit: PageSize = 10,
) -> MerchantTopView | StreamingResponse:
    """The consumers, keys, services, images, versions or features with the highest value of a metric."""
    selection = UsageSelection(asked.window(), (by,), scope.only)
    named = await scope.usage.pseudonymous(scope.merchant_id, selection, scope.pseudonym)
    found = [{**named.row(selection, group), "share": share} for group, share in largest(named.summed, metric, limit)]
    as_of = named.summed.as_of
    if csv:
        return csv_table("usage-top", selection.window, as_of, MerchantTopItem, found)
    return MerchantTopView(**range_fields(selection.window, as_of), metric=metric, items=items(MerchantTopItem, found))


@router.get(
    f"{HOME}/trend",
    response_model=UsageTrend,
    responses=TABLE,
    summary="Compare a merchant's usage with the previous range",
)
async def read_merchant_usage_trend(
    caller: MerchantUsageReader, scope: MerchantScoped, asked: Asked, csv: Csv
) -> UsageTrend | StreamingResponse:
    """Usage in the range, and in the equally long range before it."""
    return await trend_answer(scope.sums, asked, UsageSelection(asked.window(), (), scope.only), csv=csv)


@router.get(
    f"{HOME}/distribution",
    response_model=UsageDistribution,
    responses=TABLE,
    summary="Read the distribution of a merchant's usage",
)
async def read_merchant_usage_distribution(
    caller: MerchantUsageReader, scope: MerchantScoped, asked: Asked, csv: Csv
) -> UsageDistribution | StreamingResponse:
    """Distribution of requests over hours of the day and status classes, and of events over response times."""
    return await distribution_answer(scope.sums, asked, UsageSelection(asked.window(), (), scope.only), csv=csv)


@router.get(f"{HOME}/spikes", response_model=UsageSpikes, responses=TABLE, summary="Find spikes of a merchant's usage")
async def read_merchant_usage_spikes(
    caller: MerchantUsageReader,
    scope: MerchantScoped,
    asked: Asked,
    csv: Csv,
    now: Now,
    threshold: SpikeThreshold = THRESHOLD,
) -> UsageSpikes | StreamingResponse:
    """Days with unusually many or few requests."""
    return await spikes_answer(
        scope.sums, asked, UsageSelection(asked.window(), (), scope.only), threshold, now, csv=csv
    )


async def _summary(
    scope: MerchantUsageScope, asked: Range, group_by: str, *, csv: bool
) -> MerchantUsageView | StreamingResponse:
    by, step = grouping(group_by, DIMENSIONS)
    selection = UsageSelection(asked.window(step), by, scope.only)
    named = await scope.usage.pseudonymous(scope.merchant_id, selection, scope.pseudonym)
    as_of = named.summed.as_of
    if csv:
        return csv_table("usage", selection.window, as_of, MerchantUsageItem, named.rows(selection))
    return MerchantUsageView(
        **range_fields(selection.window, as_of),
        items=items(MerchantUsageItem, named.rows(selection)),
        total=UsageFigures.model_validate(figures(named.summed.total)),
    )
