"""Monthly reports: each month exactly once, also those that were missed.

One transaction creates the month's report and moves its schedule on to the next month, under the ETag that was read: of
two timers at once, one makes it.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from shared.audit.journal import Journal
from shared.audit.models import SYSTEM, changed
from shared.kernel.clock import format_time, utc_now
from shared.kernel.documents import Stored
from shared.kernel.errors import Problem
from shared.kernel.ids import new_id
from shared.kernel.periods import next_month, period
from shared.platform.documents import Create, Operation, Replace
from shared.reports.models import Report, Schedule
from shared.reports.store import REPORTS, ReportStore, report_document, schedule_document
from shared.reports.tasks import MakeReports

GRACE = timedelta(hours=1)
"""After the month's end: by then what was used in it has been counted."""

_logger = logging.getLogger(__name__)


def due_after(month: str, zone: str) -> str:
    """Compute when the report of a month can be made, in RFC 3339."""
    return format_time(period(month, zone).end + GRACE)


class ReportScheduler:
    """Asks for the report of each month that is over. There is one in each process."""

    def __init__(self, store: ReportStore, journal: Journal, now: Callable[[], datetime] = utc_now) -> None:
        self._store = store
        self._journal = journal
        self._now = now

    async def run(self) -> int:
        """Ask for whatever is due. Returns for how many reports."""
        asked, now = 0, self._now()
        held_all = [stored async for stored in self._store.due_schedules(now)]
        for stored in held_all:
            while stored.value.due <= format_time(now):
                moved = await self._ask(stored, now)
                if moved is None:
                    break
                stored, asked = moved, asked + 1
        return asked

    async def _ask(self, stored: Stored[Schedule], now: datetime) -> Stored[Schedule] | None:
        """The schedule as it is afterwards; None when somebody else was first."""
        schedule = stored.value
        of = period(schedule.month, schedule.contents.time_zone)
        report = Report(
            id=new_id("rep"),
            owner_kind=schedule.owner_kind,
            owner_id=schedule.owner_id,
            contents=schedule.contents,
            start=of.start,
            end=of.end,
            due=format_time(now),
            schedule_id=schedule.id,
            created_at=now,
            created_by=schedule.created_by,
        )
        month = next_month(schedule.month)
        after = schedule.model_copy(update={"month": month, "due": due_after(month, schedule.contents.time_zone)})
        writes: list[Operation] = [
            Replace(schedule_document(schedule.id), after.to_json(), stored.etag),
            Create(report_document(report.id), report.to_json()),
        ]
        change = changed(SYSTEM, "report.create", f"report:{report.id}", None, report)
        try:
            etags = await self._journal.commit(REPORTS, schedule.owner_id, writes, change, tasks=[MakeReports()])
        except Problem:  # 409: another timer was first, or the schedule was deleted
            _logger.info("schedule %s was seen to by somebody else", schedule.id)
            return None
        return Stored(after, etags[0])
