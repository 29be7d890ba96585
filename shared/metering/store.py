"""Reading usage back: sums from counters, records as they were stored."""

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Literal

from shared.access.models import Consumer
from shared.kernel.errors import FieldError, Problem
from shared.kernel.http.paging import Page, read_all, scan
from shared.metering.counters import MONTH_BUCKET, Bucket, Counter, decode_counter
from shared.metering.events import UsageEvent, decode_event, partition_of
from shared.platform.documents import CONTAINERS, Container, Document, Documents, Query, Where

USAGE = CONTAINERS["usage"]
PAGE = 1_000
SUMMARY_DAYS_MAX = 400
GROUPS_MAX = 20_000
RECORD_PAGES_PER_CALL_MAX = 20
RECORDS_PER_READ = 500
"""Of what is filtered here. A constant: a cursor holds an index into such a page."""


GroupBy = Literal["service", "api_key", "hour", "day", "month"]
TIME_GROUPS: tuple[GroupBy, ...] = ("hour", "day", "month")
_TIME_CHARACTERS = {"hour": 13, "day": 10, "month": 7}


@dataclass(frozen=True, slots=True)
class SummaryGroup:
    """One line of a summary. Fields that were not grouped by are None. `start` is the hour's, day's or month's first
    moment as RFC 3339."""

    service_id: str | None
    api_key_id: str | None
    start: str | None
    sums: Bucket


def documents_of(documents: Documents, container: Container, query: Query) -> AsyncIterator[Document]:
    """All documents that match a query, however many pages they are."""
    return read_all(partial(documents.query, container, query))


async def bodies_of(documents: Documents, container: Container, query: Query) -> AsyncIterator[bytes]:
    """The bodies of all documents that match a query."""
    async for document in documents_of(documents, container, query):
        yield document.body


class UsageQueries:
    """Usage of single API keys, and of months, straight from counters and records."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def summary(
        self, consumer: Consumer, api_key_id: str, start: datetime, end: datetime, group_by: Sequence[GroupBy]
    ) -> list[SummaryGroup]:
        """Sums of one key's usage in [start, end), in whole quarter hours, grouped and ordered by time and service.

        Raises Problem 400 `range_invalid` when the range is empty, too long, or not in whole quarter hours.
        """
        start, end = check_range(start, end)
        step = next((group for group in group_by if group in TIME_GROUPS), None)
        groups: defaultdict[tuple[str | None, str | None, str | None], Bucket] = defaultdict(Bucket)
        first, last = _quarter(start), _quarter(end)
        async for counter in self._day_counters(consumer, api_key_id, start, end):
            service = counter.service_id if "service" in group_by else None
            key = counter.api_key_id if "api_key" in group_by else None
            for name, bucket in counter.buckets.items():
                quarter = f"{counter.period}T{name}"
                if first <= quarter < last:
                    moment = None if step is None else quarter[: _TIME_CHARACTERS[step]]
                    groups[service, key, moment].add(bucket)
            if len(groups) > GROUPS_MAX:
                raise Problem(400, "range_invalid", f"The answer would have over {GROUPS_MAX} groups: ask for less.")
        ordered = sorted(groups.items(), key=lambda item: tuple(part or "" for part in (item[0][2], *item[0][:2])))
        return [SummaryGroup(service, key, _start_text(moment), sums) for (service, key, moment), sums in ordered]

    async def _day_counters(
        self, consumer: Consumer, api_key_id: str, start: datetime, end: datetime
    ) -> AsyncIterator[Counter]:
        last_day = (end - timedelta(microseconds=1)).date()
        where = (
            Where("id", ">=", f"d:{api_key_id}:{start.date()}"),
            Where("id", "<", f"d:{api_key_id}:{last_day + timedelta(days=1)}"),
        )
        for shard in range(consumer.shards):
            query = Query(partition_of(consumer.id, shard), where, limit=PAGE)
            async for body in bodies_of(self._documents, USAGE, query):
                yield decode_counter(body)

    async def month_requests(
        self, consumer: Consumer, month: str, *, api_key_id: str | None = None, service_id: str | None = None
    ) -> int:
        """Requests that the monthly roll-ups (`YYYY-MM`) of a consumer hold, for one key or one service."""
        total = 0
        for shard in range(consumer.shards):
            if api_key_id is not None:
                where = Where("id", "starts_with", f"m:{api_key_id}:{month}:")
            else:
                where = Where("period", "=", month)
            query = Query(partition_of(consumer.id, shard), (where,), limit=PAGE)
            async for body in bodies_of(self._documents, USAGE, query):
                counter = decode_counter(body)
                if service_id in (None, counter.service_id):
                    total += counter.buckets[MONTH_BUCKET].requests
        return total

    async def records(
        self, consumer: Consumer, api_key_id: str, day: date, limit: int, cursor: str | None
    ) -> Page[UsageEvent]:
        """One key's raw usage events of a UTC day, by time. A page may be shorter than `limit` and still not be the
        last. Raises Problem 400 `cursor_invalid`."""
        where = (Where("time", "starts_with", f"{day}T"),)

        async def read(shard: str, inner: str | None, _missing: int) -> Page[Document]:
            query = Query(partition_of(consumer.id, int(shard)), where, order_by="time", limit=RECORDS_PER_READ)
            return await self._documents.query(USAGE, query, inner)

        def take(document: Document) -> UsageEvent | None:
            event = decode_event(document.body)
            return event if event.api_key_id == api_key_id else None

        return await scan(
            read,
            take,
            list_name=f"{consumer.id}:{api_key_id}:{day}",
            limit=limit,
            cursor=cursor,
            reads_max=RECORD_PAGES_PER_CALL_MAX,
            sources=[str(shard) for shard in range(consumer.shards)],
        )


def check_range(start: datetime, end: datetime) -> tuple[datetime, datetime]:
    """The range in UTC, in which days and quarter hours are counted. Raises Problem 400 `range_invalid`."""
    try:
        start, end = start.astimezone(UTC), end.astimezone(UTC)
        end + timedelta(days=1)
    except OverflowError:
        raise bad_range("to", "must not be at the end of the calendar") from None
    for field, moment in (("from", start), ("to", end)):
        if moment.minute % 15 or moment.second or moment.microsecond:
            raise bad_range(field, "must be a whole quarter of an hour, such as 10:15:00")
    if start >= end:
        raise bad_range("to", "must be after `from`")
    if end - start > timedelta(days=SUMMARY_DAYS_MAX):
        raise bad_range("to", f"must be at most {SUMMARY_DAYS_MAX} days after `from`")
    return start, end


def bad_range(field: str, rule: str) -> Problem:
    return Problem(400, "range_invalid", f"`{field}` {rule}.", errors=(FieldError(field, rule),))


def _quarter(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M}"


def _start_text(moment: str | None) -> str | None:
    return None if moment is None else f"{moment}{'0000-01-01T00:00:00.000Z'[len(moment) :]}"
