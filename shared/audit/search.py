"""Finding audit entries: newest first, by who, what, on what and when."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

from shared.audit.log import AUDIT, AuditLog
from shared.audit.models import Entry
from shared.kernel.clock import format_time
from shared.kernel.http.paging import Page, scan
from shared.platform.documents import Document, Documents, Query, Where

PAGES_PER_CALL_MAX = 50


@dataclass(frozen=True, slots=True)
class EntryFilter:
    """Which entries to look for; None is any. `start` is inclusive, `end` exclusive."""

    actor: str | None = None
    action: str | None = None
    resource: str | None = None
    start: datetime | None = None
    end: datetime | None = None

    def where(self) -> tuple[Where, ...]:
        exact = [("actor", self.actor), ("action", self.action), ("resource", self.resource)]
        found = [Where(field, "=", value) for field, value in exact if value is not None]
        if self.start is not None:
            found.append(Where("time", ">=", format_time(self.start)))
        if self.end is not None:
            found.append(Where("time", "<", format_time(self.end)))
        return tuple(found)

    def covers(self, month: str) -> bool:
        """Say whether a month (`YYYY-MM`, UTC) can have entries that are wanted."""
        return not (
            (self.start is not None and month < format_time(self.start)[:7])
            or (self.end is not None and month > format_time(self.end)[:7])
        )


class AuditSearch:
    """Finds entries in the audit log, by person, object, action and time."""

    def __init__(self, documents: Documents, log: AuditLog) -> None:
        self._documents = documents
        self._log = log

    async def find(self, entry_filter: EntryFilter, limit: int, cursor: str | None) -> Page[Entry]:
        """Find at most `limit` entries, newest first. A page may be shorter and still not be the last.
        Raises Problem 400 `cursor_invalid`."""
        months = [month for month in reversed(await self._log.months()) if entry_filter.covers(month)]

        async def read(month: str, inner: str | None, missing: int) -> Page[Document]:
            query = Query(month, entry_filter.where(), order_by="seq", descending=True, limit=missing)
            return await self._documents.query(AUDIT, query, inner)

        return await scan(
            read,
            lambda document: Entry.model_validate_json(document.body),
            list_name=f"audit:{entry_filter}",
            limit=limit,
            cursor=cursor,
            reads_max=PAGES_PER_CALL_MAX,
            sources=months,
        )

    async def export(self, entry_filter: EntryFilter) -> AsyncIterator[Entry]:
        """Read all entries that are wanted, oldest first, with the hashes: they can be verified without the
        platform."""
        for month in await self._log.months():
            if entry_filter.covers(month):
                async for entry in self._log.entries(month, *entry_filter.where()):
                    yield entry
