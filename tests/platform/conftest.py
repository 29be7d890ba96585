"""Fixtures that several contract suites share."""

from collections.abc import Iterator

import pytest

from tests.emulators.azurite import run_azurite


@pytest.fixture(scope="session")
def azurite() -> Iterator[str]:
    """The connection string of one Azurite for the whole run: use a container of your own in each test."""
    with run_azurite() as connection_string:
        yield connection_string
