"""The fixture of the end-to-end tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.installation import Ams


@pytest.fixture
def ams(tmp_path: Path) -> Iterator[Ams]:
    """An installation that is running and empty."""
    installation = Ams(tmp_path / "ams")
    try:
        installation.start()
        yield installation
    finally:
        installation.close()
