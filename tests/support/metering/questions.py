"""Questions about usage, and what a simple sum over the events answers."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from shared.kernel.clock import parse_time
from shared.metering.events import UsageEvent
from shared.metering.views.selection import Dimension, SummedUsage, UsageSelection
from shared.metering.windows import TimeStep, window
from tests.support.embedded import NOW

TODAY = f"{NOW:%Y-%m-%d}"
START = datetime(2026, 2, 1, tzinfo=UTC)
END = datetime(2026, 3, 17, tzinfo=UTC)
_ATTRIBUTES: dict[Dimension, str] = {
    "service": "service_id",
    "api_key": "api_key_id",
    "project": "project_id",
    "consumer": "consumer_id",
    "merchant": "merchant_id",
}


def ask(
    start: datetime = START,
    end: datetime = END,
    step: TimeStep | None = None,
    zone: str = "UTC",
    by: tuple[Dimension, ...] = (),
    **only: str,
) -> UsageSelection:
    return UsageSelection(window(start, end, step, ZoneInfo(zone)), by, only)


def requests_of(summed: SummedUsage) -> int:
    return summed.total.requests


def value_of(event: UsageEvent, dimension: Dimension) -> str:
    if dimension in _ATTRIBUTES:
        return getattr(event, _ATTRIBUTES[dimension]) or ""
    return getattr(event.data, dimension) or ""


def expected(events: Iterable[UsageEvent], of: UsageSelection) -> dict[tuple[str, ...], dict[str, Any]]:
    """By label and values: sums over the events, one by one."""
    sums: dict[tuple[str, ...], dict[str, Any]] = defaultdict(lambda: defaultdict(int))
    for event in events:
        moment = parse_time(event.time)
        if not of.window.start <= moment < of.window.end:
            continue
        if any(value_of(event, dimension) != value for dimension, value in of.only.items()):
            continue
        local = moment.astimezone(of.window.zone)
        label = {
            None: "",
            "hour": f"{local:%Y-%m-%dT%H:00}{offset(local)}",
            "day": f"{local:%Y-%m-%d}",
            "month": f"{local:%Y-%m}",
        }[of.window.step]
        group = sums[label, *(value_of(event, dimension) for dimension in of.by)]
        data = event.data
        group["requests"] += data.requests
        group["events"] += 1
        group["request_bytes"] += data.request_bytes
        group["response_bytes"] += data.response_bytes
        group["executions"] += data.executions
        group["duration_ms"] += data.duration_ms
        group["quantity"] += Decimal(data.quantity or 0)
        group["errors_4xx"] += data.requests * ((data.status_code or 0) // 100 == 4)
        group["errors_5xx"] += data.requests * ((data.status_code or 0) // 100 == 5)
        group["timed"] += data.response_time_ms is not None
    return {place: dict(group) for place, group in sums.items()}


def offset(local: datetime) -> str:
    text = f"{local:%z}"
    return f"{text[:3]}:{text[3:]}"


def found(summed: SummedUsage, of: UsageSelection) -> dict[tuple[str, ...], dict[str, Any]]:
    """What was summed up, in the same form."""
    groups = {}
    for group in summed.groups:
        starts = of.window.starts(group.interval)
        sums = group.sums
        place = ("" if starts is None else starts[1], *group.values)
        assert place not in groups
        groups[place] = {
            "requests": sums.requests,
            "events": sums.events,
            "request_bytes": sums.request_bytes,
            "response_bytes": sums.response_bytes,
            "executions": sums.executions,
            "duration_ms": sums.duration_ms,
            "quantity": Decimal(sums.quantity),
            "errors_4xx": sum(count for code, count in sums.status.items() if code[0] == "4"),
            "errors_5xx": sum(count for code, count in sums.status.items() if code[0] == "5"),
            "timed": sums.timed,
        }
        assert sum(sums.latency.values()) == sums.timed
    return groups


def days_ago(days: float) -> datetime:
    return NOW - timedelta(days=days)
