"""The README's tour, run line by line as it stands there, against what `scripts/run` starts."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.installation import ROOT, STOP_S, Ams
from tests.e2e.journeys.people import until
from tests.ports import free_port

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


def tour() -> str:
    """The shell blocks of the section."""
    readme = (ROOT / "README.md").read_text()
    section = re.split(r"\n## ", readme.partition("\n## Tour\n")[2])[0]
    blocks = re.findall(r"^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 5
    return "".join(blocks)


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


@pytest.mark.timeout(240)
def test_the_tour_can_be_pasted(environment: dict[str, str]) -> None:
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", tour()],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=TOUR_S,
        check=False,
    )

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


def test_every_page_of_the_documentation_is_in_the_table() -> None:
    table = (ROOT / "README.md").read_text().partition("\n## Where to read on\n")[2]

    pages = {page.name for page in (ROOT / "docs").glob("*.md")}
    assert set(re.findall(r"\| \[docs/(\w[\w-]*\.md)\]", table)) == pages
