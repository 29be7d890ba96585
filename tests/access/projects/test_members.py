"""The people of a project: what each role may do, and that whoever goes is out at once with their keys."""

import asyncio
from typing import Any

import pytest

from shared.access.projects import members as members_module
from shared.access.tasks import DisableKeys
from shared.audit.models import SYSTEM, Entry
from tests.support.api.access_market import AccessMarket, DyingDocuments, open_access_market
from tests.support.api.harness import Api, Person

ANY = {"If-Match": "*"}


class Team:
    """Ann's project: Max manages it, Moe is in it."""

    def __init__(self, market: AccessMarket, project_id: str, max_: Person, moe: Person) -> None:
        self.market, self.project_id, self.max, self.moe = market, project_id, max_, moe
        self.path = f"{market.consumer}/projects/{project_id}"

    def of(self, person: Person) -> str:
        return f"{self.path}/members/{person.account.id}"

    async def roles(self) -> dict[str, str]:
        items = (await self.market.ann.get(f"{self.path}/members")).json()["items"]
        return {each["name"]: each["role"] for each in items}


async def build(market: AccessMarket) -> Team:
    project_id = await market.project()
    max_, moe = await market.api.sign_in("Max", email="max@x.example"), await market.api.sign_in("Moe")
    await market.join(max_, project_id, "manager")
    await market.join(moe, project_id, "member")
    return Team(market, project_id, max_, moe)


@pytest.fixture
async def team(market: AccessMarket) -> Team:
    return await build(market)


async def log(market: AccessMarket, action: str) -> list[Entry]:
    audit = market.api.app.audit.log
    return [entry for month in await audit.months() async for entry in audit.entries(month) if entry.action == action]


async def test_a_member_looks_and_changes_nothing(team: Team) -> None:
    moe, grant = team.moe, {"service": "maps"}
    for path in (
        team.path,
        f"{team.path}/members",
        team.of(team.max),
        f"{team.market.consumer}/grants?project_id={team.project_id}",
    ):
        assert (await moe.get(path)).status_code == 200, path

    refused = [
        await moe.patch(team.path, json={"name": "Mine"}, headers=ANY),
        await moe.delete(team.path, headers=ANY),
        await moe.post(f"{team.path}/access-requests", json=grant),
        await moe.patch(team.of(moe), json={"role": "manager"}, headers=ANY),
        await moe.delete(team.of(team.max), headers=ANY),
        await moe.post(f"{team.path}/transfer", json={"account_id": moe.account.id}),
    ]

    assert [answer.status_code for answer in refused] == [403] * len(refused)
    assert await team.roles() == {"Ann": "owner", "Max": "manager", "Moe": "member"}


async def test_a_manager_leads_but_neither_deletes_nor_transfers(team: Team) -> None:
    promoted = await team.max.patch(team.of(team.moe), json={"role": "manager"}, headers=ANY)
    assert promoted.json()["role"] == "manager"
    assert (await team.max.patch(team.path, json={"name": "Rail"}, headers=ANY)).status_code == 200
    assert (await team.max.delete(team.path, headers=ANY)).status_code == 403
    taken = await team.max.post(f"{team.path}/transfer", json={"account_id": team.max.account.id})
    assert taken.status_code == 403


async def test_nobody_removes_or_demotes_the_owner(team: Team) -> None:
    for person in (team.max, team.market.ann):
        for answer in (
            await person.delete(team.of(team.market.ann), headers=ANY),
            await person.patch(team.of(team.market.ann), json={"role": "member"}, headers=ANY),
        ):
            assert (answer.status_code, answer.json()["code"]) == (409, "owner_required")
    assert (await team.roles())["Ann"] == "owner"


@pytest.mark.parametrize("body", [{"role": "owner"}, {"role": "admin"}, {"role": "member", "account_id": "acc_x"}, {}])
async def test_ownership_is_not_a_role_to_be_given(team: Team, body: dict[str, Any]) -> None:
    answer = await team.max.patch(team.of(team.moe), json=body, headers=ANY)
    assert (answer.status_code, answer.json()["code"]) == (400, "request_invalid")
    assert (await team.roles())["Moe"] == "member"


