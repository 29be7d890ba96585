"""The fixtures of the journeys: a platform with two workers, its admin, and a merchant's API on loopback."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.installation import Ams
from tests.e2e.journeys.people import Market, Person
from tests.e2e.signing_in import Provider
from tests.emulators.upstream import UpstreamPeer

ADMIN = "admin@example.com"


@pytest.fixture
def market(tmp_path: Path, provider: Provider) -> Iterator[Market]:
    settings = {
        "AMS_OIDC_ISSUERS": provider.issuers, "AMS_ADMINS": ADMIN, "AMS_UPSTREAM_ALLOW_PRIVATE": "true",
    }  # fmt: skip
    ams = Ams(tmp_path / "ams", workers=2, **settings)
    market = Market(ams, provider)
    try:
        ams.start()
        yield market
    finally:
        market.close()
        ams.close()


@pytest.fixture
def admin(market: Market) -> Person:
    return market.sign_in(ADMIN, "Ada Admin")


@pytest.fixture
def upstream() -> Iterator[UpstreamPeer]:
    with UpstreamPeer() as peer:
        yield peer
