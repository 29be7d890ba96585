"""Events on Azure Event Hubs, with checkpoints in Blob Storage.

Publishing: per partition key one send is in flight, and publishes that arrive meanwhile share the next one, so that a
busy key costs one round trip per batch and not per publish. Consuming: the SDK's balanced consumer, at least once;
after a lost connection it may deliver again what was received and not yet checkpointed.
"""

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import cast

from azure.eventhub import EventData, EventDataBatch
from azure.eventhub.aio import EventHubProducerClient

from shared.platform.events import (
    EVENT_BYTES_MAX,
    BatchHandler,
    EventsUnavailable,
    EventTooLarge,
    Lag,
)
from shared.platform.events.eventhubs_clients import AzureHub, EmulatedHub
from shared.platform.events.eventhubs_consumer import Arrivals, BatchReader

PUBLISH_SECONDS_MAX = 10.0
"""From the call of `publish` to its answer, waiting for an earlier send of the same key included."""

ASK_SECONDS_MAX = 10.0
"""For `ready` and `lag`."""

CLOSE_SECONDS_MAX = 5.0
SENDS_MAX = 8
"""Sends in flight. Each has a producer client of its own, since a client sends one batch at a time over its one link;
clients are made when they are first needed and then kept."""

PREFETCH_EVENTS_MIN = 300


@dataclass(frozen=True, slots=True)
class _Publish:
    events: Sequence[bytes]
    done: asyncio.Future[None]


