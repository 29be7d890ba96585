"""Reports on paper whose words are longer than a page: images and features are what somebody's container calls them."""

import io
from datetime import UTC, datetime
from typing import Any

import pytest
from pypdf import PdfReader

from shared.metering.counters import Bucket
from shared.metering.views.figures import Figures, figures
from shared.reports.document import PrintedReport
from shared.reports.models import Contents, Report
from shared.reports.pdf import render
from shared.reports.rows import columns

LONGEST = "W" * 509 + "end"
"""Of an image or a resource, in characters."""


def page(
    *, value: str, facts: tuple[tuple[str, str], ...] = (("About", "all usage"),), **contents: Any
) -> PrintedReport:
    day = datetime(2026, 3, 1, tzinfo=UTC)
    report = Report(
        id="rep_1",
        owner_kind="merchant",
        owner_id="mer_1",
        contents=Contents(name="W" * 200, **contents),
        start=day,
        end=day,
        created_at=day,
        created_by="acc_1",
    )
    total = figures(Bucket())
    named: Figures = {**dict.fromkeys(columns(report), value), **total}
    return PrintedReport(report=report, columns=columns(report), rows=[named] * 3, left_out=0, total=total, facts=facts)


def words(printed: PrintedReport) -> str:
    return "".join(page.extract_text() for page in PdfReader(io.BytesIO(render(printed))).pages).replace("\n", "")


@pytest.mark.parametrize("by", [("image",), ("day", "service", "consumer", "api_key", "image", "version", "feature")])
def test_a_row_may_be_longer_than_a_page(by: tuple[str, ...]) -> None:
    dimensions = len(by) if "day" in by else 1  # a day has a column as well
    assert words(page(value=LONGEST, by=by)).count("end") == 3 * dimensions


def test_it_may_be_about_a_hundred_consumers() -> None:
    group = ", ".join(f"cus_{'a' * 56}{number:04d}" for number in range(100))
    assert "a0099" in words(page(value="maps", facts=(("Consumers", group),), by=("service",)))
