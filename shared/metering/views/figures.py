"""What a view says of usage that was summed up: figures of a group, the largest groups, trends, spikes, distributions.

Rows are flat, and the same in JSON and CSV.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from shared.kernel.periods import midnight
from shared.metering.counters import LATENCY_BOUNDS_MS, Bucket
from shared.metering.views.percentiles import class_bounds_ms, percentile_ms
from shared.metering.views.selection import Dimension, GroupSums, SummedUsage
from shared.metering.views.spikes import Scores, robust_scores
from shared.metering.windows import Window

UsageMetric = Literal["requests", "request_bytes", "response_bytes", "executions", "duration_ms", "errors"]
METRICS: tuple[UsageMetric, ...] = get_args(UsageMetric)
Figures = dict[str, object]


def figures(sums: Bucket) -> Figures:
    """`error_rate` is the share of requests that were answered with 4xx or 5xx; None without requests. Times are in
    milliseconds, None where no event had one."""
    client, server = _with_status(sums, "4"), _with_status(sums, "5")
    return {
        "requests": sums.requests,
        "events": sums.events,
        "request_bytes": sums.request_bytes,
        "response_bytes": sums.response_bytes,
        "executions": sums.executions,
        "duration_ms": sums.duration_ms,
        "quantity": sums.quantity,
        "errors_4xx": client,
        "errors_5xx": server,
        "error_rate": round((client + server) / sums.requests, 6) if sums.requests else None,
        "mean_ms": round(sums.response_us / sums.timed / 1000, 1) if sums.timed else None,
        "p50_ms": percentile_ms(sums.latency, 50),
        "p95_ms": percentile_ms(sums.latency, 95),
        "p99_ms": percentile_ms(sums.latency, 99),
    }


def rows(summed: SummedUsage, window: Window, by: tuple[Dimension, ...]) -> Iterator[Figures]:
    """One row per group, with what it was grouped by under the dimension's name."""
    for group in summed.groups:
        yield {**dict(zip(by, group.values, strict=True)), **moment(window, group.interval), **figures(group.sums)}


def moment(window: Window, interval: int) -> Figures:
    """`start` in UTC, and `label` as people in the time zone say; nothing without a step."""
    starts = window.starts(interval)
    return {} if starts is None else {"start": starts[0], "label": starts[1]}


def metric_of(sums: Bucket, metric: UsageMetric) -> int:
    if metric == "errors":
        return _with_status(sums, "4") + _with_status(sums, "5")
    return int(getattr(sums, metric))


def largest(summed: SummedUsage, metric: UsageMetric, limit: int) -> list[tuple[GroupSums, float | None]]:
    """The groups with most of `metric`, and their shares of the whole; None when the whole is 0."""
    whole = sum(metric_of(group.sums, metric) for group in summed.groups)
    ordered = sorted(summed.groups, key=lambda group: (-metric_of(group.sums, metric), group.values))
    return [(group, round(metric_of(group.sums, metric) / whole, 6) if whole else None) for group in ordered[:limit]]


def changes_percent(current: Bucket, previous: Bucket) -> dict[str, float | None]:
    """The change of each metric in percent; None where there was nothing before."""
    pairs = {metric: (metric_of(current, metric), metric_of(previous, metric)) for metric in METRICS}
    return {name: round(100 * (new - old) / old, 2) if old else None for name, (new, old) in pairs.items()}


@dataclass(frozen=True, slots=True)
class Spikes:
    """`days` is how many were looked at; `rows` are those whose score is at least the threshold, up or down."""

    days: int
    scores: Scores
    rows: tuple[Figures, ...]


def spikes(summed: SummedUsage, window: Window, threshold: float, now: datetime) -> Spikes:
    """Days whose requests stand out. Looked at are days that are whole in the range and over by `now`, from the first
    with usage: before it the service was not in use."""
    requests = {group.interval: group.sums.requests for group in summed.groups}
    over = min(window.end, now)
    ends = [window.moment(interval) for interval in range(1, len(window.cuts))]  # the last has no known end in it
    intervals = [
        interval for interval, end in enumerate(ends) if window.moment(interval) >= window.start and end <= over
    ]
    if midnight(window.end.astimezone(window.zone).date(), window.zone) == window.end <= over:
        intervals.append(len(window.cuts) - 1)
    while intervals and not requests.get(intervals[0]):
        intervals.pop(0)
    values = [requests.get(interval, 0) for interval in intervals]
    scores = robust_scores(values)
    found = [
        {**moment(window, interval), "requests": value, "score": score, "direction": "up" if score > 0 else "down"}
        for interval, value, score in zip(intervals, values, scores.scores or (), strict=False)
        if abs(score) >= threshold
    ]
    return Spikes(len(intervals), scores, tuple(found))


def distribution(hourly: SummedUsage, window: Window) -> list[Figures]:
    """How requests spread over the local hours of a day and over classes of statuses, and events over classes of
    response times. `hourly` was summed up by hour."""
    hours: Counter[int] = Counter()
    for group in hourly.groups:
        hours[window.moment(group.interval).astimezone(window.zone).hour] += group.sums.requests
    total = hourly.total
    found: list[Figures] = [_share("hour_of_day", f"{hour:02d}", hours[hour], hours.total()) for hour in range(24)]
    classes = {name: _with_status(total, name[0]) for name in ("1xx", "2xx", "3xx", "4xx", "5xx")}
    classes["none"] = total.requests - sum(classes.values())
    found += [_share("status_class", name, count, total.requests) for name, count in classes.items()]
    return found + [
        _share("response_time_ms", _class_name(number), total.latency.get(str(number), 0), total.timed)
        for number in range(len(LATENCY_BOUNDS_MS) + 1)
    ]


def _share(of: str, name: str, count: int, whole: int) -> Figures:
    return {"distribution": of, "class": name, "count": count, "share": round(count / whole, 6) if whole else None}


def _class_name(number: int) -> str:
    lower, upper = class_bounds_ms(number)
    return f"over {lower}" if upper is None else f"{lower} to {upper}"


def _with_status(sums: Bucket, first: str) -> int:
    return sum(count for code, count in sums.status.items() if code.startswith(first))
