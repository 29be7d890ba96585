"""Edits of a live service: what waits for approval, what does not, and what the decision does."""

from typing import Any

import pytest

from shared.audit.platform import PLATFORM, PlatformSettings
from shared.catalog.models import CallLimits, Service, UpstreamConfig
from shared.catalog.services.revisions import REVIEWED, applied, needs_review
from shared.catalog.services.schemas import ServiceChange
from tests.support.api.services_market import ServicesMarket

AT_ONCE: dict[str, Any] = {
    "documentation_url": "https://docs.example",
    "version": "2",
    "category": "maps",
    "tags": ["rain"],
    "formats": ["json"],
    "auto_approve": True,
    "visibility": "unlisted",
}
WAITS: dict[str, Any] = {
    "name": "Other",
    "description": "Another.",
    "upstream": {"base_url": "https://other.example"},
    "limits": {"per_minute": 9},
    "pricing": "more",
    "price_model": "tiered",
    "authentication": "mTLS",
    "sla": "none",
}


def test_every_field_that_can_be_written_is_decided_about() -> None:
    writable = {field for field in ServiceChange.model_fields if field != "notes"}
    assert set(AT_ONCE) | set(WAITS) == writable
    service = Service(id="svc_1", merchant_id="mer_1", slug="s", name="S")
    assert {field for field in writable if needs_review(field, service)} == set(WAITS) | {"visibility"}
    assert set(REVIEWED) <= set(Service.model_fields)


@pytest.mark.parametrize("field", AT_ONCE)
async def test_what_does_not_matter_to_consumers_applies_at_once(market: ServicesMarket, field: str) -> None:
    service_id = await market.active()
    body = (await market.edit(service_id, **{field: AT_ONCE[field]})).json()
    assert (body[field], body["revision"], body["review"]) == (AT_ONCE[field], None, None)


@pytest.mark.parametrize("field", WAITS)
async def test_what_matters_to_consumers_waits(market: ServicesMarket, field: str) -> None:
    service_id = await market.active()
    before = await market.read(service_id)
    edited = (await market.edit(service_id, notes="a change", **{field: WAITS[field]})).json()
    assert edited[field] == before[field]
    assert (edited["review"], set(edited["revision"]["values"])) == ("revision", {field})

    (item,) = (await market.root.get("/api/v1/admin/services/review")).json()["items"]
    assert item["service"]["id"] == service_id
    (change,) = item["changes"]
    assert change["field"] == field
    assert change["before"] != change["after"]

    approved = (await market.decide(service_id, "approve")).json()
    expected, after = WAITS[field], approved[field]
    assert expected == ({name: after[name] for name in expected} if isinstance(expected, dict) else after)
    assert (approved["revision"], approved["review"], approved["versions"]) == (None, None, 2)
    versions = (await market.mia.get(f"/api/v1/services/{service_id}/versions")).json()["items"]
    assert [(version["number"], version["notes"]) for version in versions] == [(2, "a change"), (1, "")]


async def test_becoming_public_waits_and_becoming_less_does_not(market: ServicesMarket) -> None:
    service_id = await market.active(visibility="private")
    assert (await market.edit(service_id, visibility="public")).json()["revision"]["values"] == {"visibility": "public"}
    body = (await market.edit(service_id, visibility="unlisted")).json()
    assert (body["visibility"], body["revision"], body["review"]) == ("unlisted", None, None)


async def test_edits_join_and_an_edit_back_takes_the_field_out(market: ServicesMarket) -> None:
    service_id = await market.active(limits={"per_minute": 5})
    await market.edit(service_id, name="Second", notes="renamed")
    await market.edit(service_id, limits={"per_day": 100})
    joined = (await market.edit(service_id, category="maps")).json()
    assert joined["category"] == "maps"
    assert joined["revision"]["values"]["name"] == "Second"
    limits = joined["revision"]["values"]["limits"]
    assert (limits["per_minute"], limits["per_day"]) == (5, 100)
    assert joined["revision"]["notes"] == "renamed"

    back = (await market.edit(service_id, name="Weather")).json()
    assert set(back["revision"]["values"]) == {"limits"}
    gone = (await market.edit(service_id, limits={"per_day": None})).json()
    assert (gone["revision"], gone["review"]) == (None, None)
    assert (await market.root.get("/api/v1/admin/services/review")).json()["items"] == []


async def test_a_rejected_revision_is_kept_changed_and_submitted_again(market: ServicesMarket) -> None:
    service_id = await market.active()
    await market.edit(service_id, name="Bad name", sla="none")
    rejected = (await market.decide(service_id, "reject", reason="misleading")).json()
    assert (rejected["status"], rejected["name"], rejected["review"]) == ("active", "Weather", None)
    assert rejected["revision"]["reason"] == "misleading"
    assert (await market.decide(service_id, "approve")).json()["code"] == "state_invalid"

    again = (await market.edit(service_id, name="Good name")).json()
    assert (again["review"], again["revision"]["reason"]) == ("revision", None)
    approved = (await market.decide(service_id, "approve")).json()
    assert (approved["name"], approved["sla"]) == ("Good name", "none")
    await market.api.drain()
    assert [mail["Subject"] for mail in market.api.mails()][1] == "Weather stays as it is"


async def test_a_revision_is_withdrawn(market: ServicesMarket) -> None:
    service_id = await market.active()
    await market.edit(service_id, name="Other")
    body = (await market.ask(service_id, "withdraw")).json()
    assert (body["status"], body["name"], body["revision"], body["review"]) == ("active", "Weather", None, None)
    assert (await market.ask(service_id, "withdraw")).json()["code"] == "state_invalid"
    assert await market.api.app.catalog.store.revision(service_id) is None


