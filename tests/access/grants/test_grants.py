"""Access requests: asked for, decided, given up; what each does to the consumer's keys at once."""

import asyncio
from typing import Any

import pytest

from shared.audit.models import SYSTEM, Entry
from tests.support.api.access_market import AccessMarket


async def log(market: AccessMarket, action: str) -> list[Entry]:
    audit = market.api.app.audit.log
    return [entry for month in await audit.months() async for entry in audit.entries(month) if entry.action == action]


async def alert(market: AccessMarket, *recipients: str) -> None:
    answer = await market.root.get("/api/v1/admin/settings")
    change = {"alert_recipients": recipients, "reason": "test"}
    headers = {"If-Match": answer.headers["ETag"]}
    assert (await market.root.patch("/api/v1/admin/settings", json=change, headers=headers)).status_code == 200


async def test_a_request_waits_for_an_admin_and_its_approval_opens_the_service(market: AccessMarket) -> None:
    await alert(market, "ops@example.com")
    key = await market.key()

    asked = await market.ask(note="for our map")

    assert asked.status_code == 201
    assert (asked.json()["status"], asked.json()["note"]) == ("requested", "for our map")
    assert await market.call(key) == "403 service_not_granted"
    queue = (await market.root.get("/api/v1/admin/access-requests")).json()
    assert [(each["consumer_id"], each["service_id"]) for each in queue["items"]] == [(market.consumer_id, "svc_maps")]

    approved = await market.decide("approve", "svc_maps", reason="fine")

    assert (approved.status_code, approved.json()["status"]) == (200, "approved")
    assert await market.call(key) == "ok"
    assert (await market.root.get("/api/v1/admin/access-requests")).json()["items"] == []
    await market.api.drain()
    told = {(mail["To"], mail["Subject"]) for mail in market.api.mails()}
    assert told == {("ops@example.com", "Access requested: Maps"), ("ann@buyers.example", "Access approved: Maps")}
    [entry] = await log(market, "grant.approve")
    assert (entry.actor, entry.role, entry.reason) == (market.root.account.id, "admin", "fine")


async def test_a_denial_is_told_with_its_reason_and_may_be_asked_again(market: AccessMarket) -> None:
    await market.ask()

    denied = await market.decide("deny", "svc_maps", reason="say more, please")

    assert denied.json()["status"] == "denied"
    await market.api.drain()
    assert any("say more, please" in mail.get_content() for mail in market.api.mails())
    assert (await market.ask(note="more")).json()["status"] == "requested"


async def test_a_denial_needs_a_reason(market: AccessMarket) -> None:
    await market.ask()

    answer = await market.decide("deny", "svc_maps")

    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "reason")


@pytest.mark.parametrize(("auto", "allowed", "status"), [(True, True, "approved"), (True, False, "requested")])
async def test_a_service_approves_at_once_where_the_platform_allows_it(
    market: AccessMarket, auto: bool, allowed: bool, status: str
) -> None:
    await market.api.app.audit.platform_settings.change(
        SYSTEM, {"auto_approval_allowed": allowed}, if_match="*", reason="test"
    )
    await market.offer("fast", auto_approve=auto)
    key = await market.key(service_ids=("svc_fast",))

    answer = await market.ask("fast")

    assert answer.json()["status"] == status
    assert await market.call(key, "fast") == ("ok" if status == "approved" else "403 service_not_granted")


async def test_what_is_asked_for_or_approved_is_not_asked_for_twice(market: AccessMarket) -> None:
    await market.ask()
    assert (await market.ask("svc_maps")).json()["code"] == "grant_exists"
    await market.decide("approve", "svc_maps")
    answer = await market.ask()
    assert (answer.status_code, answer.json()["code"]) == (409, "grant_exists")


async def test_a_hundred_requests_at_once_are_one(market: AccessMarket) -> None:
    answers = await asyncio.gather(*(market.ask() for _ in range(100)))

    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 99
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"grant_exists"}
    assert len(await log(market, "grant.request")) == 1


async def test_fifty_decisions_at_once_are_one(market: AccessMarket) -> None:
    await market.ask()

    answers = await asyncio.gather(*(market.decide(verb, "svc_maps", reason="r") for verb in ["approve", "deny"] * 25))

    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 49
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} <= {"conflict", "state_invalid"}
    assert len(await log(market, "grant.approve") + await log(market, "grant.deny")) == 1


