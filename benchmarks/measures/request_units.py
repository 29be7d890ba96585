"""What counting an event costs on Cosmos DB: the real aggregator and SDK against the peer, by Microsoft's model.

One consumer, one key, one service. The day's and the month's counters are filled as on a busy day (every quarter of an
hour, several status codes and latencies), then one batch of 50 is counted. Nothing is timed here.
"""

import asyncio
import shutil
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from benchmarks.results import Line, Result
from benchmarks.scale import BenchmarkFailed, Scale
from scripts.seeding.documents import add_key, put_consumer
from shared.access.gate.service import Gate
from shared.access.keys.format import KeyHasher
from shared.access.models import ApiKey, Consumer
from shared.access.store import AccessStore
from shared.catalog.store import CatalogStore
from shared.kernel.clock import format_time, utc_now
from shared.metering.counting.aggregator import Aggregator, RawEvent
from shared.metering.counting.parked import Parked
from shared.metering.events import EVENT_TYPE, UsageData, UsageEvent, encode_event, partition_of
from shared.platform.blobs.files import FileBlobs
from shared.platform.documents.cosmos import CosmosDocuments
from shared.platform.events.log import EventLog
from tests.emulators.cosmos import KEY, CosmosPeer, run_cosmos

EVENTS = 50
QUARTERS = 96
RETENTION_DAYS = 400
INDEX_EVERYTHING = {"indexingMode": "consistent", "automatic": True, "includedPaths": [{"path": "/*"}]}
STATUSES = (200, 200, 200, 200, 201, 304, 400, 404, 500, 503)
TIMES_MS = (3.2, 8.5, 17.0, 33.0, 80.0, 140.0, 420.0, 1_900.0)


def measure(scale: Scale) -> Result:
    """Raises BenchmarkFailed."""
    folder = scale.folder / "request-units"
    folder.mkdir()
    ours = asyncio.run(_charges(folder / "ours", None))
    default = asyncio.run(_charges(folder / "default", INDEX_EVERYTHING))
    shutil.rmtree(folder)
    lines = [
        Line(f"Cosmos DB, request units per event, batch of {EVENTS}, busy day", f"{ours['busy_day']:.2f} RU"),
        Line("the same, first batch of a day", f"{ours['first_of_day']:.2f} RU"),
        Line("the same, busy day, default indexing policy", f"{default['busy_day']:.2f} RU"),
    ]
    conditions = {
        "indexing policy": "only /body/time and /body/period are indexed"
        " (shared/platform/documents/containers.json); the default indexes every field of the record and the counters",
        "busy day": f"counters with {QUARTERS} quarter hours of {len(set(STATUSES))} status codes and {len(TIMES_MS)}"
        f" latency classes each: {ours['d:bytes']:,.0f} bytes a day's counter, {ours['m:bytes']:,.0f} a month's,"
        f" {ours['r:bytes']:,.0f} a record",
        "charged by": "tests/emulators/cosmos_charges.py, Microsoft's published model; not measured on an account",
        "checked": f"each transaction created {EVENTS} records and replaced the two counters",
    }
    return Result("request-units", scale.full, conditions, lines, [{"ours": ours, "default": default}])


async def _charges(folder: Path, policy: dict[str, object] | None) -> dict[str, float]:
    """Request units per event of the first batch of a day and of one on a busy day."""
    events = EventLog(folder / "events.db")
    try:
        async with run_cosmos() as peer:
            documents = CosmosDocuments(peer.endpoint, KEY, "ams")
            try:
                await documents.ensure_containers()
                if policy is not None:
                    peer.databases["ams"]["usage"].properties["indexingPolicy"] = policy
                return await _count_a_day(documents, peer, Parked(FileBlobs(folder / "blobs"), events))
            finally:
                await documents.close()
    finally:
        await events.close()


async def _count_a_day(documents: CosmosDocuments, peer: CosmosPeer, parked: Parked) -> dict[str, float]:
    access = AccessStore(documents)
    await put_consumer(access, Consumer(id="con_019aa5b3c1f2", name="Consumer"))
    await add_key(
        access,
        ApiKey(id="key_019aa5b3c1f2", consumer_id="con_019aa5b3c1f2", hash="h", prefix="p", last4="last", name="key"),
    )
    aggregator = Aggregator(documents, Gate(access, CatalogStore(documents), _no_hasher, 1.0), parked, RETENTION_DAYS)
    day = utc_now().replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
    first = await _charge(aggregator, peer, _events(day, 0))
    for quarter in range(1, QUARTERS):
        await _charge(aggregator, peer, _events(day + timedelta(minutes=15 * quarter), quarter))
    busy = await _charge(aggregator, peer, _events(day, QUARTERS))
    sizes = {name[:2]: stored.size for (_, name), stored in peer.databases["ams"]["usage"].documents.items()}
    return {"first_of_day": first, "busy_day": busy, **{f"{kind}bytes": size for kind, size in sizes.items()}}


async def _charge(aggregator: Aggregator, peer: CosmosPeer, events: Sequence[RawEvent]) -> float:
    """Request units per event of the one transaction that counts `events`; reads of counters included."""
    peer.exchanges.clear()
    outcome = await aggregator.apply(events)
    batches = [exchange for exchange in peer.exchanges if exchange.operation == "batch"]
    if outcome.counted != EVENTS or len(batches) != 1:
        raise BenchmarkFailed(f"{outcome} in {len(batches)} transactions instead of {EVENTS} in one")
    return sum(exchange.charge for exchange in peer.exchanges) / EVENTS


def _events(start: datetime, batch: int) -> list[RawEvent]:
    return [_event(start + timedelta(seconds=number), batch * EVENTS + number) for number in range(EVENTS)]


def _event(moment: datetime, number: int) -> RawEvent:
    metadata = msgspec.Raw(b'{"method":"GET","path":"/a/b/c"}')
    data = UsageData(
        request_bytes=512,
        response_bytes=20_480 + number,
        response_time_ms=TIMES_MS[number % len(TIMES_MS)],
        status_code=STATUSES[number % len(STATUSES)],
        metadata=metadata,
    )
    event = UsageEvent(
        id=f"req_019aa5b3c1f2{number:020d}",
        source="ams/consume",
        type=EVENT_TYPE,
        subject="ocr",
        time=format_time(moment),
        consumer_id="con_019aa5b3c1f2",
        api_key_id="key_019aa5b3c1f2",
        service_id="svc_019aa5b3c1f2",
        merchant_id="mer_019aa5b3c1f2",
        received_at=format_time(utc_now()),
        data=data,
        specversion="1.0",
    )
    return RawEvent(encode_event(event), partition_of(event.consumer_id, event.shard))


async def _no_hasher() -> KeyHasher:
    raise AssertionError("no key is looked up by its hash here")
