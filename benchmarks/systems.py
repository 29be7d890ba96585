"""What is measured, each as its own processes: AMS on the local host, the empty handler on the same, the baseline."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.scale import BenchmarkFailed
from tests.support.ports import free_port

ROOT = Path(__file__).resolve().parent.parent
START_S, STOP_S, POLL_S = 60.0, 60.0, 0.05


class Served:
    """A server process for as long as the block. `probe` is a path that answers 200 when it can work."""

    def __init__(self, command: Sequence[str], port: int, probe: str, log: Path, environment: dict[str, str]) -> None:
        self.port = port
        self._command = command
        self._probe = probe
        self._log = log
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AMS_")}
        environment = {**inherited, "PYTHONPATH": str(ROOT), **self._environment}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        try:
            self._wait_until_it_answers()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def _wait_until_it_answers(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + START_S
        while self._status() != 200:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise BenchmarkFailed(f"{self._command} does not answer\n{self._log.read_text()[-4000:]}")
            time.sleep(POLL_S)

    def _status(self) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=START_S)
        with contextlib.closing(connection):
            try:
                connection.request("GET", self._probe)
                return connection.getresponse().status
            except (OSError, http.client.HTTPException):
                return 0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired as late:
            raise BenchmarkFailed(f"{self._command} did not stop\n{self._log.read_text()[-4000:]}") from late
        finally:
            with contextlib.suppress(ProcessLookupError):  # what is left of its group, when it did not stop
                os.killpg(process.pid, signal.SIGKILL)


def local_host(
    data: Path, workers: int, module: str = "function_app", probe: str = "/api/health/ready", **settings: str
) -> Served:
    """The local host with `module`'s functions and its data in `data`."""
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "scripts.host",
        "--port",
        str(port),
        "--workers",
        str(workers),
        "--data",
        str(data),
        "--module",
        module,
    ]
    log = data.parent / f"{data.name}.log"
    return Served(command, port, probe, log, {"AMS_LOG_LEVEL": "warning", **settings})


@contextlib.contextmanager
def upstream() -> Iterator[int]:
    """A tiny server on loopback that answers every request with 1 KiB. Gives its port."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.upstream", str(port)], cwd=ROOT)
    try:
        deadline = time.monotonic() + START_S
        while True:
            with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
                break
            if process.poll() is not None or time.monotonic() > deadline:
                raise BenchmarkFailed("the upstream does not answer")
            time.sleep(POLL_S)
        yield port
    finally:
        process.terminate()
        process.wait(STOP_S)
