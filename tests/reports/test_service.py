"""What a report's file is called."""

from datetime import UTC, date, datetime

import pytest

from shared.reports.service import file_name
from tests.support.reports import report


@pytest.mark.parametrize(
    ("name", "called"),
    [
        ("Usage", "Usage"),
        ('a"b\r\nc', "a b c"),
        ("../../etc/passwd", "etc passwd"),
        ("Ελλάδα", "Usage"),
        ("x" * 200, "x" * 80),
    ],
)
def test_a_file_is_called_as_people_called_it(name: str, called: str) -> None:
    asked = report(
        (),
        "Asia/Kolkata",
        datetime(2026, 2, 28, 18, 30, tzinfo=UTC),
        datetime(2026, 3, 31, 18, 30, tzinfo=UTC),
        name=name,
    )
    found = file_name(asked)
    assert found.removesuffix(" 2026-03-01 to 2026-03-31.csv").removeprefix(".. .. ") == called
    assert date.fromisoformat(found[-14:-4]) == date(2026, 3, 31)
