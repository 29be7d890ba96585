from collections.abc import Iterator

import pytest

from tests.support.host.functions_host import HTTP_APP, Host, running_host


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """One host with the app of http_app.py, a portal page, and timeouts that a test can wait for."""
    root = tmp_path_factory.mktemp("host")
    site = root / "portal-static"
    (site / "assets").mkdir(parents=True)
    (site / "index.html").write_text("<!doctype html><title>portal</title>")
    (site / "assets" / "app-1a2b.js").write_text("export {}")
    (site / ".secret").write_text("hidden")
    (root / "private.txt").write_text("hidden")
    limits = {
        "header_read_s": 0.5,
        "body_stall_s": 0.5,
        "keep_alive_s": 0.7,
        "write_stall_s": 1.0,
        "linger_s": 0.5,
        "drain_s": 2,
        "close_s": 1,
        "body_bytes_max": 1_000_000,
        "pipeline_requests_max": 50,
    }
    with running_host(root, HTTP_APP, limits=limits) as running:
        yield running
