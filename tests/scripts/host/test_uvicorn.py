"""What the local host takes from uvicorn beyond its documented interface is as it was read when it was taken.

`scripts/host/http` subclasses uvicorn's HTTP protocol and its request cycle, which promise nothing to subclasses. When
this fails after an update of uvicorn: read what changed in the named class, see that `protocol.py`, `exchange.py`,
`static.py` and `worker.py` still hold with it, run the tests of this folder, then write the new digest down here.
"""

import hashlib
import inspect

import pytest
import uvicorn
from uvicorn.protocols.http import flow_control, httptools_impl
from uvicorn.server import Server, ServerState

DIGESTS: dict[object, str] = {
    httptools_impl.HttpToolsProtocol: "18fdf324b11bf160",
    httptools_impl.RequestResponseCycle: "e67d470d435dcc1c",
    flow_control.FlowControl: "126debcdaa894c83",
    Server.capture_signals: "e1bbcd4770d1c887",
    Server.on_tick: "60ea49b06ccf68c1",
    Server.shutdown: "9b33c50562992b1e",
    ServerState: "f2260fbf10154746",
}


def _digest(thing: object) -> str:
    return hashlib.sha256(inspect.getsource(thing).encode()).hexdigest()[:16]  # type: ignore[arg-type]


@pytest.mark.parametrize("thing", DIGESTS, ids=lambda thing: thing.__qualname__)
def test_what_is_subclassed_is_as_it_was_read(thing: object) -> None:
    assert _digest(thing) == DIGESTS[thing], f"uvicorn {uvicorn.__version__} has another {thing}"


def test_status_lines_are_bytes_by_status() -> None:
    assert httptools_impl.STATUS_LINE[404] == b"HTTP/1.1 404 Not Found\r\n"
    assert flow_control.HIGH_WATER_LIMIT == 64 * 1024
