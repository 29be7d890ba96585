"""Options of the whole test suite."""

import secrets

import pytest
from hypothesis import HealthCheck, settings

# Before anything imports them: pytest tells what an assertion in them saw.
pytest.register_assert_rewrite("tests.support")
pytest_plugins = ["tests.support.fixtures.api", "tests.support.fixtures.embedded", "tests.support.two_workers"]

# How long an example takes depends on what else the machine does; a test that hangs has pytest's timeout.
settings.register_profile("ams", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ams")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the tests marked long too: they take many minutes")
    parser.addoption("--chaos-seed", type=int, help="repeat a chaos run's plan and faults; its report prints the seed")


PATIENT_S = 300
"""What starts hosts and runs commands waits up to two minutes for each, on a busy machine."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    from tests.support.two_workers import GROUPS  # a plugin, which pytest imports itself

    for item in items:
        if item.nodeid.startswith(GROUPS["machine"]) and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(PATIENT_S))
    if config.getoption("--long"):
        return
    skip = pytest.mark.skip(reason="takes many minutes: run it with --long")
    for item in items:
        if "long" in item.keywords:
            item.add_marker(skip)


@pytest.fixture(scope="session")
def chaos_seed(pytestconfig: pytest.Config) -> int:
    given = pytestconfig.getoption("--chaos-seed")
    # Not from `random`, which pytest-randomly resets to one seed for all.
    return secrets.randbits(32) if given is None else int(given)
