"""The lint finds what it is there for."""

from typing import Annotated

import pytest
from fastapi import Depends, FastAPI

from scripts.linters.routes_and_tenants import faults, query_faults, route_faults
from shared.identity.guard import allowed
from shared.identity.models import Caller


def test_the_code_has_no_faults() -> None:
    assert list(faults()) == []


def test_a_route_without_a_guard_is_found() -> None:
    app = FastAPI(openapi_url=None)

    @app.get("/api/v1/secrets")
    async def secrets() -> None: ...

    assert any(fault.startswith("GET /api/v1/secrets: needs") for fault in route_faults(app))


def test_a_guarded_route_is_fine() -> None:
    app = FastAPI(openapi_url=None)

    @app.post("/api/v1/keys")
    async def make(caller: Annotated[Caller, Depends(allowed("key.create"))]) -> None: ...

    found = list(route_faults(app))
    assert not any(fault.startswith("POST /api/v1/keys:") for fault in found)
    assert not any(fault.startswith("key.create:") for fault in found)
    assert any(fault.startswith("key.revoke:") for fault in found), "an action without a route is found"


def test_an_unknown_action_does_not_even_start() -> None:
    with pytest.raises(ValueError, match=r"key\.steal"):
        allowed("key.steal")


@pytest.mark.parametrize("call", ["Query(None, where)", "Query(partition=None)"])
def test_a_query_without_a_tenant_is_found(call: str) -> None:
    (fault,) = query_faults(f"x = 1\nfound = documents.query(C, {call})\n", "some.py")
    assert fault.startswith("some.py:2")


@pytest.mark.parametrize(
    "source",
    [
        "# Across tenants: the platform's own list.\nfound = query(C, Query(None, where))\n",
        "x = 1\nfound = query(C, Query(consumer_id, where))\n",
    ],
)
def test_a_query_with_a_tenant_or_a_reason_is_fine(source: str) -> None:
    assert list(query_faults(source, "some.py")) == []
