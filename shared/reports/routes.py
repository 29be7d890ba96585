"""Reports of a consumer, a merchant or the platform: the same routes three times, each with its own permission."""

from datetime import date, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Response
from pydantic import AwareDatetime, Field, PlainValidator

from shared.downloads.views import DownloadLinkView
from shared.identity.guard import allowed
from shared.identity.models import Caller
from shared.kernel.clock import parse_time
from shared.kernel.documents import Identifier, Name, Stored
from shared.kernel.http.etags import entity_tag
from shared.kernel.http.fields import CreatedAt, NextCursor, ReportId, ReportScheduleId, Timestamp
from shared.kernel.http.operation_ids import owned_operation_id
from shared.kernel.http.parameters import Cursor, IfMatch, PageSize
from shared.kernel.http.provided import provided
from shared.kernel.http.schemas import Input, View
from shared.reports.models import (
    PSEUDONYMS_MAX,
    Group,
    Report,
    ReportFormat,
    Schedule,
    Status,
    SubjectPseudonym,
)
from shared.reports.parts import ReportParts
from shared.reports.service import ReportRequest, Reports
from shared.webhooks.owners import OWNER_IDS, OWNER_NAMES, OWNER_PATHS, OwnerKind


def _moment(value: object) -> datetime | date:
    """One rule for both, so that one error names the field."""
    try:
        if isinstance(value, str):
            return date.fromisoformat(value) if len(value) == len("2026-03-01") else parse_time(value)
    except (ValueError, OverflowError):
        pass
    raise ValueError("must be a day, such as 2026-03-01, or a time with an offset, such as 2026-03-01T00:00:00Z")


ReportMoment = Annotated[AwareDatetime | date, PlainValidator(_moment, json_schema_input_type=AwareDatetime | date)]


class ReportSubjectInput(Input):
    """Usage that a report covers: all usage of its owner, unless it is filtered."""

    service_id: Identifier | None = None
    """Only this service; null is all."""
    pseudonyms: Annotated[tuple[SubjectPseudonym, ...], Field(max_length=PSEUDONYMS_MAX)] = ()
    """Only these consumers; empty is all. For merchants."""
    api_key_id: Identifier | None = None
    """Only this key; null is all. For merchants and consumers."""
    project_id: Identifier | None = None
    """Only this project; null is all. For consumers."""
    merchant_id: Identifier | None = None
    """Only this merchant; null is all. For admins."""
    consumer_id: Identifier | None = None
    """Only this consumer; null is all. For admins."""


class ReportInput(Input):
    """A report to create."""

    name: Annotated[Name, Field(examples=["Usage of March"])]
    """Title of the report."""
    start: Annotated[ReportMoment, Field(alias="from", examples=["2026-03-01"])]
    """Start of the range, included: whole quarter hours, or a local day."""
    to: Annotated[ReportMoment, Field(examples=["2026-04-01"])]
    """End of the range, excluded: whole quarter hours, or a local day; at most 400 days after `from`."""
    time_zone: Annotated[str, Field(max_length=64, examples=["Asia/Kolkata"])] = "UTC"
    """Time zone whose calendar defines hours, days and months (IANA)."""
    subject: ReportSubjectInput = ReportSubjectInput()
    """Usage that the report covers."""
    by: Annotated[tuple[Group, ...], Field(max_length=8)] = ("day",)
    """Dimensions to group by, and at most one of `hour`, `day` and `month`."""
    format: ReportFormat = "pdf"
    """Format of the document."""
    share_with_consumer: bool = False
    """For reports of merchants about one pseudonym: whether the consumer gets the report too."""
    schedule: Literal["none", "monthly"] = "none"
    """`monthly` creates the same report for each calendar month, starting with the current one."""

    def request(self) -> ReportRequest:
        contents = self.model_dump(exclude={"start", "to", "schedule"})
        return ReportRequest(contents=contents, start=self.start, end=self.to, monthly=self.schedule == "monthly")


class ReportSubjectView(View):
    """Usage that a report covers: all usage of its owner, unless it is filtered."""

    service_id: str | None = None
    """Only this service; null is all."""
    pseudonyms: tuple[str, ...] = ()
    """Only these consumers; empty is all."""
    api_key_id: str | None = None
    """Only this key; null is all."""
    project_id: str | None = None
    """Only this project; null is all."""
    merchant_id: str | None = None
    """Only this merchant; null is all."""
    consumer_id: str | None = None
    """Only this consumer; null is all."""


class ContentsView(View):
    """What a report shows."""

    id: str
    """Id of the report or schedule."""
    name: str
    """Title of the report."""
    subject: ReportSubjectView
    """Usage that the report covers."""
    by: list[Group]
    """Dimensions that the report is grouped by."""
    time_zone: str
    """Time zone whose calendar defines hours, days and months (IANA)."""
    format: ReportFormat
    """Format of the document."""
    share_with_consumer: bool
    """Whether the consumer that the report is about gets it too."""
    created_at: CreatedAt


class ReportView(ContentsView):
    """A report with its progress."""

    start: Annotated[AwareDatetime, Field(alias="from")]
    """Start of the range, included."""
    to: AwareDatetime
    """End of the range, excluded."""
    status: Status
    """Status of the report. Its document can be downloaded once it is `done`."""
    progress: int
    """Progress in percent."""
    rows: int | None
    """Number of rows; null until the report is done."""
    requests: int | None
    """Number of requests in the report; null until the report is done."""
    as_of: Timestamp | None
    """Time up to which usage is included; null until the report is done."""
    error: str | None
    """Reason of the failure; null if there was none."""
    schedule_id: str | None
    """Id of the schedule that created the report; null is none."""
    shared_by: str | None
    """Id of the merchant that shares the report; null if it is the owner's own."""
    finished_at: AwareDatetime | None
    """Time at which the report was done, or failed; null until then."""


