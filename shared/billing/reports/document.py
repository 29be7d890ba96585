"""A report as a page to be printed: what the PDF says, without saying how it looks."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from shared.billing.reports.models import Report
from shared.billing.reports.rows import Rows, columns
from shared.billing.reports.sources import Sources
from shared.metering.figures import Figures, figures

ROWS_MAX = 2_000
"""On paper; as CSV a report has all of them."""


@dataclass(frozen=True, slots=True)
class Printout:
    """`days` are requests by local day, in order, where the report is by hour or day. `left_out` rows are not among
    `rows`, but in `total`. `services` are names by id."""

    report: Report
    columns: list[str]
    rows: list[Figures]
    left_out: int
    total: Figures
    days: tuple[tuple[str, int], ...] = ()
    as_of: str | None = None
    facts: tuple[tuple[str, str], ...] = ()
    services: Mapping[str, str] = field(default_factory=dict)


Render = Callable[[Printout], bytes]


async def printout(report: Report, rows: Rows, sources: Sources) -> Printout:
    """Read all rows, and keep what fits on paper. Raises what `rows` does."""
    kept: list[Figures] = []
    days: Counter[str] = Counter()
    async for row in rows.each():
        if "label" in row and "month" not in report.contents.by:
            days[str(row["label"])[:10]] += int(str(row["requests"]))
        if len(kept) < ROWS_MAX:
            kept.append(row)
    left_out = rows.rows - len(kept)
    services = await sources.service_names({str(row["service"]) for row in kept if "service" in row})
    return Printout(
        report, columns(report), kept, left_out, figures(rows.total), tuple(sorted(days.items())), rows.as_of,
        tuple(_facts(report)), services,
    )  # fmt: skip


def _facts(report: Report) -> list[tuple[str, str]]:
    """What stands at the head, by name."""
    subject, zone = report.contents.subject, ZoneInfo(report.contents.time_zone)
    about = [
        (name, ", ".join(value) if isinstance(value, tuple) else str(value))
        for name, value in (
            ("Service", subject.service_id), ("Consumers", subject.pseudonyms), ("API key", subject.api_key_id),
            ("Project", subject.project_id), ("Merchant", subject.merchant_id), ("Consumer", subject.consumer_id),
        )
        if value
    ]  # fmt: skip
    return [
        ("From", _local(report.start, zone)), ("To (exclusive)", _local(report.end, zone)), ("Time zone", zone.key),
        *(about or [("About", "all usage")]), ("By", ", ".join(report.contents.by) or "total"),
    ]  # fmt: skip


def _local(moment: datetime, zone: ZoneInfo) -> str:
    return f"{moment.astimezone(UTC).astimezone(zone):%Y-%m-%d %H:%M}"
