"""API keys through the API: made, found, described anew, stopped; who may, and what is never said again."""

import asyncio
import json
from typing import Any

import pytest

from shared.access.keys.creation import KeyCreation, KeyRequest
from shared.access.keys.format import is_well_formed
from shared.access.models import ApiKey
from shared.access.store import ACCESS, AccessStore
from shared.audit.journal import Journal
from shared.audit.models import Actor
from shared.catalog.models import CallLimits
from shared.kernel.errors import Problem
from tests.support.api.access_market import AccessMarket, DyingDocuments
from tests.support.api.keys import create, created, do, read

pytestmark = pytest.mark.usefixtures("granted")


async def test_a_key_is_shown_once_and_works_when_the_answer_is_there(market: AccessMarket) -> None:
    answer = await create(market, environment="test", ttl_days=90, purpose="nightly", limits={"per_minute": 5})
    key = answer.json()

    assert answer.status_code == 201
    assert is_well_formed(key["key"])
    assert key["key"].startswith("ams_test_")
    assert await market.call(key["key"]) == "ok"
    found = await read(market, key)
    assert "key" not in found
    assert key["key"] not in json.dumps(found)
    assert (found["prefix"], found["last4"]) == (key["key"][:13], key["key"][-4:])
    assert (found["status"], found["needs_rotation"], found["ttl_days"]) == ("active", False, 90)
    assert found["limits"] == {"per_minute": 5, "per_hour": None, "per_day": None, "quota_per_month": None}
    assert found["created_by"] == market.ann.account.id


async def test_neither_key_nor_hash_is_in_the_audit_log(market: AccessMarket) -> None:
    key = await created(market)
    stored = await market.api.app.access.store.key(market.consumer_id, key["id"])
    assert stored is not None
    entries = (await market.root.get(f"/api/v1/admin/audit?resource=key:{key['id']}")).text

    assert "key.create" in entries
    assert key["key"] not in entries
    assert stored.hash not in entries


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("hash", "v1.x"),
        ("status", "active"),
        ("consumer_id", "con_x"),
        ("created_by", "acc_x"),
        ("id", "key_x"),
        ("prefix", "ams_"),
        ("last4", "abcd"),
        ("previous_hash", "v1.x"),
        ("previous_until", "2030-01-01T00:00:00Z"),
        ("revoked_service_ids", []),
        ("expires_at", "2030-01-01T00:00:00Z"),
        ("expiry_day", "2030-01-01"),
        ("rotated_by", "acc_x"),
        ("leaked_at", None),
        ("kind", "key"),
    ],
)
async def test_what_is_not_theirs_to_say_is_refused(market: AccessMarket, field: str, value: Any) -> None:
    key = await created(market)
    path, match = f"{market.consumer}/keys/{key['id']}", {"If-Match": key["etag"]}
    for answer in (
        await create(market, **{field: value}),
        await market.ann.patch(path, json={field: value}, headers=match),
        await market.ann.post(f"{path}/rotate", json={field: value}, headers=match),
        await market.ann.post(f"{path}/disable", json={field: value}),
    ):
        assert answer.status_code == 400
        assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert (await read(market, key))["etag"] == key["etag"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"service_ids": ["svc_other"]}, "service_ids"),
        ({"service_ids": []}, "service_ids"),
        ({"ttl_days": 0}, "ttl_days"),
        ({"ttl_days": 3651}, "ttl_days"),
        ({"networks": ["192.0.2.1/24"]}, "networks.0"),
        ({"networks": ["nowhere"]}, "networks.0"),
        ({"environment": "prod"}, "environment"),
        ({"limits": {"per_minute": 0}}, "limits.per_minute"),
        ({"limits": {"per_second": 1}}, "limits.per_second"),
        ({"project_id": "prj_nobody"}, "project_id"),
        ({"name": ""}, "name"),
    ],
)
async def test_bad_input_names_the_field(market: AccessMarket, body: dict[str, Any], field: str) -> None:
    await market.offer("other")
    answer = await create(market, **body)
    assert (answer.status_code, answer.json()["code"]) == (400, "request_invalid")
    assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_a_key_is_assigned_only_what_its_project_may_use(market: AccessMarket) -> None:
    road, rail = await market.project("Road"), await market.project("Rail")
    etag = (await market.ann.get(f"{market.consumer}/grants/svc_maps")).headers["etag"]
    path, match = f"{market.consumer}/grants/svc_maps/projects", {"If-Match": etag}
    assert (await market.ann.put(path, json={"project_ids": [road]}, headers=match)).status_code == 200

    assert (await create(market, project_id=road)).status_code == 201
    for refused in ({"project_id": rail}, {}):
        answer = await create(market, **refused)
        assert [error["field"] for error in answer.json()["errors"]] == ["service_ids"]


