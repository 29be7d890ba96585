"""The README's five lines and the tour, run as they stand there, against what `scripts/run` starts."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.host.installation import STOP_S, Ams
from tests.support.journeys.people import until
from tests.support.paths import ROOT
from tests.support.ports import free_port

START_S, TOUR_S = 90.0, 120.0
DECISIONS = (
    "merchant.register",
    "merchant.activate",
    "service.create",
    "service.submit",
    "service.approve",
    "grant.request",
    "grant.approve",
    "key.create",
    "plan.create",
    "close.begin",
    "invoice.issue",
    "close.finish",
)
"""In this order in the audit log."""


def shell_of(text: str) -> str:
    """The shell blocks of a document, one after the other."""
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert blocks
    return "".join(blocks)


def tour() -> str:
    return shell_of((ROOT / "docs" / "tour.md").read_text())


def five_lines(port: str, data: str) -> str:
    """The lines of the README's section, for another port and folder than a first start has."""
    section = re.split(r"\n## ", (ROOT / "README.md").read_text().partition("\n## Five lines\n")[2])[0]
    lines = shell_of(section)
    assert lines.count("\n") == 5
    assert "127.0.0.1:7071" in lines
    assert ".local/" in lines
    return lines.replace("127.0.0.1:7071", f"127.0.0.1:{port}").replace(".local/", f"{data}/")


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Of a shell beside a `scripts/run` that serves; ports and data are moved, nothing else is set."""
    ams, provider_port = Ams(tmp_path / "data"), free_port()
    environment = {**ams.environment, "AMS_PROVIDER_PORT": str(provider_port)}
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["scripts/run"], cwd=ROOT, env=environment, stdout=output, stderr=output, start_new_session=True
        )
    try:
        urls = [f"{ams.url}/api/health/ready", f"http://127.0.0.1:{provider_port}/.well-known/openid-configuration"]
        until(lambda: process.poll() is not None or all(map(_answers, urls)), "scripts/run to serve", START_S)
        assert process.poll() is None, log.read_text()
        yield environment
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            raise


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=30).status_code == 200
    except httpx.TransportError:
        return False


def _paste(commands: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", commands],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=TOUR_S,
        check=False,
    )


def test_five_lines_and_the_tour_can_be_pasted(environment: dict[str, str]) -> None:
    """Both in one test, since they need one and the same start."""
    _five_lines(environment)
    _tour(environment)


def _five_lines(environment: dict[str, str]) -> None:
    lines = five_lines(environment["AMS_PORT"], environment["AMS_DATA"]).splitlines()
    done = _paste("\n".join(lines), environment)

    assert done.returncode == 0, done.stdout + done.stderr
    assert '"status":"pass"' in done.stdout, "the weather API"
    assert '"slug":"weather"' in done.stdout, "found in the catalogue"
    assert '"slug":"meteo"' in done.stdout, "a merchant, as an admin sees it"
    usage = "\n".join((lines[0], lines[-1]))
    until(lambda: '"requests":1' in _paste(usage, environment).stdout.replace(" ", ""), "the call to be counted")


def _tour(environment: dict[str, str]) -> None:
    done = _paste(tour(), environment)

    said = done.stdout
    assert done.returncode == 0, said + done.stderr
    assert done.stderr == ""
    states = [line for line in said.splitlines() if line in ("pending_approval", "requested", "approved", "active")]
    assert states == ["active", "pending_approval", "active", "requested", "approved"]
    assert '"slug":"forecast"' in said, "found in the catalogue"
    assert '"code":"service_not_granted"' in said, "the service that nobody asked for"
    assert "'requests': 2, 'events': 2" in said, "one call, and one report that was sent twice"
    assert re.search(r"'requests': 2.*'pseudonym': 'cus_\w{26}'", said)
    assert re.search(r"SKY\d\d-000001 is right: 1 line, 0\.50 EUR, from 2 records", said)
    logged = re.findall("|".join(f"(?<=,){re.escape(action)}(?=,)" for action in DECISIONS), said)
    assert [action for action in logged if action in DECISIONS] == list(DECISIONS)
    assert said.splitlines()[-1].endswith("entries, nothing altered, removed or added")