async def test_a_transfer_makes_a_member_the_owner_and_the_owner_a_manager(team: Team) -> None:
    answer = await team.market.ann.post(f"{team.path}/transfer", json={"account_id": team.max.account.id})

    assert (answer.status_code, answer.json()["role"]) == (200, "owner")
    assert await team.roles() == {"Ann": "manager", "Max": "owner", "Moe": "member"}
    assert (await team.max.delete(team.of(team.moe), headers=ANY)).status_code == 204
    stranger = await team.market.api.sign_in("Sue")
    lost = await team.max.post(f"{team.path}/transfer", json={"account_id": stranger.account.id})
    assert lost.status_code == 404
    left = await team.max.post(f"{team.path}/leave")
    assert (left.status_code, left.json()["code"]) == (409, "owner_required")


async def test_transfers_at_once_leave_one_owner(team: Team) -> None:
    ann = team.market.ann
    answers = await asyncio.gather(
        *(
            ann.post(f"{team.path}/transfer", json={"account_id": person.account.id})
            for person in [team.max, team.moe] * 10
        )
    )

    assert {answer.status_code for answer in answers} <= {200, 409}
    assert sorted((await team.roles()).values()).count("owner") == 1


async def test_a_transfer_and_a_removal_of_the_same_person_leave_one_owner(team: Team) -> None:
    ann = team.market.ann
    for _ in range(5):
        await asyncio.gather(
            ann.post(f"{team.path}/transfer", json={"account_id": team.max.account.id}),
            ann.delete(team.of(team.max), headers=ANY),
        )
        roles = await team.roles()
        assert list(roles.values()).count("owner") == 1
        await team.market.join(team.max, team.project_id, "manager")
        await ann.post(f"{team.path}/transfer", json={"account_id": ann.account.id})


async def test_whoever_is_removed_is_out_at_once_with_the_keys_they_made(team: Team) -> None:
    market = team.market
    await market.grant()
    theirs = await market.key(id="key_max", project_id=team.project_id, created_by=team.max.account.id)
    anns = await market.key(id="key_ann", project_id=team.project_id, created_by=market.ann.account.id)
    other = await market.key(id="key_other", created_by=team.max.account.id)  # not of this project
    etag = (await market.ann.get(team.of(team.max))).headers["ETag"]

    assert (await market.ann.delete(team.of(team.max))).status_code == 428
    assert (await market.ann.delete(team.of(team.max), headers={"If-Match": etag})).status_code == 204

    assert [await market.call(key) for key in (theirs, anns, other)] == ["403 key_disabled", "ok", "ok"]
    for path in (team.path, f"{team.path}/members", f"{market.consumer}/grants?project_id={team.project_id}"):
        assert (await team.max.get(path)).status_code == 404
    assert (await team.max.get("/api/v1/me/projects")).json()["items"] == []
    [entry] = await log(market, "member.remove")
    assert entry.after == {"disabled_key_ids": ["key_max"]}
    assert "max@x.example" not in entry.model_dump_json()
    await market.api.drain()
    told = {mail["To"]: mail.get_content() for mail in market.api.mails() if "left Road" in mail["Subject"]}
    assert "key_max" in told["ann@buyers.example"]
    assert any(mail["Subject"] == "You are no longer in Road" for mail in market.api.mails())


async def test_whoever_leaves_is_out_too(team: Team) -> None:
    key = await team.market.key(project_id=team.project_id, created_by=team.moe.account.id)
    assert (await team.moe.post(f"{team.path}/leave")).status_code == 204
    assert (await team.moe.get(team.path)).status_code == 404
    assert await team.market.call(key) == "403 key_disabled"
    assert (await team.moe.post(f"{team.path}/leave")).status_code == 404


async def test_whose_tenant_it_is_keeps_the_keys_they_made(team: Team) -> None:
    ann = team.market.ann
    await team.market.grant()
    key = await team.market.key(project_id=team.project_id, created_by=ann.account.id)
    await ann.post(f"{team.path}/transfer", json={"account_id": team.max.account.id})

    assert (await team.max.delete(team.of(ann), headers=ANY)).status_code == 204

    assert await team.market.call(key) == "ok"
    assert (await ann.get(team.path)).status_code == 200  # her tenant's, whoever owns it


