"""The fixtures of the end-to-end tests."""

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.emulators.upstream import UpstreamPeer
from tests.support.host.installation import Ams
from tests.support.journeys.people import ADMIN, Market, Person
from tests.support.journeys.signing_in import Provider, SignIn

_numbers = count(1)


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


@pytest.fixture
def email() -> str:
    """Of somebody whom no other test knows."""
    return f"person-{next(_numbers)}@example.com"


@pytest.fixture
def person(provider: Provider) -> Iterator[SignIn]:
    with SignIn(provider.issuer) as browser:
        yield browser


@pytest.fixture
def own_provider(tmp_path: Path) -> Iterator[Callable[..., Provider]]:
    """Providers with settings of their own."""
    made: list[Provider] = []

    def make(**settings: str) -> Provider:
        made.append(Provider(tmp_path / f"data-{len(made)}", **settings))
        made[-1].start()
        return made[-1]

    yield make
    for running in made:
        running.close()


@pytest.fixture
def market(tmp_path: Path, own_provider: Callable[..., Provider]) -> Iterator[Market]:
    """A platform with two workers and a provider of its own: an address gets a few codes an hour only."""
    market = Market(tmp_path / "ams", own_provider())
    try:
        market.ams.start()
        yield market
    finally:
        market.close()


@pytest.fixture
def admin(market: Market) -> Person:
    return market.sign_in(ADMIN, "Ada Admin")


@pytest.fixture
def upstream() -> Iterator[UpstreamPeer]:
    """A merchant's API on loopback."""
    with UpstreamPeer() as peer:
        yield peer