async def test_people_of_a_project_make_keys_of_that_project_only(market: AccessMarket) -> None:
    road, rail = await market.project("Road"), await market.project("Rail")
    manager, member = await market.api.sign_in("Max"), await market.api.sign_in("Meg")
    await market.join(manager, road, "manager")
    await market.join(member, road)
    body = {"name": "job", "service_ids": ["svc_maps"]}

    made = await manager.post(f"{market.consumer}/projects/{road}/keys", json=body)
    assert (made.status_code, made.json()["project_id"]) == (201, road)
    assert await market.call(made.json()["key"]) == "ok"
    assert (await member.post(f"{market.consumer}/projects/{road}/keys", json=body)).status_code == 403
    assert (await manager.post(f"{market.consumer}/projects/{rail}/keys", json=body)).status_code == 404
    # A project in the query makes nobody a manager of the whole consumer.
    for project_id in (rail, road, None):
        smuggled = {**body, "project_id": project_id}
        assert (await manager.post(f"{market.consumer}/keys", json=smuggled)).status_code == 404
        answer = await manager.post(f"{market.consumer}/keys?project_id={road}", json=smuggled)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "project_id")
    path = f"{market.consumer}/projects/{road}/keys"
    assert (await manager.post(path, json={**body, "project_id": rail})).status_code == 400


async def test_people_of_a_project_see_its_keys_only(market: AccessMarket) -> None:
    road = await market.project("Road")
    member = await market.api.sign_in("Meg")
    await market.join(member, road)
    theirs, other = await created(market, project_id=road), await created(market)

    listed = await member.get(f"{market.consumer}/keys?project_id={road}")
    assert [key["id"] for key in listed.json()["items"]] == [theirs["id"]]
    assert (await member.get(f"{market.consumer}/keys")).status_code == 404
    assert (await member.get(f"{market.consumer}/keys/{theirs['id']}")).status_code == 200
    assert (await member.get(f"{market.consumer}/keys/{other['id']}?project_id={road}")).status_code == 404


async def test_whoever_was_removed_while_they_made_a_key_gets_none(market: AccessMarket) -> None:
    road = await market.project("Road")
    max_ = await market.api.sign_in("Max")
    await market.join(max_, road, "manager")
    app, actor = market.api.app, Actor(max_.account.id, "consumer")
    etag = (await market.ann.get(f"{market.consumer}/projects/{road}/members/{max_.account.id}")).headers["etag"]
    await app.access.members.remove(
        Actor(market.ann.account.id, "consumer"), market.consumer_id, road, max_.account.id, etag
    )
    request = KeyRequest(
        name="job",
        description="",
        purpose="",
        environment="live",
        service_ids=("svc_maps",),
        project_id=road,
        ttl_days=None,
        limits=CallLimits(),
        networks=(),
    )

    with pytest.raises(Problem) as caught:  # the guard had let them in before
        await app.access.key_creation.create(actor, max_.account, market.consumer_id, request)
    assert caught.value.status == 404
    assert await app.access.store.all_of(ApiKey, market.consumer_id, "key:") == []


