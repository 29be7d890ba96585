"""What `scripts/run` ends with: the host beside the development provider, which live and end together."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.host.installation import START_S, STOP_S, Ams, children_of
from tests.support.journeys.signing_in import POLL_S
from tests.support.paths import ROOT
from tests.support.ports import free_port


class Pair:
    """Both processes, below one."""

    def __init__(self, folder: Path) -> None:
        self.ams = Ams(folder / "data")
        self.log = folder / "log"
        provider_port = free_port()
        self.provider_url = f"http://127.0.0.1:{provider_port}"
        environment = {**self.ams.environment, "AMS_PROVIDER_PORT": str(provider_port)}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "scripts.dev_server"], cwd=ROOT, env=environment, stdout=log, stderr=log
            )

    def wait_until_both_serve(self) -> None:
        deadline = time.monotonic() + START_S
        urls = [f"{self.ams.url}/api/health/ready", f"{self.provider_url}/.well-known/openid-configuration"]
        while not all(_answers(url) for url in urls):
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(POLL_S)

    def child(self, of: bytes) -> int:
        found = [pid for pid in children_of(self.process.pid) if of in Path(f"/proc/{pid}/cmdline").read_bytes()]
        assert len(found) == 1, found
        return found[0]

    def ended(self) -> int:
        """The exit code; both must be gone then."""
        code = self.process.wait(STOP_S)
        assert not _answers(f"{self.ams.url}/api/health/live")
        assert not _answers(f"{self.provider_url}/style.css")
        return code


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=30).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    both = Pair(tmp_path)
    try:
        both.wait_until_both_serve()
        yield both
    finally:
        if both.process.poll() is None:
            both.process.terminate()
            both.process.wait(STOP_S)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_both(pair: Pair, number: signal.Signals) -> None:
    pair.process.send_signal(number)
    assert pair.ended() == 0


def test_when_the_provider_dies_ams_says_so_and_stops(pair: Pair) -> None:
    os.kill(pair.child(of=b"scripts/provider"), signal.SIGKILL)
    assert pair.ended() == 1
    assert "the development provider has ended with -9; AMS stops too" in pair.log.read_text()


def test_when_ams_dies_the_provider_stops(pair: Pair) -> None:
    os.kill(pair.child(of=b"scripts.host"), signal.SIGTERM)
    assert pair.ended() == 0
