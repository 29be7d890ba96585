"""A report as a page to be printed: what the PDF says, without saying how it looks."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from shared.kernel.periods import midnight
from shared.metering.views.figures import Figures, figures
from shared.reports.models import Report
from shared.reports.rows import ReportRows, columns
from shared.reports.sources import ReportSources

ROWS_MAX = 2_000
"""On paper; as CSV a report has all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrintedReport:
    """What a report's pages say. `days` are requests by local day, in order and also those without any, where the
    report is by hour or day. `left_out` rows are not among `rows`, but in `total`. `names` are those of services and
    merchants, by id."""

    report: Report
    columns: list[str]
    rows: list[Figures]
    left_out: int
    total: Figures
    days: tuple[tuple[str, int], ...] = ()
    as_of: str | None = None
    facts: tuple[tuple[str, str], ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)


Render = Callable[[PrintedReport], bytes]


async def lay_out_report(report: Report, rows: ReportRows, sources: ReportSources) -> PrintedReport:
    """Read all rows of a report, and keep what fits on its pages. Raises what `rows` does."""
    kept: list[Figures] = []
    days = dict.fromkeys(_local_days(report), 0) if {"hour", "day"} & set(report.contents.by) else {}
    async for row in rows.each():
        if days:
            days[str(row["label"])[:10]] += int(str(row["requests"]))
        if len(kept) < ROWS_MAX:
            kept.append(row)
    left_out = rows.rows - len(kept)
    names = {
        **await sources.service_names({str(row["service"]) for row in kept if "service" in row}),
        **await sources.merchant_names({str(row["merchant"]) for row in kept if "merchant" in row}),
    }
    return PrintedReport(
        report=report,
        columns=columns(report),
        rows=kept,
        left_out=left_out,
        total=figures(rows.total),
        days=tuple(sorted(days.items())),
        as_of=rows.as_of,
        facts=tuple(_facts(report)),
        names=names,
    )


def _facts(report: Report) -> list[tuple[str, str]]:
    """List what stands at the head of a report, by name."""
    subject, zone = report.contents.subject, ZoneInfo(report.contents.time_zone)
    about = [
        (name, ", ".join(value) if isinstance(value, tuple) else str(value))
        for name, value in (
            ("Service", subject.service_id),
            ("Consumers", subject.pseudonyms),
            ("API key", subject.api_key_id),
            ("Project", subject.project_id),
            ("Merchant", subject.merchant_id),
            ("Consumer", subject.consumer_id),
        )
        if value
    ]
    return [
        ("From", _local(report.start, zone)),
        ("To (exclusive)", _local(report.end, zone)),
        ("Time zone", zone.key),
        *(about or [("About", "all usage")]),
        ("By", ", ".join(report.contents.by) or "total"),
    ]


def _local_days(report: Report) -> Iterator[str]:
    zone = ZoneInfo(report.contents.time_zone)
    day, end = report.start.astimezone(zone).date(), report.end
    while midnight(day, zone) < end:
        yield str(day)
        day += timedelta(days=1)


def _local(moment: datetime, zone: ZoneInfo) -> str:
    return f"{moment.astimezone(UTC).astimezone(zone):%Y-%m-%d %H:%M}"