async def test_an_admin_decides_on_what_was_read(market: ServicesMarket) -> None:
    service_id = await market.active()
    await market.edit(service_id, name="Harmless")
    read = await market.etag(service_id)
    await market.edit(service_id, upstream={"base_url": "https://elsewhere.example"})
    path = f"/api/v1/admin/services/{service_id}/approve"
    assert (await market.root.post(path, json={}, headers=read)).status_code == 412
    now = await market.etag(service_id)
    assert (await market.root.post(path, json={}, headers=now)).json()["name"] == "Harmless"


async def test_the_queue_is_oldest_first_and_an_edit_does_not_lose_the_turn(market: ServicesMarket) -> None:
    first, second = await market.active(slug="a"), await market.active(slug="b")
    await market.edit(first, name="One")
    await market.edit(second, name="Two")
    await market.edit(first, sla="more")
    third = await market.pending(slug="c")
    page = (await market.root.get("/api/v1/admin/services/review?limit=2")).json()
    rest = (await market.root.get(f"/api/v1/admin/services/review?limit=2&cursor={page['next_cursor']}")).json()
    assert [item["service"]["id"] for item in page["items"] + rest["items"]] == [first, second, third]
    assert [item["service"]["review"] for item in rest["items"]] == ["service"]
    assert rest["items"][0]["changes"] == []


async def test_the_approval_of_a_revision_does_not_lift_a_suspension(market: ServicesMarket) -> None:
    service_id = await market.active()
    await market.edit(service_id, name="Other")
    await market.decide(service_id, "disable", reason="abuse")
    body = (await market.decide(service_id, "approve")).json()
    assert (body["status"], body["reason"], body["name"]) == ("suspended", "abuse", "Other")


async def test_a_live_service_cannot_lose_what_it_needs(market: ServicesMarket) -> None:
    service_id = await market.active()
    answer = await market.edit(service_id, upstream=None)
    assert (answer.status_code, answer.json()["code"]) == (409, "service_incomplete")


async def test_retiring_drops_the_revision(market: ServicesMarket) -> None:
    service_id = await market.active()
    await market.edit(service_id, name="Other")
    body = (await market.ask(service_id, "retire", reason="moved")).json()
    assert (body["status"], body["revision"], body["review"], body["reason"]) == ("retired", None, None, "moved")
    assert (await market.root.get("/api/v1/admin/services/review")).json()["items"] == []


async def test_an_admins_visibility_wins_until_it_is_taken_back(market: ServicesMarket) -> None:
    service_id = await market.active()
    path = f"/api/v1/admin/services/{service_id}/visibility"
    body = {"visibility": "private", "reason": "under inquiry"}
    assert (await market.root.put(path, json=body)).status_code == 428
    read = await market.etag(service_id)
    assert (await market.root.put(path, json=body, headers=read)).json()["visibility_override"] == "private"
    service = await market.api.app.catalog.store.service(service_id)
    assert service is not None
    assert (service.visibility, service.shown) == ("public", "private")
    body = {"visibility": None, "reason": "cleared"}
    taken_back = await market.root.put(path, json=body, headers=await market.etag(service_id))
    assert taken_back.json()["visibility_override"] is None
    assert (await market.mia.put(path, json=body, headers=await market.etag(service_id))).status_code == 403


async def test_a_release_is_a_version_at_once(market: ServicesMarket) -> None:
    service_id = await market.active()
    path = f"/api/v1/services/{service_id}/versions"
    answer = await market.mia.post(path, json={"version": "2.0", "notes": "faster"})
    assert (answer.status_code, answer.json()["number"], answer.json()["made_by"]) == (201, 2, market.mia.account.id)
    assert (await market.read(service_id))["version"] == "2.0"
    page = (await market.mia.get(f"{path}?limit=1")).json()
    rest = (await market.mia.get(f"{path}?limit=1&cursor={page['next_cursor']}")).json()
    assert [item["version"] for item in page["items"] + rest["items"]] == ["2.0", ""]
    draft = await market.drafted(slug="draft")
    refused = await market.mia.post(f"/api/v1/services/{draft}/versions", json={"version": "1"})
    assert refused.json()["code"] == "state_invalid"


async def test_approving_at_once_takes_a_waiting_revision_along(market: ServicesMarket) -> None:
    service_id = await market.active()
    await market.edit(service_id, name="Waiting")
    settings = PlatformSettings(services_approve_at_once=True)
    await market.api.app.ports.documents.upsert(PLATFORM, "platform", "platform", settings.to_json())
    market.api.app.audit.journal.changed()
    body = (await market.edit(service_id, sla="more")).json()
    assert (body["name"], body["sla"], body["revision"], body["review"], body["versions"]) == (
        "Waiting",
        "more",
        None,
        None,
        2,
    )


def test_a_revision_of_an_upstream_keeps_the_secret_of_the_live_one() -> None:
    live = Service(
        id="svc_1",
        merchant_id="mer_1",
        slug="s",
        name="S",
        limits=CallLimits(per_minute=5),
        upstream=UpstreamConfig(base_url="https://a.example", auth_header="X-Key", auth_secret="upstream-new"),
    )
    after = applied(live, {"upstream": {"base_url": "https://b.example"}, "limits": {"per_day": 7}})
    assert after.upstream == UpstreamConfig(
        base_url="https://b.example", auth_header="X-Key", auth_secret="upstream-new"
    )
    assert after.limits == CallLimits(per_minute=5, per_day=7)
