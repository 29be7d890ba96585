"""The consuming half of the Event Hubs adapter: from the SDK's batches to the handler, and how far a group has come."""

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import cast

from azure.eventhub import EventData
from azure.eventhub.aio import PartitionContext
from azure.eventhub.amqp import AmqpMessageBodyType

from shared.platform.events import BatchHandler, EventBatch, StreamEvent

RETRY_FIRST_S, RETRY_MAX_S = 0.1, 10.0
LOOKS_MAX = 1000

_logger = logging.getLogger(__name__)


class BatchReader:
    """Gives batches to the handler, one at a time per partition, and checkpoints each after it."""

    def __init__(self, handler: BatchHandler, stop: asyncio.Event) -> None:
        self._handler = handler
        self._stop = stop
        # The SDK may start a partition anew while a batch of its former connection is still in the handler.
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def take(self, context: PartitionContext, events: list[EventData]) -> None:
        async with self._locks[context.partition_id]:
            if not events or self._stop.is_set():
                return  # not checkpointed, and nothing after it will be: it is delivered again
            batch = EventBatch(context.partition_id, tuple(_stream_event(event) for event in events))
            # The handler's effects are durable before the checkpoint is: a crash in between delivers the batch again.
            if await self._retry_until_stopped(lambda: self._handler(batch), f"batch of partition {batch.partition}"):
                await self._retry_until_stopped(
                    lambda: context.update_checkpoint(events[-1]), f"checkpoint of partition {batch.partition}"
                )

    async def _retry_until_stopped(self, step: Callable[[], Awaitable[None]], what: str) -> bool:
        """Run `step` until it returns, with a growing pause; False when stopped before it did."""
        pause = RETRY_FIRST_S
        while True:
            try:
                await step()
            except Exception:
                _logger.exception("%s failed; again in %.1f s", what, pause)
            else:
                return True
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), pause)
                return False
            pause = min(pause * 2, RETRY_MAX_S)

    async def finish(self) -> None:
        """Wait for the batches in hand; once `stop` is set, no other is taken."""
        for lock in list(self._locks.values()):
            async with lock:
                pass


def _stream_event(event: EventData) -> StreamEvent:
    key = event.partition_key
    return StreamEvent(
        body=_body(event),
        partition_key=None if key is None else key.decode(errors="replace"),
        sequence_number=cast("int", event.sequence_number),
        offset=cast("str", event.offset),
        enqueued_at=cast("datetime", event.enqueued_time),
    )


def _body(event: EventData) -> bytes:
    """The bytes. Another producer's AMQP value or sequence becomes text, which the consumer then refuses: an exception
    here would stop the partition for ever."""
    if event.body_type is AmqpMessageBodyType.DATA:
        return b"".join(cast("Sequence[bytes]", event.body))
    return event.body_as_str().encode()


class Arrivals:
    """When a partition's events arrived, as far as was seen: what was the newest event, and its time, at each look."""

    def __init__(self) -> None:
        self._seen: list[tuple[int, datetime]] = []

    def oldest(self, done: int, newest: int, newest_at: datetime) -> datetime | None:
        """The earliest time known of an event after `done`; None when there is no such event."""
        self._seen = [seen for seen in self._seen if seen[0] > done]
        if newest > done and (not self._seen or newest > self._seen[-1][0]):
            self._seen.append((newest, newest_at))
        if len(self._seen) > LOOKS_MAX:
            del self._seen[1::2]
        return self._seen[0][1] if self._seen else None
