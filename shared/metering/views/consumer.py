"""What consumers see of their usage: sums by anything that their counters tell apart, and the log of single events.

Counters and records are never taken away when a key is revoked or rotated, so it stays in the history.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from shared.access.models import Consumer
from shared.access.store import AccessStore
from shared.kernel.clock import format_time
from shared.kernel.http.paging import bad_cursor, decode_cursor, encode_cursor
from shared.kernel.http.problems import not_found
from shared.metering.events import UsageEvent, decode_event, partition_of
from shared.metering.store import RECORD_PAGES_PER_CALL_MAX, USAGE, RecordPage
from shared.metering.views.reader import Ask, Summed, UsageReader
from shared.platform.documents import Documents, Page, Query, Where

StatusClass = Literal["1xx", "2xx", "3xx", "4xx", "5xx", "none"]
SCAN_PAGE = 500


@dataclass(frozen=True, slots=True)
class Wanted:
    """Events of [start, end); None is anything."""

    start: datetime
    end: datetime
    service_id: str | None = None
    api_key_id: str | None = None
    project_id: str | None = None
    status_class: StatusClass | None = None

    @property
    def filtered(self) -> bool:
        return any(part is not None for part in (self.service_id, self.api_key_id, self.project_id, self.status_class))

    def has(self, event: UsageEvent) -> bool:
        code = event.data.status_code
        return (
            self.service_id in (None, event.service_id)
            and self.api_key_id in (None, event.api_key_id)
            and self.project_id in (None, event.project_id)
            and self.status_class in (None, "none" if code is None else f"{code // 100}xx")
        )


class ConsumerUsage:
    def __init__(self, documents: Documents, access: AccessStore, reader: UsageReader) -> None:
        self._documents = documents
        self._access = access
        self._reader = reader

    async def sums(self, consumer_id: str, ask: Ask, services: Sequence[str] | None = None) -> Summed:
        """Raises Problem 404; 400 `range_invalid`."""
        return await self._reader.consumer(await self._consumer(consumer_id), ask, services)

    async def records(self, consumer_id: str, wanted: Wanted, limit: int, cursor: str | None) -> RecordPage:
        """Events as they were counted, by time within each shard. A page may be shorter than `limit`, or empty, and
        still not be the last. Raises Problem 404; 400 `cursor_invalid`."""
        consumer = await self._consumer(consumer_id)
        asked = f"records:{consumer_id}:{wanted}"
        shard, inner, skip = _position(asked, cursor)
        found: list[UsageEvent] = []
        for _ in range(RECORD_PAGES_PER_CALL_MAX):
            if shard >= consumer.shards:
                return RecordPage(tuple(found), None)
            page = await self._page(consumer_id, shard, wanted, SCAN_PAGE if wanted.filtered else limit, inner)
            for index, document in enumerate(page.documents[skip:], skip):
                event = decode_event(document.body)
                if wanted.has(event):
                    if len(found) == limit:
                        return RecordPage(tuple(found), encode_cursor(asked, [shard, inner, index]))
                    found.append(event)
            shard, inner, skip = (shard, page.cursor, 0) if page.cursor is not None else (shard + 1, None, 0)
        return RecordPage(tuple(found), encode_cursor(asked, [shard, inner, 0]) if shard < consumer.shards else None)

    async def all_records(self, consumer_id: str, wanted: Wanted) -> AsyncIterator[UsageEvent]:
        """All that is wanted, page by page. Raises Problem 404 at the first."""
        consumer = await self._consumer(consumer_id)
        for shard in range(consumer.shards):
            inner: str | None = None
            while True:
                page = await self._page(consumer_id, shard, wanted, SCAN_PAGE, inner)
                for document in page.documents:
                    event = decode_event(document.body)
                    if wanted.has(event):
                        yield event
                inner = page.cursor
                if inner is None:
                    break

    async def _page(self, consumer_id: str, shard: int, wanted: Wanted, limit: int, inner: str | None) -> Page:
        where = (Where("time", ">=", format_time(wanted.start)), Where("time", "<", format_time(wanted.end)))
        query = Query(partition_of(consumer_id, shard), where, order_by="time", limit=limit)
        try:
            return await self._documents.query(USAGE, query, inner)
        except ValueError:  # a cursor that was made up
            if inner is None:
                raise
            raise bad_cursor() from None

    async def _consumer(self, consumer_id: str) -> Consumer:
        consumer = await self._access.consumer(consumer_id)
        if consumer is None:
            raise not_found()
        return consumer


def _position(asked: str, cursor: str | None) -> tuple[int, str | None, int]:
    """Shard, the documents' own cursor in it, and how many of the page there were given already."""
    if cursor is None:
        return 0, None, 0
    match decode_cursor(asked, cursor):
        case [int(shard), str() | None as inner, int(skip)] if shard >= 0 and skip >= 0:
            return shard, inner, skip
        case _:
            raise bad_cursor()
