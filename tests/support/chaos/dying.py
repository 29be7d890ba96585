"""A process that dies at one exact moment: `python -m tests.support.chaos.dying aggregate|ship [BATCHES]`.

`aggregate` counts what is on the event log with the real aggregator; `ship` spools SPOOLED events and ships them. With
BATCHES, each dies when the effect of that many batches is durable and their checkpoint, or deletion, is not. Without,
they end when nothing waits any more, and `ship` adds nothing to what it finds.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from shared.bootstrap import Application, application, close
from shared.kernel.clock import format_time
from shared.metering.counting.aggregator import RawEvent
from shared.metering.events import CONSUME_SOURCE, EVENT_TYPE, UsageData, UsageEvent, encode_event
from shared.platform.events import EventBatch
from shared.platform.spool.sqlite import SqliteSpool
from tests.support.chaos.market import API, KEYS, SERVICES
from tests.support.chaos.verify import waiting_in_spool

GROUP = "aggregate"
BATCH_EVENTS_MAX = 50
SPOOLED = 30


class _Fuse:
    def __init__(self, batches: int | None) -> None:
        self._left = batches

    def burn(self) -> None:
        if self._left is not None:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


async def aggregate(app: Application, fuse: _Fuse) -> None:
    stop = asyncio.Event()

    async def handle(batch: EventBatch) -> None:
        await app.metering.aggregator.apply([RawEvent(event.body, event.partition_key) for event in batch.events])
        fuse.burn()

    consuming = asyncio.create_task(app.ports.events.consume(GROUP, handle, stop, batch_events_max=BATCH_EVENTS_MAX))
    while (await app.ports.events.lag(GROUP)).events:  # noqa: ASYNC110 - looked up on the disk
        await asyncio.sleep(0.02)
    stop.set()
    await consuming


async def ship(app: Application, fuse: _Fuse, count: int) -> None:
    all_are_spooled = asyncio.Event()

    async def publish(partition_key: str, events: Sequence[bytes]) -> None:
        await all_are_spooled.wait()
        await app.ports.events.publish(partition_key, events)
        fuse.burn()

    spool = SqliteSpool(app.settings.ams_data / "spool", publish, 2 * SPOOLED)
    key, now = KEYS[0], format_time(datetime.now(UTC))
    for number in range(count):
        event = UsageEvent(
            id=f"req_{number}",
            source=CONSUME_SOURCE,
            type=EVENT_TYPE,
            subject=API,
            time=now,
            consumer_id=key.consumer,
            api_key_id=key.id,
            service_id=SERVICES[API],
            merchant_id="mer_one",
            received_at=now,
            data=UsageData(response_bytes=number),
        )
        await spool.append(f"{key.consumer}:0", encode_event(event))
    all_are_spooled.set()
    await spool.ready()
    while waiting_in_spool(app.settings.ams_data):  # noqa: ASYNC110 - looked up on the disk
        await asyncio.sleep(0.02)
    await spool.close()


async def main() -> None:
    what, batches = sys.argv[1], sys.argv[2:]
    fuse = _Fuse(int(batches[0]) if batches else None)
    if what == "aggregate":
        await aggregate(application(), fuse)
    else:
        await ship(application(), fuse, SPOOLED if batches else 0)
    await close()


if __name__ == "__main__":
    asyncio.run(main())