class EventHubs:
    """Clients are opened when they are first needed; `close` ends them."""

    def __init__(self, hub: AzureHub | EmulatedHub) -> None:
        self._hub = hub
        self._waiting: dict[str, list[_Publish]] = {}
        self._sending: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(SENDS_MAX)
        self._idle: list[EventHubProducerClient] = []
        self._asking: EventHubProducerClient | None = None
        self._arrivals: defaultdict[tuple[str, str], Arrivals] = defaultdict(Arrivals)
        self._is_closed = False

    async def publish(self, partition_key: str, events: Sequence[bytes]) -> None:
        for event in events:
            if len(event) > EVENT_BYTES_MAX:
                raise EventTooLarge(f"event of {len(event)} bytes is over {EVENT_BYTES_MAX}")
        if not events:
            return
        self._check_open()
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if partition_key in self._waiting:
            self._waiting[partition_key].append(_Publish(events, done))
        else:
            self._waiting[partition_key] = [_Publish(events, done)]
            # A task of its own, so that a caller who gives up does not take the others of the batch along.
            task = asyncio.create_task(self._send_waiting(partition_key))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)
        try:
            async with asyncio.timeout(PUBLISH_SECONDS_MAX):
                await done
        except TimeoutError:
            raise EventsUnavailable(f"not confirmed within {PUBLISH_SECONDS_MAX} s") from None

    async def _send_waiting(self, key: str) -> None:
        """Send what waits for `key` until nothing does. One batch after the other: that keeps the key's order."""
        try:
            while self._waiting[key]:
                async with self._slots:
                    taken, self._waiting[key] = self._waiting[key], []
                    # Whoever gave up meanwhile has been told that nothing may be assumed.
                    if publishes := [publish for publish in taken if not publish.done.done()]:
                        await self._send(publishes, key)
        finally:
            del self._waiting[key]

    async def _send(self, publishes: Sequence[_Publish], key: str) -> None:
        try:
            async with asyncio.timeout(PUBLISH_SECONDS_MAX), self._producer() as producer:
                await _send_batches(producer, key, publishes)
        except Exception as error:  # noqa: BLE001 - whatever the SDK raises, the events are not confirmed
            for publish in publishes:
                if not publish.done.done():
                    failure = EventsUnavailable(f"Event Hubs did not confirm: {error!r}")
                    failure.__cause__ = error
                    publish.done.set_exception(failure)

    @contextlib.asynccontextmanager
    async def _producer(self) -> AsyncIterator[EventHubProducerClient]:
        producer = self._idle.pop() if self._idle else self._hub.producer()
        try:
            yield producer
        except BaseException:
            # Its link failed, or was cut off in the middle of a frame: nothing more may go over it.
            await _close(producer)
            raise
        self._idle.append(producer)

    async def consume(
        self, group: str, handler: BatchHandler, stop: asyncio.Event, *, batch_events_max: int = 1000
    ) -> None:
        reader = BatchReader(handler, stop)
        async with self._hub.checkpoints() as checkpoints, self._hub.consumer(group, checkpoints) as consumer:
            receiving = asyncio.create_task(
                consumer.receive_batch(
                    reader.take,
                    max_batch_size=batch_events_max,
                    prefetch=max(PREFETCH_EVENTS_MIN, batch_events_max),
                    starting_position="-1",
                )
            )
            stopping = asyncio.create_task(stop.wait())
            try:
                # `receiving` outlives every failure of the broker; that it ends is a mistake of ours and is raised.
                await asyncio.wait({receiving, stopping}, return_when=asyncio.FIRST_COMPLETED)
                # Before the SDK is told to end: it would cancel a handler in the middle.
                await reader.finish()
            finally:
                stopping.cancel()
                receiving.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await receiving

    async def lag(self, group: str) -> Lag:
        """`events` is exact, also past the retention time. `seconds` is a lower bound: Event Hubs tells when the
        newest event arrived and not when the oldest waiting one did, so this remembers what was newest at each call.
        The true age is more by at most the time between two calls; the first call after a start only knows the age
        of the newest event."""
        waiting, seconds = 0, 0.0
        async with self._asker() as asker, self._hub.checkpoints() as store:
            checkpoints = {
                checkpoint["partition_id"]: cast("int", checkpoint["sequence_number"])
                for checkpoint in await store.list_checkpoints(self._hub.namespace, self._hub.hub, group)
            }
            ids = await asker.get_partition_ids()
            partitions = await asyncio.gather(*(asker.get_partition_properties(partition) for partition in ids))
        for partition, properties in zip(ids, partitions, strict=True):
            done = max(checkpoints.get(partition, -1), properties["beginning_sequence_number"] - 1)
            newest = done if properties["is_empty"] else properties["last_enqueued_sequence_number"]
            waiting += max(0, newest - done)
            oldest_at = self._arrivals[group, partition].oldest(done, newest, properties["last_enqueued_time_utc"])
            if oldest_at is not None:
                seconds = max(seconds, time.time() - oldest_at.timestamp())
        return Lag(waiting, seconds)

    async def ready(self) -> None:
        async with self._asker() as asker:
            await asker.get_eventhub_properties()

    @contextlib.asynccontextmanager
    async def _asker(self) -> AsyncIterator[EventHubProducerClient]:
        """A client to ask for properties: each question has a connection of its own, so one client serves all."""
        self._check_open()
        if self._asking is None:
            self._asking = self._hub.producer()
        try:
            async with asyncio.timeout(ASK_SECONDS_MAX):
                yield self._asking
        except Exception as error:
            raise EventsUnavailable(f"Event Hubs did not answer: {error!r}") from error

    async def close(self) -> None:
        self._is_closed = True
        if self._sending:
            await asyncio.wait(self._sending)
        for producer in (*self._idle, self._asking):
            if producer is not None:
                await _close(producer)
        self._idle, self._asking = [], None

    def _check_open(self) -> None:
        if self._is_closed:
            raise EventsUnavailable("closed")


async def _send_batches(producer: EventHubProducerClient, key: str, publishes: Sequence[_Publish]) -> None:
    """Send all events in order, in as few batches as the broker's size limit allows, and answer each publish when
    the last of its events is confirmed."""
    batch = await producer.create_batch(partition_key=key)
    complete: list[_Publish] = []
    for publish in publishes:
        for event in publish.events:
            if not _add(batch, event):
                await _confirm(producer, batch, complete)
                batch, complete = await producer.create_batch(partition_key=key), []
                batch.add(EventData(event))
        complete.append(publish)
    await _confirm(producer, batch, complete)


def _add(batch: EventDataBatch, event: bytes) -> bool:
    """False when the batch is full."""
    try:
        batch.add(EventData(event))
    except ValueError:
        return False
    return True


async def _confirm(producer: EventHubProducerClient, batch: EventDataBatch, complete: Sequence[_Publish]) -> None:
    await producer.send_batch(batch)
    for publish in complete:
        if not publish.done.done():
            publish.done.set_result(None)


async def _close(producer: EventHubProducerClient) -> None:
    """A link that is to go away anyhow may fail to say goodbye."""
    with contextlib.suppress(Exception):
        async with asyncio.timeout(CLOSE_SECONDS_MAX):
            await producer.close()
