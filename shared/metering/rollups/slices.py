"""Slices: what is kept of a UTC day's usage, so that a view over months reads few documents (docs/adr/0015).

A slice sums the day counters of one scope: of a consumer (`c:<usage partition>`) and of a service (`s:<service id>`)
one slice per service, of the platform (`p`) one. It is several documents of the scope's partition in `rollups`:

    t:{day}:{name}               Head: the day's sum, and in how many parts its rows are
    q:{day}:{name}               Quarters: the same by quarter of an hour
    r:{day}:{name}:{parts}:{n}   Rows: the day's sums by key, project, image, ...; one part unless they are many

A row's part follows from the row and the number of parts, so parts can be written one after the other.
"""

from collections.abc import AsyncIterator, Iterable
from datetime import date, timedelta
from zlib import crc32

import msgspec

from shared.metering.counters import Bucket, Counter
from shared.metering.store import PAGE, pages
from shared.platform.documents import CONTAINERS, Documents, DocumentsUnavailable, Query, Where

ROLLUPS, JOBS = CONTAINERS["rollups"], CONTAINERS["jobs"]
PLATFORM = "p"
PLATFORM_SLICE = "all"
PART_BYTES_MAX = 1_000_000
DAYS_AT_ONCE_MAX = 7
READ_ATTEMPTS_MAX = 5


