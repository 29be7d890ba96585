"""A real AMS for end-to-end tests: the local host as its own process, on a free port, with data of its own."""

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.paths import ROOT
from tests.support.ports import free_port

START_S, STOP_S, METRIC_S, COMMAND_S = 120.0, 60.0, 60.0, 120.0
POLL_S = 0.02


class Ams:
    """One installation. `start` and `stop` or `kill` as often as one likes: data, port and keys stay."""

    def __init__(self, data: Path, workers: int = 1, **settings: str) -> None:
        self.data = data
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.workers = workers
        self.log = data.parent / f"{data.name}.log"
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """For commands that work on this installation."""
        own = {"AMS_DATA": str(self.data), "AMS_PORT": str(self.port), "PYTHONPATH": str(ROOT)}
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AMS_")}
        return {**inherited, **own, **self._settings}

    @property
    def pid(self) -> int:
        """Of the supervising process."""
        assert self._process is not None, "not started"
        return self._process.pid

    def start(self) -> None:
        """Returns when consume can work."""
        assert self._process is None, "started already"
        command = [sys.executable, "-m", "scripts.host", "--workers", str(self.workers)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        assert self._process is not None, "not started"
        deadline = time.monotonic() + START_S
        while True:
            try:
                status, checks = self.call("GET", "/api/health/ready")
            except (OSError, http.client.HTTPException) as error:
                status, checks = 0, error
            if status == 200:
                return
            if self._process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"AMS is not ready: {checks}\n{self.log.read_text()[-4000:]}")
            time.sleep(POLL_S)

    def stop(self) -> int:
        """As an operator would, with SIGTERM. Returns the exit code."""
        process, self._process = self._process, None
        assert process is not None, "not started"
        process.terminate()
        try:
            return process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            pytest.fail(f"AMS did not stop within {STOP_S:g} s\n{self.log.read_text()[-4000:]}")
        finally:
            _end_group(process)

    def kill(self) -> None:
        """SIGKILL to the host and all its processes at once."""
        process, self._process = self._process, None
        assert process is not None, "not started"
        _end_group(process)

    def restart(self) -> None:
        """Stop gracefully and start again."""
        self.stop()
        self.start()

    def close(self) -> None:
        if self._process is not None:
            self.kill()

    def seed(self, market: dict[str, Any]) -> dict[str, str]:
        """Load a market (docs/seed.md). Returns the clear keys that were made, by key id."""
        file = self.data.parent / f"{self.data.name}.market.json"
        file.write_text(json.dumps(market))
        done = self.run("seed", "--from", str(file))
        assert done.returncode == 0, done.stderr
        return {key["id"]: key["key"] for key in json.loads(done.stdout)["keys"]}

    def command(self, name: str, *arguments: str) -> list[str]:
        """What `scripts/ams NAME` runs."""
        return [sys.executable, "-m", "scripts.commands", name, *arguments]

    def run(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `scripts/ams NAME` against this installation's data."""
        return self._finish(self.command(name, *arguments))

    def fire(self, timer: str) -> subprocess.CompletedProcess[str]:
        """Run a timer's function once, beside the host."""
        return self._finish([sys.executable, "-m", "scripts.host", "fire", timer])

    def _finish(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
            check=False,
        )

    def call(
        self,
        method: str,
        path: str,
        key: str | None = None,
        *,
        body: Any = None,
        content_type: str | None = None,
        token: str | None = None,
    ) -> tuple[int, Any]:
        """One HTTP call, with an API key or an access token. A body that is not bytes is sent as JSON. Returns status
        and decoded JSON, else bytes."""
        headers = {"X-AMS-Key": key} if key else {}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if content_type:
            headers["Content-Type"] = content_type
        sent = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, sent, headers)
            response = connection.getresponse()
            answer = response.read()
            is_json = "json" in response.headers.get("Content-Type", "")
            return response.status, json.loads(answer) if is_json else answer
        finally:
            connection.close()

    def metric(self, name: str) -> float:
        """Sum over all labels of a metric, as Prometheus would scrape it; 0 when it is not there yet."""
        status, text = self.call("GET", "/api/metrics")
        assert status == 200, text
        found = re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text.decode(), re.MULTILINE)
        return sum(float(value) for value in found)

    def wait_until(self, name: str, condition: Callable[[float], bool]) -> None:
        """Until a metric is as wanted."""
        deadline = time.monotonic() + METRIC_S
        while not condition(value := self.metric(name)):
            if time.monotonic() > deadline:
                pytest.fail(f"{name} is {value}\n{self.log.read_text()[-4000:]}")
            time.sleep(POLL_S)

    def wait_until_counted(self) -> None:
        """Until everything that was acknowledged has been aggregated. In this order: what leaves the spool arrives on
        the stream."""
        self.wait_until("ams_spool_events", lambda events: events == 0)
        self.wait_until("ams_stream_lag_events", lambda events: events == 0)

    def report(self, key: str, events: Sequence[dict[str, Any]]) -> tuple[int, Any]:
        """Send usage reports as one batch."""
        return self.call("POST", "/api/consume", key, body=events, content_type="application/cloudevents-batch+json")


def event(id: str, subject: str, **data: Any) -> dict[str, Any]:
    """A usage report that happened now."""
    attributes = {"specversion": "1.0", "type": "ams.usage.v1", "source": "e2e"}
    return {**attributes, "id": id, "subject": subject, "data": data}


def market(*keys: str, service: str = "ocr") -> dict[str, Any]:
    """One merchant with one service, one consumer with these keys for it."""
    service_id = f"svc_{service}"
    return {
        "merchants": [{"id": "mer_one", "slug": "one", "name": "One", "status": "active"}],
        "services": [
            {"id": service_id, "merchant_id": "mer_one", "slug": service, "name": service, "status": "active"}
        ],
        "consumers": [
            {
                "id": "con_one",
                "name": "Consumer One",
                "grants": [{"service": service}],
                "keys": [{"id": key, "services": [service]} for key in keys],
            }
        ],
    }


def children_of(parent: int) -> list[int]:
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            stat = Path(f"/proc/{entry}/stat").read_text()
        except OSError:  # it ended meanwhile
            continue
        if int(stat.rpartition(") ")[2].split()[1]) == parent:
            found.append(int(entry))
    return found


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL to the host and its children, which have process groups of their own; a dead one is fine."""
    for pid in (process.pid, *children_of(process.pid)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()
