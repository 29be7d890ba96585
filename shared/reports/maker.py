"""Making reports: claim, write, finish. See the package for the order of durable steps.

Any number of processes may look for work at once. A claim is a replace under the ETag that was read, so one of them has
it; it keeps its lease by writing how far it is. Who lost the lease (it slept, or the report was deleted) finds out at
its next write, and takes away what it wrote.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from typing import Any

from shared.audit.journal import Journal
from shared.audit.models import SYSTEM, Change
from shared.audit.tasks import Task
from shared.kernel.clock import format_time, utc_now
from shared.kernel.documents import Stored
from shared.kernel.errors import Problem, Unavailable
from shared.metering.views.csv_export import csv_lines
from shared.platform.blobs import BlobExists, Blobs
from shared.platform.documents import DocumentMissing, PreconditionFailed, Replace
from shared.reports.document import Render, lay_out_report
from shared.reports.mails import ReportMails
from shared.reports.models import Report
from shared.reports.rows import ReportRows, TooManyRows, columns
from shared.reports.sources import ReportSources
from shared.reports.store import REPORTS, ReportStore, blob_folder, report_document
from shared.reports.tasks import ClearReport

LEASE_S = 120.0
PAUSE = timedelta(minutes=1)
ATTEMPTS_MAX = 8
"""Beginnings: one that dies in each of them would die in every other."""

CONTENT_TYPES = {"csv": "text/csv; charset=utf-8", "pdf": "application/pdf"}
_logger = logging.getLogger(__name__)


class LeaseLost(Exception):
    """Another process has the report now, or nobody wants it any more."""


class ReportMaker:
    """Makes reports that are due, one at a time. There is one in each process."""

    def __init__(
        self,
        store: ReportStore,
        sources: ReportSources,
        blobs: Blobs,
        journal: Journal,
        notices: ReportMails,
        render: Render,
        now: Callable[[], datetime] = utc_now,
        lease_s: float = LEASE_S,
    ) -> None:
        self.store = store
        self.sources = sources
        self.blobs = blobs
        self.journal = journal
        self.notices = notices
        self.render = render
        self.now = now
        self.lease_s = lease_s

    async def run(self) -> int:
        """Make whatever is due, until nothing is. Returns how many came to an end. Raises DocumentsUnavailable."""
        ended = 0
        while True:
            begun = 0
            async for stored in self.store.due_reports(self.now()):
                outcome = await self.make(stored)
                begun += outcome is not None
                ended += outcome is True
            if not begun:
                return ended

    async def make(self, stored: Stored[Report]) -> bool | None:
        """Make one report. Returns whether it is done or failed now; None when another process has it."""
        claimed = await self._claim(stored)
        if claimed is None:
            return None
        attempt = _Attempt(self, claimed)
        try:
            async with attempt.lease_renewed():
                return await attempt.make()
        except LeaseLost:
            await attempt.withdraw()
            return False

    async def _claim(self, stored: Stored[Report]) -> Stored[Report] | None:
        report = stored.value
        values = {"status": "running", "progress": 0, "attempt": report.attempt + 1, "due": self.lease()}
        claimed = report.model_copy(update=values)
        try:
            etag = await self.store.save(claimed, stored.etag)
        except (PreconditionFailed, DocumentMissing):
            return None
        return Stored(claimed, etag)

    def lease(self) -> str:
        """Until when a lease holds that begins now, in RFC 3339."""
        return format_time(self.now() + timedelta(seconds=self.lease_s))

    async def on_clear(self, task_id: str, task: ClearReport) -> None:
        """Handle ClearReport: delete what attempts of a deleted report wrote. Raises BlobsUnavailable."""
        await self.clear(blob_folder(task.owner_id, task.id))

    async def clear(self, folder: str, but: str = "") -> None:
        """Delete every blob in a folder but the one named."""
        for name in [name async for name in self.blobs.list(folder)]:
            if name != but:
                await self.blobs.delete(name)


class _Attempt:
    def __init__(self, maker: ReportMaker, stored: Stored[Report]) -> None:
        self._maker = maker
        self._stored = stored
        self._writing = asyncio.Lock()
        report = stored.value
        self._name = f"{blob_folder(report.owner_id, report.id)}{report.attempt}.{report.contents.format}"

    async def make(self) -> bool:
        """Raises LeaseLost."""
        report = self._stored.value
        try:
            if report.attempt > 1:  # what the attempts before may have left
                await self._maker.clear(blob_folder(report.owner_id, report.id), but=self._name)
            if report.attempt > ATTEMPTS_MAX:
                return await self._fail(f"it was begun {ATTEMPTS_MAX} times and never came to an end")
            rows = ReportRows(report, self._maker.sources, self._progress)
            await self._write(rows)
            return await self._finish(rows)
        except LeaseLost:
            raise
        except Problem as problem:
            return await self._fail(problem.detail)
        except TooManyRows as error:
            return await self._fail(str(error))
        except Unavailable as error:
            _logger.warning("report %s is put off: %s", report.id, error)
            await self._put_off()
        except Exception:
            _logger.exception("report %s failed", report.id)
            await self._put_off()
        return False

    async def _write(self, rows: ReportRows) -> None:
        report, blobs = self._stored.value, self._maker.blobs
        content_type = CONTENT_TYPES[report.contents.format]
        try:
            if report.contents.format == "csv":
                lines = csv_lines(columns(report), rows.each())
                await blobs.put_stream(self._name, lines, content_type=content_type)
            else:
                page = await lay_out_report(report, rows, self._maker.sources)
                data = await asyncio.to_thread(self._maker.render, page)
                await blobs.put(self._name, data, content_type=content_type)
        except BlobExists:  # the name is this attempt's alone: its own write, whose answer was lost
            _logger.info("the document of report %s was there already", report.id)

    async def _finish(self, rows: ReportRows) -> bool:
        now = self._maker.now()
        values = {
            "status": "done",
            "progress": 100,
            "due": None,
            "rows": rows.rows,
            "requests": rows.total.requests,
            "as_of": rows.as_of,
            "blob": self._name,
            "finished_at": now,
        }
        after = self._stored.value.model_copy(update=values)
        tasks = await self._maker.notices.ready(after, now)
        await self._commit(after, "report.finish", {"rows": rows.rows, "blob": self._name}, tasks)
        return True

    async def _fail(self, reason: str) -> bool:
        values = {"status": "failed", "due": None, "error": reason[:500], "finished_at": self._maker.now()}
        after = self._stored.value.model_copy(update=values)
        await self._commit(after, "report.fail", {"error": after.error}, await self._maker.notices.failed(after))
        await self.withdraw()
        return True

    async def _put_off(self) -> None:
        due = format_time(self._maker.now() + PAUSE * self._stored.value.attempt)
        await self._save({"status": "queued", "due": due})

    async def _commit(self, after: Report, action: str, audit_after: dict[str, Any], tasks: list[Task]) -> None:
        change = Change(SYSTEM, action, f"report:{after.id}", after=audit_after)
        async with self._writing:
            write = Replace(report_document(after.id), after.to_json(), self._stored.etag)
            try:
                etags = await self._maker.journal.commit(REPORTS, after.owner_id, [write], change, tasks=tasks)
            except Problem as conflict:
                raise LeaseLost from conflict
            self._stored = Stored(after, etags[0])

    async def _progress(self, percent: int) -> None:
        if percent > self._stored.value.progress:
            await self._save({"progress": percent, "due": self._maker.lease()})

    async def _save(self, values: dict[str, Any]) -> None:
        async with self._writing:
            after = self._stored.value.model_copy(update=values)
            try:
                etag = await self._maker.store.save(after, self._stored.etag)
            except (PreconditionFailed, DocumentMissing) as error:
                raise LeaseLost from error
            self._stored = Stored(after, etag)

    @contextlib.asynccontextmanager
    async def lease_renewed(self) -> AsyncIterator[None]:
        """Renews the lease while a stretch, or a page, takes long."""
        beat = asyncio.create_task(self._beat())
        try:
            yield
        finally:
            beat.cancel()
            await asyncio.gather(beat, return_exceptions=True)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._maker.lease_s / 4)
            if self._stored.value.status != "running":
                return
            with contextlib.suppress(Unavailable):  # perhaps next time
                await self._save({"due": self._maker.lease()})

    async def withdraw(self) -> None:
        """What was written, unless it became the report's document: a commit whose answer was lost."""
        report = self._stored.value
        try:
            current = await self._maker.store.report(report.owner_id, report.id)
            if current is None or current.value.blob != self._name:
                await self._maker.blobs.delete(self._name)
        except Unavailable:
            _logger.warning("%s may be left over", self._name, exc_info=True)
