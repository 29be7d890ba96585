"""What all views of usage take and give: a range, a format, figures."""

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal, TypeVar, cast
from zoneinfo import ZoneInfo

from fastapi import Depends, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime, BaseModel, Field

from shared.kernel.clock import format_time
from shared.kernel.errors import FieldError, Problem
from shared.kernel.http.fields import Timestamp
from shared.kernel.http.provided import Now
from shared.kernel.http.schemas import View
from shared.kernel.periods import midnight
from shared.metering.store import bad_range
from shared.metering.views.csv_export import csv_lines
from shared.metering.views.selection import Dimension
from shared.metering.windows import TimeStep, Window, time_zone, window

TABLE: dict[int | str, dict[str, Any]] = {
    200: {"description": "Usage as JSON, or its items as CSV.", "content": {"text/csv": {"schema": {"type": "string"}}}}
}
MONTHS_MAX = 13
UsageMoment = AwareDatetime | date
M = TypeVar("M", bound=BaseModel)


class UsageFigures(View):
    """Sums of usage, and figures derived from them."""

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
    errors_4xx: int
    """Number of requests answered with 400 to 499."""
    errors_5xx: int
    """Number of requests answered with 500 to 599."""
    error_rate: float | None
    """Share of requests answered with 4xx or 5xx, from 0 to 1; null without requests."""
    mean_ms: float | None
    """Mean response time in milliseconds, exact; null where none is known."""
    p50_ms: float | None
    """Median response time in milliseconds, estimated from a histogram (docs/usage-views.md); null where none is known.
    """
    p95_ms: float | None
    """95th percentile of response times in milliseconds, estimated like the median; null where none is known."""
    p99_ms: float | None
    """99th percentile of response times in milliseconds, estimated like the median; null where none is known."""


class UsagePiece(View):
    """A piece of time."""

    start: Timestamp | None = None
    """Start of the hour, day or month, UTC; null if usage is not grouped by time."""
    label: str | None = None
    """Name of the hour, day or month in the time zone, such as `2026-03-01`; null if usage is not grouped by time."""


class UsageAnswer(View):
    """What every view of usage says of its range."""

    start: Annotated[Timestamp, Field(alias="from")]
    """Start of the range, UTC, included."""
    to: Timestamp
    """End of the range, UTC, excluded."""
    time_zone: str
    """Time zone whose calendar defines hours, days and months (IANA)."""
    as_of: Timestamp
    """Time up to which usage is included."""


class UsageTrendItem(UsageFigures):
    """Usage of one of the two ranges."""

    period: Literal["current", "previous"]
    """`current` for the requested range, `previous` for the equally long range before it."""
    start: Annotated[Timestamp, Field(alias="from")]
    """Start of the range, UTC, included."""
    to: Timestamp
    """End of the range, UTC, excluded."""


class UsageTrend(UsageAnswer):
    """Usage in a range, and in the equally long range before it."""

    items: list[UsageTrendItem]
    """The current range, then the previous one."""
    change_percent: dict[str, float | None]
    """Change from the previous range by metric, in percent; null if the previous value is 0."""


class DistributionShare(View):
    """One class of a distribution."""

    distribution: Literal["hour_of_day", "status_class", "response_time_ms"]
    """Distribution that the class belongs to."""
    name: Annotated[str, Field(alias="class")]
    """Name of the class: a local hour, a status class such as `4xx`, or a range of milliseconds."""
    count: int
    """Number of requests; for response times, number of events."""
    share: float | None
    """Share of the whole distribution, from 0 to 1; null if the distribution is empty."""


class UsageDistribution(UsageAnswer):
    """Distributions of usage: requests by local hour of the day and by status class, events by response time."""

    items: list[DistributionShare]
    """Classes of all distributions, in order."""


class SpikeItem(UsagePiece):
    """A day with unusually many or few requests."""

    requests: int
    """Number of requests."""
    score: float
    """Robust z-score of the day's requests."""
    direction: Literal["up", "down"]
    """`up` for more requests than usual, `down` for fewer."""


class UsageSpikes(UsageAnswer):
    """Days with unusually many or few requests."""

    method: str
    """Method by which scores are computed."""
    threshold: float
    """Minimum absolute z-score for a day to be listed."""
    days_min: int
    """Minimum number of complete days with usage; with fewer days there are no scores."""
    days: int
    """Number of complete days with usage."""
    median: float | None
    """Median of the days' requests; null without scores."""
    spread: float | None
    """Divisor of the scores; null without scores."""
    items: list[SpikeItem]
    """Days, ordered by date."""


@dataclass(frozen=True, slots=True)
class Range:
    """The range of time that a request asks for, and the zone of its calendar."""

    start: datetime
    end: datetime
    zone: ZoneInfo

    def window(self, step: TimeStep | None = None) -> Window:
        return window(self.start, self.end, step, self.zone)


