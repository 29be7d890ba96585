"""The views that are the same for everybody, made from sums: each as JSON, or its items as CSV."""

from collections.abc import Awaitable, Callable
from datetime import datetime

from fastapi.responses import StreamingResponse

from shared.kernel.clock import format_time
from shared.metering.views.figures import Figures, changes_percent, distribution, figures, spikes
from shared.metering.views.routes.parameters import (
    DistributionShare,
    Range,
    SpikeItem,
    UsageDistribution,
    UsageSpikes,
    UsageTrend,
    UsageTrendItem,
    csv_table,
    items,
    range_fields,
)
from shared.metering.views.selection import SummedUsage, UsageSelection
from shared.metering.views.spikes import DAYS_MIN
from shared.metering.windows import before

Sums = Callable[[UsageSelection], Awaitable[SummedUsage]]
"""Somebody's usage."""

METHOD = "robust z-score: (requests - median) / spread, spread = 1.4826 * MAD, or 1.2533 * mean deviation if MAD is 0"


async def trend_answer(
    sums: Sums, asked: Range, selection: UsageSelection, *, csv: bool
) -> UsageTrend | StreamingResponse:
    window = asked.window()
    current, earlier = await sums(UsageSelection(window, (), selection.only)), before(window)
    previous = await sums(UsageSelection(earlier, (), selection.only))

    def row(period: str, of: SummedUsage, start: str, to: str) -> Figures:
        return {"period": period, "from": start, "to": to, **figures(of.total)}

    rows = [
        row("current", current, format_time(window.start), format_time(window.end)),
        row("previous", previous, format_time(earlier.start), format_time(earlier.end)),
    ]
    as_of = min(current.as_of, previous.as_of)
    if csv:
        return csv_table("usage-trend", window, as_of, UsageTrendItem, rows)
    change = changes_percent(current.total, previous.total)
    return UsageTrend(**range_fields(window, as_of), items=items(UsageTrendItem, rows), change_percent=change)


async def distribution_answer(
    sums: Sums, asked: Range, selection: UsageSelection, *, csv: bool
) -> UsageDistribution | StreamingResponse:
    window = asked.window("hour")
    summed = await sums(UsageSelection(window, (), selection.only))
    rows = distribution(summed, window)
    if csv:
        return csv_table("usage-distribution", window, summed.as_of, DistributionShare, rows)
    return UsageDistribution(**range_fields(window, summed.as_of), items=items(DistributionShare, rows))


async def spikes_answer(
    sums: Sums, asked: Range, selection: UsageSelection, threshold: float, now: datetime, *, csv: bool
) -> UsageSpikes | StreamingResponse:
    window = asked.window("day")
    summed = await sums(UsageSelection(window, (), selection.only))
    found = spikes(summed, window, threshold, now)
    if csv:
        return csv_table("usage-spikes", window, summed.as_of, SpikeItem, found.rows)
    return UsageSpikes(
        **range_fields(window, summed.as_of),
        method=METHOD,
        threshold=threshold,
        days_min=DAYS_MIN,
        days=found.days,
        median=found.scores.median,
        spread=found.scores.spread,
        items=items(SpikeItem, found.rows),
    )
