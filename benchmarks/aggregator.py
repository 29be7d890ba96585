"""`python -m benchmarks.aggregator DATA EVENTS CONSUMERS ordered|random`: publish, count, print figures (JSON)."""

import asyncio
import gc
import json
import os
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import replace

import azure.functions as func
import msgspec
import uvloop

from scripts.host.functions.event_trigger import consume
from scripts.host.functions.indexing import IndexedFunction, index_module
from scripts.host.options import read_host_file
from scripts.host.worker import SWITCH_INTERVAL_S
from scripts.local_settings import ROOT, use_local_settings
from shared.bootstrap import Application, application, close
from shared.kernel.clock import format_time, utc_now
from shared.metering.events import EVENT_TYPE, UsageData, UsageEvent, encode_event, partition_of

PER_BATCH = 100


async def _publish(app: Application, count: int, consumers: int, *, random_ids: bool) -> None:
    """As consume would: batches of one consumer, consumers in turns."""
    now, run = format_time(utc_now()), time.time_ns()
    for first in range(0, count, PER_BATCH):
        number = first // PER_BATCH % consumers
        ids = _ids(run, first, min(PER_BATCH, count - first), random_ids=random_ids)
        await app.ports.events.publish(
            partition_of(f"con_{number}", 0), [_event(event_id, number, now) for event_id in ids]
        )


def _ids(run: int, first: int, count: int, *, random_ids: bool) -> Iterator[str]:
    for number in range(first, first + count):
        yield uuid.uuid4().hex if random_ids else f"{run}-{number:010d}"


def _event(id: str, consumer: int, now: str) -> bytes:
    metadata = msgspec.Raw(b'{"method":"GET","path":"/a/b/c"}')
    data = UsageData(request_bytes=512, response_bytes=20480, response_time_ms=42.5, status_code=200, metadata=metadata)
    return encode_event(
        UsageEvent(
            id=id,
            source="bench/host",
            type=EVENT_TYPE,
            subject="ocr",
            time=now,
            consumer_id=f"con_{consumer}",
            api_key_id=f"key_{consumer}",
            service_id="svc_ocr",
            merchant_id="mer_bench",
            received_at=now,
            data=data,
            specversion="1.0",
        )
    )


async def _measure(app: Application, function: IndexedFunction, count: int) -> dict[str, float]:
    """From the first event to the checkpoint behind the last one."""
    stop, counted = asyncio.Event(), 0

    async def counting(events: Sequence[func.EventHubEvent]) -> None:
        nonlocal counted
        await function.call(events)
        counted += len(events)
        if counted >= count:
            stop.set()

    batch_events_max = read_host_file(ROOT).extensions.event_hubs.max_event_batch_size
    gc.collect()
    started, used = time.perf_counter(), time.process_time()
    await consume(app.ports.events, replace(function, call=counting), stop, batch_events_max)
    elapsed, used = time.perf_counter() - started, time.process_time() - used
    return {"events": count, "per_s": count / elapsed, "per_core_s": count / used}


async def main(count: int, consumers: int, ids: str) -> None:
    """Publishing is not measured."""
    (function,) = [f for f in index_module("function_app") if f.name == "aggregate_usage"]
    app = application()
    try:
        await _publish(app, count, consumers, random_ids=ids == "random")
        print(json.dumps(await _measure(app, function, count)))
    finally:
        await close()


if __name__ == "__main__":
    os.environ |= {"AMS_DATA": sys.argv[1], "AMS_LOG_LEVEL": "warning"}
    use_local_settings()
    sys.setswitchinterval(SWITCH_INTERVAL_S)  # as the host's processes do
    uvloop.run(main(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]))
