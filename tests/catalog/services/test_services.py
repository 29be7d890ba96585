"""A merchant's services and what admins decide about them, over HTTP."""

import asyncio
from typing import Any

import pytest

from scripts.seeding.documents import add_key, put_consumer, put_grant
from shared.access.gate.service import Gate
from shared.access.keys.format import PREFIX_CHARACTERS, new_key
from shared.access.models import ApiKey, Consumer, Grant
from shared.catalog.store import SERVICES, CatalogStore
from shared.kernel.errors import Problem
from shared.platform.documents import Query, Where
from tests.support.api.services_market import COMPLETE, ServicesMarket

STATUSES = ("draft", "pending_approval", "active", "rejected", "suspended", "retired")
VERBS = {  # by whom, and from where to where
    "submit": ("mia", {"draft": "pending_approval", "rejected": "pending_approval"}),
    "withdraw": ("mia", {"pending_approval": "draft"}),
    "retire": ("mia", dict.fromkeys(("draft", "rejected", "active", "suspended"), "retired")),
    "approve": ("root", {"pending_approval": "active"}),
    "reject": ("root", {"pending_approval": "rejected"}),
    "disable": ("root", {"active": "suspended"}),
    "restore": ("root", {"suspended": "active"}),
}


# Drafts


async def test_a_draft_is_what_was_sent_and_nothing_else(market: ServicesMarket) -> None:
    answer = await market.draft(tags=["rain"], price_model="free", limits={"per_minute": 60})

    assert answer.status_code == 201
    body = answer.json()
    assert (body["status"], body["slug"], body["merchant_id"]) == ("draft", "weather", "mer_1")
    assert (body["tags"], body["price_model"], body["limits"]["per_minute"]) == (["rain"], "free", 60)
    assert body["upstream"]["base_url"] == "https://weather.example/v1"
    assert (await market.mia.get(f"/api/v1/services/{body['id']}")).headers["ETag"] == answer.headers["ETag"]
    assert await market.actions() == ["service.create"]


@pytest.mark.parametrize(
    "field",
    [
        "id",
        "status",
        "review",
        "merchant_id",
        "visibility_override",
        "reason",
        "versions",
        "openapi",
        "logo",
        "listing",
    ],
)
async def test_what_the_platform_decides_cannot_be_written(market: ServicesMarket, field: str) -> None:
    refused = await market.draft(**{field: "active"})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, field)
    service_id = await market.drafted()
    changed = await market.edit(service_id, **{field: "active"})
    assert (changed.status_code, changed.json()["errors"][0]["field"]) == (400, field)


@pytest.mark.parametrize("field", ["auth_header", "auth_secret"])
async def test_no_secret_can_be_named_in_an_upstream(market: ServicesMarket, field: str) -> None:
    upstream = {"base_url": "https://weather.example", field: "key-pepper-v1"}
    assert (await market.draft(upstream=upstream)).status_code == 400
    assert (await market.edit(await market.drafted(), upstream={field: "key-pepper-v1"})).status_code == 400


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"slug": "Not A Slug"}, "slug"),
        ({"name": ""}, "name"),
        ({"description": "x" * 50_001}, "description"),
        ({"upstream": {"base_url": "ftp://x.example"}}, "upstream.base_url"),
        ({"upstream": {"base_url": "https://user:pw@x.example"}}, "upstream.base_url"),
        ({"upstream": {"base_url": "https://x.example/?q=1"}}, "upstream.base_url"),
        ({"documentation_url": "javascript:alert(1)"}, "documentation_url"),
        ({"limits": {"per_minute": 0}}, "limits.per_minute"),
        ({"tags": ["<script>"]}, "tags.0"),
        ({"visibility": "secret"}, "visibility"),
    ],
)
async def test_bad_input_names_the_field(market: ServicesMarket, changes: dict[str, Any], field: str) -> None:
    answer = await market.draft(**changes)
    assert (answer.status_code, answer.json()["code"]) == (400, "request_invalid")
    assert answer.json()["errors"][0]["field"] == field