async def test_the_limit_holds_when_keys_are_made_at_the_same_time(market: AccessMarket) -> None:
    change = {"keys_per_consumer_max": 3, "reason": "test"}
    assert (await market.root.patch("/api/v1/admin/settings", json=change, headers={"If-Match": "*"})).status_code < 300

    answers = await asyncio.gather(*(create(market) for _ in range(8)))
    codes = sorted(answer.status_code for answer in answers)
    assert codes == [201] * 3 + [409] * 5
    assert {a.json()["code"] for a in answers if a.status_code == 409} == {"limit_reached"}
    key = next(answer.json() for answer in answers if answer.status_code == 201)
    assert (await do(market, key, "revoke", reason="not needed")).status_code == 200
    assert (await create(market)).status_code == 201


async def test_a_kill_before_the_commit_leaves_no_key(market: AccessMarket) -> None:
    app = market.api.app
    dying = DyingDocuments(app.ports.documents, "access")
    journal = Journal(dying, app.audit.log.append)  # type: ignore[arg-type]  # the real store, but for its end
    creation = KeyCreation(
        AccessStore(app.ports.documents), app.access.key_secrets, journal, app.audit.platform_settings
    )
    request = KeyRequest(
        name="job",
        description="",
        purpose="",
        environment="live",
        service_ids=("svc_maps",),
        project_id=None,
        ttl_days=None,
        limits=CallLimits(),
        networks=(),
    )
    dying.dead = True

    with pytest.raises(RuntimeError):
        await creation.create(Actor("acc", "consumer"), market.ann.account, market.consumer_id, request)
    assert (await market.ann.get(f"{market.consumer}/keys")).json()["items"] == []
    assert (await create(market)).status_code == 201


async def test_a_key_of_an_answer_that_failed_leaves_no_hash(market: AccessMarket) -> None:
    reserved: list[str] = []
    store = market.api.app.access.store
    add = store.add_hash

    async def noting(key_hash: str, owner: Any) -> None:
        reserved.append(key_hash)
        await add(key_hash, owner)

    store.add_hash = noting  # type: ignore[method-assign]  # only listens
    change = {"keys_per_consumer_max": 1, "reason": "test"}
    await market.root.patch("/api/v1/admin/settings", json=change, headers={"If-Match": "*"})
    await created(market)
    assert (await create(market)).status_code == 409
    assert [await store.key_owner(each) is not None for each in reserved] == [True, False]


async def test_lists_filter_and_page(market: AccessMarket) -> None:
    await market.offer("routes")
    await market.grant("routes")
    first = await created(market, ttl_days=10)
    second = await created(market, environment="test", service_ids=["svc_routes"])
    third = await created(market, ttl_days=300)
    await do(market, third, "disable")

    async def listed(query: str = "", person: Any = market.ann, path: str = market.consumer) -> list[str]:
        answer = await person.get(f"{path}/keys{query}")
        assert answer.status_code == 200, answer.text
        return [key["id"] for key in answer.json()["items"]]

    assert await listed() == [first["id"], second["id"], third["id"]]
    assert await listed("?status=disabled") == [third["id"]]
    assert await listed("?service=svc_routes") == [second["id"]]
    assert await listed("?environment=test") == [second["id"]]
    soon = (await read(market, third))["expires_at"]
    assert await listed(f"?expiring_before={soon}") == [first["id"]]
    assert len(await listed("", market.root, f"/api/v1/admin/consumers/{market.consumer_id}")) == 3
    page = (await market.ann.get(f"{market.consumer}/keys?limit=2")).json()
    assert await listed(f"?limit=2&cursor={page['next_cursor']}") == [third["id"]]
    other = await market.ann.get(f"{market.consumer}/keys?status=active&cursor={page['next_cursor']}")
    assert other.json()["code"] == "cursor_invalid"


