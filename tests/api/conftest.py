"""Fixtures of the tests of the management API."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from shared.kernel import clock
from tests.api.access_market import AccessMarket, open_access_market
from tests.api.harness import PEPPER, Api
from tests.api.invoice_market import InvoiceMarket, open_invoice_market
from tests.emulators.issuer import Issuer
from tests.unit.support import IN_MEMORY


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as made:
        yield Path(made)


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as running:
        yield running


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch) -> datetime:
    """The moment at which AMS's clock is stopped for the test: no month ends between two of its steps."""
    moment = clock.utc_now()
    still = SimpleNamespace(now=lambda _: moment, fromisoformat=datetime.fromisoformat)
    monkeypatch.setattr(clock, "datetime", still)
    return moment


@pytest.fixture
async def api(folder: Path, issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Api]:
    monkeypatch.setenv("AMS_SECRET_KEY_PEPPER_V1", PEPPER)
    monkeypatch.setenv("AMS_SECRET_PSEUDONYM_PEPPER", PEPPER)
    async with Api(folder, issuer) as opened:
        yield opened


@pytest.fixture
async def market(api: Api) -> AccessMarket:
    return await open_access_market(api)


@pytest.fixture
async def bills(market: AccessMarket) -> InvoiceMarket:
    return await open_invoice_market(market)