class SliceRow(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """A day's sums of what shares these; a platform's row has a service and its merchant only."""

    service_id: str
    merchant_id: str
    consumer_id: str = ""
    api_key_id: str = ""
    project_id: str = ""
    image: str = ""
    version: str = ""
    feature: str = ""
    sums: Bucket = msgspec.field(default_factory=Bucket)


class SliceHead(msgspec.Struct, kw_only=True, omit_defaults=True):
    name: str
    date: str
    service_id: str
    merchant_id: str
    parts: int
    sums: Bucket


class SliceQuarters(msgspec.Struct, kw_only=True, omit_defaults=True):
    """`day` is there in services' slices only: the platform's are summed from all of that day."""

    name: str
    date: str
    service_id: str
    merchant_id: str
    buckets: dict[str, Bucket]
    day: str = ""


class SliceRows(msgspec.Struct, kw_only=True, omit_defaults=True):
    name: str
    date: str
    parts: int
    rows: list[SliceRow]


class Progress(msgspec.Struct, omit_defaults=True, frozen=True):
    """All that was counted before `as_of` is in the slices of services and of the platform, once these are `complete`:
    before, slices of the past are being made. Those of consumers are there for days until `settled` (inclusive)."""

    as_of: str
    settled: str
    complete: bool = False


encode = msgspec.json.Encoder().encode
decode_head = msgspec.json.Decoder(SliceHead).decode
decode_quarters = msgspec.json.Decoder(SliceQuarters).decode
_decode_rows = msgspec.json.Decoder(SliceRows).decode
decode_progress = msgspec.json.Decoder(Progress).decode
PROGRESS = ("rollups", "progress")


class Slice:
    """A slice that is being summed up."""

    def __init__(self) -> None:
        self.service_id = self.merchant_id = ""
        self.quarters: dict[str, Bucket] = {}
        self.rows: dict[tuple[str, ...], SliceRow] = {}

    def add_counter(self, counter: Counter) -> None:
        """A day's counter: a row, which shards share, and its quarters."""
        self.service_id, self.merchant_id = counter.service_id, counter.merchant_id
        what = (
            counter.consumer_id,
            counter.api_key_id,
            counter.project_id,
            counter.image,
            counter.version,
            counter.feature,
        )
        row = self.rows.get(what)
        if row is None:
            row = self.rows[what] = SliceRow(
                service_id=counter.service_id,
                merchant_id=counter.merchant_id,
                consumer_id=counter.consumer_id,
                api_key_id=counter.api_key_id,
                project_id=counter.project_id,
                image=counter.image,
                version=counter.version,
                feature=counter.feature,
            )
        self._add(row, counter.buckets)

    def add_service(self, of: SliceQuarters) -> None:
        """A service's day, as a row of the platform's."""
        row = self.rows[(of.service_id,)] = SliceRow(service_id=of.service_id, merchant_id=of.merchant_id)
        self._add(row, of.buckets)

    def _add(self, row: SliceRow, buckets: dict[str, Bucket]) -> None:
        for name, bucket in buckets.items():
            row.sums.add(bucket)
            self.quarters.setdefault(name, Bucket()).add(bucket)

    def total(self) -> Bucket:
        total = Bucket()
        for bucket in self.quarters.values():
            total.add(bucket)
        return total

    def parts(self, day: str, name: str) -> list[tuple[str, bytes]]:
        """Ids and bodies of the rows' documents: as few as have room, a power of two."""
        number = 1
        while True:
            split: list[list[SliceRow]] = [[] for _ in range(number)]
            for what, row in self.rows.items():
                split[crc32("\0".join(what).encode()) % number].append(row)
            bodies = [encode(SliceRows(name=name, date=day, parts=number, rows=rows)) for rows in split]
            if all(len(body) <= PART_BYTES_MAX for body in bodies):
                return [(rows_document(day, name, number, n), body) for n, body in enumerate(bodies)]
            number *= 2


def consumer_scope(usage_partition: str) -> str:
    return f"c:{usage_partition}"


def service_scope(service_id: str) -> str:
    return f"s:{service_id}"


def rows_document(day: str, name: str, parts: int, number: int) -> str:
    return f"r:{day}:{name}:{parts}:{number}"


def days_between(kind: str, first: date, last: date) -> tuple[Where, Where]:
    """Documents of a kind (`t`, `q`, `r`) from one day until another (inclusive)."""
    return Where("id", ">=", f"{kind}:{first}"), Where("id", "<", f"{kind}:{last + timedelta(days=1)}")


class SliceStore:
    """Slices of days from `first` until `last` (inclusive), read."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def progress(self) -> Progress | None:
        """None before slices were made for the first time."""
        document = await self._documents.get(JOBS, *PROGRESS)
        return None if document is None else decode_progress(document.body)

    async def heads(self, scope: str, first: date, last: date) -> AsyncIterator[SliceHead]:
        async for body in self._read(scope, "t", first, last):
            yield decode_head(body)

    async def quarters(self, scope: str, first: date, last: date) -> AsyncIterator[SliceQuarters]:
        async for body in self._read(scope, "q", first, last):
            yield decode_quarters(body)

    async def services(self, day: date) -> AsyncIterator[SliceQuarters]:
        """Every service's slice of a day."""
        # Across tenants: the platform's own sums.
        async for body in pages(self._documents, ROLLUPS, Query(None, (Where("day", "=", str(day)),), limit=PAGE)):
            yield decode_quarters(body)

    async def rows(self, scope: str, first: date, last: date) -> AsyncIterator[SliceRows]:
        """Raises DocumentsUnavailable when the number of parts kept changing."""
        while first <= last:
            until = min(last, first + timedelta(days=DAYS_AT_ONCE_MAX - 1))
            for rows in await self._consistent(scope, first, until):
                yield rows
            first = until + timedelta(days=1)

    async def _consistent(self, scope: str, first: date, last: date) -> Iterable[SliceRows]:
        """Each slice's rows in the number of parts that its head says, no other and none twice."""
        for _ in range(READ_ATTEMPTS_MAX):
            expected = {(head.date, head.name): head.parts async for head in self.heads(scope, first, last)}
            found = [_decode_rows(body) async for body in self._read(scope, "r", first, last)]
            valid = [rows for rows in found if expected.get((rows.date, rows.name)) == rows.parts]
            if len(valid) == sum(expected.values()):
                return valid
        raise DocumentsUnavailable("a slice kept growing while it was read")

    async def _read(self, scope: str, kind: str, first: date, last: date) -> AsyncIterator[bytes]:
        query = Query(scope, days_between(kind, first, last), order_by="id", limit=PAGE)
        async for body in pages(self._documents, ROLLUPS, query):
            yield body
