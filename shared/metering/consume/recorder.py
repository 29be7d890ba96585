"""The usage event of a forwarded call, put where it is safe: into the spool, or onto the stream if the spool fails."""

from collections.abc import Callable
from datetime import datetime
from zlib import crc32

import msgspec

from shared.access.gate.service import Admission
from shared.kernel.clock import format_time, utc_now
from shared.kernel.errors import Problem
from shared.kernel.telemetry import EVENTS_ACCEPTED
from shared.metering.consume.call import Call, CallMeter
from shared.metering.events import CONSUME_SOURCE, EVENT_TYPE, UsageData, UsageEvent, encode_event, partition_of
from shared.platform.events import Events, EventsUnavailable
from shared.platform.spool import Spool, SpoolUnavailable

PATH_CHARACTERS_MAX = 256


class CallRecorder:
    """Records one usage event for every call."""

    def __init__(self, spool: Spool, events: Events, now: Callable[[], datetime] = utc_now) -> None:
        self._spool = spool
        self._events = events
        self._now = now

    async def check(self) -> None:
        """Check that a call could be recorded. Raises Problem 503 `usage_backlog` when a call could not be recorded
        now."""
        try:
            self._spool.check()
        except SpoolUnavailable:
            try:
                await self._events.ready()  # then `record` can do without the spool
            except EventsUnavailable:
                raise _backlog() from None

    async def record(self, admission: Admission, call: Call, meter: CallMeter) -> None:
        """Make the call's one event safe; nothing when that was done before. Raises Problem 503 `usage_backlog` when
        neither spool nor stream takes it."""
        if meter.recorded:
            return
        meter.recorded = True
        consumer = admission.holder.consumer
        shard = crc32(call.request_id.encode()) % consumer.shards if consumer.shards > 1 else 0
        event = encode_event(self._event(admission, call, meter, shard))
        partition = partition_of(consumer.id, shard)
        try:
            await self._spool.append(partition, event)
        except SpoolUnavailable:
            try:
                await self._events.publish(partition, [event])
            except EventsUnavailable:
                raise _backlog() from None
        EVENTS_ACCEPTED.labels("forward").inc()

    def _event(self, admission: Admission, call: Call, meter: CallMeter, shard: int) -> UsageEvent:
        key = admission.holder.key
        metadata = {"method": call.method, "path": call.path[:PATH_CHARACTERS_MAX]}
        return UsageEvent(
            id=call.request_id,
            source=CONSUME_SOURCE,
            type=EVENT_TYPE,
            subject=admission.service.slug,
            time=format_time(meter.started_at),
            consumer_id=admission.holder.consumer.id,
            api_key_id=key.id,
            service_id=admission.service.id,
            merchant_id=admission.merchant.id,
            received_at=format_time(self._now()),
            data=UsageData(
                requests=1,
                request_bytes=meter.request_bytes,
                response_bytes=meter.response_bytes,
                response_time_ms=meter.response_time_ms,
                status_code=meter.status,
                metadata=msgspec.Raw(msgspec.json.encode(metadata)),
            ),
            project_id=key.project_id,
            shard=shard,
            specversion="1.0",
        )


def _backlog() -> Problem:
    return Problem(
        503, "usage_backlog", "Usage cannot be recorded right now. Try again shortly.", headers={"Retry-After": "1"}
    )