@pytest.mark.parametrize("service", ["nothing", "svc_nothing", "draft", "retired", "hidden", "ofpending", "../maps"])
async def test_what_one_cannot_see_cannot_be_asked_for(market: AccessMarket, service: str) -> None:
    await market.offer("draft", status="draft")
    await market.offer("retired", status="retired")
    await market.offer("hidden", visibility_override="private")
    await market.merchant("mer_2", status="pending")
    await market.offer("ofpending", merchant_id="mer_2")

    answer = await market.ask(service)

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_an_unlisted_service_can_be_asked_for_by_whoever_knows_it(market: AccessMarket) -> None:
    await market.offer("quiet", visibility="unlisted")
    assert (await market.ask("quiet")).status_code == 201


async def test_a_merchant_that_takes_nobody_new_keeps_those_it_has(market: AccessMarket) -> None:
    await market.grant()
    await market.offer("two")
    key = await market.key()
    await market.merchant(subscriptions_blocked=True)

    answer = await market.ask("two")

    assert (answer.status_code, answer.json()["code"]) == (409, "subscriptions_blocked")
    assert await market.call(key) == "ok"


async def test_a_suspended_consumer_asks_for_nothing(market: AccessMarket) -> None:
    await market.root.post(f"/api/v1/admin/consumers/{market.consumer_id}/suspend", json={"reason": "abuse"})
    answer = await market.ask()
    assert (answer.status_code, answer.json()["code"]) == (403, "consumer_suspended")


async def test_whoever_leaves_loses_the_service_at_once_and_may_come_back(market: AccessMarket) -> None:
    await market.grant()
    key = await market.key()
    path = f"{market.consumer}/grants/svc_maps"
    etag = (await market.ann.get(path)).headers["ETag"]

    assert (await market.ann.delete(path)).status_code == 428
    assert (await market.ann.delete(path, headers={"If-Match": '"old"'})).status_code == 412
    left = await market.ann.delete(path, headers={"If-Match": etag})

    assert (left.status_code, left.json()["status"]) == (200, "withdrawn")
    assert await market.call(key) == "403 service_not_granted"
    again = await market.ann.delete(path, headers={"If-Match": left.headers["ETag"]})
    assert (again.status_code, again.json()["code"]) == (409, "state_invalid")
    await market.grant()
    assert await market.call(key) == "ok"


async def test_an_approval_taken_back_holds_at_once(market: AccessMarket) -> None:
    await market.grant()
    key = await market.key()

    assert (await market.decide("withdraw", "svc_maps", reason="terms")).json()["reason"] == "terms"

    assert await market.call(key) == "403 service_not_granted"


@pytest.mark.parametrize(
    ("first", "then"), [("approve", "approve"), ("approve", "deny"), ("deny", "approve"), ("deny", "withdraw")]
)
async def test_an_impossible_decision_names_both_states(market: AccessMarket, first: str, then: str) -> None:
    await market.ask()
    await market.decide(first, "svc_maps", reason="r")

    answer = await market.decide(then, "svc_maps", reason="r")

    assert (answer.status_code, answer.json()["code"]) == (409, "state_invalid")
    assert {"approve": "approved", "deny": "denied"}[first] in answer.json()["detail"]


async def test_a_decision_about_nothing_is_not_found(market: AccessMarket) -> None:
    assert (await market.decide("approve", "svc_maps")).status_code == 404
    answer = await market.root.post("/api/v1/admin/consumers/con_none/grants/svc_maps/approve", json={})
    assert answer.status_code == 404


async def test_a_grant_for_projects_is_for_their_keys_only(market: AccessMarket) -> None:
    road, rail = await market.project("Road"), await market.project("Rail")
    await market.grant()
    keys = [await market.key(project_id=project_id) for project_id in (road, rail, None)]
    path = f"{market.consumer}/grants/svc_maps"
    etag = (await market.ann.get(path)).headers["ETag"]

    answer = await market.ann.put(f"{path}/projects", json={"project_ids": [road]}, headers={"If-Match": etag})

    assert answer.json()["project_ids"] == [road]
    assert [await market.call(key) for key in keys] == ["ok", "403 service_not_granted", "403 service_not_granted"]
    assert (await market.ann.get(f"{path}?project_id={rail}")).status_code == 404
    assert (await market.ann.get(f"{market.consumer}/grants?project_id={rail}")).json()["items"] == []
    opened = await market.ann.put(
        f"{path}/projects", json={"project_ids": []}, headers={"If-Match": answer.headers["ETag"]}
    )
    assert opened.status_code == 200
    assert [await market.call(key) for key in keys] == ["ok", "ok", "ok"]


