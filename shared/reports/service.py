"""What an owner does with its reports: ask for one, look at it, get it, delete it; the same with schedules."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from shared.audit.journal import Journal
from shared.audit.models import Actor, Change, changed
from shared.audit.tasks import Task, remove
from shared.downloads.service import Downloads, Link
from shared.kernel.clock import format_time, utc_now
from shared.kernel.documents import Stored
from shared.kernel.errors import FieldError, Problem
from shared.kernel.http.etags import check_match
from shared.kernel.http.paging import Page
from shared.kernel.http.problems import not_found
from shared.kernel.ids import new_id
from shared.kernel.periods import midnight, month_of
from shared.metering.store import bad_range
from shared.metering.windows import time_zone
from shared.platform.documents import Create, Delete
from shared.reports.models import Contents, Report, Schedule
from shared.reports.rows import window_of
from shared.reports.schedules import due_after
from shared.reports.sources import ReportSources
from shared.reports.store import (
    REPORTS,
    SCHEDULES_MAX,
    ReportStore,
    report_document,
    schedule_document,
)
from shared.reports.tasks import ClearReport, MakeReports
from shared.webhooks.owners import OwnerKind

UNFINISHED_MAX = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRequest:
    """What an owner asks for. `start` and `end` are moments, or local days of the contents' zone."""

    contents: Mapping[str, Any]
    start: datetime | date
    end: datetime | date
    monthly: bool = False


