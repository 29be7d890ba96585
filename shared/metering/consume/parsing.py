"""Reading usage reports: the bytes of a request as events, and what is wrong with those that are none."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from shared.kernel.errors import FieldError, Problem
from shared.metering.events import METADATA_BYTES_MAX, METADATA_LEVELS_MAX, ReportedEvent

EVENTS_PER_BATCH_MAX = 1_000
REPORT_BYTES_MAX = 1024 * 1024

_decode_one = msgspec.json.Decoder(ReportedEvent).decode
_decode_batch = msgspec.json.Decoder(list[ReportedEvent]).decode
_decode_raw = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_any = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True)
class RejectedEvent:
    """One event that was not taken. `index` is its position in the batch, `id` its id where one could be read."""

    index: int
    id: str | None
    problem: Problem


def parse_one(body: bytes) -> ReportedEvent:
    """Read the one event of a report. Raises Problem 400 `body_invalid`, 422 `event_invalid`."""
    try:
        return _decode_one(body)
    except msgspec.ValidationError as error:
        raise _invalid_event(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _not_json(error) from None


def parse_batch(body: bytes) -> Sequence[ReportedEvent | RejectedEvent]:
    """Read the events of a batch, decoded all at once when all are well; else one by one, so that a bad event never
    sinks its neighbours. Raises Problem 400 `body_invalid`, `batch_empty`; 413 `batch_too_large`."""
    parsed: Sequence[ReportedEvent | RejectedEvent]
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


def _parse_each(body: bytes) -> list[ReportedEvent | RejectedEvent]:
    try:
        raws = _decode_raw(body)
    except msgspec.ValidationError:
        raise Problem(400, "body_invalid", "A batch must be a JSON array of events.") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _not_json(error) from None
    return [_parse_member(index, raw) for index, raw in enumerate(raws)]


def _parse_member(index: int, raw: msgspec.Raw) -> ReportedEvent | RejectedEvent:
    try:
        return _decode_one(raw)
    except msgspec.ValidationError as error:
        return RejectedEvent(index, _id_of(raw), _invalid_event(error))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return RejectedEvent(index, None, _not_json(error))


def _id_of(raw: msgspec.Raw) -> str | None:
    """The id of an event that is not one, where it can be read."""
    try:
        found = _decode_any(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):  # such as a number that no float can hold
        return None
    id = found.get("id") if isinstance(found, dict) else None  # noqa: A001 - the field's own word
    return id if isinstance(id, str) else None


def check_metadata(metadata: bytes) -> None:
    """Check an event's metadata. Raises Problem. It was only skipped so far; whoever stores or reads it later must be
    able to decode it."""
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
    """The problem 422 `event_invalid` of a field that breaks a rule."""
    return Problem(422, "event_invalid", f"`{field}` {rule}.", errors=(FieldError(field, rule),))


_MESSAGE = re.compile(r"^(?P<rule>.*?)(?: - at `\$\.?(?P<field>[^`]*)`)?$", re.DOTALL)
_FIELD_RULE = re.compile(r"^Object (?P<what>missing required|contains unknown) field `(?P<name>[^`]*)`$")


def _invalid_event(error: msgspec.ValidationError) -> Problem:
    """msgspec's message (`Expected … - at `$.data.requests``) as field and rule."""
    match = _MESSAGE.match(str(error))
    assert match is not None, "every text matches"
    rule, field = match["rule"], match["field"] or ""
    if named := _FIELD_RULE.match(rule):
        field = f"{field}.{named['name']}" if field else named["name"]
        rule = "is required" if named["what"] == "missing required" else "is not a known field"
        return invalid(field, rule)
    if rule == "Number out of range":
        rule = "a number that a 64-bit float can hold"
    return invalid(field or "event", "must be " + rule.removeprefix("Expected "))


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