async def test_what_a_key_may_do_is_changed(market: AccessMarket) -> None:
    await market.offer("routes")
    key = await created(market)
    path = f"{market.consumer}/keys/{key['id']}"

    assert (await market.ann.patch(path, json={"name": "x"})).status_code == 428
    stale = await market.ann.patch(path, json={"name": "x"}, headers={"If-Match": '"stale"'})
    assert stale.status_code == 412
    ungranted = {"service_ids": ["svc_maps", "svc_routes"]}
    refused = await market.ann.patch(path, json=ungranted, headers={"If-Match": key["etag"]})
    assert [error["field"] for error in refused.json()["errors"]] == ["service_ids"]
    body = {"name": "new", "networks": ["2001:db8::/48"], "limits": {"per_day": 7}, "service_ids": []}
    changed = await market.ann.patch(path, json=body, headers={"If-Match": key["etag"]})
    assert changed.status_code == 200, changed.text
    found = await read(market, key)
    assert (found["name"], found["networks"], found["service_ids"]) == ("new", ["2001:db8::/48"], [])
    assert found["limits"]["per_day"] == 7


async def test_a_service_whose_grant_is_gone_may_stay_but_not_come_anew(market: AccessMarket) -> None:
    key = await created(market)
    assert (await market.decide("withdraw", "svc_maps", reason="over")).status_code == 200
    path = f"{market.consumer}/keys/{key['id']}"

    kept = await market.ann.patch(path, json={"service_ids": ["svc_maps"]}, headers={"If-Match": key["etag"]})
    assert kept.status_code == 200
    assert await market.call(key["key"]) == "403 service_not_granted"


async def test_disabled_and_back(market: AccessMarket) -> None:
    key = await created(market)
    assert (await do(market, key, "disable", reason="holidays")).json()["reason"] == "holidays"
    assert await market.call(key["key"]) == "403 key_disabled"
    assert (await do(market, key, "disable")).json()["code"] == "state_invalid"
    assert (await do(market, key, "enable")).json()["reason"] is None
    assert await market.call(key["key"]) == "ok"


async def test_what_is_revoked_stays_revoked(market: AccessMarket) -> None:
    key = await created(market, ttl_days=100)
    assert (await do(market, key, "revoke", reason="lost")).status_code == 200
    found = await read(market, key)
    path, match = f"{market.consumer}/keys/{key['id']}", {"If-Match": found["etag"]}
    for answer in (
        await do(market, key, "enable"),
        await do(market, key, "disable"),
        await do(market, key, "revoke", reason="again"),
        await market.ann.post(f"{path}/rotate", json={}, headers=match),
        await market.ann.patch(path, json={"name": "x"}, headers=match),
        await market.root.post(
            f"/api/v1/admin/consumers/{market.consumer_id}/keys/{key['id']}/force-rotate", json={"reason": "x"}
        ),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "state_invalid"), answer.text
    assert await market.call(key["key"]) == "403 key_revoked"
    assert await read(market, key) == found


async def test_a_revocation_and_an_enabling_at_the_same_time_end_revoked(market: AccessMarket) -> None:
    for _ in range(10):
        key = await created(market)
        await do(market, key, "disable")
        await asyncio.gather(*(do(market, key, "enable") for _ in range(5)), do(market, key, "revoke", reason="lost"))
        if (await read(market, key))["status"] != "revoked":  # the revocation lost, and was told so
            assert (await do(market, key, "revoke", reason="lost")).status_code == 200
        assert await market.call(key["key"]) == "403 key_revoked"


async def test_another_consumers_key_does_not_exist(market: AccessMarket) -> None:
    key = await created(market)
    bob = await market.api.sign_in("Bob")
    theirs = f"/api/v1/consumers/{bob.account.consumer_id}/keys/{key['id']}"
    for path in (f"{market.consumer}/keys/{key['id']}", theirs):
        for method, rest in (
            ("GET", ""),
            ("PATCH", ""),
            ("POST", "/disable"),
            ("POST", "/enable"),
            ("POST", "/revoke"),
            ("POST", "/rotate"),
            ("GET", "/refusals"),
        ):
            body = {"reason": "x"} if rest == "/revoke" else {}
            answer = await bob.request(method, path + rest, json=body, headers={"If-Match": "*"})
            assert answer.status_code == 404, (method, path, rest)
    assert (await bob.get(f"{market.consumer}/keys")).status_code == 404
    assert (await bob.post(f"{market.consumer}/keys", json={})).status_code == 404
    assert await market.call(key["key"]) == "ok"