async def test_an_edit_changes_only_what_it_names(market: ServicesMarket) -> None:
    service_id = await market.drafted(price_model="free", limits={"per_minute": 5, "per_day": 9}, sla="none")

    answer = await market.edit(
        service_id, price_model=None, limits={"per_day": None}, upstream={"timeout_s": 5}, category="maps"
    )

    body = answer.json()
    assert (answer.status_code, body["price_model"], body["sla"], body["category"]) == (200, None, "none", "maps")
    assert (body["limits"]["per_minute"], body["limits"]["per_day"]) == (5, None)
    assert (body["upstream"]["base_url"], body["upstream"]["timeout_s"]) == ("https://weather.example/v1", 5)


async def test_an_edit_names_what_it_was_made_from(market: ServicesMarket) -> None:
    service_id = await market.drafted()
    path, old = f"/api/v1/services/{service_id}", await market.etag(service_id)
    assert (await market.mia.patch(path, json={"category": "a"})).status_code == 428
    assert (await market.mia.patch(path, json={"category": "a"}, headers=old)).status_code == 200
    assert (await market.mia.patch(path, json={"category": "b"}, headers=old)).status_code == 412


async def test_an_upstream_needs_a_base_url(market: ServicesMarket) -> None:
    service_id = await market.drafted(upstream=None)
    answer = await market.edit(service_id, upstream={"timeout_s": 5})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "upstream.base_url")


# Whose they are


async def test_another_merchants_service_does_not_exist(market: ServicesMarket) -> None:
    service_id = await market.active()
    path = f"/api/v1/services/{service_id}"
    for method, tail, body in (
        ("GET", "", None),
        ("PATCH", "", {"name": "mine"}),
        ("POST", "/submit", None),
        ("POST", "/withdraw", None),
        ("POST", "/retire", {}),
        ("GET", "/openapi", None),
        ("GET", "/operations", None),
        ("GET", "/versions", None),
        ("POST", "/versions", {"version": "2"}),
        ("POST", "/test-connection", {}),
        ("PUT", "/openapi", {}),
        ("PUT", "/upstream-secret", {"header": "X-Key", "value": "v"}),
        ("DELETE", "/upstream-secret", None),
    ):
        answer = await market.max.request(method, path + tail, json=body, headers={"If-Match": "*"})
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), (method, tail)
    assert (await market.max.get("/api/v1/merchants/mer_1/services")).status_code == 404
    assert (await market.draft(market.max)).status_code == 404
    assert (await market.read(service_id))["name"] == "Weather"


async def test_a_merchant_lists_its_own_by_status_in_pages(market: ServicesMarket) -> None:
    mine = [await market.drafted(slug=f"s{n}") for n in range(5)]
    await market.draft(market.max, "mer_2", slug="theirs")
    await market.ask(mine[0], "submit")

    first = (await market.mia.get("/api/v1/merchants/mer_1/services?status=draft&limit=3")).json()
    path = f"/api/v1/merchants/mer_1/services?status=draft&limit=3&cursor={first['next_cursor']}"
    second = (await market.mia.get(path)).json()

    assert [item["id"] for item in first["items"] + second["items"]] == mine[:0:-1]
    assert second["next_cursor"] is None
    assert (await market.mia.get(path.replace("draft", "active"))).json()["code"] == "cursor_invalid"


async def test_admins_list_everybodys(market: ServicesMarket) -> None:
    one = await market.drafted()
    other = (await market.draft(market.max, "mer_2", slug="other")).json()["id"]
    listed = (await market.root.get("/api/v1/admin/services")).json()["items"]
    assert {item["id"] for item in listed} == {other, one}
    listed = (await market.root.get("/api/v1/admin/services?merchant=mer_2&status=draft")).json()["items"]
    assert [item["id"] for item in listed] == [other]
    for path in ("", "/review"):
        assert (await market.mia.get(f"/api/v1/admin/services{path}")).status_code == 403


# States


