"""One service without an upstream for each module, a customer for each test."""

import pytest

from shared.catalog.models import Service
from tests.support.host.hosting import Customer, Operator


@pytest.fixture(scope="module")
def service(operator: Operator) -> Service:
    return operator.service()


@pytest.fixture
def customer(operator: Operator, service: Service) -> Customer:
    return operator.customer(service)
