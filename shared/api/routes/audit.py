"""`/api/v1/admin/audit`: who changed what, when and why."""

import csv
import io
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime

from shared.audit.models import Entry
from shared.audit.parts import AuditParts
from shared.audit.search import AuditSearch, EntryFilter
from shared.identity.guard import allowed
from shared.identity.models import Caller
from shared.kernel.http.csv_cells import safe_cell
from shared.kernel.http.fields import NextCursor, Timestamp
from shared.kernel.http.parameters import Cursor, PageSize
from shared.kernel.http.provided import provided
from shared.kernel.http.schemas import View

router = APIRouter(tags=["audit"])

_TEXT = {"schema": {"type": "string"}}
_COLUMNS = ("month", "seq", "time", "actor", "role", "action", "resource", "reason", "request_id", "hash")


class AuditEntry(View):
    """An entry of the audit log: who changed what, when and why. The entries of a month are a hash chain, so any later
    change of an entry is detected."""

    id: str
    """Id of the entry."""
    time: Timestamp
    """Time at which the change was committed, UTC with milliseconds."""
    actor: str
    """Id of the account that made the change, `system` for AMS itself, or another source such as `leak-report`."""
    role: str
    """Role in which the account made the change."""
    action: str
    """Action, such as `service.approve`."""
    resource: str
    """Resource that was changed, as `kind:id`."""
    before: dict[str, Any]
    """Changed fields with their values before the change; secrets are never included."""
    after: dict[str, Any]
    """Changed fields with their values after the change."""
    reason: str | None
    """Reason of the change; null if none was given."""
    request_id: str
    """`X-AMS-Request-Id` of the request that made the change."""
    seq: int
    """Sequence number of the entry in its month, from 1, without gaps."""
    previous: str
    """Hash of the previous entry of the month, in hexadecimal digits. The first entry of a month has a hash made from
    the month."""
    hash: str
    """SHA-256 over this entry and `previous`, in hexadecimal digits."""


class AuditEntries(View):
    """A page of the audit log."""

    items: list[AuditEntry]
    """Items of the page."""
    next_cursor: NextCursor


AuditSearchPart = Annotated[AuditSearch, Depends(provided(AuditParts, lambda audit: audit.search))]


async def entry_filter(
    actor: Annotated[
        str | None, Query(max_length=64, description="Only changes made by this account id, or by `system`.")
    ] = None,
    action: Annotated[
        str | None, Query(max_length=64, description="Only changes of this action.", examples=["service.approve"])
    ] = None,
    resource: Annotated[
        str | None,
        Query(
            max_length=140, description="Only changes of this resource, as `kind:id`.", examples=["service:svc_weather"]
        ),
    ] = None,
    start: Annotated[
        AwareDatetime | None,
        Query(alias="from", description="Start of the range, included. Default: start of the log."),
    ] = None,
    to: Annotated[AwareDatetime | None, Query(description="End of the range, excluded. Default: now.")] = None,
) -> EntryFilter:
    return EntryFilter(actor, action, resource, start, to)


@router.get("/admin/audit", summary="List the audit log")
async def list_audit(
    caller: Annotated[Caller, Depends(allowed("audit.read"))],
    search: AuditSearchPart,
    entry_filter: Annotated[EntryFilter, Depends(entry_filter)],
    limit: PageSize = 50,
    cursor: Cursor = None,
) -> AuditEntries:
    """List entries of the audit log, newest first. A page may be short without being the last one."""
    page = await search.find(entry_filter, limit, cursor)
    items = [AuditEntry.model_validate(entry.model_dump()) for entry in page.items]
    return AuditEntries(items=items, next_cursor=page.cursor)


@router.get(
    "/admin/audit/export",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "All entries that match, oldest first.",
            "content": {"application/x-ndjson": _TEXT, "text/csv": _TEXT},
        }
    },
    summary="Export the audit log",
)
async def export_audit(
    caller: Annotated[Caller, Depends(allowed("audit.read"))],
    search: AuditSearchPart,
    entry_filter: Annotated[EntryFilter, Depends(entry_filter)],
    format: Annotated[
        Literal["ndjson", "csv"],
        Query(description="`ndjson` (can be verified offline) or `csv` (without before and after)."),
    ] = "ndjson",
) -> StreamingResponse:
    """Stream all matching entries of the audit log, oldest first."""
    entries = search.export(entry_filter)
    lines, content_type = (_csv(entries), "text/csv") if format == "csv" else (_ndjson(entries), "application/x-ndjson")
    headers = {"Content-Disposition": f'attachment; filename="audit.{format}"', "Cache-Control": "no-store"}
    return StreamingResponse(lines, media_type=content_type, headers=headers)


async def _ndjson(entries: AsyncIterator[Entry]) -> AsyncIterator[bytes]:
    async for entry in entries:
        yield entry.model_dump_json().encode() + b"\n"


async def _csv(entries: AsyncIterator[Entry]) -> AsyncIterator[bytes]:
    yield _row(_COLUMNS)
    async for entry in entries:
        values = {**entry.model_dump(), "month": entry.time[:7], "reason": entry.reason or ""}
        yield _row([safe_cell(values[name]) for name in _COLUMNS])


def _row(cells: Sequence[object]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerow(cells)
    return text.getvalue().encode()
