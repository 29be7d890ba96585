"""When a month is over for a schedule."""

import pytest

from shared.reports.schedules import due_after


@pytest.mark.parametrize(
    ("month", "zone", "due"),
    [
        ("2026-02", "UTC", "2026-03-01T01:00:00.000Z"),
        ("2024-02", "Asia/Kolkata", "2024-02-29T19:30:00.000Z"),
        ("2026-12", "America/New_York", "2027-01-01T06:00:00.000Z"),
        ("2026-03", "Europe/Berlin", "2026-03-31T23:00:00.000Z"),
    ],
)
def test_a_month_is_over_where_the_report_is(month: str, zone: str, due: str) -> None:
    assert due_after(month, zone) == due
