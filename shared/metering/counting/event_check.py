"""Why an event of the stream cannot be counted: then it is parked (`shared.metering.counting.parked`).

Consume has checked what a client sends; this is for events that come from elsewhere, or too late.
"""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from shared.access.gate.service import Gate
from shared.kernel.clock import format_time, parse_time, utc_now
from shared.metering.counting.parked import ParkReason
from shared.metering.events import ACCEPTED_FUTURE, ACCEPTED_PAST, UsageEvent

NAMES_CACHED_MAX = 100_000
EVENT_BYTES_MAX = 16 * 1024

_IDENTIFIER = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_STORED_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII).fullmatch


class Refusal(NamedTuple):
    """Why an event cannot be counted."""

    reason: ParkReason
    detail: str


class EventCheck:
    """Checks events, batch by batch. One per process: names and keys that were found sound once are remembered, for
    most events share them with others."""

    def __init__(self, gate: Gate, retention: timedelta, now: Callable[[], datetime] = utc_now) -> None:
        self._gate = gate
        self._retention = retention
        self._now = now
        self._known_keys: set[tuple[str, str]] = set()
        self._sound_names: set[tuple[str, str, str]] = set()

    def for_batch(self) -> "BatchCheck":
        """Make the check of one batch, whose events are measured against the present time."""
        received_from = format_time(self._now() - self._retention + ACCEPTED_PAST + ACCEPTED_FUTURE)
        return BatchCheck(self._gate, received_from, self._known_keys, self._sound_names)


class BatchCheck:
    """Checks one event of a batch after another. `received_from` is the time from which on an event must have been
    received to be counted now; keys and names that are found sound are added to the sets."""

    def __init__(
        self, gate: Gate, received_from: str, known_keys: set[tuple[str, str]], sound_names: set[tuple[str, str, str]]
    ) -> None:
        self._gate = gate
        self._received_from = received_from
        self._known_keys = known_keys
        self._sound_names = sound_names
        self._sound_times: set[str] = set()  # events of one batch share many, those of different batches few

    async def refusal(self, event: UsageEvent, body: bytes) -> Refusal | None:
        """Say why the event cannot be counted; return None when it can. `body` is the event as it was delivered. Raises
        ValueError for times that counters and indexes could not rely on."""
        for time_text in (event.time, event.received_at):
            if time_text not in self._sound_times:
                self._check_time(time_text)
        if len(body) > EVENT_BYTES_MAX:
            return Refusal("too_large", f"{len(body)} bytes, the limit is {EVENT_BYTES_MAX}")
        if event.received_at < self._received_from:
            return Refusal("too_late", "its record may have expired, so a duplicate could not be told")
        # Most events happened on the day they came in: only the others need the exact comparison.
        exactly = event.time[:10] != event.received_at[:10] or event.time > event.received_at
        if exactly and not _is_in_window(event):
            return Refusal("time_out_of_window", f"{event.time}, received at {event.received_at}")
        names = (event.service_id, event.merchant_id, event.project_id or "-")
        if names not in self._sound_names and not self._are_sound(names):
            return Refusal("unreadable", "an identifier is malformed")
        key = (event.consumer_id, event.api_key_id)
        if key not in self._known_keys and not await self._is_known(key):
            return Refusal("key_unknown", f"no key {event.api_key_id} of consumer {event.consumer_id}")
        return None

    def _check_time(self, text: str) -> None:
        if not _STORED_TIME(text):
            raise ValueError("times must be UTC with milliseconds")
        datetime.fromisoformat(text)
        self._sound_times.add(text)

    def _are_sound(self, names: tuple[str, str, str]) -> bool:
        if not all(_IDENTIFIER.fullmatch(name) for name in names):
            return False
        if len(self._sound_names) >= NAMES_CACHED_MAX:
            self._sound_names.clear()
        self._sound_names.add(names)
        return True

    async def _is_known(self, key: tuple[str, str]) -> bool:
        if not await self._gate.knows(*key):
            return False
        self._known_keys.add(key)  # keys are never deleted
        return True


def _is_in_window(event: UsageEvent) -> bool:
    received = parse_time(event.received_at)
    return received - ACCEPTED_PAST <= parse_time(event.time) <= received + ACCEPTED_FUTURE
