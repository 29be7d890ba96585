"""What the suites of the events port share: brokers to run adapters against, and a consumer to look at."""

import asyncio
import contextlib
import gc
import sqlite3
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import pytest
from azure.storage.blob.aio import BlobServiceClient

from shared.platform.events import BatchHandler, EventBatch, Events, StreamEvent
from shared.platform.events.eventhubs import EventHubs
from shared.platform.events.eventhubs_clients import EmulatedHub
from tests.emulators.event_hubs import HUB, EventHubsPeer

SECONDS_MAX = 60
"""A wait that lasts this long has failed."""


LEAKED_BY_THE_SDK = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
"""azure-eventhub 5.15 never closes the socket of a connection that failed: its `Connection.close` marks the connection
as ended, and then does nothing because the connection has ended. The garbage collector closes it."""


class Broker(Protocol):
    """What is behind an adapter; it outlives every adapter that is opened on it."""

    def open(self) -> Events: ...

    def outage(self) -> contextlib.AbstractAsyncContextManager[None]:
        """While inside, nothing can be published."""
        ...


@dataclass
class LogBroker:
    path: Path

    def open(self) -> Events:
        from shared.platform.events.log import EventLog

        return EventLog(self.path)

    @contextlib.asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        """Somebody else holds SQLite's write lock, as a stuck backup would."""
        with contextlib.closing(sqlite3.connect(self.path, isolation_level=None)) as blocker:
            blocker.execute("BEGIN IMMEDIATE")
            yield
            blocker.execute("ROLLBACK")


@dataclass
class HubBroker:
    peer: EventHubsPeer
    checkpoint_connection_string: str
    checkpoint_container: str

    def open(self) -> EventHubs:
        return EventHubs(
            EmulatedHub(
                connection_string=self.peer.connection_string,
                hub=HUB,
                checkpoint_connection_string=self.checkpoint_connection_string,
                checkpoint_container=self.checkpoint_container,
            )
        )

    @contextlib.asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        await self.peer.stop()
        yield
        await self.peer.start()


@contextlib.asynccontextmanager
async def hub_broker(azurite: str, peer: EventHubsPeer | None = None) -> AsyncIterator[HubBroker]:
    """A peer with an empty hub, and an empty container for its checkpoints."""
    container = f"checkpoints-{uuid.uuid4()}"
    async with BlobServiceClient.from_connection_string(azurite) as storage:
        await storage.create_container(container)
    async with peer or EventHubsPeer() as running:
        yield HubBroker(running, azurite, container)
        # Here, where LEAKED_BY_THE_SDK is in force, and not in whichever test the collector happens to run.
        gc.collect()


@dataclass
class Seen:
    """A handler that remembers its batches."""

    batches: list[EventBatch] = field(default_factory=list)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def __call__(self, batch: EventBatch) -> None:
        async with self._changed:
            self.batches.append(batch)
            self._changed.notify_all()

    @property
    def events(self) -> list[StreamEvent]:
        return [event for batch in self.batches for event in batch.events]

    @property
    def bodies(self) -> list[bytes]:
        return [event.body for event in self.events]

    async def until(self, events: int) -> None:
        """Return when at least so many events were handled."""
        async with asyncio.timeout(SECONDS_MAX), self._changed:
            await self._changed.wait_for(lambda: len(self.events) >= events)

    async def until_body(self, body: bytes) -> None:
        """Return when an event with this body was handled."""
        async with asyncio.timeout(SECONDS_MAX), self._changed:
            await self._changed.wait_for(lambda: body in self.bodies)


@contextlib.asynccontextmanager
async def consuming(
    events: Events, handler: BatchHandler, group: str = "aggregate", *, batch_events_max: int = 1000
) -> AsyncIterator[asyncio.Event]:
    """Consume while inside; yields `stop`. Leaving stops, and waits until what was handled is checkpointed."""
    stop = asyncio.Event()
    task = asyncio.create_task(events.consume(group, handler, stop, batch_events_max=batch_events_max))
    try:
        yield stop
    finally:
        stop.set()
        async with asyncio.timeout(SECONDS_MAX):
            await task


async def handled(events: Events, count: int, group: str = "aggregate") -> list[bytes]:
    """The bodies that a consumer of `group` is given from where the group is, until there are at least `count`."""
    seen = Seen()
    async with consuming(events, seen, group):
        await seen.until(count)
    return seen.bodies
