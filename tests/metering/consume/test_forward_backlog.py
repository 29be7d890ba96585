"""When a call is refused because it could not be counted: only when neither spool nor stream would take its event."""

from collections.abc import AsyncIterator

import pytest

from shared.access.gate.service import Admission
from shared.kernel.errors import Problem
from shared.metering.consume.call import Call
from shared.metering.consume.forwarding import Forwarder
from shared.platform.secrets.environment import EnvironmentSecrets
from shared.platform.spool import SpoolUnavailable
from shared.platform.spool.sqlite import SqliteSpool
from shared.platform.upstream.http import HttpUpstream


async def _no_body() -> AsyncIterator[bytes]:
    return
    yield b""


CALL = Call(
    request_id="req_1",
    method="GET",
    path="x",
    query="",
    headers={},
    body=_no_body(),
    has_body=False,
    content_length=None,
    trace_id="0" * 32,
    trace_flags="00",
)


@pytest.fixture
async def admission(embedded) -> Admission:
    gate = embedded.gate()
    return await gate.admit(await gate.identify(embedded.key), "maps", forwarding=True)


@pytest.fixture
async def forwarder(embedded) -> AsyncIterator[Forwarder]:
    """Its spool's folder is a file, so every append fails."""
    in_the_way = embedded.folder / "spool"
    in_the_way.write_text("")
    spool = SqliteSpool(embedded.folder / "spool", embedded.events.publish, 10)
    with pytest.raises(SpoolUnavailable):
        await spool.append("con_1:0", b"an event")
    with pytest.raises(SpoolUnavailable):
        spool.check()
    yield Forwarder(HttpUpstream(allow_private=False), spool, embedded.events, EnvironmentSecrets({}))
    in_the_way.unlink()  # else closing it waits for the disk to work again
    await spool.close()


async def test_with_a_failing_spool_calls_pass_while_the_stream_takes_events(forwarder, admission):
    await forwarder.check(admission, CALL)


async def test_with_a_failing_spool_and_stream_calls_are_refused_before_they_are_made(forwarder, admission, embedded):
    await embedded.events.close()
    with pytest.raises(Problem) as refused:
        await forwarder.check(admission, CALL)
    assert (refused.value.status, refused.value.code) == (503, "usage_backlog")
    assert refused.value.headers["Retry-After"] == "1"
