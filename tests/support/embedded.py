"""A small market on the embedded adapters, one hand for every clock, and stores that fail when told to."""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from shared.access.gate.service import Gate
from shared.access.keys.format import KeyHasher, new_key
from shared.access.models import ApiKey
from shared.access.store import AccessStore
from shared.catalog.store import CatalogStore
from shared.kernel.clock import format_time
from shared.metering.counters import Counter, decode_counter
from shared.metering.counting.aggregator import Aggregator, RawEvent
from shared.metering.counting.parked import Parked
from shared.metering.counting.record_ids import RECORD_PREFIX
from shared.metering.events import EVENT_TYPE, UsageData, UsageEvent, decode_event, encode_event, partition_of
from shared.metering.store import USAGE, bodies_of
from shared.platform.blobs.files import FileBlobs
from shared.platform.documents import Documents, DocumentsUnavailable, Operation, Query, Where
from shared.platform.documents.sqlite import SqliteDocuments
from shared.platform.events.log import EventLog
from tests.support import market
from tests.support.clock import Clock
from tests.support.market import MarketBuilder

NOW = datetime(2026, 3, 15, 10, 7, 30, tzinfo=UTC)
PEPPERS = {1: "first pepper", 2: "second pepper"}
RETENTION_DAYS = 400
IN_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""Where to put a store whose durability is not what is tested: without it, other load on the disk slows each commit."""


@dataclass
class Embedded:
    """Merchant `mer_1` offers `maps` (`svc_maps`); consumer `con_1` may call it with `key` (`key_1`)."""

    folder: Path
    documents: SqliteDocuments
    access: AccessStore
    catalog: CatalogStore
    events: EventLog
    blobs: FileBlobs
    time: Clock
    key: str

    @property
    def builder(self) -> MarketBuilder:
        return MarketBuilder(self.access, self.catalog, load_hasher)

    def gate(self, cache_s: float = 1.0, documents: Documents | None = None) -> Gate:
        """A gate that hears of this market's changes; with `documents`, another process's gate, which does not."""
        access = self.access if documents is None else AccessStore(documents)
        catalog = self.catalog if documents is None else CatalogStore(documents)
        return Gate(access, catalog, load_hasher, cache_s, self.time.seconds, self.time)

    def parked(self) -> Parked:
        return Parked(self.blobs, self.events, self.time)

    def aggregator(self, documents: Documents | None = None) -> Aggregator:
        """One process's aggregator."""
        return Aggregator(documents or self.documents, self.gate(), self.parked(), RETENTION_DAYS, self.time)

    async def put_key(self, clear: str | None = None, **changes: Any) -> str:
        """The clear text of one more key."""
        _, clear = await self.builder.key(clear, **changes)
        return clear

    async def close(self) -> None:
        await self.events.close()
        await self.documents.close()


async def load_hasher() -> KeyHasher:
    return KeyHasher(PEPPERS, 2)


def api_key(clear: str, **changes: Any) -> ApiKey:
    return market.api_key(clear, KeyHasher(PEPPERS, 2), **changes)


async def open_embedded(folder: Path) -> Embedded:
    documents = SqliteDocuments(folder / "documents.db")
    access, catalog = AccessStore(documents), CatalogStore(documents)
    events, blobs = EventLog(folder / "events.db", 1), FileBlobs(folder / "blobs")
    embedded = Embedded(folder, documents, access, catalog, events, blobs, Clock(NOW), new_key("live"))
    builder = embedded.builder
    await asyncio.gather(
        builder.merchant(), builder.service(), builder.consumer(), builder.grant(), builder.key(embedded.key)
    )
    return embedded


def usage_event(id: str = "e1", **changes: Any) -> UsageEvent:
    """An event of `key_1`; `data` is given as a mapping."""
    fields: dict[str, Any] = {
        "id": id,
        "source": "tests",
        "type": EVENT_TYPE,
        "subject": "maps",
        "time": format_time(NOW),
        "consumer_id": "con_1",
        "api_key_id": "key_1",
        "service_id": "svc_maps",
        "merchant_id": "mer_1",
        "received_at": format_time(NOW),
        "specversion": "1.0",
    }
    fields.update(changes)
    return UsageEvent(**{**fields, "data": UsageData(**fields.get("data", {}))})


def raw(*events: UsageEvent | bytes) -> list[RawEvent]:
    """Events as the stream delivers them."""
    return [
        RawEvent(event, None) if isinstance(event, bytes) else RawEvent(encode_event(event), event.consumer_id)
        for event in events
    ]


async def stored_counters(documents: Documents, consumer: str = "con_1", shard: int = 0) -> dict[str, Counter]:
    """Counters by document id."""
    found = {}
    for kind in ("d:", "m:"):
        query = Query(partition_of(consumer, shard), (Where("id", "starts_with", kind),), limit=1000)
        async for body in bodies_of(documents, USAGE, query):
            counter = decode_counter(body)
            found[counter.key.id] = counter
    return found


async def stored_records(documents: Documents, consumer: str = "con_1", shard: int = 0) -> list[UsageEvent]:
    query = Query(partition_of(consumer, shard), (Where("id", "starts_with", RECORD_PREFIX),), limit=1000)
    return [decode_event(body) async for body in bodies_of(documents, USAGE, query)]


async def requests_counted(documents: Documents, shard: int = 0) -> int:
    """Requests in `con_1`'s day counters."""
    counters = (await stored_counters(documents, shard=shard)).values()
    return sum(bucket.requests for c in counters if len(c.period) == 10 for bucket in c.buckets.values())


async def drain(events: EventLog, group: str = "test") -> list[UsageEvent]:
    """Everything on the stream that `group` has not seen."""
    waiting = (await events.lag(group)).events
    if not waiting:
        return []
    got: list[bytes] = []
    stop = asyncio.Event()

    async def take(batch: Any) -> None:
        got.extend(event.body for event in batch.events)
        if len(got) >= waiting:
            stop.set()

    await events.consume(group, take, stop)
    return [decode_event(body) for body in got]


def as_json(value: object) -> bytes:
    return msgspec.json.encode(value)


class FailingDocuments:
    """The real store, except that the next transactions fail: before they are applied, or after (a lost answer)."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self.fail_before = 0
        self.fail_after = 0
        self.operations: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._documents, name)

    async def transact(self, container: Any, partition: str, operations: Sequence[Operation]) -> Sequence[str]:
        self.operations.append(len(operations))
        if self.fail_before:
            self.fail_before -= 1
            raise DocumentsUnavailable("told to fail")
        etags = await self._documents.transact(container, partition, operations)
        if self.fail_after:
            self.fail_after -= 1
            raise DocumentsUnavailable("the answer was lost")
        return etags
