"""Every route × every kind of person: what the permission table says is what happens.

What is expected is worked out here from the table and the path alone, independently of the code that finds relations.
Whoever may not is told 401, 403, or, where even existence is private, 404, before anything of the request is looked at.
"""

import re

import pytest

from shared.api.app import described
from shared.api.operations import ApiOperation, operations
from shared.identity.permissions import PERMISSIONS
from tests.support.api.harness import Api
from tests.support.api.world import PERSONAS, World, make_world

OPERATIONS = [one for one in operations(described()) if one.action is not None]
PROJECT_ROLES = {"owner": "owner", "manager": "manager", "member": "member"}
SMUGGLED = {"role": "admin", "status": "active", "id": "x", "owner_id": "x", "approved": True, "account_id": "x"}


def relation(persona: str, path: str) -> tuple[str, str] | None:
    """What somebody is to what the path names, or None when it does not exist for them."""
    if persona == "admin":
        return "admin", "any"
    names = set(re.findall(r"{(\w+)}", path))
    if "consumer_id" in names:
        if persona == "tenant":
            return "consumer", "own"
        if persona in PROJECT_ROLES and names & {"project_id", "key_id"}:
            return "consumer", PROJECT_ROLES[persona]
        return None
    if names & {"merchant_id", "service_id"}:
        return ("merchant", "own") if persona == "merchant" else None
    return "consumer", "self"


def expected(persona: str, operation: ApiOperation) -> int | None:
    """The refusal's status; None when it is allowed."""
    assert operation.action is not None
    if persona == "nobody":
        return 401
    found = relation(persona, operation.path)
    if found is None:
        return 404
    allowed = PERMISSIONS[operation.action]
    everyone = ("consumer", "self") in allowed and not re.search(r"{(merchant|service|consumer)_id}", operation.path)
    return None if found in allowed or everyone else 403


@pytest.fixture
async def world(api: Api, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("AMS_SECRET_PSEUDONYM_PEPPER", "pepper")
    return await make_world(api)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: f"{one.method} {one.path}")
async def test_a_route_answers_as_the_table_says(world: World, operation: ApiOperation) -> None:
    outcomes = {persona: expected(persona, operation) for persona in PERSONAS}
    for persona, status in outcomes.items():
        if status is not None:
            answer = await world.people[persona].request(operation.method, _path(world, operation), json={})
            assert answer.status_code == status, f"{persona}: {answer.text}"
            assert answer.headers["content-type"] == "application/problem+json"
    allowed = [persona for persona, status in outcomes.items() if status is None]
    assert allowed, "a route that nobody may use"
    # What they send has unknown fields and no If-Match, so hardly anything changes the world for the next one.
    for persona in allowed:
        answer = await world.people[persona].request(operation.method, _path(world, operation), json=SMUGGLED)
        code = answer.json().get("code") if answer.headers.get("content-type") == "application/problem+json" else None
        assert answer.status_code not in (401, 500, 503), f"{persona}: {answer.text}"
        assert code not in ("forbidden", "role_not_held"), f"{persona}: {answer.text}"
        if answer.status_code == 404:
            assert persona != allowed[0] or _may_be_missing(operation), f"{persona}: {answer.text}"


def _path(world: World, operation: ApiOperation) -> str:
    return re.sub(r"{(\w+)}", lambda found: world.ids.get(found[1], "x"), operation.path)


def _may_be_missing(operation: ApiOperation) -> bool:
    """The world has no such thing to name."""
    names = set(re.findall(r"{(\w+)}", operation.path))
    return bool(names & {"delivery_id", "session_id", "invite_id", "version", "name"})
