"""Projects: made, limited, changed, deleted, and listed for those who are in them."""

import asyncio
from typing import Any

import pytest

from shared.access.tasks import ClearProject
from shared.audit.models import SYSTEM
from shared.identity.store import ACCOUNTS
from shared.kernel.errors import Problem
from tests.support.api.access_market import AccessMarket


async def limit(market: AccessMarket, **settings: Any) -> None:
    await market.api.app.audit.platform_settings.change(SYSTEM, settings, if_match="*", reason="test")


async def test_whoever_makes_a_project_owns_it(market: AccessMarket) -> None:
    made = await market.ann.post(f"{market.consumer}/projects", json={"name": "Road", "description": "maps"})

    assert (made.status_code, made.json()["name"], made.json()["description"]) == (201, "Road", "maps")
    path = f"{market.consumer}/projects/{made.json()['id']}"
    read = await market.ann.get(path)
    assert (read.json(), read.headers["ETag"]) == (made.json(), made.headers["ETag"])
    [member] = (await market.ann.get(f"{path}/members")).json()["items"]
    assert (member["account_id"], member["role"]) == (market.ann.account.id, "owner")


async def test_a_project_is_changed_with_what_was_read_only(market: AccessMarket) -> None:
    path = f"{market.consumer}/projects/{await market.project()}"
    etag = (await market.ann.get(path)).headers["ETag"]

    assert (await market.ann.patch(path, json={"name": "Rail"})).status_code == 428
    changed = await market.ann.patch(path, json={"name": "Rail"}, headers={"If-Match": etag})
    assert changed.json()["name"] == "Rail"
    assert (await market.ann.patch(path, json={"name": "Sea"}, headers={"If-Match": etag})).status_code == 412


@pytest.mark.parametrize("smuggled", [{"id": "prj_x"}, {"consumer_id": "con_x"}, {"created_at": None}, {"kind": "key"}])
async def test_nothing_else_can_be_written(market: AccessMarket, smuggled: dict[str, Any]) -> None:
    path = f"{market.consumer}/projects"
    for answer in (
        await market.ann.post(path, json={"name": "Road", **smuggled}),
        await market.ann.patch(f"{path}/{await market.project()}", json=smuggled, headers={"If-Match": "*"}),
    ):
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, next(iter(smuggled)))


async def test_keys_of_a_project_with_services_may_use_those_only(market: AccessMarket) -> None:
    await market.offer("two")
    await market.grant("maps")
    await market.grant("two")
    project_id = await market.project()
    key = await market.key(project_id=project_id, service_ids=("svc_maps", "svc_two"))
    assert [await market.call(key, slug) for slug in ("maps", "two")] == ["ok", "ok"]
    path = f"{market.consumer}/projects/{project_id}"

    answer = await market.ann.patch(path, json={"service_ids": ["svc_two"]}, headers={"If-Match": "*"})

    assert answer.json()["service_ids"] == ["svc_two"]
    assert [await market.call(key, slug) for slug in ("maps", "two")] == ["403 service_not_granted", "ok"]


async def test_a_project_names_services_that_were_asked_for(market: AccessMarket) -> None:
    for service in ("svc_maps", "svc_none"):  # one that exists and one that does not look alike
        answer = await market.ann.post(f"{market.consumer}/projects", json={"name": "R", "service_ids": [service]})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "service_ids")
    await market.ask()
    assert await market.project(service_ids=["svc_maps"])


async def test_the_limit_of_projects_holds_under_a_race(market: AccessMarket) -> None:
    await limit(market, projects_per_consumer_max=3)

    made = await asyncio.gather(
        *(market.ann.post(f"{market.consumer}/projects", json={"name": f"P{n}"}) for n in range(12))
    )

    assert sorted(answer.status_code for answer in made) == [201] * 3 + [409] * 9
    assert {answer.json()["code"] for answer in made if answer.status_code == 409} == {"limit_reached"}
    assert len((await market.ann.get(f"{market.consumer}/projects")).json()["items"]) == 3


async def test_a_project_with_a_key_that_could_work_is_not_deleted(market: AccessMarket) -> None:
    project_id = await market.project()
    path = f"{market.consumer}/projects/{project_id}"
    await market.key(project_id=project_id, status="disabled")

    refused = await market.ann.delete(path, headers={"If-Match": "*"})

    assert (refused.status_code, refused.json()["code"]) == (409, "project_in_use")
    assert (await market.ann.get(path)).status_code == 200


