"""The start page in a real browser."""

import subprocess
from pathlib import Path

import pytest

from tests.support.host.installation import Ams

BROWSER = "chromium"
RENDER_MS, BROWSER_S = 5_000, 60


def rendered(url: str, profile: Path) -> str:
    """The page as Chromium shows it after its scripts ran, as HTML."""
    quiet = "--no-first-run --disable-background-networking --disable-component-update --disable-sync --disable-quic"
    command = [
        BROWSER,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        *quiet.split(),
        f"--user-data-dir={profile}",
        f"--virtual-time-budget={RENDER_MS}",
        "--dump-dom",
        url,
    ]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=BROWSER_S).stdout


@pytest.mark.timeout(BROWSER_S * 2)
def test_the_start_page_shows_health_and_the_first_call_to_make(ams: Ams, tmp_path: Path) -> None:
    page = rendered(f"{ams.url}/", tmp_path / "profile")
    assert "Ready." in page
    for check in ("documents", "events", "blobs", "secrets", "spool"):
        assert f"{check}: works" in page
    assert f"curl -sS {ams.url}/api/consume" in page
