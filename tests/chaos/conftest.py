"""Shows what chaos runs found, also when they pass."""

from collections.abc import Callable

import pytest

REPORTS = pytest.StashKey[list[str]]()


@pytest.fixture
def show(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Print a text at the end of the test run."""
    return pytestconfig.stash.setdefault(REPORTS, []).append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for text in config.stash.get(REPORTS, []):
        terminalreporter.section("chaos")
        terminalreporter.write_line(text)
