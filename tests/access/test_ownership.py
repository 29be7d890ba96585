"""Nobody reaches another's consumer, project, grant, member or subscriber by naming its id."""

from datetime import timedelta
from typing import Any

import pytest

from shared.access.models import ProjectInvite
from shared.access.store import ACCESS, invite_document
from shared.kernel.clock import utc_now
from shared.platform.documents import Create
from tests.support.api.access_market import AccessMarket
from tests.support.api.harness import Person

ANY = {"If-Match": "*"}
INVITE = "0" * 64

# Method, path below the consumer, body: every route of access that names one.
OF_CONSUMER: list[tuple[str, str, Any]] = [
    ("GET", "", None),
    ("PATCH", "", {"name": "Taken"}),
    ("POST", "/access-requests", {"service": "maps"}),
    ("GET", "/grants", None),
    ("GET", "/grants/svc_maps", None),
    ("DELETE", "/grants/svc_maps", None),
    ("PUT", "/grants/svc_maps/projects", {"project_ids": []}),
    ("POST", "/projects", {"name": "Mine"}),
    ("GET", "/projects", None),
]
OF_PROJECT: list[tuple[str, str, Any]] = [
    ("GET", "", None),
    ("PATCH", "", {"name": "Taken"}),
    ("DELETE", "", None),
    ("POST", "/access-requests", {"service": "maps"}),
    ("GET", "/members", None),
    ("GET", "/members/{moe}", None),
    ("PATCH", "/members/{moe}", {"role": "manager"}),
    ("DELETE", "/members/{moe}", None),
    ("POST", "/leave", None),
    ("POST", "/transfer", {"account_id": "{moe}"}),
    ("POST", "/invites", {"email": "x@x.example", "role": "member"}),
    ("GET", "/invites", None),
    ("GET", "/invites/{invite}", None),
    ("DELETE", "/invites/{invite}", None),
]


@pytest.fixture
async def road(market: AccessMarket) -> str:
    """Ann's project with an open invite, and her grant."""
    project_id = await market.project()
    await market.grant()
    invite = ProjectInvite(
        id=INVITE,
        consumer_id=market.consumer_id,
        project_id=project_id,
        email="zoe@x.example",
        role="member",
        created_at=utc_now(),
        expires_at=utc_now() + timedelta(days=1),
    )
    at = invite_document(project_id, INVITE)
    await market.api.app.audit.journal.commit(ACCESS, market.consumer_id, [Create(at, invite.to_json())])
    return project_id


async def statuses(person: Person, below: str, routes: list[tuple[str, str, Any]], moe: Person) -> dict[str, int]:
    found = {}
    for method, path, body in routes:
        path = path.replace("{moe}", moe.account.id).replace("{invite}", INVITE)
        if body == {"account_id": "{moe}"}:
            body = {"account_id": moe.account.id}
        answer = await person.request(method, below + path, json=body, headers=ANY)
        found[f"{method} {'project' if routes is OF_PROJECT else 'consumer'}{path}"] = answer.status_code
    return found


async def state(market: AccessMarket, project_id: str) -> list[str]:
    paths = ("", "/grants", "/projects", f"/projects/{project_id}/members", f"/projects/{project_id}/invites")
    return [(await market.ann.get(market.consumer + path)).text for path in paths]


async def test_a_stranger_finds_nothing_of_another_tenant(market: AccessMarket, road: str) -> None:
    moe = await market.api.sign_in("Moe")
    await market.join(moe, road)
    before = await state(market, road)

    for stranger in (await market.api.sign_in("Sue"), market.mia):
        found = await statuses(stranger, market.consumer, OF_CONSUMER, moe)
        found |= await statuses(stranger, f"{market.consumer}/projects/{road}", OF_PROJECT, moe)
        assert set(found.values()) == {404}, found

    assert await state(market, road) == before


async def test_a_removed_member_finds_nothing_any_more(market: AccessMarket, road: str) -> None:
    moe = await market.api.sign_in("Moe")
    await market.join(moe, road, "manager")
    assert (await moe.get(f"{market.consumer}/projects/{road}")).status_code == 200
    await market.ann.delete(f"{market.consumer}/projects/{road}/members/{moe.account.id}", headers=ANY)
    before = await state(market, road)

    found = await statuses(moe, f"{market.consumer}/projects/{road}", OF_PROJECT, moe)
    found |= await statuses(moe, market.consumer, OF_CONSUMER, moe)

    assert set(found.values()) == {404}, found
    assert await state(market, road) == before


