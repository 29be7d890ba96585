"""What is kept of a UTC day's usage, so that a view over months reads few documents.

A slice sums the day counters of one scope: of a consumer (`c:<usage partition>`) and of a service (`s:<service id>`)
one slice per service, of the platform (`p`) one. Slices are derived, never added up
(docs/adr/0015-roll-ups-are-derived-from-counters.md). Each is several documents of its scope's partition in `rollups`:

    t:{day}:{name}               head: the day's sum, and in how many parts its rows are
    q:{day}:{name}               quarters: the same by quarter of an hour
    r:{day}:{name}:{parts}:{n}   rows: the day's sums by key, project, image, ...; one part unless they are many

A row's part follows from the row and the number of parts, so parts can be written one after the other.
"""

from datetime import date, timedelta
from typing import Literal

import msgspec

from shared.metering.counters import Bucket
from shared.platform.documents import CONTAINERS, Where

ROLLUPS, JOBS = CONTAINERS["rollups"], CONTAINERS["jobs"]
PROGRESS = ("rollups", "progress")
"""Partition and id of `RollupProgress` in the `jobs` container."""

PLATFORM = "p"
PLATFORM_SLICE = "all"
DocumentKind = Literal["t", "q", "r"]


class SliceRow(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """The day's sums of usage that has all of these dimensions in common. A row of the platform's slice has a service
    and its merchant only."""

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
    """A slice's sum of its day, and the number of parts that its rows are in."""

    name: str
    date: str
    service_id: str
    merchant_id: str
    parts: int
    sums: Bucket


class SliceQuarters(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A slice's sums by quarter of an hour (`HH:MM`, UTC). `day` repeats `date` in services' slices only: by it the
    platform's slice finds all services of a day."""

    name: str
    date: str
    service_id: str
    merchant_id: str
    buckets: dict[str, Bucket]
    day: str = ""


class SliceRows(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One part of a slice's rows, when they are in `parts` parts."""

    name: str
    date: str
    parts: int
    rows: list[SliceRow]


class RollupProgress(msgspec.Struct, kw_only=True, omit_defaults=True, frozen=True):
    """How far slices are derived.

    All that was counted before `as_of` is in the slices of services and of the platform, once these are `complete`;
    before that, slices of the past are still being made. Slices of consumers exist for the days until `settled`
    (`YYYY-MM-DD`, inclusive, empty before the first).
    """

    as_of: str
    settled: str
    complete: bool = False


encode = msgspec.json.Encoder().encode
decode_head = msgspec.json.Decoder(SliceHead).decode
decode_quarters = msgspec.json.Decoder(SliceQuarters).decode
decode_rows = msgspec.json.Decoder(SliceRows).decode
decode_progress = msgspec.json.Decoder(RollupProgress).decode


def consumer_scope(usage_partition: str) -> str:
    return f"c:{usage_partition}"


def service_scope(service_id: str) -> str:
    return f"s:{service_id}"


def is_service_scope(scope: str) -> bool:
    return scope.startswith("s:")


def head_document(day: str, name: str) -> str:
    return f"t:{day}:{name}"


def quarters_document(day: str, name: str) -> str:
    return f"q:{day}:{name}"


def rows_document(day: str, name: str, parts: int, number: int) -> str:
    return f"r:{day}:{name}:{parts}:{number}"


def days_between(kind: DocumentKind, first: date, last: date) -> tuple[Where, Where]:
    """The condition for documents of a kind from day `first` to `last`, both inclusive."""
    return Where("id", ">=", f"{kind}:{first}"), Where("id", "<", f"{kind}:{last + timedelta(days=1)}")
