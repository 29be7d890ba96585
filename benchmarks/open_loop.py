"""Load at a constant rate, whatever the answers do (as wrk2): latency counts from when a request was due.

A slow answer therefore delays nothing but itself, and what had to wait behind it counts its waiting. Blocking sockets
in threads that sleep until the next request is due: on a machine that is mostly idle, more exact than an event loop's
timers, which round to milliseconds.
"""

import random
import socket
import statistics
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import TypeVar

from benchmarks.scale import BenchmarkFailed

T = TypeVar("T")
U = TypeVar("U")
CONNECTIONS = 16
TIMEOUT_S = 30.0
START_DELAY_S = 0.2


@dataclass(frozen=True, slots=True)
class Request:
    """`template` holds %(key)s and %(id)s where it wants them, `body_template` too. Every answer must be `status`."""

    line: str
    body_template: str = ""
    content_type: str = "application/json"
    status: int = 200


@dataclass(frozen=True, slots=True)
class Constant:
    """`rate` requests a second for `seconds`. A key is chosen at random for each; ids are `prefix-n`."""

    port: int
    rate: float
    seconds: float
    request: Request
    keys: tuple[str, ...] = ("",)
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Latencies:
    """Milliseconds from when each request was due until its answer was read, all of them."""

    ms: tuple[float, ...]

    @property
    def p50(self) -> float:
        return statistics.median(self.ms)

    @property
    def p99(self) -> float:
        return sorted(self.ms)[min(len(self.ms) - 1, int(len(self.ms) * 0.99))]


class Connection:
    """A keep-alive connection that costs less than http.client's. Raises ConnectionError when it breaks."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def exchange(self, request: bytes) -> tuple[int, bytes]:
        """Status and body. For answers with a Content-Length."""
        self._socket.sendall(request)
        received = b""
        while (end := received.find(b"\r\n\r\n")) < 0:
            received += self._receive()
        head = received[:end].lower()
        _, _, length = head.partition(b"\r\ncontent-length:")
        whole = end + 4 + int(length.partition(b"\r\n")[0])
        while len(received) < whole:
            received += self._receive()
        return int(head[9:12]), received[end + 4 :]

    def _receive(self) -> bytes:
        data = self._socket.recv(65536)
        if not data:
            raise ConnectionError("the server closed the connection")
        return data

    def close(self) -> None:
        self._socket.close()


def encode(request: Request, key: str, id: str) -> bytes:
    """The bytes of one request."""
    body = request.body_template % {"id": id} if request.body_template else ""
    headers = f"{request.line} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    if key:
        headers += f"X-AMS-Key: {key}\r\n"
    if body:
        headers += f"Content-Type: {request.content_type}\r\nContent-Length: {len(body)}\r\n"
    return f"{headers}\r\n{body}".encode()


def elsewhere(generate: Callable[[T], U], load: T) -> U:
    """`generate(load)` in a new process, which shares no interpreter lock with this one. Raises BenchmarkFailed."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            return pool.submit(generate, load).result()
        except (OSError, ValueError) as error:
            raise BenchmarkFailed(f"{type(error).__name__}: {error}") from error


def measure(load: Constant) -> Latencies:
    """Put the load on, from a process of its own. Raises BenchmarkFailed for a lost or an unexpected answer."""
    return elsewhere(_generate, load)


def _generate(load: Constant) -> Latencies:
    count = max(1, int(load.rate * load.seconds))
    started = time.perf_counter() + START_DELAY_S
    latencies: list[float] = []
    errors: list[Exception] = []

    def send(first: int) -> None:
        chosen = random.Random(f"{load.prefix}{first}")
        try:
            connection = Connection(load.port)
            for number in range(first, count, CONNECTIONS):
                request = encode(load.request, chosen.choice(load.keys), f"{load.prefix}-{number}")
                due = started + number / load.rate
                time.sleep(max(0.0, due - time.perf_counter()))
                status, body = connection.exchange(request)
                latencies.append((time.perf_counter() - due) * 1000)
                if status != load.request.status:
                    raise ValueError(f"{status}: {body[:500]!r}")
            connection.close()
        except (OSError, ValueError) as error:
            errors.append(error)

    threads = [threading.Thread(target=send, args=(first,)) for first in range(min(CONNECTIONS, count))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return Latencies(tuple(latencies))
