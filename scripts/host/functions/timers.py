"""Timers: six-field NCRONTAB schedules in UTC.

A timer never overlaps itself, also not between processes (a file lock), and occurrences that pass meanwhile are
dropped, not queued. With `use_monitor`, the next occurrence is kept in the data folder; when the host was down at that
time, the timer runs once at the next start, with `past_due` set.
"""

import asyncio
import contextlib
import fcntl
import logging
import os
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from azure.functions.timer import TimerRequest
from croniter import croniter  # type: ignore[import-untyped]  # it ships no types

from scripts.host.functions.event_trigger import stopped_within
from scripts.host.functions.indexing import IndexedFunction, IndexingError
from scripts.host.functions.invocation import invoke
from shared.kernel.clock import format_time, parse_time, utc_now

CLOCK_CHECK_S = 30.0
"""A wait is cut into pieces of this length, so that a clock that was set is noticed."""

_SETTING = re.compile(r"%([^%]+)%")
_logger = logging.getLogger(__name__)


class TimerBusy(Exception):
    """Another process is running this timer right now."""


class _Status(msgspec.Struct, frozen=True):
    """The file kept for a monitored timer. Times as in `shared.kernel.clock`; `last` is empty before the first run."""

    last: str
    next: str


class Timer:
    """A timer of the function app, which runs once at a time over all processes. Raises IndexingError for a schedule
    that cannot be kept, and for `run_on_startup`, which would run a timer at every restart and scale-out."""

    def __init__(self, function: IndexedFunction, folder: Path, now: Callable[[], datetime] = utc_now) -> None:
        trigger: Any = function.trigger
        self.function = function
        self._schedule = _schedule(function.name, trigger.schedule)
        if trigger.run_on_startup:
            raise IndexingError(f"function {function.name}: run_on_startup fires at every start; use the schedule")
        self._is_monitored = trigger.use_monitor is not False  # Azure's default, for all but very frequent timers
        self._status_path = folder / f"{function.name}.json"
        self._lock_path = folder / f"{function.name}.lock"
        self._now = now
        folder.mkdir(parents=True, exist_ok=True)

    def next_after(self, moment: datetime) -> datetime:
        # NCRONTAB wants both the day of the month and the day of the week to match; cron, either of them.
        schedule = croniter(self._schedule, moment, second_at_beginning=True, day_or=False)
        found: datetime = schedule.get_next(datetime)
        return found.astimezone(UTC)

    async def run(self, stop: asyncio.Event) -> None:
        """Keep the schedule until `stop` is set. A run under way is finished."""
        if self._missed():
            await self._fire_scheduled(past_due=True)
        while True:
            due = self.next_after(self._now())
            self._keep_status(due)
            if await self._stopped_before(due, stop):
                return
            await self._fire_scheduled(past_due=False)

    async def fire(self, *, past_due: bool = False) -> None:
        """Run now, whatever the schedule. Raises TimerBusy, and what the function raises."""
        with self._sole_run():
            schedule = {"AdjustForDST": False}
            status = self._read_status() or _Status("", format_time(self.next_after(self._now())))
            request = TimerRequest(
                past_due=past_due, schedule=schedule, schedule_status={"Last": status.last, "Next": status.next}
            )
            started = self._now()
            await invoke(self.function, request)
            self._keep_status(self.next_after(self._now()), started)

    async def _fire_scheduled(self, *, past_due: bool) -> None:
        try:
            await self.fire(past_due=past_due)
        except TimerBusy:
            _logger.warning("timer %s is skipped: another process is running it", self.function.name)
        except Exception:
            _logger.exception("timer %s failed; it runs again as scheduled", self.function.name)

    async def _stopped_before(self, due: datetime, stop: asyncio.Event) -> bool:
        while (seconds := (due - self._now()).total_seconds()) > 0:
            if await stopped_within(stop, min(seconds, CLOCK_CHECK_S)):
                return True
        return stop.is_set()

    @contextlib.contextmanager
    def _sole_run(self) -> Iterator[None]:
        descriptor = os.open(self._lock_path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise TimerBusy(f"timer {self.function.name} is running already") from None
            yield
        finally:
            os.close(descriptor)

    def _missed(self) -> bool:
        status = self._read_status()
        return status is not None and parse_time(status.next) < self._now()

    def _read_status(self) -> _Status | None:
        if not self._is_monitored:
            return None
        try:
            return msgspec.json.decode(self._status_path.read_bytes(), type=_Status)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def _keep_status(self, due: datetime, last: datetime | None = None) -> None:
        if not self._is_monitored:
            return
        known = self._read_status()
        ran = format_time(last) if last else known.last if known else ""
        # Replaced in one step: half a file would look like a timer that never ran.
        draft = self._status_path.with_suffix(".new")
        draft.write_bytes(msgspec.json.encode(_Status(ran, format_time(due))))
        draft.replace(self._status_path)


def _schedule(name: str, text: str) -> str:
    """`%NAME%` is taken from the environment, as on Azure."""
    missing = [setting for setting in _SETTING.findall(text) if setting not in os.environ]
    if missing:
        raise IndexingError(f"function {name}: the schedule needs the setting {missing[0]}")
    text = _SETTING.sub(lambda found: os.environ[found[1]], text)
    if len(text.split()) != 6 or not croniter.is_valid(text, second_at_beginning=True):
        raise IndexingError(f"function {name}: {text!r} is not a schedule of six fields, seconds first")
    return text