class ReportList(View):
    """A page of reports."""

    items: list[ReportView]
    """Items of the page."""
    next_cursor: NextCursor


class ReportScheduleView(ContentsView):
    """A schedule that creates a report for each month."""

    next_month: str
    """Next month for which a report is created, such as `2026-03`."""
    next_at: Timestamp
    """Time at which the next report is created, UTC."""


class ReportScheduleList(View):
    """All report schedules of one owner."""

    items: list[ReportScheduleView]
    """Report schedules, oldest first."""


ReportsPart = Annotated[Reports, Depends(provided(ReportParts, lambda reports: reports.service))]


def _view(report: Report) -> ReportView:
    values = {**report.model_dump(), **report.contents.model_dump(), "from": report.start, "to": report.end}
    return ReportView.model_validate(values)


def _schedule_view(schedule: Schedule) -> ReportScheduleView:
    values = {**schedule.model_dump(), **schedule.contents.model_dump()}
    return ReportScheduleView.model_validate({**values, "next_month": schedule.month, "next_at": schedule.due})


def _answer(stored: Stored[Report], response: Response) -> ReportView:
    response.headers["ETag"] = entity_tag(stored.etag)
    return _view(stored.value)


def _routes(kind: OwnerKind, action: str) -> APIRouter:
    """The routes for one kind of owner."""
    router = APIRouter(prefix=OWNER_PATHS[kind], tags=["reports"], generate_unique_id_function=owned_operation_id(kind))
    whose = OWNER_NAMES[kind]
    Allowed = Annotated[Caller, Depends(allowed(action))]  # noqa: N806 - a type
    Owner = Annotated[str, Depends(OWNER_IDS[kind])]  # noqa: N806 - a type

    @router.post("/reports", status_code=202, summary=f"Request {whose} report")
    async def ask_report(
        caller: Allowed, owner_id: Owner, service: ReportsPart, body: ReportInput, response: Response
    ) -> ReportView:
        """Request a report. It is created in the background: poll `GET …/reports/{report_id}`, or wait for the e-mail
        or the `report.ready` webhook."""
        return _answer(await service.ask(caller.actor, kind, owner_id, body.request()), response)

    @router.get("/reports", summary=f"List {whose} reports")
    async def list_reports(
        caller: Allowed,
        owner_id: Owner,
        service: ReportsPart,
        limit: PageSize = 20,
        cursor: Cursor = None,
    ) -> ReportList:
        """Reports, latest first. A consumer's list includes reports that merchants share with it."""
        page = await service.list(owner_id, limit, cursor)
        return ReportList(items=[_view(report) for report in page.items], next_cursor=page.cursor)

    @router.get("/reports/{report_id}", summary=f"Read {whose} report")
    async def read_report(
        caller: Allowed, owner_id: Owner, service: ReportsPart, report_id: ReportId, response: Response
    ) -> ReportView:
        """Read one report with its progress."""
        return _answer(await service.find(owner_id, report_id), response)

    @router.get("/reports/{report_id}/download", summary=f"Download {whose} report")
    async def download_report(
        caller: Allowed, owner_id: Owner, service: ReportsPart, report_id: ReportId
    ) -> DownloadLinkView:
        """Create a short-lived link to the report's document. 409 `state_invalid` before the report is done."""
        return DownloadLinkView.of(await service.link(caller.actor, owner_id, report_id))

    @router.delete("/reports/{report_id}", status_code=204, summary=f"Delete {whose} report")
    async def delete_report(
        caller: Allowed, owner_id: Owner, service: ReportsPart, report_id: ReportId, if_match: IfMatch = None
    ) -> None:
        """Delete a report with its document, for the consumer that it is shared with too. A consumer that deletes a
        shared report deletes only its own view of it."""
        await service.remove(caller.actor, owner_id, report_id, if_match)

    @router.get("/report-schedules", summary=f"List {whose} report schedules")
    async def list_report_schedules(caller: Allowed, owner_id: Owner, service: ReportsPart) -> ReportScheduleList:
        """Monthly schedules, oldest first."""
        return ReportScheduleList(items=[_schedule_view(schedule) for schedule in await service.schedules(owner_id)])

    @router.get("/report-schedules/{schedule_id}", summary=f"Read {whose} report schedule")
    async def read_report_schedule(
        caller: Allowed, owner_id: Owner, service: ReportsPart, schedule_id: ReportScheduleId, response: Response
    ) -> ReportScheduleView:
        """Read one monthly schedule."""
        stored = await service.find_schedule(owner_id, schedule_id)
        response.headers["ETag"] = entity_tag(stored.etag)
        return _schedule_view(stored.value)

    @router.delete("/report-schedules/{schedule_id}", status_code=204, summary=f"Delete {whose} report schedule")
    async def delete_report_schedule(
        caller: Allowed, owner_id: Owner, service: ReportsPart, schedule_id: ReportScheduleId, if_match: IfMatch = None
    ) -> None:
        """Stop a monthly schedule. Existing reports remain."""
        await service.remove_schedule(caller.actor, owner_id, schedule_id, if_match)

    return router


routers = (
    _routes("consumer", "report.manage"),
    _routes("merchant", "report.manage_merchant"),
    _routes("platform", "report.manage_platform"),
)
