"""The load: reporters of single events and of batches, callers, and clients that send again what was acknowledged.

A patient client sends the same ids again, with jitter, until AMS acknowledges them. What a client may count on is
written into the ledger the moment it has the whole answer, and not before.
"""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress

import aiohttp

from tests.support.chaos.ledger import DeliveryAttempt, Event, Ledger
from tests.support.chaos.market import API, KEYS

CALL_S = 20.0
IMPATIENCE_S = (0.0005, 0.02)
BACK_OFF_FIRST_S, BACK_OFF_MAX_S = 0.05, 2.0
SINGLE_REPORTERS, BATCH_REPORTERS, CALLERS, REPEATERS = 16, 6, 12, 2
BATCH_EVENTS_MAX = 400
"""Taken at a time; they go in one batch per key."""

SINGLY = 3
"""Every third event is reported by itself."""

COUNTED_REFUSALS = frozenset({"upstream_unreachable", "upstream_timeout"})
"""Problems that AMS answers to a forwarded call and counts: it was tried."""

_ONE, _BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"


class Load:
    """`run` returns when every patient event is acknowledged and every call has had a counted answer.

    `planned_out` is set when nothing new is left to send; what is outstanding then is still tried again.
    """

    def __init__(self, url: str, keys: dict[str, str], ledger: Ledger, duration_s: float, rng: random.Random) -> None:
        self._url = url
        self._keys = keys
        self._ledger = ledger
        self._rng = rng
        self._duration_s = duration_s
        self._singles = _Paced(ledger.events[::SINGLY], duration_s)
        self._batched = _Paced([e for i, e in enumerate(ledger.events) if i % SINGLY], duration_s)
        self._calls = iter(range(ledger.calls))
        self._open = SINGLE_REPORTERS + BATCH_REPORTERS
        self.planned_out = asyncio.Event()

    async def run(self) -> None:
        timeout = aiohttp.ClientTimeout(total=CALL_S)
        # Repeaters and callers connect anew each time, and so meet whichever worker takes the connection.
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as kept,
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True), timeout=timeout) as fresh,
        ):
            await self._run(kept, fresh)

    async def _run(self, kept: aiohttp.ClientSession, fresh: aiohttp.ClientSession) -> None:
        async with asyncio.TaskGroup() as tasks:
            repeaters = [tasks.create_task(self._repeat(fresh)) for _ in range(REPEATERS)]
            async with asyncio.TaskGroup() as patient:
                for _ in range(SINGLE_REPORTERS):
                    patient.create_task(self._report_singles(kept))
                for _ in range(BATCH_REPORTERS):
                    patient.create_task(self._report_batches(kept))
                for number in range(CALLERS):
                    patient.create_task(self._call(fresh if number % 2 else kept))
            for repeater in repeaters:
                repeater.cancel()

    # Reports

    async def _report_singles(self, session: aiohttp.ClientSession) -> None:
        async for events in self._take(self._singles, lambda: 1):
            await self._until_acknowledged(session, events, single=True)

    async def _report_batches(self, session: aiohttp.ClientSession) -> None:
        async for events in self._take(self._batched, lambda: self._rng.randint(2, BATCH_EVENTS_MAX)):
            by_key: dict[str, list[Event]] = {}
            for event in events:
                by_key.setdefault(event.key.id, []).append(event)
            for part in by_key.values():
                await self._until_acknowledged(session, part, single=False)

    async def _take(self, source: "_Paced", size: Callable[[], int]) -> AsyncIterator[list[Event]]:
        try:
            while events := await source.take(size()):
                yield events
        finally:
            self._open -= 1
            if self._open == 0:
                self.planned_out.set()

    async def _until_acknowledged(self, session: aiohttp.ClientSession, events: list[Event], *, single: bool) -> None:
        for pause_s in _pauses(self._rng):
            waiting = [event for event in events if not event.acknowledged and not (event.impatient and event.sends)]
            if not waiting:
                return
            if single:
                await self._send(session, waiting, _ONE, timeout_s=self._patience(waiting))
            else:
                await self._send(session, self._mixed(waiting), _BATCH, timeout_s=self._patience(waiting))
            if not all(event.acknowledged or event.impatient for event in waiting):
                await asyncio.sleep(pause_s)

    def _patience(self, events: Sequence[Event]) -> float:
        """A batch with nobody waiting for it is left in the middle; so is now and then any other, to be sent again."""
        leaves = all(event.impatient for event in events) or self._rng.random() < 0.02
        return self._rng.uniform(*IMPATIENCE_S) if leaves else CALL_S

    def _mixed(self, waiting: list[Event]) -> list[Event]:
        """A batch in any order, overlapping what was acknowledged before, and sometimes with an event in it twice."""
        batch = list(waiting)
        key = waiting[0].key
        if self._rng.random() < 0.5:
            batch += [event for event in self._known(20) if event.key == key]
        if self._rng.random() < 0.3:
            batch += self._rng.sample(batch, min(3, len(batch)))
        self._rng.shuffle(batch)
        return batch

    def _known(self, count: int) -> list[Event]:
        """Some acknowledged events; mostly recent ones, which may not have been counted yet."""
        known = self._ledger.acknowledged
        if not known:
            return []
        recent = known[-200:] if self._rng.random() < 0.7 else known
        return [self._rng.choice(recent) for _ in range(count)]

    async def _repeat(self, session: aiohttp.ClientSession) -> None:
        """Send again what was acknowledged: singly and in batches, on new connections, to any worker."""
        while True:
            await asyncio.sleep(self._rng.uniform(0, 0.1))
            known = self._known(self._rng.randint(1, 30))
            if not known:
                continue
            key = known[0].key
            batch = [event for event in known if event.key == key]
            if self._rng.random() < 0.5:
                await self._send(session, batch[:1], _ONE, timeout_s=CALL_S)
            else:
                await self._send(session, batch, _BATCH, timeout_s=CALL_S)

    async def _send(
        self, session: aiohttp.ClientSession, events: Sequence[Event], content_type: str, *, timeout_s: float
    ) -> None:
        """One request, and what it told."""
        encoded = [event.encode() for event in events]
        body = encoded[0] if content_type == _ONE else b"[" + b",".join(encoded) + b"]"
        headers = {"X-AMS-Key": self._keys[events[0].key.id], "Content-Type": content_type}
        self._ledger.sending(events)
        outcome = "broken off"
        with suppress(aiohttp.ClientError, TimeoutError, OSError):
            timeout = aiohttp.ClientTimeout(total=timeout_s)
            async with session.post(
                f"{self._url}/api/consume", data=body, headers=headers, timeout=timeout
            ) as response:
                answer = await response.read()
                outcome = self._judge(response.status, answer, len(events))
        self._ledger.answers[f"report: {outcome}"] += 1
        if outcome == "202":
            self._ledger.acknowledge(events)

    def _judge(self, status: int, answer: bytes, sent: int) -> str:
        document = json.loads(answer)
        if status == 202:
            if document["accepted"] + document["duplicates"] == sent and not document["rejected"]:
                return "202"
        elif status == 503:
            return f"503 {document['code']}"
        self._ledger.unexpected.append(f"{status} {answer[:300]!r}")
        return "unexpected"

    # Forwarded calls

    async def _call(self, session: aiohttp.ClientSession) -> None:
        pace_s = self._duration_s * CALLERS / max(1, self._ledger.calls)
        for _ in self._calls:
            await asyncio.sleep(self._rng.uniform(0.5, 1.5) * pace_s * 0.8)
            for pause_s in _pauses(self._rng):
                if await self._attempt(session, self._new_attempt()):
                    break
                await asyncio.sleep(pause_s)

    def _new_attempt(self) -> DeliveryAttempt:
        rng, number = self._rng, len(self._ledger.attempts)
        kind, size = rng.choice((("whole", 2_000), ("whole", 150_000), ("streamed", 300_000)))
        answer_bytes = rng.randrange(size)
        method = rng.choice(("GET", "POST"))
        sent_bytes = rng.randrange(20_000) if method == "POST" else 0
        attempt = DeliveryAttempt(f"{kind}/{answer_bytes}/{number}", method, rng.choice(KEYS), sent_bytes, answer_bytes)
        self._ledger.attempts.append(attempt)
        return attempt

    async def _attempt(self, session: aiohttp.ClientSession, attempt: DeliveryAttempt) -> bool:
        """True when there was a whole answer to count on."""
        headers = {"X-AMS-Key": self._keys[attempt.key.id]}
        url = f"{self._url}/api/consume/{API}/{attempt.path}"
        body = b"b" * attempt.sent_bytes or None
        outcome = "broken off"
        with suppress(aiohttp.ClientError, TimeoutError, OSError):
            async with session.request(attempt.method, url, data=body, headers=headers) as response:
                answer = await response.read()
                outcome = self._judge_call(attempt, response, answer)
        self._ledger.answers[f"call: {outcome}"] += 1
        return attempt.acknowledged

    def _judge_call(self, attempt: DeliveryAttempt, response: aiohttp.ClientResponse, answer: bytes) -> str:
        outcome = str(response.status)
        if response.headers.get("X-AMS-Answered-By") == "upstream":
            attempt.received_bytes = len(answer)
            if response.status != 200 or len(answer) != attempt.answer_bytes_max:
                self._ledger.unexpected.append(f"{attempt.path}: {response.status} with {len(answer)} bytes")
        else:
            code = json.loads(answer)["code"]
            outcome += f" {code}"
            if code not in COUNTED_REFUSALS:
                if response.status != 503:
                    self._ledger.unexpected.append(f"{attempt.path}: {outcome}")
                return outcome
        attempt.request_id = response.headers["X-AMS-Request-Id"]
        attempt.status = response.status
        return outcome


class _Paced:
    """Events that become due evenly over `duration_s` seconds from the first take on."""

    def __init__(self, events: Sequence[Event], duration_s: float) -> None:
        self._events = events
        self._taken = 0
        self._interval_s = duration_s / max(1, len(events))
        self._started: float | None = None

    async def take(self, count: int) -> list[Event]:
        """The next events once they are due; none at the end."""
        if self._started is None:
            self._started = time.monotonic()
        taken = list(self._events[self._taken : self._taken + count])
        self._taken += len(taken)
        await asyncio.sleep(self._started + self._taken * self._interval_s - time.monotonic())
        return taken


def _pauses(rng: random.Random) -> Iterator[float]:
    """Exponential back-off with full jitter, without end."""
    most = BACK_OFF_FIRST_S
    while True:
        yield rng.uniform(0, most)
        most = min(most * 2, BACK_OFF_MAX_S)
