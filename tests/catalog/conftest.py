"""The market of the tests of services."""

import pytest

from tests.support.api.harness import Api
from tests.support.api.services_market import ServicesMarket, open_services


@pytest.fixture
async def market(api: Api) -> ServicesMarket:
    return await open_services(api)
