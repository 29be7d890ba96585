"""How long after its 202 an event is in the summary: batches at a constant rate, and readers that look all the time."""

import json
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.open_loop import START_DELAY_S, Connection, Request, elsewhere, encode

LOOK_S = 0.1
"""Between two looks at one key's summary; a measured delay is up to this much too long."""

GIVE_UP_S = 60.0


@dataclass(frozen=True, slots=True)
class Stream:
    """Every key sends `batches_per_s` batches of `events` each second, for `seconds`. `before` is how many events of
    each key were there already."""

    port: int
    keys: tuple[str, ...]
    batches_per_s: float
    events: int
    seconds: float
    report: Request
    summary: Request
    before: int


@dataclass(frozen=True, slots=True)
class Seen:
    """Seconds from 202 to visible, for each batch, and how many events were acknowledged."""

    delays_s: tuple[float, ...]
    acknowledged: int


@dataclass
class _Key:
    """What one sender and one reader share. `waiting` holds (when acknowledged, events of the key by then)."""

    waiting: deque[tuple[float, int]] = field(default_factory=deque)
    delays_s: list[float] = field(default_factory=list)
    acknowledged: int = 0
    sent_all: bool = False
    error: Exception | None = None


_Work = Callable[[Stream, int, _Key, float], None]


def measure(stream: Stream) -> Seen:
    """Put the load on, from a process of its own. Raises BenchmarkFailed, also when an acknowledged event does not
    become visible."""
    return elsewhere(_generate, stream)


def _generate(stream: Stream) -> Seen:
    started = time.perf_counter() + START_DELAY_S
    states = [_Key() for _ in stream.keys]
    threads = [
        threading.Thread(target=_guarded, args=(work, stream, number, state, started))
        for number, state in enumerate(states)
        for work in (_send, _look)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for state in states:
        if state.error is not None:
            raise state.error
    return Seen(tuple(delay for state in states for delay in state.delays_s), sum(s.acknowledged for s in states))


def _guarded(work: _Work, stream: Stream, number: int, state: _Key, started: float) -> None:
    try:
        work(stream, number, state, started)
    except (OSError, ValueError) as error:
        state.error = error
        state.sent_all = True


def _send(stream: Stream, number: int, state: _Key, started: float) -> None:
    connection = Connection(stream.port)
    offset = number / len(stream.keys)  # the keys take turns, instead of all sending at once
    for batch in range(max(1, int(stream.seconds * stream.batches_per_s))):
        request = encode(stream.report, stream.keys[number], f"{number}-{batch}")
        due = started + (batch + offset) / stream.batches_per_s
        time.sleep(max(0.0, due - time.perf_counter()))
        status, body = connection.exchange(request)
        if status != stream.report.status:
            raise ValueError(f"{status}: {body[:500]!r}")
        state.acknowledged += stream.events
        state.waiting.append((time.perf_counter(), stream.before + state.acknowledged))
    state.sent_all = True
    connection.close()


def _look(stream: Stream, number: int, state: _Key, started: float) -> None:
    connection = Connection(stream.port)
    request = encode(stream.summary, stream.keys[number], "")
    deadline = started + stream.seconds + GIVE_UP_S
    next_look = started + number / len(stream.keys) * LOOK_S
    while not state.sent_all or state.waiting:
        time.sleep(max(0.0, next_look - time.perf_counter()))
        next_look = max(next_look + LOOK_S, time.perf_counter())
        status, body = connection.exchange(request)
        seen_at = time.perf_counter()
        if status != stream.summary.status:
            raise ValueError(f"{status}: {body[:500]!r}")
        visible = json.loads(body)["total"]["events"]
        while state.waiting and state.waiting[0][1] <= visible:
            state.delays_s.append(seen_at - state.waiting.popleft()[0])
        if seen_at > deadline:
            raise TimeoutError(f"{len(state.waiting)} batches did not become visible")
    connection.close()
