"""What consumers see of their usage: sums by anything that their counters tell apart, and the log of single events.

Counters and records are never taken away when a key is revoked or rotated, so it stays in the history.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Literal

from shared.access.models import Consumer
from shared.access.store import AccessStore
from shared.kernel.clock import format_time
from shared.kernel.http.paging import Page, read_all, scan
from shared.kernel.http.problems import not_found
from shared.metering.events import UsageEvent, decode_event, partition_of
from shared.metering.store import RECORD_PAGES_PER_CALL_MAX, RECORDS_PER_READ, USAGE
from shared.metering.views.reader import UsageReader
from shared.metering.views.selection import SummedUsage, UsageSelection
from shared.platform.documents import Document, Documents, Query, Where

StatusClass = Literal["1xx", "2xx", "3xx", "4xx", "5xx", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFilter:
    """Which usage records are asked for: those of events in [start, end). None is anything."""

    start: datetime
    end: datetime
    service_id: str | None = None
    api_key_id: str | None = None
    project_id: str | None = None
    status_class: StatusClass | None = None

    @property
    def filtered(self) -> bool:
        return any(part is not None for part in (self.service_id, self.api_key_id, self.project_id, self.status_class))

    def matches(self, event: UsageEvent) -> bool:
        code = event.data.status_code
        return (
            self.service_id in (None, event.service_id)
            and self.api_key_id in (None, event.api_key_id)
            and self.project_id in (None, event.project_id)
            and self.status_class in (None, "none" if code is None else f"{code // 100}xx")
        )

    def query(self, consumer_id: str, shard: int, limit: int) -> Query:
        """The events of that time in one shard, by time."""
        where = (Where("time", ">=", format_time(self.start)), Where("time", "<", format_time(self.end)))
        return Query(partition_of(consumer_id, shard), where, order_by="time", limit=limit)


class ConsumerUsage:
    """What one consumer may see of its usage."""

    def __init__(self, documents: Documents, access: AccessStore, reader: UsageReader) -> None:
        self._documents = documents
        self._access = access
        self._reader = reader

    async def sums(
        self, consumer_id: str, selection: UsageSelection, services: Sequence[str] | None = None
    ) -> SummedUsage:
        """Sums of the consumer's usage, of `services` only when these are given. Raises Problem 404; 400
        `range_invalid`."""
        return await self._reader.consumer(await self._consumer(consumer_id), selection, services)

    async def records(
        self, consumer_id: str, record_filter: RecordFilter, limit: int, cursor: str | None
    ) -> Page[UsageEvent]:
        """Events as they were counted, by time within each shard. A page may be shorter than `limit`, or empty, and
        still not be the last. Raises Problem 404; 400 `cursor_invalid`."""
        consumer = await self._consumer(consumer_id)

        async def read(shard: str, inner: str | None, missing: int) -> Page[Document]:
            at_most = RECORDS_PER_READ if record_filter.filtered else missing
            return await self._documents.query(USAGE, record_filter.query(consumer_id, int(shard), at_most), inner)

        def take(document: Document) -> UsageEvent | None:
            event = decode_event(document.body)
            return event if record_filter.matches(event) else None

        return await scan(
            read,
            take,
            list_name=f"records:{consumer_id}:{record_filter}",
            limit=limit,
            cursor=cursor,
            reads_max=RECORD_PAGES_PER_CALL_MAX,
            sources=[str(shard) for shard in range(consumer.shards)],
        )

    async def all_records(self, consumer_id: str, record_filter: RecordFilter) -> AsyncIterator[UsageEvent]:
        """All that is wanted, page by page. Raises Problem 404 at the first."""
        consumer = await self._consumer(consumer_id)
        for shard in range(consumer.shards):
            query = record_filter.query(consumer_id, shard, RECORDS_PER_READ)
            async for document in read_all(partial(self._documents.query, USAGE, query)):
                event = decode_event(document.body)
                if record_filter.matches(event):
                    yield event

    async def _consumer(self, consumer_id: str) -> Consumer:
        consumer = await self._access.consumer(consumer_id)
        if consumer is None:
            raise not_found()
        return consumer
