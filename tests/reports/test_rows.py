"""A report's rows against sums over the events one by one, and the stretches in which they are read."""

import asyncio
import io
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pypdf import PdfReader

from shared.access.store import AccessStore
from shared.catalog.models import Merchant
from shared.kernel.clock import format_time
from shared.kernel.errors import Problem
from shared.metering.views.consumer import ConsumerUsage
from shared.metering.views.reader import UsageReader
from shared.metering.windows import Window
from shared.reports import rows as rows_module
from shared.reports.document import lay_out_report
from shared.reports.models import Report
from shared.reports.pdf import render
from shared.reports.rows import ReportRows, TooManyRows, columns
from shared.reports.sources import Portion, ReportSources, dimensions_of
from tests.support.embedded import NOW, Embedded, raw, usage_event
from tests.support.metering.events import ZONES, events, in_embedded, made
from tests.support.metering.questions import ask, expected
from tests.support.reports import report

FIGURES = ("requests", "events", "request_bytes", "response_bytes", "executions", "duration_ms")


async def nobody(percent: int) -> None:
    assert 0 <= percent < 100


def sources_of(embedded: Embedded) -> ReportSources:
    access = AccessStore(embedded.documents)
    usage = ConsumerUsage(embedded.documents, access, UsageReader(embedded.documents, lambda: NOW))
    return ReportSources(access, embedded.catalog, usage, None, None)  # type: ignore[arg-type]  # a consumer's report asks neither


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    drawn=st.lists(events, max_size=25),
    by=st.sampled_from([(), ("service",), ("api_key", "day"), ("hour",), ("service", "month"), ("month",), ("day",)]),
    zone=st.sampled_from(ZONES),
)
def test_rows_are_the_sums_over_the_events_in_order(drawn: list[Any], by: tuple[str, ...], zone: str) -> None:
    async def body(embedded: Embedded) -> None:
        happened = [made(number, each) for number, each in enumerate(drawn)]
        await embedded.aggregator().apply(raw(*happened))
        asked = report(by, zone)
        of = ReportRows(asked, sources_of(embedded), nobody)
        found = [row async for row in of.each()]

        step = next((part for part in by if part in ("hour", "day", "month")), None)
        dimensions = dimensions_of(asked.contents)
        question = ask(asked.start, asked.end, step, zone, dimensions)  # type: ignore[arg-type]  # it is a step
        mine = [event for event in happened if event.consumer_id == "con_1"]
        wanted = expected(mine, question)
        said = {
            (str(row.get("label", "")), *(str(row[name]) for name in dimensions)): {n: row[n] for n in FIGURES}
            for row in found
        }
        assert said == {place: {n: sums[n] for n in FIGURES} for place, sums in wanted.items()}
        assert len(found) == len(said) == of.rows
        assert [row.get("start", "") for row in found] == sorted(str(row.get("start", "")) for row in found)
        assert of.total.requests == sum(sums["requests"] for sums in wanted.values())
        assert all(set(row) <= set(columns(asked)) for row in found)

    asyncio.run(in_embedded(body))


@pytest.mark.parametrize("by", [("service", "day"), ("service", "hour")])
async def test_on_paper_every_day_has_its_place_and_every_hour_its_line(by: tuple[str, ...]) -> None:
    async def body(embedded: Embedded) -> None:
        for number, days in enumerate((1, 9)):
            used = usage_event(f"e{number}", time=format_time(NOW - timedelta(days=days)), data={"requests": 1})
            await embedded.aggregator().apply(raw(used))
        asked, sources = report(by, "Europe/Berlin", NOW - timedelta(days=10)), sources_of(embedded)
        page = await lay_out_report(asked, ReportRows(asked, sources, nobody), sources)
        assert [day for day, _ in page.days] == [f"2026-03-{day:02d}" for day in range(5, 16)]
        assert [day for day, requests in page.days if requests] == ["2026-03-06", "2026-03-14"]
        [pages] = PdfReader(io.BytesIO(render(page))).pages
        words = pages.extract_text().splitlines()
        if "hour" in by:
            assert "2026-03-06 11:00+01:00" in words
        else:
            assert "2026-03-06" in words

    await in_embedded(body)


async def test_an_admins_report_names_merchants() -> None:
    async def body(embedded: Embedded) -> None:
        merchant = Merchant(id="mer_1", slug="acme", name="Acme GmbH", status="active")
        await embedded.builder.put(merchant)
        assert await sources_of(embedded).merchant_names(["mer_1", "mer_gone"]) == {"mer_1": "Acme GmbH"}

    await in_embedded(body)


class Scripted:
    """Sources that know only how much there is, and what they were asked."""

    def __init__(self, groups_a_day: int = 0, days_max: int = 1000) -> None:
        self.asked: list[tuple[datetime, datetime]] = []
        self._groups, self._days_max = groups_a_day, days_max

    async def read(self, report: Report, window: Window) -> list[Portion]:
        from shared.metering.counters import Bucket
        from shared.metering.views.selection import GroupSums

        if window.end - window.start > timedelta(days=self._days_max):
            raise Problem(400, "range_invalid", "too much")
        self.asked.append((window.start, window.end))
        groups = [GroupSums((f"{window.start}{n}",), 0, Bucket(1)) for n in range(self._groups)]
        return [Portion(("service",), groups, {}, format_time(window.end))]


@pytest.mark.parametrize("zone", [*ZONES, "Africa/Casablanca"])
@pytest.mark.parametrize("days", [0.25, 1, 6, 7, 8, 400])
@pytest.mark.parametrize("days_max", [1, 3, 1000])
async def test_stretches_cover_the_range_without_gap_or_overlap(zone: str, days: float, days_max: int) -> None:
    start = datetime(2025, 10, 20, 9, 45, tzinfo=UTC)
    sources, seen = Scripted(days_max=days_max), []

    async def progress(percent: int) -> None:
        seen.append(percent)

    of = ReportRows(report(("day",), zone, start, start + timedelta(days=days)), sources, progress)  # type: ignore[arg-type]  # it reads alike
    assert [row async for row in of.each()] == []
    assert sources.asked[0][0] == start
    assert sources.asked[-1][1] == start + timedelta(days=days)
    assert all(one[1] == two[0] for one, two in zip(sources.asked, sources.asked[1:], strict=False))
    assert all(one[0] < one[1] for one in sources.asked)
    assert seen == sorted(seen)
    assert seen[-1] == 99


async def test_a_day_that_is_too_much_ends_it() -> None:
    of = ReportRows(report(("day",)), Scripted(days_max=0), nobody)  # type: ignore[arg-type]  # it reads alike
    with pytest.raises(Problem, match="too much"):
        _ = [row async for row in of.each()]


async def test_what_is_held_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows_module, "GROUPS_HELD_MAX", 50)
    of = ReportRows(report(("service",)), Scripted(groups_a_day=20), nobody)  # type: ignore[arg-type]  # it reads alike
    with pytest.raises(TooManyRows, match="over 50 rows"):
        _ = [row async for row in of.each()]


def test_the_zone_of_a_report_is_its_own() -> None:
    assert ReportRows(report(("day",), "Asia/Kolkata"), Scripted(), nobody).window.zone == ZoneInfo("Asia/Kolkata")  # type: ignore[arg-type]  # it reads alike
