"""Usage reports: one event or a batch, checked one by one, acknowledged when the stream has them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from zlib import crc32

from shared.access.gate.service import Admission, Gate, Holder
from shared.kernel.clock import format_time, parse_time, utc_now
from shared.kernel.errors import FieldError, Problem
from shared.metering.consume.limits import RateLimiter
from shared.metering.consume.parsing import RejectedEvent, check_metadata, invalid, parse_batch, parse_one
from shared.metering.events import (
    ACCEPTED_FUTURE,
    ACCEPTED_PAST,
    EVENT_TYPE,
    RESERVED_SOURCES,
    ReportedEvent,
    UsageEvent,
    encode_event,
    partition_of,
)
from shared.platform.events import Events


@dataclass(slots=True)
class UsageReportReceipt:
    """What became of a report. `duplicates` are events that the same report held twice: taken once."""

    accepted: int = 0
    duplicates: int = 0
    rejected: list[RejectedEvent] = field(default_factory=list)


class UsageReports:
    """Takes usage reports of holders."""

    def __init__(self, gate: Gate, limiter: RateLimiter, events: Events, now: Callable[[], datetime] = utc_now) -> None:
        self._gate = gate
        self._limiter = limiter
        self._events = events
        self._now = now

    async def take(self, holder: Holder, body: bytes, *, batch: bool) -> UsageReportReceipt:
        """Check a report and put what passes on the stream. Durable when it returns.

        Raises Problem 400 or 413 when the body as a whole cannot be used, EventsUnavailable when nothing is certain.
        """
        parsed = parse_batch(body) if batch else [parse_one(body)]
        return await _Intake(self._gate, self._limiter, self._events, holder, self._now()).take(parsed)


class _Intake:
    """One report on its way in."""

    def __init__(self, gate: Gate, limiter: RateLimiter, events: Events, holder: Holder, now: datetime) -> None:
        self._gate = gate
        self._limiter = limiter
        self._events = events
        self._holder = holder
        self._received_at = format_time(now)
        self._earliest = now - ACCEPTED_PAST
        self._latest = now + ACCEPTED_FUTURE
        self._times: dict[str, str] = {}  # events of one report share many
        self._services: dict[str, Admission | Problem] = {}
        self._receipt = UsageReportReceipt()

    async def take(self, parsed: Sequence[ReportedEvent | RejectedEvent]) -> UsageReportReceipt:
        receipt = self._receipt
        seen: set[tuple[str, str]] = set()
        by_shard: dict[int, list[bytes]] = {}
        consumer = self._holder.consumer
        for index, event in enumerate(parsed):
            if isinstance(event, RejectedEvent):
                receipt.rejected.append(event)
                continue
            try:
                time = self._check(event)
                admission = self._services.get(event.subject) or await self._admit(event.subject)
                if isinstance(admission, Problem):
                    raise admission
                if (event.source, event.id) in seen:
                    receipt.duplicates += 1
                    continue
                await self._limiter.take_quota(admission, event.data.requests)
            except Problem as problem:
                receipt.rejected.append(RejectedEvent(index, event.id, problem))
                continue
            seen.add((event.source, event.id))
            shard = crc32(event.id.encode()) % consumer.shards if consumer.shards > 1 else 0
            by_shard.setdefault(shard, []).append(encode_event(self._usage_event(event, admission, time, shard)))
            receipt.accepted += 1
        for shard, encoded in by_shard.items():
            # Shards one after the other: if one fails, the client retries all, and what is known counts once.
            await self._events.publish(partition_of(consumer.id, shard), encoded)
        return receipt

    def _check(self, event: ReportedEvent) -> str:
        """Check what the event's type does not say; returns its time in the stored form. Raises Problem 422."""
        if event.specversion != "1.0":
            raise invalid("specversion", "must be 1.0")
        if event.type != EVENT_TYPE:
            raise invalid("type", f"must be {EVENT_TYPE}")
        if event.datacontenttype not in (None, "application/json"):
            raise invalid("datacontenttype", "must be application/json")
        if event.source.startswith(RESERVED_SOURCES):
            raise invalid("source", f"must not start with {RESERVED_SOURCES}, which is AMS's own")
        check_metadata(bytes(event.data.metadata))
        if event.data.quantity is not None and event.data.feature is None:
            raise invalid("data.feature", "is required beside `quantity`")
        if event.time is None:
            return self._received_at
        return self._times.get(event.time) or self._check_time(event.time)

    def _check_time(self, text: str) -> str:
        try:
            moment = parse_time(text)
            time = format_time(moment)
        except (ValueError, OverflowError):
            raise invalid("time", "must be RFC 3339 with an offset, such as 2026-01-31T10:00:00Z") from None
        if moment < self._earliest:
            rule = f"must be at or after {format_time(self._earliest)}"
            raise Problem(
                422,
                "event_too_old",
                f"`time` must be at most {ACCEPTED_PAST.days} days in the past.",
                errors=(FieldError("time", rule),),
            )
        if moment > self._latest:
            rule = f"must be at or before {format_time(self._latest)}"
            raise Problem(
                422,
                "event_in_future",
                "`time` must be at most 5 minutes in the future.",
                errors=(FieldError("time", rule),),
            )
        self._times[text] = time
        return time

    async def _admit(self, subject: str) -> Admission | Problem:
        """Checks 3 to 5 for one service, once a report."""
        outcome: Admission | Problem
        try:
            outcome = await self._gate.admit(self._holder, subject, forwarding=False)
            await self._limiter.take_call(outcome)
        except Problem as problem:
            outcome = problem
        self._services[subject] = outcome
        return outcome

    def _usage_event(self, event: ReportedEvent, admission: Admission, time: str, shard: int) -> UsageEvent:
        key = self._holder.key
        return UsageEvent(
            id=event.id,
            source=event.source,
            type=EVENT_TYPE,
            subject=event.subject,
            time=time,
            consumer_id=key.consumer_id,
            api_key_id=key.id,
            service_id=admission.service.id,
            merchant_id=admission.service.merchant_id,
            received_at=self._received_at,
            data=event.data,
            project_id=key.project_id,
            shard=shard,
            specversion="1.0",
        )
