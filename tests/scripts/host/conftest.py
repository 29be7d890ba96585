from collections.abc import Iterator

import pytest

from tests.support.host.functions_host import HTTP_APP, Host, running_host

LIMITS = {
    "header_read_s": 5.0,
    "body_stall_s": 5.0,
    "keep_alive_s": 1.0,
    "write_stall_s": 5.0,
    "linger_s": 0.5,
    "drain_s": 2,
    "close_s": 1,
    "body_bytes_max": 1_000_000,
    "pipeline_requests_max": 50,
}
"""What tests read to the end of a connection for is short; what would cut off a client that is held up, is not."""

WRITE_STALL_S = 2.0
SHORT_LIMITS = {**LIMITS, "header_read_s": 0.5, "body_stall_s": 0.5, "write_stall_s": WRITE_STALL_S}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """One host with the app of http_app.py and a portal page."""
    root = tmp_path_factory.mktemp("host")
    site = root / "portal-static"
    (site / "assets").mkdir(parents=True)
    (site / "index.html").write_text("<!doctype html><title>portal</title>")
    (site / "assets" / "app-1a2b.js").write_text("export {}")
    (site / ".secret").write_text("hidden")
    (root / "private.txt").write_text("hidden")
    with running_host(root, HTTP_APP, limits=LIMITS) as running:
        yield running


@pytest.fixture(scope="module")
def impatient_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """One host with the same app, and time limits that a test can wait for."""
    with running_host(tmp_path_factory.mktemp("impatient"), HTTP_APP, limits=SHORT_LIMITS) as running:
        yield running