@pytest.mark.parametrize("environment", ["live", "test"])
async def test_a_key_is_no_token_and_a_token_no_key(market: AccessMarket, environment: str) -> None:
    key = await created(market, environment=environment)
    for headers in ({"Authorization": f"Bearer {key['key']}"}, {"X-AMS-Key": key["key"]}):
        answer = await market.api.anonymous.get(f"{market.consumer}/keys", headers=headers)
        assert answer.status_code == 401
    question = {"service": "maps"}
    for path, method in (("/api/v1/usage/summary", "GET"), ("/api/v1/consume/explain", "POST")):
        answer = await market.ann.request(method, path, json=question if method == "POST" else None)
        assert answer.status_code == 401, path
    assert await market.call(market.ann.token or "") == "401 key_malformed"


async def test_a_merchant_takes_its_services_from_one_key(market: AccessMarket) -> None:
    await market.merchant("mer_2")
    await market.offer("routes")
    await market.offer("other", "mer_2")
    for service in ("routes", "other"):
        await market.grant(service)
    key = await created(market, service_ids=["svc_maps", "svc_routes", "svc_other"])
    twin = await created(market)
    pseudonym = await market.api.app.access.pseudonyms.of("mer_1", market.consumer_id)
    path = f"/api/v1/merchants/mer_1/subscribers/{pseudonym}/keys/{key['id']}/revoke"

    one = await market.mia.post(path, json={"service_ids": ["svc_maps"], "reason": "abuse"})
    assert (one.status_code, one.json()["service_ids"]) == (200, ["svc_routes"])
    assert [await market.call(key["key"], name) for name in ("maps", "routes", "other")] == [
        "403 service_not_granted",
        "ok",
        "ok",
    ]
    assert await market.call(twin["key"]) == "ok"
    for chosen in (["svc_maps"], ["svc_other"], ["svc_routes", "svc_other"]):  # all or nothing
        answer = await market.mia.post(path, json={"service_ids": chosen, "reason": "x"})
        assert answer.status_code == 404
    assert (await market.mia.post(path, json={"service_ids": [], "reason": "x"})).status_code == 400
    back = {"service_ids": ["svc_maps", "svc_routes", "svc_other"]}
    found = await read(market, key)
    patched = await market.ann.patch(f"{market.consumer}/keys/{key['id']}", json=back, headers={"If-Match": "*"})
    assert [error["field"] for error in patched.json()["errors"]] == ["service_ids"]
    assert found["revoked_service_ids"] == ["svc_maps"]
    assert (await market.mia.post(path, json={"reason": "all"})).json()["service_ids"] == []
    assert await market.call(key["key"], "other") == "ok"
    assert (await market.mia.post(path, json={"reason": "again"})).status_code == 404
    await market.api.drain()
    mails = [mail for mail in market.api.mails() if "lost services" in str(mail["subject"])]
    assert [mail["to"] for mail in mails] == ["ann@buyers.example"] * 2
    assert "abuse" in mails[0].get_content()


async def test_a_merchant_reaches_no_key_that_it_cannot_see(market: AccessMarket) -> None:
    await market.merchant("mer_2")
    await market.offer("other", "mer_2")
    await market.grant("other")
    key = await created(market, service_ids=["svc_other"])
    mine = await market.api.app.access.pseudonyms.of("mer_1", market.consumer_id)
    theirs = await market.api.app.access.pseudonyms.of("mer_2", market.consumer_id)
    for merchant, pseudonym in (("mer_1", mine), ("mer_1", theirs), ("mer_2", theirs)):
        path = f"/api/v1/merchants/{merchant}/subscribers/{pseudonym}/keys/{key['id']}/revoke"
        assert (await market.mia.post(path, json={"reason": "x"})).status_code == 404
    assert await market.call(key["key"], "other") == "ok"


async def test_nothing_of_a_key_in_the_store_is_its_clear_text(market: AccessMarket) -> None:
    key = await created(market)
    app = market.api.app
    document = await app.ports.documents.get(ACCESS, market.consumer_id, f"key:{key['id']}")
    assert document is not None
    assert key["key"].encode() not in document.body
