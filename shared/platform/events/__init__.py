"""The events port: a partitioned, durable stream with at-least-once delivery.

`publish` returns only when the broker has the events on durable storage: what it returned for is never lost. Events of
one partition key share a partition and are delivered in the order in which `publish` calls for that key returned.
`consume` delivers a partition's events in order, one batch at a time, and moves the durable checkpoint only after the
handler returned; a handler that raises gets the same batch again after a back-off, for ever.

Contract suite: `tests/platform/events/`. Errors: `EventsUnavailable` (nothing may be assumed about whether the
events were taken: publish again with the same ids), `EventTooLarge`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from shared.kernel.errors import Unavailable

EVENT_BYTES_MAX = 64 * 1024
"""A usage event is far smaller; the broker's own limit is 1 MiB per send."""


class StreamEvent(NamedTuple):
    """An event as the stream delivers it: `sequence_number` rises within a partition (not without gaps); `enqueued_at`
    is the broker's aware UTC time."""

    body: bytes
    partition_key: str | None
    sequence_number: int
    offset: str
    enqueued_at: datetime


@dataclass(frozen=True, slots=True)
class EventBatch:
    """Events of one partition of the stream, in their order."""

    partition: str
    events: tuple[StreamEvent, ...]


BatchHandler = Callable[[EventBatch], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a consumer group is behind, over all partitions. `seconds` is the age of the oldest waiting event."""

    events: int
    seconds: float


class EventsUnavailable(Unavailable):
    """The broker did not confirm; publish again with the same ids."""


class EventTooLarge(ValueError):
    """One event is over EVENT_BYTES_MAX bytes."""


class Events(Protocol):
    """Publishes usage events to the stream, and delivers them in batches."""

    async def publish(self, partition_key: str, events: Sequence[bytes]) -> None:
        """Publish events, which are durable when this returns. An empty sequence is a no-op. Raises EventsUnavailable,
        EventTooLarge."""
        ...

    async def consume(
        self, group: str, handler: BatchHandler, stop: asyncio.Event, *, batch_events_max: int = 1000
    ) -> None:
        """Deliver batches to `handler` until `stop` is set; the batch in the handler is finished and checkpointed
        first."""
        ...

    async def lag(self, group: str) -> Lag: ...

    async def ready(self) -> None:
        """Check that events can be published. Raises EventsUnavailable when a publish would fail."""
        ...

    async def close(self) -> None:
        """Finishes publishes under way."""
        ...
