"""Processes start, die, are started again, and end without losing what they had accepted."""

import json
import os
import signal
from pathlib import Path

import pytest

from tests.support.host.functions_host import PATIENCE_S, Host, eventually, is_alive, read_to_end, running_host

APP = """
import asyncio, os
from pathlib import Path
import azure.functions as func
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
HERE = Path(__file__).parent

@app.route("pid")
async def pid(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(str(os.getpid()))

@app.route("wait")
async def wait(req: func.HttpRequest) -> func.HttpResponse:
    (HERE / "started").write_text("")
    while not (HERE / "go").exists():
        await asyncio.sleep(0.01)
    return func.HttpResponse("done")

@app.route("setting")
async def setting(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(os.environ.get(req.params["name"], "unset"))
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "app"


def pid_of(host: Host) -> int:
    return int(host.request("GET", "/api/pid")[2])


def wait_for_start(root: Path) -> None:
    eventually((root / "started").exists, "the request is being handled")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_request_in_flight_is_answered_before_the_host_ends(root: Path, number: int) -> None:
    with running_host(root, APP) as host, host.connect() as client:
        client.sendall(b"GET /api/wait HTTP/1.1\r\nHost: h\r\n\r\n")
        wait_for_start(root)
        host.process.send_signal(number)
        eventually(lambda: refuses_connections(host), "no new connections are taken")
        (root / "go").write_text("")
        assert read_to_end(client).endswith(b"\r\n\r\ndone")
        assert host.process.wait(PATIENCE_S) == 0


def refuses_connections(host: Host) -> bool:
    try:
        host.connect().close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_second_signal_ends_the_host_at_once(root: Path) -> None:
    with running_host(root, APP) as host, host.connect() as client:
        client.sendall(b"GET /api/wait HTTP/1.1\r\nHost: h\r\n\r\n")
        wait_for_start(root)
        children = host.children()
        host.process.send_signal(signal.SIGTERM)
        eventually(lambda: "stopping" in host.messages(), "the first signal is heard")
        assert host.stop() == 1
        for pid in children:
            eventually(lambda pid=pid: not is_alive(pid), "the children are gone")


def test_draining_is_bounded(root: Path) -> None:
    with running_host(root, APP, limits={"drain_s": 0.2}) as host, host.connect() as client:
        client.sendall(b"GET /api/wait HTTP/1.1\r\nHost: h\r\n\r\n")
        wait_for_start(root)
        assert host.stop() == 0


def test_a_killed_worker_is_replaced_while_the_others_serve(root: Path) -> None:
    with running_host(root, APP, "--workers", "2") as host:
        eventually(lambda: len({pid_of(host) for _ in range(20)}) == 2, "both workers answer")
        victim = host.children("worker")[0]
        os.kill(victim, signal.SIGKILL)
        eventually(lambda: not is_alive(victim), "the worker is gone")
        assert pid_of(host) != victim
        eventually(lambda: len(host.children("worker")) == 2, "it is replaced")
        eventually(lambda: len({pid_of(host) for _ in range(20)}) == 2, "both workers answer")
        assert host.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_process_outlives_the_supervisor(root: Path, number: int) -> None:
    with running_host(root, APP, "--workers", "2") as host:
        eventually(lambda: len({pid_of(host) for _ in range(20)}) == 2, "both workers answer")
        children = host.children()
        assert len(children) == 3
        host.stop(number)
        for pid in children:
            eventually(lambda pid=pid: not is_alive(pid), "the children are gone")


def test_an_orphaned_worker_still_answers_what_it_has(root: Path) -> None:
    with running_host(root, APP) as host, host.connect() as client:
        client.sendall(b"GET /api/wait HTTP/1.1\r\nHost: h\r\n\r\n")
        wait_for_start(root)
        host.stop(signal.SIGKILL)
        eventually(lambda: "the supervisor is gone" in host.messages(), "the worker has noticed")
        (root / "go").write_text("")
        assert read_to_end(client).endswith(b"\r\n\r\ndone")


@pytest.mark.parametrize(
    ("app", "message"),
    [
        ("import azure.functions as func\n", "no FunctionApp"),
        ("raise RuntimeError('cannot be imported')\n", "cannot be imported"),
        (APP.replace('"pid"', '"a/{b"'), "function pid: route"),
    ],
)
def test_an_app_that_cannot_be_served_ends_the_host_with_the_reason(root: Path, app: str, message: str) -> None:
    with running_host(root, app) as host:
        assert host.process.wait(PATIENCE_S) == 78
    assert message in host.messages()


def test_a_port_that_is_taken_is_named(root: Path) -> None:
    with running_host(root, APP) as first, running_host(root, APP, "--port", str(first.port)) as second:
        assert second.process.wait(PATIENCE_S) == 1
    assert f"cannot listen on 127.0.0.1 port {first.port}: Address already in use" in second.messages()


@pytest.mark.parametrize(
    ("variable", "value", "names"),
    [("AMS_HOST_LIMITS", '{"header_read_s": -1}', "header_read_s"), ("AMS_LOG_LEVEL", "loud", "LOUD")],
)
def test_settings_that_make_no_sense_are_refused(root: Path, variable: str, value: str, names: str) -> None:
    with running_host(root, APP, env={variable: value}) as host:
        assert host.process.wait(PATIENCE_S) == 78
    assert names in host.messages()


def test_access_is_logged_at_debug_only_and_without_the_query(root: Path) -> None:
    with running_host(root, APP, env={"AMS_LOG_LEVEL": "debug"}) as host:
        host.request("GET", "/api/pid?token=secret")
        (line,) = eventually(lambda: [x for x in host.log if x["message"] == "GET /api/pid"], "the call is logged")
        assert (line["level"], line["status"]) == ("debug", 200)
        assert "secret" not in host.messages()
    with running_host(root, APP) as host:
        host.request("GET", "/api/pid")
        host.stop()
    assert "/api/pid" not in host.messages()


def test_the_portals_sources_are_not_served(root: Path) -> None:
    site = root / "portal-static"
    site.mkdir(parents=True)
    (site / "package.json").write_text("{}")
    (site / "index.html").write_text("source")
    with running_host(root, APP) as host:
        assert host.request("GET", "/")[0] == 404
    (site / "dist").mkdir()
    (site / "dist" / "index.html").write_text("built")
    with running_host(root, APP) as host:
        assert host.request("GET", "/")[2] == b"built"


def test_local_settings_are_loaded_and_never_override(root: Path) -> None:
    root.mkdir()
    values = {"Values": {"AMS_TEST_FILE": "from the file", "AMS_TEST_BOTH": "from the file"}}
    (root / "local.settings.sample.json").write_text(json.dumps(values))
    with running_host(root, APP, env={"AMS_TEST_BOTH": "from outside"}) as host:
        assert host.request("GET", "/api/setting?name=AMS_TEST_FILE")[2] == b"from the file"
        assert host.request("GET", "/api/setting?name=AMS_TEST_BOTH")[2] == b"from outside"
    (root / "local.settings.json").write_text(json.dumps({"Values": {"AMS_TEST_BOTH": "mine"}}))
    with running_host(root, APP) as host:
        assert host.request("GET", "/api/setting?name=AMS_TEST_FILE")[2] == b"unset"
        assert host.request("GET", "/api/setting?name=AMS_TEST_BOTH")[2] == b"mine"


def test_metrics_of_an_earlier_run_are_removed(root: Path) -> None:
    stale = root / "data" / "metrics" / "counter_1.db"
    stale.parent.mkdir(parents=True)
    stale.write_bytes(b"")
    with running_host(root, APP) as host:
        pid_of(host)
        assert not stale.exists()
        folder = host.request("GET", "/api/setting?name=PROMETHEUS_MULTIPROC_DIR")[2]
        assert folder.decode() == str(stale.parent)
        assert list(stale.parent.glob("counter_*.db"))
