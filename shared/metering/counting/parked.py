"""The parked store: events that cannot be counted, with their bytes and the reason, until somebody looks.

A parked event never stops a partition. Its name is derived from its bytes, so parking it again on redelivery changes
nothing. After a fix it can be replayed: published again with the same bytes, counted once as ever, then removed here.
"""

import base64
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from hashlib import sha256
from typing import Literal

import msgspec

from shared.kernel.clock import format_time, utc_now
from shared.kernel.telemetry import EVENTS_PARKED
from shared.platform.blobs import Blobs
from shared.platform.events import Events

PREFIX, REPLAYING = "parked/", "replaying/"
ParkReason = Literal["unreadable", "key_unknown", "time_out_of_window", "too_late", "too_large"]


class ParkedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event that could not be counted, with the reason; `event` is base64 of its bytes. `partition_key` is the
    stream's, None when it was not known."""

    name: str
    reason: ParkReason
    detail: str
    parked_at: str
    partition_key: str | None
    event: str

    @property
    def body(self) -> bytes:
        return base64.b64decode(self.event)


_decode = msgspec.json.Decoder(ParkedEvent).decode


class Parked:
    """Keeps parked events, lists them, and replays them."""

    def __init__(self, blobs: Blobs, events: Events, now: Callable[[], datetime] = utc_now) -> None:
        self._blobs = blobs
        self._events = events
        self._now = now

    async def park(self, body: bytes, partition_key: str | None, reason: ParkReason, detail: str) -> None:
        """Keep an event and the reason. Durable when it returns. Raises BlobsUnavailable."""
        name = f"{PREFIX}{sha256(body).hexdigest()[:32]}.json"
        parked = ParkedEvent(
            name=name,
            reason=reason,
            detail=detail,
            parked_at=format_time(self._now()),
            partition_key=partition_key,
            event=base64.b64encode(body).decode(),
        )
        await self._blobs.put(name, msgspec.json.encode(parked), content_type="application/json", overwrite=True)
        EVENTS_PARKED.labels(reason).inc()

    async def names(self) -> AsyncIterator[str]:
        for prefix in (PREFIX, REPLAYING):
            async for name in self._blobs.list(prefix):
                yield name

    async def get(self, name: str) -> ParkedEvent | None:
        blob = await self._blobs.get(name)
        return None if blob is None else _decode(blob.data)

    async def replay(self, name: str) -> bool:
        """Publish a parked event again and remove it from here; False when there is none of that name.

        The event is moved aside first, because an event that is still bad comes back under its old name, perhaps before
        this returns. A kill in between leaves it under `replaying/`, from where it can be replayed too; twice counts
        once.
        """
        blob = await self._blobs.get(name)
        if blob is None:
            return False
        aside = REPLAYING + name.removeprefix(PREFIX).removeprefix(REPLAYING)
        await self._blobs.put(aside, blob.data, content_type=blob.content_type, overwrite=True)
        if name != aside:
            await self._blobs.delete(name)
        parked = _decode(blob.data)
        await self._events.publish(parked.partition_key or name, [parked.body])
        await self._blobs.delete(aside)
        return True
