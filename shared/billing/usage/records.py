"""The raw usage records that an invoice rests on: read in order, exported as CSV, hashed.

The CSV is for machines: what one computes from it anywhere must be what AMS computed, and its SHA-256 is on the
invoice. So cells are what was recorded, without the apostrophe that guards a spreadsheet against formulas.
"""

import csv
import heapq
import io
from collections.abc import AsyncIterator, Collection, Iterable, Iterator
from datetime import datetime
from hashlib import sha256

import msgspec

from shared.access.models import Consumer
from shared.kernel.clock import format_time, parse_time
from shared.metering.events import EVENT_TYPE, UsageData, UsageEvent, decode_event, partition_of
from shared.metering.store import PAGE, USAGE, bodies_of
from shared.platform.documents import Documents, Query, Where

COLUMNS = (
    "id",
    "source",
    "time",
    "service_id",
    "api_key_id",
    "project_id",
    "status_code",
    "requests",
    "request_bytes",
    "response_bytes",
    "response_time_ms",
    "executions",
    "duration_ms",
    "image",
    "version",
    "feature",
    "resource",
    "quantity",
    "metadata",
)
CHUNK_BYTES = 64 * 1024
_DATA = COLUMNS[COLUMNS.index("status_code") : COLUMNS.index("metadata")]
_NUMBERS = frozenset({"requests", "request_bytes", "response_bytes", "executions", "duration_ms"})
"""Cells that are never empty."""

_OBJECT = msgspec.json.Decoder(dict[str, object])


class RecordsError(ValueError):
    """A records file that is not one; the message names line and rule."""


async def records(
    documents: Documents, consumer: Consumer, service_ids: Collection[str], start: datetime, end: datetime
) -> AsyncIterator[UsageEvent]:
    """Read a consumer's records with these services in [start, end), by time, source and id, whatever shard they are
    in."""
    wanted = frozenset(service_ids)
    shards = [_shard(documents, partition_of(consumer.id, n), wanted, start, end) for n in range(consumer.shards)]
    if len(shards) == 1:
        async for event in shards[0]:
            yield event
        return
    heap: list[tuple[tuple[str, str, str], int, UsageEvent]] = []
    for number, shard in enumerate(shards):
        await _push(heap, number, shard)
    while heap:
        _, number, event = heapq.heappop(heap)
        yield event
        await _push(heap, number, shards[number])


async def _push(
    heap: list[tuple[tuple[str, str, str], int, UsageEvent]], number: int, shard: AsyncIterator[UsageEvent]
) -> None:
    event = await anext(shard, None)
    if event is not None:
        heapq.heappush(heap, (_order(event), number, event))


def _order(event: UsageEvent) -> tuple[str, str, str]:
    return event.time, event.source, event.id


async def _shard(
    documents: Documents, partition: str, service_ids: frozenset[str], start: datetime, end: datetime
) -> AsyncIterator[UsageEvent]:
    where = (Where("time", ">=", format_time(start)), Where("time", "<", format_time(end)))
    same: list[UsageEvent] = []  # of one moment: the store promises no order among them
    async for body in bodies_of(documents, USAGE, Query(partition, where, order_by="time", limit=PAGE)):
        event = decode_event(body)
        if event.service_id not in service_ids:
            continue
        if same and same[0].time != event.time:
            for each in sorted(same, key=_order):
                yield each
            same = []
        same.append(event)
    for each in sorted(same, key=_order):
        yield each


class RecordsWriter:
    """Writes the canonical CSV: UTF-8, lines end with LF, a header, cells quoted only where they must be."""

    def __init__(self) -> None:
        self._text = io.StringIO()
        self._csv = csv.writer(self._text, lineterminator="\n")
        self._csv.writerow(COLUMNS)

    def add(self, event: UsageEvent) -> None:
        """Write a record as one row."""
        data = event.data
        self._csv.writerow(
            (
                event.id,
                event.source,
                event.time,
                event.service_id,
                event.api_key_id,
                event.project_id,
                data.status_code,
                data.requests,
                data.request_bytes,
                data.response_bytes,
                data.response_time_ms,
                data.executions,
                data.duration_ms,
                data.image,
                data.version,
                data.feature,
                data.resource,
                data.quantity,
                _one_line(data.metadata),
            )
        )

    def take(self, at_least: int = 0) -> bytes:
        """Take the bytes that were written since the last take, once there are `at_least` that many."""
        if self._text.tell() < at_least:
            return b""
        written = self._text.getvalue().encode()
        self._text.seek(0)
        self._text.truncate()
        return written


def _one_line(metadata: msgspec.Raw) -> str:
    """Write metadata as it was recorded, but for line ends, which JSON has between its tokens only: a space says the
    same there, and some readers and writers of CSV take a lone CR for the end of a row."""
    text = bytes(metadata).decode()
    return text.replace("\r", " ").replace("\n", " ") if "\r" in text or "\n" in text else text


class RecordsHash:
    """Computes SHA-256 and number of the records that an export of them would have."""

    def __init__(self) -> None:
        self._writer = RecordsWriter()
        self._hash = sha256()
        self.count = 0

    def add(self, event: UsageEvent) -> None:
        """Take the next record in."""
        self._writer.add(event)
        self.count += 1
        self._hash.update(self._writer.take(CHUNK_BYTES))

    def hexdigest(self) -> str:
        """The SHA-256 of all records so far, as hex."""
        self._hash.update(self._writer.take())
        return self._hash.hexdigest()


async def export_csv(events: AsyncIterator[UsageEvent]) -> AsyncIterator[bytes]:
    """Export records as CSV, in pieces of some 64 KiB."""
    writer = RecordsWriter()
    async for event in events:
        writer.add(event)
        if piece := writer.take(CHUNK_BYTES):
            yield piece
    yield writer.take()


def parse_csv(lines: Iterable[str]) -> Iterator[UsageEvent]:
    """Read the records of an export back, as far as it knows them: who used it is not in it. `lines` as
    `open(newline="")` gives them. Raises RecordsError."""
    reader = csv.reader(lines, strict=True)
    try:
        header = next(reader, None)
        if header is None or tuple(header) != COLUMNS:
            raise RecordsError(f"line 1: the columns must be {','.join(COLUMNS)}")
        for row in reader:
            yield _event(row, reader.line_num)
    except csv.Error as error:
        raise RecordsError(f"line {reader.line_num}: {error}") from None


def _event(row: list[str], number: int) -> UsageEvent:
    if len(row) != len(COLUMNS):
        raise RecordsError(f"line {number}: must have {len(COLUMNS)} cells, not {len(row)}")
    cells = {name: cell for name, cell in zip(COLUMNS, row, strict=True) if cell or name in _NUMBERS}
    try:
        data = msgspec.convert({name: cells[name] for name in _DATA if name in cells}, UsageData, strict=False)
        if "metadata" in cells:
            _OBJECT.decode(cells["metadata"])
            data = msgspec.structs.replace(data, metadata=msgspec.Raw(cells["metadata"].encode()))
        time = cells.get("time", "")
        if format_time(parse_time(time)) != time:
            raise ValueError("time: must be in UTC with milliseconds")
    except (ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
        raise RecordsError(f"line {number}: {error}") from None
    return UsageEvent(
        id=cells.get("id", ""),
        source=cells.get("source", ""),
        type=EVENT_TYPE,
        subject="",
        time=time,
        consumer_id="",
        api_key_id=cells.get("api_key_id", ""),
        service_id=cells.get("service_id", ""),
        merchant_id="",
        received_at="",
        data=data,
        project_id=cells.get("project_id"),
    )
