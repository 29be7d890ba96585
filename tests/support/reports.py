"""Reports that nobody asked for."""

from datetime import datetime, timedelta
from typing import Any

from shared.reports.models import Contents, Report
from tests.support.embedded import NOW


def report(
    by: tuple[str, ...],
    zone: str = "UTC",
    start: datetime = NOW - timedelta(days=33),
    end: datetime = NOW,
    **contents: Any,
) -> Report:
    values = {"name": "Usage", "by": by, "time_zone": zone, "format": "csv", **contents}
    return Report(
        id="rep_1",
        owner_kind="consumer",
        owner_id="con_1",
        contents=Contents.model_validate(values),
        start=_quarter(start),
        end=_quarter(end),
        created_at=NOW,
        created_by="acc_1",
    )


def _quarter(moment: datetime) -> datetime:
    return moment.replace(minute=moment.minute // 15 * 15, second=0, microsecond=0)