async def asked_zone(
    time_zone_name: Annotated[
        str,
        Query(
            alias="time_zone",
            max_length=64,
            description="Time zone whose calendar defines hours, days and months; a name of the IANA database.",
            examples=["Asia/Kolkata"],
        ),
    ] = "UTC",
) -> ZoneInfo:
    return time_zone(time_zone_name)


Zone = Annotated[ZoneInfo, Depends(asked_zone)]


async def asked_range(
    zone: Zone,
    now: Now,
    start: Annotated[
        UsageMoment | None,
        Query(
            alias="from",
            description="Start of the range, included; whole quarter hours or a local day. Default: start of the"
            " current month.",
        ),
    ] = None,
    to: Annotated[
        UsageMoment | None,
        Query(
            description="End of the range, excluded; whole quarter hours or a local day. Default: end of the current"
            " quarter hour."
        ),
    ] = None,
) -> Range:
    first = start or now.astimezone(zone).date().replace(day=1)
    last = to or now.replace(minute=now.minute // 15 * 15, second=0, microsecond=0) + timedelta(minutes=15)
    return Range(_moment("from", first, zone), _moment("to", last, zone), zone)


async def asked_months(
    zone: Zone,
    now: Now,
    months: Annotated[
        int, Query(ge=1, le=MONTHS_MAX, description="Number of calendar months, the current one included.")
    ] = 12,
) -> Range:
    """This month and those before it."""
    number = now.astimezone(zone).year * 12 + now.astimezone(zone).month - months  # counted from 0
    return await asked_range(zone, now, date(number // 12, number % 12 + 1, 1), None)


def day_range(day: date, zone: ZoneInfo) -> Range:
    """A local day."""
    try:
        return Range(midnight(day, zone), midnight(day + timedelta(days=1), zone), zone)
    except OverflowError:
        raise bad_range("day", "must not be at the end of the calendar") from None


async def wants_csv(
    request: Request,
    format: Annotated[
        Literal["json", "csv"] | None,
        Query(
            description="Format of the answer. Default: the first type in `Accept` if that is `text/csv`, otherwise"
            " JSON."
        ),
    ] = None,
) -> bool:
    if format is not None:
        return format == "csv"
    return request.headers.get("accept", "").split(",")[0].split(";")[0].strip() == "text/csv"


Asked = Annotated[Range, Depends(asked_range)]
Months = Annotated[Range, Depends(asked_months)]
Csv = Annotated[bool, Depends(wants_csv)]


def grouping(text: str, dimensions: tuple[Dimension, ...]) -> tuple[tuple[Dimension, ...], TimeStep | None]:
    """`service,day` → what to group by, and the step. Raises Problem 400 `request_invalid`."""
    parts = [part for part in text.split(",") if part]
    steps = [part for part in parts if part in ("hour", "day", "month")]
    by = [part for part in parts if part not in steps]
    if len(steps) > 1 or len(set(by)) != len(by) or not set(by) <= set(dimensions):
        rule = f"must be different ones of {', '.join(dimensions)} and at most one of hour, day, month, with commas"
        raise Problem(400, "request_invalid", f"`group_by` {rule}.", errors=(FieldError("group_by", rule),))
    return cast("tuple[Dimension, ...]", tuple(by)), cast("TimeStep | None", steps[0] if steps else None)


def range_fields(of: Window, as_of: str) -> dict[str, Any]:
    """The fields of UsageAnswer."""
    return {"start": format_time(of.start), "to": format_time(of.end), "time_zone": of.zone.key, "as_of": as_of}


def csv_table(
    name: str, of: Window, as_of: str, model: type[BaseModel], rows: Iterable[Mapping[str, object]]
) -> StreamingResponse:
    """Rows as a CSV file; its columns are the fields of `model`."""

    async def each() -> AsyncIterator[Mapping[str, object]]:
        for row in rows:
            yield row

    last = of.end - timedelta(microseconds=1)
    file = f"{name}-{of.start.astimezone(of.zone).date()}-{last.astimezone(of.zone).date()}.csv"
    return csv_file(file, model, each(), {"X-AMS-As-Of": as_of})


def csv_file(
    file: str,
    model: type[BaseModel],
    rows: AsyncIterator[Mapping[str, object]],
    headers: Mapping[str, str] | None = None,
) -> StreamingResponse:
    columns = [field.alias or name for name, field in model.model_fields.items()]
    disposition = {"Content-Disposition": f'attachment; filename="{file}"', "Cache-Control": "no-store"}
    return StreamingResponse(
        csv_lines(columns, rows), media_type="text/csv", headers={**disposition, **(headers or {})}
    )


def items(model: type[M], rows: Iterable[Mapping[str, object]]) -> list[M]:
    return [model.model_validate(row) for row in rows]


def _moment(field: str, moment: UsageMoment, zone: ZoneInfo) -> datetime:
    if isinstance(moment, datetime):
        return moment
    try:
        return midnight(moment, zone)
    except OverflowError:
        raise bad_range(field, "must not be at the end of the calendar") from None