async def bring_to(market: ServicesMarket, status: str) -> str:
    service_id = await market.drafted()
    for step in {
        "draft": (),
        "pending_approval": ("submit",),
        "active": ("submit", "approve"),
        "rejected": ("submit", "reject"),
        "suspended": ("submit", "approve", "disable"),
        "retired": ("retire",),
    }[status]:
        answer = await act(market, service_id, step)
        assert answer.status_code == 200, answer.text
    return service_id


async def act(market: ServicesMarket, service_id: str, verb: str) -> Any:
    if VERBS[verb][0] == "root":
        return await market.decide(service_id, verb, reason="because")
    return await market.ask(service_id, verb)


@pytest.mark.parametrize("status", STATUSES)
async def test_every_step_from_every_state(market: ServicesMarket, status: str) -> None:
    for verb, (_, steps) in VERBS.items():
        market_slug = await market.api.app.catalog.store.service_id("weather")
        if market_slug is not None:  # each verb starts from a fresh service
            await release(market, market_slug)
        service_id = await bring_to(market, status)
        answer = await act(market, service_id, verb)
        if status in steps:
            assert (answer.status_code, answer.json()["status"]) == (200, steps[status]), (status, verb)
        else:
            assert (answer.status_code, answer.json()["code"]) == (409, "state_invalid"), (status, verb)
            assert status in answer.json()["detail"]
            assert (await market.read(service_id))["status"] == status


async def release(market: ServicesMarket, service_id: str) -> None:
    await market.api.app.ports.documents.delete(SERVICES, service_id, service_id)
    await market.api.app.catalog.store.release_slug("weather", service_id)


async def test_a_rejected_service_is_mended_and_submitted_again(market: ServicesMarket) -> None:
    service_id = await market.pending()
    assert (await market.edit(service_id, name="Other")).json()["code"] == "state_invalid"
    assert (await market.decide(service_id, "reject")).status_code == 400  # without a reason
    rejected = (await market.decide(service_id, "reject", reason="too vague")).json()
    assert (rejected["status"], rejected["reason"]) == ("rejected", "too vague")

    assert (await market.edit(service_id, description="Precise.")).status_code == 200
    again = (await market.ask(service_id, "submit")).json()
    assert (again["status"], again["reason"]) == ("pending_approval", None)
    assert (await market.decide(service_id, "approve")).json()["status"] == "active"
    assert await market.actions() == [
        "service.create",
        "service.submit",
        "service.reject",
        "service.update",
        "service.submit",
        "service.approve",
    ]


@pytest.mark.parametrize("status", ["pending", "suspended", "disabled"])
async def test_an_inactive_merchant_drafts_but_does_not_submit(market: ServicesMarket, status: str) -> None:
    await market.merchant("mer_1", market.mia, status=status)
    answer = await market.ask(await market.drafted(), "submit")
    assert (answer.status_code, answer.json()["code"]) == (409, "merchant_inactive")


async def test_an_incomplete_service_is_not_submitted(market: ServicesMarket) -> None:
    service_id = await market.drafted(description="", upstream=None)
    answer = await market.ask(service_id, "submit")
    assert (answer.status_code, answer.json()["code"]) == (409, "service_incomplete")
    assert [error["field"] for error in answer.json()["errors"]] == ["description", "upstream.base_url"]
    image = await market.drafted(slug="image", type="image", upstream=None)
    assert (await market.ask(image, "submit")).json()["status"] == "pending_approval"


async def test_the_platform_may_approve_at_once(market: ServicesMarket) -> None:
    await market.put_settings(services_approve_at_once=True)
    service_id = await market.drafted()
    assert (await market.ask(service_id, "submit")).json()["status"] == "active"
    edited = (await market.edit(service_id, name="Renamed", notes="new name")).json()
    assert (edited["name"], edited["revision"], edited["versions"]) == ("Renamed", None, 2)


