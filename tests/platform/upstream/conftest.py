"""A merchant's API on loopback."""

from collections.abc import Iterator

import pytest

from tests.emulators.upstream import UpstreamPeer


@pytest.fixture(scope="module")
def peer() -> Iterator[UpstreamPeer]:
    with UpstreamPeer() as running:
        yield running
