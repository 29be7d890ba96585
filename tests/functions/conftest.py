"""One host for all tests of the functions: every test brings its own merchants and consumers."""

from collections.abc import Iterator

import pytest

from tests.emulators.upstream import UpstreamPeer
from tests.support.host.forwarding import Route
from tests.support.host.hosting import Host, Operator, hosting
from tests.support.host.limits import BODY_STALL_S, HEADER_READ_S

HOST_LIMITS = f'{{"header_read_s": {HEADER_READ_S}, "body_stall_s": {BODY_STALL_S}}}'


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """Two workers, which any of two calls may meet; upstreams on loopback are allowed; impatient with slow clients."""
    folder = tmp_path_factory.mktemp("host")
    with hosting(folder / "data", 2, AMS_HOST_LIMITS=HOST_LIMITS, AMS_SECRET_UPSTREAM_TOKEN="its token") as running:
        yield running


@pytest.fixture(scope="session")
def operator(host: Host) -> Iterator[Operator]:
    with Operator(host.data) as opened:
        yield opened


@pytest.fixture(scope="session")
def upstream() -> Iterator[UpstreamPeer]:
    with UpstreamPeer() as peer:
        yield peer


@pytest.fixture(scope="module")
def route(host: Host, operator: Operator, upstream: UpstreamPeer) -> Route:
    return Route.make(host, operator, upstream)
