"""Reports' documents in and out."""

from collections.abc import AsyncIterator
from datetime import datetime
from functools import partial
from typing import TypeVar

from shared.kernel.clock import format_time
from shared.kernel.documents import Stored, StoredModel
from shared.kernel.http.paging import Page, read_all, read_page
from shared.platform.documents import CONTAINERS, Documents, Query, Where
from shared.reports.models import Report, Schedule

REPORTS = CONTAINERS["reports"]
SCHEDULES_MAX = 100
M = TypeVar("M", bound=StoredModel)


def report_document(id: str) -> str:
    """Name the document of a report, in its owner's partition."""
    return f"report:{id}"


def schedule_document(id: str) -> str:
    """Name the document of a schedule, in its owner's partition."""
    return f"schedule:{id}"


def blob_folder(owner_id: str, report_id: str) -> str:
    """Name the folder of blobs below which a report's attempts write."""
    return f"reports/{owner_id}/{report_id}/"


class ReportStore:
    """Reads reports and schedules, and keeps how far a report is."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def report(self, owner_id: str, id: str) -> Stored[Report] | None:
        """Read one report; None where there is none."""
        return await self._get(Report, owner_id, report_document(id))

    async def schedule(self, owner_id: str, id: str) -> Stored[Schedule] | None:
        """Read one schedule; None where there is none."""
        return await self._get(Schedule, owner_id, schedule_document(id))

    async def save(self, report: Report, etag: str) -> str:
        """Store how far a report is: nothing that anybody decides, so it is not in the audit log. Returns the new ETag.
        Raises PreconditionFailed, DocumentMissing."""
        return await self._documents.replace(
            REPORTS, report.owner_id, report_document(report.id), report.to_json(), etag=etag
        )

    async def reports(self, owner_id: str, limit: int, cursor: str | None) -> Page[Stored[Report]]:
        """List an owner's reports, the latest first. Raises Problem 400 `cursor_invalid`."""
        list_name = f"reports:{owner_id}"
        query = Query(owner_id, (Where("id", "starts_with", "report:"),), order_by="id", descending=True, limit=limit)
        page = await read_page(partial(self._documents.query, REPORTS, query), list_name=list_name, cursor=cursor)
        return page.map(lambda document: Stored(Report.model_validate_json(document.body), document.etag))

    async def unfinished(self, owner_id: str, at_most: int) -> int:
        """Count an owner's reports that are queued or running, as far as `at_most`."""
        where = (Where("kind", "=", "report"), Where("status", "in", ("queued", "running")))
        page = await self._documents.query(REPORTS, Query(owner_id, where, limit=at_most))
        return len(page.items)

    async def schedules(self, owner_id: str) -> list[Schedule]:
        """List all of an owner's schedules, of which there are at most SCHEDULES_MAX, oldest first."""
        query = Query(owner_id, (Where("id", "starts_with", "schedule:"),), order_by="id", limit=1000)
        page = await self._documents.query(REPORTS, query)
        return [Schedule.model_validate_json(document.body) for document in page.items]

    async def due_reports(self, now: datetime) -> AsyncIterator[Stored[Report]]:
        """Read everybody's reports that wait for somebody to make them, the longest wait first."""
        async for stored in self._due(Report, "report", now):
            yield stored

    async def due_schedules(self, now: datetime) -> AsyncIterator[Stored[Schedule]]:
        """Read everybody's schedules of which a month is over."""
        async for stored in self._due(Schedule, "schedule", now):
            yield stored

    async def any_due(self, now: datetime) -> bool:
        """Tell whether a report is to be made by now."""
        async for _ in self.due_reports(now):
            return True
        return False

    async def _due(self, model: type[M], kind: str, now: datetime) -> AsyncIterator[Stored[M]]:
        where = (Where("kind", "=", kind), Where("due", "<=", format_time(now)))
        # Across tenants: the platform makes everybody's reports.
        query = Query(None, where, order_by="due", limit=100)
        async for document in read_all(partial(self._documents.query, REPORTS, query)):
            yield Stored(model.model_validate_json(document.body), document.etag)

    async def _get(self, model: type[M], owner_id: str, id: str) -> Stored[M] | None:
        document = await self._documents.get(REPORTS, owner_id, id)
        return None if document is None else Stored(model.model_validate_json(document.body), document.etag)