async def test_a_hundred_decisions_at_once_are_one(market: ServicesMarket) -> None:
    service_id = await market.pending()
    answers = await asyncio.gather(
        *(market.decide(service_id, "reject" if n % 2 else "approve", reason=str(n)) for n in range(100))
    )
    decided = [answer.json() for answer in answers if answer.status_code == 200]
    assert len(decided) == 1
    assert {a.json()["code"] for a in answers if a.status_code != 200} <= {"conflict", "state_invalid"}
    now = await market.read(service_id)
    assert (now["status"], now["reason"]) == (decided[0]["status"], decided[0]["reason"])
    actions = await market.actions()
    assert len([a for a in actions if a in ("service.approve", "service.reject")]) == 1
    await market.api.drain()
    assert len([mail for mail in market.api.mails() if "Weather" in str(mail["Subject"])]) == 1


async def test_the_merchants_people_are_told_and_nobody_else(market: ServicesMarket) -> None:
    service_id = await market.pending(name="Rain\u2028and shine")
    await market.decide(service_id, "reject", reason="too wet\n\nYours, the platform")
    await market.api.drain()
    (mail,) = market.api.mails()
    assert mail["To"] == market.mia.account.email
    assert mail["Subject"] == "Rain and shine is not approved"
    assert "Reason: too wet Yours, the platform\n" in mail.get_content()


async def test_the_platform_is_told_of_submissions(market: ServicesMarket) -> None:
    await market.put_settings(alert_recipients=("ops@example.com",))
    await market.pending()
    await market.api.drain()
    assert [(mail["To"], mail["Subject"]) for mail in market.api.mails()] == [("ops@example.com", "To review: Weather")]


# Calls


async def caller(market: ServicesMarket, service_id: str) -> tuple[Gate, str]:
    """A gate, and a key that may call the service."""
    access, clear = market.api.app.access.store, new_key("live")
    await put_consumer(access, Consumer(id="con_1", name="Consumer"))
    await put_grant(access, Grant(consumer_id="con_1", service_id=service_id, status="approved"))
    hasher = await market.api.app.access.load_hasher()
    await add_key(
        access,
        ApiKey(
            id="key_1",
            consumer_id="con_1",
            hash=hasher.hash(clear),
            name="key",
            prefix=clear[:PREFIX_CHARACTERS],
            last4=clear[-4:],
            service_ids=(service_id,),
        ),
    )
    return market.api.app.access.gate, clear


async def refusal(gate: Gate, key: str) -> tuple[int, str] | None:
    try:
        await gate.admit(await gate.identify(key), "weather", forwarding=True)
    except Problem as problem:
        return problem.status, problem.code
    return None


async def test_calls_follow_the_state_at_once(market: ServicesMarket) -> None:
    service_id = await market.pending()
    gate, key = await caller(market, service_id)
    assert await refusal(gate, key) == (502, "merchant_misconfigured")
    await market.decide(service_id, "approve")
    assert await refusal(gate, key) is None
    await market.decide(service_id, "disable", reason="abuse")
    assert await refusal(gate, key) == (403, "service_suspended")
    await market.decide(service_id, "restore", reason="mended")
    assert await refusal(gate, key) is None
    await market.ask(service_id, "retire")
    assert await refusal(gate, key) == (502, "merchant_misconfigured")


# What follows


async def outbox(market: ServicesMarket) -> int:
    # Across tenants: a test looks for what is left over.
    page = await market.api.app.ports.documents.query(SERVICES, Query(None, (Where("outbox", ">", ""),)))
    return len(page.items)


async def test_the_catalogue_is_told_only_of_what_it_shows(market: ServicesMarket) -> None:
    service_id = await market.pending()
    store: CatalogStore = market.api.app.catalog.store

    async def listing() -> str | None:
        service = await store.service(service_id)
        assert service is not None
        return service.listing

    assert await listing() is None
    await market.decide(service_id, "approve")
    approved = await listing()
    assert approved is not None
    await market.edit(service_id, name="Proposed")
    assert await listing() == approved
    await market.edit(service_id, category="maps")
    assert (await listing() or "") > approved
    await market.api.drain()
    assert await outbox(market) == 0


async def test_descriptions_are_kept_as_they_were_written(market: ServicesMarket) -> None:
    source = "<script>alert(1)</script> **bold** & [x](javascript:alert(1))"
    service_id = await market.drafted(description=source)
    assert (await market.read(service_id))["description"] == source
    assert COMPLETE["description"] != source
