"""Usage reports: one event or a batch, checked one by one, acknowledged when the stream has them."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from zlib import crc32

import msgspec

from shared.access.gate.service import Admission, Gate, Holder
from shared.kernel.clock import format_time, parse_time, utc_now
from shared.kernel.errors import FieldError, Problem
from shared.metering.consume.limits import RateLimiter
from shared.metering.events import (
    ACCEPTED_FUTURE,
    ACCEPTED_PAST,
    EVENT_TYPE,
    METADATA_BYTES_MAX,
    METADATA_LEVELS_MAX,
    RESERVED_SOURCES,
    ReportedEvent,
    UsageEvent,
    encode_event,
    partition_of,
)
from shared.platform.events import Events

EVENTS_PER_BATCH_MAX = 1_000
REPORT_BYTES_MAX = 1024 * 1024

_decode_one = msgspec.json.Decoder(ReportedEvent).decode
_decode_batch = msgspec.json.Decoder(list[ReportedEvent]).decode
_decode_raw = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_any = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True)
class Rejected:
    """One event that was not taken. `index` is its place in the batch, `id` its id where one could be read."""

    index: int
    id: str | None
    problem: Problem


@dataclass(slots=True)
class Receipt:
    """What became of a report. `duplicates` are events that the same report held twice: taken once."""

    accepted: int = 0
    duplicates: int = 0
    rejected: list[Rejected] = field(default_factory=list)


class UsageReports:
    def __init__(self, gate: Gate, limiter: RateLimiter, events: Events, now: Callable[[], datetime] = utc_now) -> None:
        self._gate = gate
        self._limiter = limiter
        self._events = events
        self._now = now

    async def take(self, holder: Holder, body: bytes, *, batch: bool) -> Receipt:
        """Check a report and put what passes on the stream. Durable when it returns.

        Raises Problem 400 or 413 when the body as a whole cannot be used, EventsUnavailable when nothing is certain.
        """
        parsed = _parse_batch(body) if batch else [_parse_one(body)]
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
        self._receipt = Receipt()

    async def take(self, parsed: Sequence["ReportedEvent | Rejected"]) -> Receipt:
        receipt = self._receipt
        seen: set[tuple[str, str]] = set()
        by_shard: dict[int, list[bytes]] = {}
        consumer = self._holder.consumer
        for index, event in enumerate(parsed):
            if isinstance(event, Rejected):
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
                receipt.rejected.append(Rejected(index, event.id, problem))
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
        """What the type does not say. Returns the event's time in the stored form."""
        if event.specversion != "1.0":
            raise invalid("specversion", "must be 1.0")
        if event.type != EVENT_TYPE:
            raise invalid("type", f"must be {EVENT_TYPE}")
        if event.datacontenttype not in (None, "application/json"):
            raise invalid("datacontenttype", "must be application/json")
        if event.source.startswith(RESERVED_SOURCES):
            raise invalid("source", f"must not start with {RESERVED_SOURCES}, which is AMS's own")
        _check_metadata(bytes(event.data.metadata))
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


def _parse_one(body: bytes) -> ReportedEvent:
    try:
        return _decode_one(body)
    except msgspec.ValidationError as error:
        raise _invalid_event(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _not_json(error) from None


def _parse_batch(body: bytes) -> "Sequence[ReportedEvent | Rejected]":
    """All at once when all are well; else one by one, so that a bad event never sinks its neighbours."""
    parsed: Sequence[ReportedEvent | Rejected]
    try:
        parsed = _decode_batch(body)
    except msgspec.ValidationError:
        parsed = _parse_each(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _not_json(error) from None
    if not parsed:
        raise Problem(400, "batch_empty", "The batch holds no event.")
    if len(parsed) > EVENTS_PER_BATCH_MAX:
        raise Problem(413, "batch_too_large", f"A batch holds at most {EVENTS_PER_BATCH_MAX} events.")
    return parsed


def _parse_each(body: bytes) -> "list[ReportedEvent | Rejected]":
    try:
        raws = _decode_raw(body)
    except msgspec.ValidationError:
        raise Problem(400, "body_invalid", "A batch must be a JSON array of events.") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _not_json(error) from None
    return [_parse_member(index, raw) for index, raw in enumerate(raws)]


def _parse_member(index: int, raw: msgspec.Raw) -> "ReportedEvent | Rejected":
    try:
        return _decode_one(raw)
    except msgspec.ValidationError as error:
        return Rejected(index, _id_of(raw), _invalid_event(error))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Rejected(index, None, _not_json(error))


def _id_of(raw: msgspec.Raw) -> str | None:
    """The id of an event that is not one, where it can be read."""
    try:
        found = _decode_any(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):  # such as a number that no float can hold
        return None
    id = found.get("id") if isinstance(found, dict) else None  # noqa: A001 - the field's own word
    return id if isinstance(id, str) else None


def _check_metadata(metadata: bytes) -> None:
    """Raises Problem. It was only skipped so far; whoever stores or reads it later must be able to decode it."""
    if not metadata:
        return
    if len(metadata) > METADATA_BYTES_MAX or metadata[:1] != b"{":
        raise invalid("data.metadata", f"must be a JSON object of at most {METADATA_BYTES_MAX} bytes")
    try:
        layer: list[object] = [_decode_any(metadata)]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise invalid("data.metadata", "must hold UTF-8 text and numbers that a 64-bit float can hold") from None
    if metadata.count(b"{") + metadata.count(b"[") < METADATA_LEVELS_MAX:
        return  # most metadata: too few brackets to be nested that deeply
    for _ in range(METADATA_LEVELS_MAX):
        layer = [child for item in layer for child in _children(item)]
    if layer:
        raise invalid("data.metadata", f"must be nested at most {METADATA_LEVELS_MAX} levels deep")


def _children(item: object) -> Iterable[object]:
    if isinstance(item, dict):
        return item.values()
    return item if isinstance(item, list) else ()


def invalid(field: str, rule: str) -> Problem:
    return Problem(422, "event_invalid", f"`{field}` {rule}.", errors=(FieldError(field, rule),))


_PLACE = re.compile(r"^(?P<rule>.*?)(?: - at `\$\.?(?P<field>[^`]*)`)?$", re.DOTALL)
_NAMED = re.compile(r"^Object (?P<what>missing required|contains unknown) field `(?P<name>[^`]*)`$")


def _invalid_event(error: msgspec.ValidationError) -> Problem:
    """msgspec's message (`Expected … - at `$.data.requests``) as field and rule."""
    match = _PLACE.match(str(error))
    assert match is not None, "every text matches"
    rule, place = match["rule"], match["field"] or ""
    if named := _NAMED.match(rule):
        place = f"{place}.{named['name']}" if place else named["name"]
        rule = "is required" if named["what"] == "missing required" else "is not a known field"
        return invalid(place, rule)
    if rule == "Number out of range":
        rule = "a number that a 64-bit float can hold"
    return invalid(place or "event", "must be " + rule.removeprefix("Expected "))


def _not_json(error: Exception) -> Problem:
    detail = "nested too deeply" if isinstance(error, RecursionError) else str(error)
    return Problem(400, "body_invalid", f"The body is not valid JSON: {detail}.")


ReportKind = Literal["event", "batch"]


def report_kind(content_type: str | None) -> ReportKind | None:
    """Whether a content type announces usage reports, and how many."""
    media_type = (content_type or "").partition(";")[0].strip().lower()
    if media_type == "application/cloudevents+json":
        return "event"
    return "batch" if media_type == "application/cloudevents-batch+json" else None