async def test_a_grant_is_not_restricted_to_somebody_elses_project(market: AccessMarket) -> None:
    bob = await market.api.sign_in("Bob")
    made = await bob.post(f"/api/v1/consumers/{bob.account.consumer_id}/projects", json={"name": "Bob's"})
    await market.grant()

    answer = await market.ann.put(
        f"{market.consumer}/grants/svc_maps/projects",
        json={"project_ids": [made.json()["id"]]},
        headers={"If-Match": "*"},
    )

    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "project_ids")


async def test_people_of_a_project_ask_for_its_keys_only(market: AccessMarket) -> None:
    road = await market.project()
    max_, moe = await market.api.sign_in("Max"), await market.api.sign_in("Moe")
    await market.join(max_, road, "manager")
    await market.join(moe, road, "member")
    path = f"{market.consumer}/projects/{road}/access-requests"

    assert (await moe.post(path, json={"service": "maps"})).status_code == 403
    smuggled = await max_.post(path, json={"service": "maps", "project_id": None})
    assert (smuggled.status_code, smuggled.json()["errors"][0]["field"]) == (400, "project_id")
    answer = await max_.post(path, json={"service": "maps"})

    assert (answer.status_code, answer.json()["project_ids"]) == (201, [road])
    for whole in (f"{market.consumer}/access-requests", f"{market.consumer}/access-requests?project_id={road}"):
        assert (await max_.post(whole, json={"service": "maps"})).status_code in (403, 404)


async def test_people_of_a_project_see_what_its_keys_may_use_and_no_more(market: AccessMarket) -> None:
    await market.offer("two")
    road, rail = await market.project("Road"), await market.project("Rail")
    await market.grant()
    await market.ask("two", project_id=rail)
    moe = await market.api.sign_in("Moe")
    await market.join(moe, road)

    seen = await moe.get(f"{market.consumer}/grants?project_id={road}")

    assert [grant["service_id"] for grant in seen.json()["items"]] == ["svc_maps"]
    assert (await moe.get(f"{market.consumer}/grants")).status_code == 404
    assert (await moe.get(f"{market.consumer}/grants?project_id={rail}")).status_code == 404
    assert (await moe.get(f"{market.consumer}/grants/svc_two?project_id={road}")).status_code == 404
    assert (await moe.get(f"{market.consumer}/grants/svc_maps?project_id={road}")).status_code == 200


async def test_the_queue_is_oldest_first_and_pages(market: AccessMarket) -> None:
    people = [await market.api.sign_in(f"P{n}") for n in range(5)]
    for person in people:
        assert (await market.ask(person=person)).status_code == 201
    seen: list[str] = []
    cursor = ""
    while True:
        page = (await market.root.get(f"/api/v1/admin/access-requests?limit=2{cursor}")).json()
        assert len(page["items"]) <= 2
        seen += [each["consumer_id"] for each in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == [person.account.consumer_id for person in people]


async def test_grants_are_filtered_by_status_and_paged(market: AccessMarket) -> None:
    for slug in ("a", "b", "c", "d"):
        await market.offer(slug)
        await market.ask(slug)
    await market.decide("approve", "svc_b")

    first = (await market.ann.get(f"{market.consumer}/grants?status=requested&limit=2")).json()
    rest = await market.ann.get(f"{market.consumer}/grants?status=requested&limit=2&cursor={first['next_cursor']}")

    assert [grant["service_id"] for grant in first["items"]] == ["svc_a", "svc_c"]
    assert [grant["service_id"] for grant in rest.json()["items"]] == ["svc_d"]
    elsewhere = await market.ann.get(f"{market.consumer}/grants?limit=2&cursor={first['next_cursor']}")
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (400, "cursor_invalid")


@pytest.mark.parametrize(
    "smuggled",
    [{"status": "approved"}, {"restricted": False}, {"pseudonym": "cus_x"}, {"review": None}, {"merchant_id": "mer_2"}],
)
async def test_nothing_of_the_decision_can_be_smuggled_in(market: AccessMarket, smuggled: dict[str, Any]) -> None:
    answer = await market.ask(**smuggled)

    assert (answer.status_code, answer.json()["code"]) == (400, "request_invalid")
    assert answer.json()["errors"][0]["field"] == next(iter(smuggled))
    assert (await market.ann.get(f"{market.consumer}/grants")).json()["items"] == []