async def test_people_of_one_project_find_nothing_of_another_or_of_the_tenant(market: AccessMarket, road: str) -> None:
    rail = await market.project("Rail")
    max_, moe = await market.api.sign_in("Max"), await market.api.sign_in("Moe")
    await market.join(max_, rail, "manager")
    await market.join(moe, road)
    before = await state(market, road)

    found = await statuses(max_, f"{market.consumer}/projects/{road}", OF_PROJECT, moe)
    found |= await statuses(max_, market.consumer, OF_CONSUMER, moe)
    assert set(found.values()) == {404}, found
    # Naming one's own project beside somebody else's object opens nothing.
    for method, path, body in OF_CONSUMER:
        answer = await max_.request(method, f"{market.consumer}{path}?project_id={rail}", json=body, headers=ANY)
        allowed = method == "GET" and path.startswith("/grants")
        assert answer.status_code == (200 if allowed else 403), path
    for method, path, body in OF_PROJECT:
        path = path.replace("{moe}", moe.account.id).replace("{invite}", INVITE)
        at = f"{market.consumer}/projects/{road}{path}?project_id={rail}"
        assert (await max_.request(method, at, json=body, headers=ANY)).status_code == 404, path

    assert await state(market, road) == before


async def test_a_project_under_another_consumer_is_not_found(market: AccessMarket, road: str) -> None:
    bob = await market.api.sign_in("Bob")
    own = f"/api/v1/consumers/{bob.account.consumer_id}/projects/{road}"
    moe = await market.api.sign_in("Moe")

    found = await statuses(bob, own, [route for route in OF_PROJECT if route[1] != "/leave"], moe)

    assert set(found.values()) == {404}, found
    assert (await bob.post(f"{own}/leave")).status_code == 403  # one's own tenant is not left


async def test_what_admins_may_read_they_may_not_write(market: AccessMarket, road: str) -> None:
    moe = await market.api.sign_in("Moe")
    found = await statuses(market.root, market.consumer, OF_CONSUMER, moe)
    found |= await statuses(market.root, f"{market.consumer}/projects/{road}", OF_PROJECT, moe)
    readable = {"GET consumer", "GET consumer/grants", "GET consumer/grants/svc_maps"}
    assert {route for route, status in found.items() if status == 200} <= readable
    assert {status for route, status in found.items() if route not in readable} == {403}


async def test_operators_routes_are_closed_to_everybody_else(market: AccessMarket, road: str) -> None:
    below = f"/api/v1/admin/consumers/{market.consumer_id}"
    routes = [
        *((f"{below}/{verb}", {"reason": "x"}) for verb in ("suspend", "restore")),
        *((f"{below}/grants/svc_maps/{verb}", {"reason": "x"}) for verb in ("approve", "deny", "withdraw")),
    ]
    for path, body in routes:
        assert (await market.ann.post(path, json=body)).status_code == 403
        assert (await market.mia.post(path, json=body)).status_code == 404
        assert (await market.api.anonymous.post(path, json=body)).status_code == 401
    for path in ("/api/v1/admin/consumers", "/api/v1/admin/access-requests"):
        assert (await market.ann.get(path)).status_code == 403


async def test_another_merchants_people_see_no_subscribers(market: AccessMarket, road: str) -> None:
    [subscriber] = (await market.mia.get("/api/v1/merchants/mer_1/subscribers")).json()["items"]
    one = f"/api/v1/merchants/mer_1/subscribers/{subscriber['pseudonym']}"
    await market.merchant("mer_2")
    ned = await market.api.sign_in("Ned")
    await ned.runs("mer_2")

    for person in (ned, market.ann):
        assert (await person.get("/api/v1/merchants/mer_1/subscribers")).status_code == 404
        assert (await person.get(one)).status_code == 404
        for verb in ("restrict", "unblock"):
            assert (await person.post(f"{one}/{verb}", json={"reason": "x"})).status_code == 404
    assert (await market.root.get("/api/v1/merchants/mer_1/subscribers")).status_code == 403  # not even the operators
