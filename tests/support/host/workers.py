"""Connections to a chosen worker. Which one accepts is not the client's choice, and an idle host tends to use one."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx

from tests.support.host.client import Client, Connection
from tests.support.host.installation import Ams, children_of

STOP_S, POLL_S = 60.0, 0.001


def workers_of(ams: Ams) -> list[int]:
    """Process ids of the workers of a running host."""
    return [pid for pid in children_of(ams.pid) if b"scripts.host.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def connect_to_each(ams: Ams, stack: ExitStack, each: int = 1) -> list[list[Connection]]:
    """For each worker, that many connections that it has accepted; `stack` closes them."""
    client = Client(ams.port)
    found = []
    for worker in workers_of(ams):
        with _alone(ams, worker):
            found.append([stack.enter_context(client.connect()) for _ in range(each)])
            for connection in found[-1]:  # its answer says that it was accepted
                assert connection.call("GET", "/api/health/live").status == 200
    return found


def client_of_one(ams: Ams) -> httpx.Client:
    """One connection to one worker, for all requests."""
    limits = httpx.Limits(max_connections=1, keepalive_expiry=None)
    client = httpx.Client(base_url=ams.url, timeout=30, limits=limits)
    with _alone(ams, workers_of(ams)[0]):
        assert client.get("/api/health/live").status_code == 200
    return client


@contextmanager
def _alone(ams: Ams, worker: int) -> Iterator[None]:
    """The other workers are paused."""
    paused = [other for other in workers_of(ams) if other != worker]
    assert len(paused) == ams.workers - 1
    try:
        for pid in paused:
            os.kill(pid, signal.SIGSTOP)
        for pid in paused:
            _wait_until_stopped(pid)
        yield
    finally:
        for pid in paused:
            os.kill(pid, signal.SIGCONT)


def _wait_until_stopped(pid: int) -> None:
    """A signal takes a moment: until then the worker might still accept a connection, and answer it much later."""
    deadline = time.monotonic() + STOP_S
    while Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "T":
        assert time.monotonic() < deadline, f"{pid} does not stop"
        time.sleep(POLL_S)
