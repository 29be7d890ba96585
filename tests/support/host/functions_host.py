"""A host to test: real processes and real sockets, on a port of its own, with a function app of the test's."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from tests.support.paths import ROOT

HTTP_APP = (ROOT / "tests/scripts/host/http_app.py").read_text()
PATIENCE_S = 45.0
"""Only what hangs takes as long, also on a busy machine."""


def eventually(check: Callable[[], Any], what: str) -> Any:
    """Poll until `check` returns something true, and return that."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if found := check():
            return found
        time.sleep(0.01)
    raise AssertionError(f"still not: {what}")


@dataclass
class Host:
    process: subprocess.Popen[bytes]
    data: Path
    log: list[dict[str, Any]] = field(default_factory=list)
    port: int = 0

    def children(self, name: str = "") -> list[int]:
        """The process ids of the children that are alive, in the order in which they were started."""
        started = [line["message"] for line in list(self.log) if " is process " in line["message"]]
        ids = [int(message.rpartition(" ")[2]) for message in started if message.startswith(name)]
        return [pid for pid in ids if is_alive(pid)]

    def messages(self) -> str:
        return "\n".join(json.dumps(line) for line in list(self.log))

    def request(
        self, method: str, target: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        try:
            connection.request(method, target, body, headers or {})
            response = connection.getresponse()
            return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
        finally:
            connection.close()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S)

    def raw(self, data: bytes) -> bytes:
        """Send bytes and read to the end of the connection."""
        with self.connect() as client:
            client.sendall(data)
            return read_to_end(client)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit status."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def read_to_end(client: socket.socket) -> bytes:
    received = bytearray()
    while chunk := client.recv(65536):
        received += chunk
    return bytes(received)


def read_until(client: socket.socket, end: bytes) -> bytes:
    received = bytearray()
    while not received.endswith(end):
        chunk = client.recv(65536)
        if not chunk:
            raise AssertionError(f"closed after {bytes(received)!r}")
        received += chunk
    return bytes(received)


@contextmanager
def running_host(
    root: Path, app: str, *options: str, limits: dict[str, float] | None = None, env: dict[str, str] | None = None
) -> Iterator[Host]:
    """`app` is the source of function_app.py."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "function_app.py").write_text(app)
    if not (root / "host.json").exists():
        (root / "host.json").write_text('{"version": "2.0"}')
    data = root / "data"
    process = subprocess.Popen(
        [sys.executable, "-m", "scripts.host", "--root", root, "--data", data, "--port", "0", *options],
        cwd=ROOT,
        env={**os.environ, "AMS_HOST_LIMITS": json.dumps(limits or {}), **(env or {})},
        stderr=subprocess.PIPE,
    )
    host = Host(process, data)
    reader = threading.Thread(target=_read_log, args=(host,))
    reader.start()
    try:
        eventually(lambda: host.port or process.poll() is not None, "listening")
        yield host
    finally:
        children = host.children()
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
        for pid in children:  # a test may have killed the supervisor, which leaves the children to stop by themselves
            eventually(lambda pid=pid: not is_alive(pid), f"end of process {pid}")
        reader.join()


def _read_log(host: Host) -> None:
    assert host.process.stderr is not None
    with host.process.stderr as lines:
        for line in lines:
            try:
                entry = json.loads(line)
            except ValueError:
                entry = {"message": line.decode()}
            host.log.append(entry)
            if entry["message"] == "listening":
                host.port = entry["port"]