async def test_more_keys_than_one_transaction_takes_are_all_disabled(team: Team) -> None:
    made = {"project_id": team.project_id, "created_by": team.max.account.id}
    for n in range(members_module.KEYS_AT_ONCE_MAX * 2 + 5):
        await team.market.key(id=f"key_{n:03}", **made)

    assert (await team.market.ann.delete(team.of(team.max), headers=ANY)).status_code == 204

    keys = [await team.market.api.app.access.store.key(team.market.consumer_id, f"key_{n:03}") for n in range(185)]
    assert {key.status for key in keys if key is not None} == {"disabled"}
    chunks = [entry.after["key_ids"] for entry in await log(team.market, "member.disable_keys")]
    assert sum(map(len, chunks)) == 95


async def test_a_kill_after_a_removal_disables_the_rest_of_the_keys_later(api: Api) -> None:
    market = await open_access_market(api)
    team = await build(market)
    made = {"project_id": team.project_id, "created_by": team.max.account.id}
    for n in range(95):
        await market.key(id=f"key_{n:03}", **made)
    follow_up = api.app.access.members.on_disable_keys

    async def killed(task_id: str, task: DisableKeys) -> None:
        raise RuntimeError("killed")

    api.app.access.members.on_disable_keys = killed  # type: ignore[method-assign]
    assert (await market.ann.delete(team.of(team.max), headers=ANY)).status_code == 204
    late = await api.app.access.store.key(market.consumer_id, "key_094")
    assert late is not None
    assert late.status == "active"  # or the test would prove nothing
    api.app.access.members.on_disable_keys = follow_up  # type: ignore[method-assign]
    api.clock.passes(minutes=2)
    await api.app.audit.journal.deliver_due()

    late = await api.app.access.store.key(market.consumer_id, "key_094")
    assert late is not None
    assert late.status == "disabled"


async def test_a_kill_before_the_list_follows_is_made_up_for(api: Api) -> None:
    documents = DyingDocuments(api.app.ports.documents, "accounts")
    api.app.ports.__dict__["documents"] = documents
    market = await open_access_market(api)
    project_id, moe = await market.project(), await api.sign_in("Moe")
    documents.dead = True
    await market.join(moe, project_id)
    await api.drain()
    assert (await moe.get(f"{market.consumer}/projects/{project_id}")).status_code == 200  # they are in already
    assert (await moe.get("/api/v1/me/projects")).json()["items"] == []
    documents.dead = False
    api.clock.passes(minutes=2)
    await api.app.audit.journal.deliver_due()

    assert [each["id"] for each in (await moe.get("/api/v1/me/projects")).json()["items"]] == [project_id]


async def test_the_limit_of_members_holds_under_a_race(team: Team) -> None:
    await team.market.api.app.audit.platform_settings.change(
        SYSTEM, {"members_per_project_max": 5}, if_match="*", reason="test"
    )
    people = [await team.market.api.sign_in(f"P{n}") for n in range(8)]

    joined = await asyncio.gather(
        *(team.market.join(person, team.project_id) for person in people), return_exceptions=True
    )

    assert [result for result in joined if result is None] == [None, None]
    assert {result.code for result in joined if result is not None} == {"limit_reached"}  # type: ignore[union-attr]
    assert len(await team.roles()) == 5


async def test_joining_twice_changes_nothing(team: Team) -> None:
    await asyncio.gather(*(team.market.join(team.max, team.project_id, "member") for _ in range(10)))
    assert (await team.roles())["Max"] == "manager"


async def test_members_page(team: Team) -> None:
    first = (await team.moe.get(f"{team.path}/members?limit=2")).json()
    rest = (await team.moe.get(f"{team.path}/members?limit=2&cursor={first['next_cursor']}")).json()
    assert sorted(each["name"] for each in first["items"] + rest["items"]) == ["Ann", "Max", "Moe"]
    assert rest["next_cursor"] is None