class Reports:
    """Decides what an owner does with its reports and schedules."""

    def __init__(
        self,
        store: ReportStore,
        sources: ReportSources,
        journal: Journal,
        downloads: Downloads,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._store = store
        self._sources = sources
        self._journal = journal
        self._downloads = downloads
        self._now = now

    async def ask(self, actor: Actor, kind: OwnerKind, owner_id: str, request: ReportRequest) -> Stored[Report]:
        """Have a report made, and with `monthly` the same of each month from this one on. Raises Problem 400
        `request_invalid`, `range_invalid`; 404 for a subject that is not the owner's; 409 `limit_reached`."""
        contents, now = _checked(request.contents), self._now()
        zone = time_zone(contents.time_zone)
        report = Report(
            id=new_id("rep"),
            owner_kind=kind,
            owner_id=owner_id,
            contents=contents,
            start=_moment("from", request.start, zone),
            end=_moment("to", request.end, zone),
            due=format_time(now),
            schedule_id=new_id("rsc") if request.monthly else None,
            created_at=now,
            created_by=actor.account_id,
        )
        window_of(report)
        await self._sources.check(kind, owner_id, contents)
        await self._check_limits(owner_id, monthly=request.monthly)
        writes = [Create(report_document(report.id), report.to_json())]
        changes = [changed(actor, "report.create", f"report:{report.id}", None, report)]
        if report.schedule_id is not None:
            schedule = self._schedule(report, report.schedule_id, now)
            writes.append(Create(schedule_document(schedule.id), schedule.to_json()))
            changes.append(changed(actor, "report_schedule.create", f"report_schedule:{schedule.id}", None, schedule))
        etags = await self._journal.commit(REPORTS, owner_id, writes, *changes, tasks=[MakeReports()])
        return Stored(report, etags[0])

    def _schedule(self, report: Report, id: str, now: datetime) -> Schedule:
        zone = report.contents.time_zone
        month = month_of(now.astimezone(ZoneInfo(zone)).date())
        return Schedule(
            id=id,
            owner_kind=report.owner_kind,
            owner_id=report.owner_id,
            contents=report.contents,
            month=month,
            due=due_after(month, zone),
            created_at=now,
            created_by=report.created_by,
        )

    async def _check_limits(self, owner_id: str, *, monthly: bool) -> None:
        if await self._store.unfinished(owner_id, UNFINISHED_MAX) >= UNFINISHED_MAX:
            detail = f"{UNFINISHED_MAX} reports are being made already. Wait until one is done."
            raise Problem(409, "limit_reached", detail)
        if monthly and len(await self._store.schedules(owner_id)) >= SCHEDULES_MAX:
            raise Problem(409, "limit_reached", f"There are {SCHEDULES_MAX} schedules already. Delete one first.")

    async def list(self, owner_id: str, limit: int, cursor: str | None) -> Page[Report]:
        """List an owner's reports, the latest first. Raises Problem 400 `cursor_invalid`."""
        page = await self._store.reports(owner_id, limit, cursor)
        return page.map(lambda stored: stored.value)

    async def find(self, owner_id: str, id: str) -> Stored[Report]:
        """Read one of an owner's reports. Raises Problem 404."""
        stored = await self._store.report(owner_id, id)
        if stored is None:
            raise not_found()
        return stored

    async def link(self, actor: Actor, owner_id: str, id: str) -> Link:
        """Link to a report's document. Raises Problem 404; 409 `state_invalid` while there is none."""
        report = (await self.find(owner_id, id)).value
        if report.status != "done" or report.blob is None:
            rule = f"is {report.status}; only one that is done can be downloaded"
            raise Problem(409, "state_invalid", f"The report {rule}.", errors=(FieldError("status", rule),))
        return await self._downloads.link(actor, f"report:{id}", blob_name=report.blob, filename=file_name(report))

    async def remove(self, actor: Actor, owner_id: str, id: str, if_match: str | None) -> None:
        """Delete a report with its document, and the consumer's copy where it is shared; one that is being made is
        given up. The copy alone is only the consumer's. Raises Problem 404, 409, 412, 428."""
        stored = await self.find(owner_id, id)
        check_match(if_match, stored.etag)
        change = changed(actor, "report.delete", f"report:{id}", stored.value, None)
        tasks: list[Task] = []
        if stored.value.shared_by is None:
            clear = ClearReport(owner_id=stored.value.owner_id, id=stored.value.id)
            tasks = [clear, *await self._copies(stored.value)]
        await self._journal.commit(REPORTS, owner_id, [Delete(report_document(id), stored.etag)], change, tasks=tasks)

    async def _copies(self, report: Report) -> Sequence[Task]:
        if not report.contents.share_with_consumer:
            return []
        consumer_id = await self._sources.consumer_id(report.owner_id, report.contents.subject.pseudonyms[0])
        return [] if consumer_id is None else [remove(REPORTS, consumer_id, report_document(report.id))]

    async def schedules(self, owner_id: str) -> Sequence[Schedule]:
        """List an owner's schedules, oldest first."""
        return await self._store.schedules(owner_id)

    async def find_schedule(self, owner_id: str, id: str) -> Stored[Schedule]:
        """Read one of an owner's schedules. Raises Problem 404."""
        stored = await self._store.schedule(owner_id, id)
        if stored is None:
            raise not_found()
        return stored

    async def remove_schedule(self, actor: Actor, owner_id: str, id: str, if_match: str | None) -> None:
        """Delete a schedule; the reports that it made stay. Raises Problem 404, 409, 412, 428."""
        stored = await self.find_schedule(owner_id, id)
        check_match(if_match, stored.etag)
        change: Change = changed(actor, "report_schedule.delete", f"report_schedule:{id}", stored.value, None)
        await self._journal.commit(REPORTS, owner_id, [Delete(schedule_document(id), stored.etag)], change)


def file_name(report: Report) -> str:
    """Name the file of a download, such as `Usage of maps 2026-03-01 to 2026-03-31.pdf`: what people called the report,
    as far as ASCII goes."""
    zone = ZoneInfo(report.contents.time_zone)
    kept = "".join(
        each if each.isascii() and (each.isalnum() or each in "._-") else " " for each in report.contents.name
    )
    name = " ".join(kept.split())[:80].strip(" .") or "Usage"
    last = report.end.timestamp() - 1
    days = (report.start.astimezone(zone).date(), datetime.fromtimestamp(last, zone).date())
    return f"{name} {days[0]} to {days[1]}.{report.contents.format}"


def _checked(values: Mapping[str, Any]) -> Contents:
    try:
        return Contents.model_validate(values)
    except ValidationError as error:
        errors = [
            FieldError(
                ".".join(map(str, each["loc"])) or each["msg"].split("`")[1],
                each["msg"].removeprefix("Value error, "),
            )
            for each in error.errors(include_input=False)
        ]
        detail = "; ".join(f"`{each.field}`: {each.rule}" for each in errors)
        raise Problem(400, "request_invalid", detail, errors) from None


def _moment(field: str, moment: datetime | date, zone: ZoneInfo) -> datetime:
    if isinstance(moment, datetime):
        return moment
    try:
        return midnight(moment, zone)
    except OverflowError:
        raise bad_range(field, "must not be at the end of the calendar") from None
