"""The fixtures of the end-to-end tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.installation import Ams
from tests.e2e.signing_in import Provider


@pytest.fixture
def ams(tmp_path: Path) -> Iterator[Ams]:
    """An installation that is running and empty."""
    installation = Ams(tmp_path / "ams")
    try:
        installation.start()
        yield installation
    finally:
        installation.close()


@pytest.fixture(scope="session")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    """The development provider. One for all tests: each signs in people of its own."""
    running = Provider(tmp_path_factory.mktemp("provider") / "data")
    try:
        running.start()
        yield running
    finally:
        running.close()
