"""The processes of a chaos run: the local host, which is killed in every way, and the merchant's API."""

import asyncio
import contextlib
import http.client
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from tests.support.paths import ROOT
from tests.support.ports import free_port

READY_S, STOP_S, GONE_S, COMMAND_S = 120.0, 60.0, 60.0, 120.0
POLL_S = 0.05

SETTINGS = {
    "AMS_PROFILE": "local",
    "AMS_SECRET_KEY_PEPPER_V1": "a-pepper-for-chaos",
    "AMS_UPSTREAM_ALLOW_PRIVATE": "true",
    "AMS_LOG_LEVEL": "info",
}
Role = Literal["supervisor", "worker", "background"]
_MODULES: dict[bytes, Role] = {
    b"scripts.host": "supervisor",
    b"scripts.host.worker": "worker",
    b"scripts.host.background": "background",
}


class Host:
    """`python -m scripts.host` with data and a port that stay, however often it is killed."""

    def __init__(self, folder: Path, workers: int) -> None:
        self.data = folder / "data"
        self.log = folder / "host.log"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.starts = 0
        self._workers = workers
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AMS_")}
        return {**inherited, **SETTINGS, "AMS_DATA": str(self.data), "PYTHONPATH": str(ROOT)}

    def seed(self, market: dict[str, object]) -> dict[str, str]:
        """Load a market into the data folder. Returns the clear keys by key id."""
        file = self.log.with_name("market.json")
        file.write_text(json.dumps(market))
        done = self.run("scripts.commands", "seed", "--from", str(file))
        assert done.returncode == 0, done.stderr
        return {key["id"]: key["key"] for key in json.loads(done.stdout)["keys"]}

    def run(self, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a module to its end on this host's data and settings."""
        return subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
            check=False,
        )

    def start(self) -> None:
        self.starts += 1
        options = ["--port", str(self.port), "--workers", str(self._workers), "--data", str(self.data)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "scripts.host", *options],
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def is_running(self) -> bool:
        """Whether the supervisor is; its children may outlive it for as long as they drain."""
        return self._process is not None and self._process.poll() is None

    async def keep_running(self) -> None:
        """As a service manager does: start it again whenever it ended, also when the port was still taken."""
        while True:
            if not self.is_running():
                self.start()
            await asyncio.sleep(POLL_S * 4)

    async def ready(self, check: str = "ready") -> None:
        """Until the health check `ready`, or `live`, passes."""
        deadline = time.monotonic() + READY_S
        while (reason := await asyncio.to_thread(self._failing, check)) is not None:
            assert time.monotonic() < deadline, f"the host is not {check}: {reason}\n{self.tail()}"
            await asyncio.sleep(POLL_S)

    def _failing(self, check: str) -> str | None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", f"/api/health/{check}")
            response = connection.getresponse()
            body = response.read()
            return None if response.status == 200 else body.decode()
        except (OSError, http.client.HTTPException) as error:
            return repr(error)
        finally:
            connection.close()

    def stop(self) -> int:
        """Gracefully. Returns the exit status."""
        assert self._process is not None
        self._process.terminate()
        try:
            return self._process.wait(STOP_S)
        finally:
            self.power_cut()

    def kill(self, role: str, rng: random.Random) -> bool:
        """SIGKILL to one process of a role. False when there is none right now."""
        alive = [pid for pid, found in self.processes().items() if found == role]
        if not alive:
            return False
        _kill(rng.choice(alive))
        return True

    def power_cut(self) -> None:
        """SIGKILL to everything at once, and until nothing is left."""
        deadline = time.monotonic() + GONE_S
        while alive := self.processes():
            for pid in alive:
                _kill(pid)
            assert time.monotonic() < deadline, f"cannot be killed: {alive}"
            time.sleep(0.001)
        if self._process is not None:
            self._process.wait()

    def processes(self) -> dict[int, Role]:
        """Everything that runs on this host's data, told by the command line; orphans too."""
        found: dict[int, Role] = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            with contextlib.suppress(OSError):  # it ended meanwhile
                words = (entry / "cmdline").read_bytes().split(b"\0")
                role = _MODULES.get(words[2]) if words[1:2] == [b"-m"] and len(words) > 2 else None
                if role is not None and any(str(self.data).encode() in word for word in words):
                    found[int(entry.name)] = role
        return found

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-4000:] if self.log.exists() else ""


class Merchant:
    """The upstream."""

    def __init__(self) -> None:
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "tests.support.chaos.upstream", str(self.port)]
        self._process = subprocess.Popen(command, cwd=ROOT)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @contextlib.contextmanager
    def hanging(self) -> Iterator[None]:
        """It keeps its connections and the kernel accepts more, but nobody answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