async def test_a_deleted_project_is_gone_for_everybody_in_it(market: AccessMarket) -> None:
    project_id = await market.project()
    path = f"{market.consumer}/projects/{project_id}"
    await market.key(project_id=project_id, status="revoked")
    moe = await market.api.sign_in("Moe")
    await market.join(moe, project_id)
    etag = (await market.ann.get(path)).headers["ETag"]

    assert (await market.ann.delete(path)).status_code == 428
    assert (await market.ann.delete(path, headers={"If-Match": etag})).status_code == 204

    for person in (market.ann, moe):
        assert (await person.get(path)).status_code == 404
        assert (await person.get(f"{path}/members")).status_code == 404
        assert (await person.get("/api/v1/me/projects")).json()["items"] == []
    assert await market.api.app.access.store.member(market.consumer_id, project_id, moe.account.id) is None


async def test_nobody_joins_a_project_that_is_deleted_meanwhile(
    market: AccessMarket, monkeypatch: pytest.MonkeyPatch
) -> None:
    moe = await market.api.sign_in("Moe")
    project_id = await market.project()
    path = f"{market.consumer}/projects/{project_id}"
    settings = market.api.app.audit.platform_settings
    current, deleted = settings.current, []

    async def deleting_first() -> Any:
        """Asked for after the project was read, and before the member is written."""
        if not deleted:
            deleted.append(await market.ann.delete(path, headers={"If-Match": "*"}))
        return await current()

    monkeypatch.setattr(settings, "current", deleting_first)
    with pytest.raises(Problem) as refused:
        await market.join(moe, project_id)

    assert (deleted[0].status_code, refused.value.code) == (204, "not_found")
    assert await market.api.app.access.store.member(market.consumer_id, project_id, moe.account.id) is None


async def test_one_sees_ones_own_and_others_projects_in_pages(market: AccessMarket) -> None:
    bob = await market.api.sign_in("Bob")
    theirs = f"/api/v1/consumers/{bob.account.consumer_id}/projects"
    own = [(await bob.post(theirs, json={"name": f"Own {n}"})).json()["id"] for n in range(3)]
    joined = [await market.project(f"Joined {n}") for n in range(4)]
    for project_id, role in zip(joined, ("member", "manager", "member", "member"), strict=True):
        await market.join(bob, project_id, role)  # type: ignore[arg-type]
    await market.ann.delete(
        f"{market.consumer}/projects/{joined[3]}/members/{bob.account.id}", headers={"If-Match": "*"}
    )

    seen: list[tuple[str, str]] = []
    cursor = ""
    while True:
        page = (await bob.get(f"/api/v1/me/projects?limit=2{cursor}")).json()
        assert len(page["items"]) <= 2
        seen += [(each["id"], each["role"]) for each in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"

    roles = ["own", "own", "own", "member", "manager", "member"]
    assert seen == list(zip([*own, *joined[:3]], roles, strict=True))


async def test_a_kill_before_people_are_cleared_leaves_nobody_in_the_end(market: AccessMarket) -> None:
    app = market.api.app
    moe = await market.api.sign_in("Moe")
    project_id = await market.project()
    await market.join(moe, project_id)
    clear = app.access.projects.on_clear

    async def killed(task_id: str, task: ClearProject) -> None:
        raise RuntimeError("killed")

    app.access.projects.on_clear = killed  # type: ignore[method-assign]
    path = f"{market.consumer}/projects/{project_id}"
    assert (await market.ann.delete(path, headers={"If-Match": "*"})).status_code == 204
    assert await app.access.store.member(market.consumer_id, project_id, moe.account.id) is not None  # left behind
    for shut in (path, f"{path}/members", f"{market.consumer}/grants?project_id={project_id}"):
        assert (await moe.get(shut)).status_code == 404  # and good for nothing
    assert (await moe.get("/api/v1/me/projects")).json()["items"] == []
    app.access.projects.on_clear = clear  # type: ignore[method-assign]
    market.api.clock.passes(minutes=2)
    assert await app.audit.journal.deliver_due() > 0

    assert await app.access.store.member(market.consumer_id, project_id, moe.account.id) is None
    at = f"membership:{market.consumer_id}:{project_id}"
    assert await app.ports.documents.get(ACCOUNTS, moe.account.id, at) is None
