"""Merchants: their profile, and a shop that is open, or closed by an admin."""

import asyncio
import io
from typing import Any, get_args

import pytest
from PIL import Image

from shared.access.gate.service import Gate, Holder
from shared.access.models import Consumer
from shared.audit.journal import FIRST_DUE
from shared.audit.models import Actor
from shared.catalog.merchants.service import Mark, MerchantDecision
from shared.catalog.models import Service, UpstreamConfig
from shared.kernel.errors import Problem
from tests.support.api.harness import Api, Person
from tests.support.api.merchant_steps import MERCHANTS, Killed, decide, dies, register
from tests.support.api.problems import problem
from tests.support.embedded import api_key


class TestProfile:
    @pytest.fixture
    async def path(self, admin: Person, ann: Person) -> str:
        return f"/api/v1/merchants/{await register(admin, ann)}"

    async def tag(self, person: Person, path: str) -> dict[str, str]:
        return {"If-Match": (await person.get(path)).headers["etag"]}

    async def test_its_people_change_it(self, ann: Person, path: str) -> None:
        change = {
            "name": "Meteo Works",
            "legal_name": "Meteo Works GmbH",
            "tax_id": "DE1",
            "address": {"lines": ["Main 1"], "city": "Bern", "country": "CH"},
        }
        answer = await ann.patch(path, json=change, headers=await self.tag(ann, path))
        assert answer.status_code == 200, answer.text
        assert {**answer.json(), **change, "address": None} == {**answer.json(), "address": None}
        assert answer.json()["address"]["country"] == "CH"

    @pytest.mark.parametrize("field", ["slug", "status", "flagged", "account_ids", "id", "logo", "reason"])
    async def test_nothing_else_can_be_changed(self, ann: Person, path: str, field: str) -> None:
        answer = await ann.patch(path, json={field: "active"}, headers=await self.tag(ann, path))
        assert problem(answer) == (400, "request_invalid")

    async def test_the_tax_id_is_not_in_the_audit_log(self, admin: Person, ann: Person, path: str) -> None:
        await ann.patch(path, json={"tax_id": "SECRET-TAX"}, headers=await self.tag(ann, path))
        assert "SECRET-TAX" not in (await admin.get("/api/v1/admin/audit")).text

    async def test_a_logo_is_decoded_and_public(self, api: Api, ann: Person, path: str) -> None:
        answer = await ann.put(f"{path}/logo", content=picture("JPEG"), headers=await self.tag(ann, path))
        assert answer.status_code == 200, answer.text
        seen = await api.anonymous.get(answer.json()["logo_url"])
        assert (seen.status_code, seen.headers["content-type"]) == (200, "image/png")
        assert Image.open(io.BytesIO(seen.content)).size == (20, 10)
        assert "immutable" in seen.headers["cache-control"]
        again = await api.anonymous.get(answer.json()["logo_url"], headers={"If-None-Match": seen.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        gone = await ann.delete(f"{path}/logo", headers=await self.tag(ann, path))
        assert gone.json()["logo_url"] is None

    @pytest.mark.parametrize(
        ("content", "status", "code"),
        [
            (b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>", 400, "image_invalid"),
            (b"", 400, "image_invalid"),
            (b"\x89PNG\r\n\x1a\n" + b"x" * 100, 400, "image_invalid"),
            (b"x" * (512 * 1024 + 1), 413, "body_too_large"),
        ],
    )
    async def test_what_is_no_logo_is_refused(
        self, ann: Person, path: str, content: bytes, status: int, code: str
    ) -> None:
        answer = await ann.put(f"{path}/logo", content=content, headers=await self.tag(ann, path))
        assert problem(answer) == (status, code)

    async def test_a_logo_is_not_scaled(self, ann: Person, path: str) -> None:
        for size, status in (((1024, 1024), 200), ((1025, 1), 400), ((1, 1025), 400)):
            tag = await self.tag(ann, path)
            answer = await ann.put(f"{path}/logo", content=picture("WEBP", size), headers=tag)
            assert answer.status_code == status, size

    async def test_an_unknown_logo_is_not_found(self, api: Api) -> None:
        assert problem(await api.anonymous.get(f"/api/v1/catalog/logos/{'0' * 40}.png")) == (404, "not_found")
        assert problem(await api.anonymous.get("/api/v1/catalog/logos/..%2Fsecret")) in (
            (400, "request_invalid"),
            (404, "not_found"),
        )

    @pytest.mark.parametrize(("method", "part"), [("PATCH", ""), ("PUT", "/logo"), ("DELETE", "/logo")])
    async def test_what_was_not_read_is_not_changed(
        self, admin: Person, ann: Person, path: str, method: str, part: str
    ) -> None:
        body: dict[str, Any] = {"json": {"name": "X"}} if method == "PATCH" else {"content": picture("PNG")}
        assert problem(await ann.request(method, path + part, **body)) == (428, "precondition_required")
        old = await self.tag(ann, path)
        await ann.patch(path, json={"name": "Newer"}, headers=old)
        assert problem(await ann.request(method, path + part, headers=old, **body)) == (412, "precondition_failed")

    async def test_of_many_changes_at_once_one_holds(self, ann: Person, path: str) -> None:
        tag = await self.tag(ann, path)
        sent = [ann.patch(path, json={"name": f"Name {number}"}, headers=tag) for number in range(20)]
        statuses = [answer.status_code for answer in await asyncio.gather(*sent)]
        assert statuses.count(200) == 1
        assert set(statuses) <= {200, 409, 412}

    async def test_a_bomb_is_refused_by_its_header(self, ann: Person, path: str) -> None:
        bomb = picture("PNG", (20_000, 20_000), mode="1")
        assert len(bomb) < 512 * 1024
        answer = await ann.put(f"{path}/logo", content=bomb, headers=await self.tag(ann, path))
        assert problem(answer) == (400, "image_invalid")


def picture(format: str, size: tuple[int, int] = (20, 10), mode: str = "RGB") -> bytes:
    written = io.BytesIO()
    Image.new(mode, size).save(written, format)
    return written.getvalue()


class TestDecisions:
    @pytest.mark.parametrize(
        ("path", "status"),
        [
            (["activate"], "active"),
            (["reject"], "rejected"),
            (["activate", "suspend"], "suspended"),
            (["activate", "suspend", "restore"], "active"),
            (["activate", "disable"], "disabled"),
            (["activate", "suspend", "disable", "restore"], "active"),
        ],
    )
    async def test_states_that_follow(self, admin: Person, ann: Person, path: list[str], status: str) -> None:
        merchant_id = await register(admin, ann)
        for decision in path:
            await decide(admin, merchant_id, decision)
        assert (await admin.get(f"{MERCHANTS}/{merchant_id}")).json()["status"] == status

    @pytest.mark.parametrize(
        ("path", "decision"),
        [
            ([], "suspend"),
            ([], "disable"),
            ([], "restore"),
            (["activate"], "activate"),
            (["activate"], "reject"),
            (["activate"], "restore"),
            (["reject"], "activate"),
            (["activate", "disable"], "suspend"),
        ],
    )
    async def test_states_that_do_not(self, admin: Person, ann: Person, path: list[str], decision: str) -> None:
        merchant_id = await register(admin, ann)
        for step in path:
            await decide(admin, merchant_id, step)
        answer = await admin.post(f"{MERCHANTS}/{merchant_id}/{decision}", json={"reason": "x"})
        assert problem(answer) == (409, "state_invalid")

    async def test_one_of_two_contrary_decisions_holds(self, admin: Person, ann: Person) -> None:
        merchant_id = await register(admin, ann)
        sent = [
            admin.post(f"{MERCHANTS}/{merchant_id}/{('activate', 'reject')[number % 2]}", json={"reason": "race"})
            for number in range(50)
        ]
        answers = await asyncio.gather(*sent)
        assert sum(answer.status_code == 200 for answer in answers) == 1
        assert {answer.status_code for answer in answers} == {200, 409}

    async def test_its_people_are_told(self, api: Api, admin: Person, ann: Person) -> None:
        merchant_id = await register(admin, ann)
        await decide(admin, merchant_id, "activate")
        await api.drain()
        assert "active" in [message for message in api.mails() if message["To"] == "ann@example.com"][-1]["Subject"]

    @pytest.mark.parametrize("mark", ["flag", "unflag", "block-subscriptions", "allow-subscriptions"])
    async def test_marks_can_be_set_again(self, admin: Person, ann: Person, mark: str) -> None:
        merchant_id = await register(admin, ann)
        for _ in "ab":
            answer = await admin.post(f"{MERCHANTS}/{merchant_id}/{mark}", json={"reason": "x"})
            assert answer.status_code == 200, answer.text

    @pytest.mark.parametrize("action", [*get_args(MerchantDecision), *get_args(Mark)])
    async def test_nothing_else_can_be_written(self, admin: Person, ann: Person, action: str) -> None:
        merchant_id = await register(admin, ann)
        for field in ("status", "flagged", "account_ids", "id"):
            answer = await admin.post(f"{MERCHANTS}/{merchant_id}/{action}", json={"reason": "x", field: "active"})
            assert problem(answer) == (400, "request_invalid")
            assert answer.json()["errors"][0]["field"] == field

    async def test_a_flag_is_for_admins_eyes(self, admin: Person, ann: Person) -> None:
        merchant_id = await register(admin, ann)
        flagged = await admin.post(f"{MERCHANTS}/{merchant_id}/flag", json={"reason": "odd papers"})
        assert flagged.json()["flagged"] is True
        own = (await ann.get(f"/api/v1/merchants/{merchant_id}")).text
        assert "flagged" not in own
        assert "odd papers" not in own

    async def test_a_reason_is_required(self, admin: Person, ann: Person) -> None:
        merchant_id = await register(admin, ann)
        answer = await admin.post(f"{MERCHANTS}/{merchant_id}/activate", json={"reason": " "})
        assert problem(answer) == (400, "request_invalid")

    async def test_lists_filter_by_state_flag_and_slug(self, admin: Person, ann: Person) -> None:
        first = await register(admin, ann, "aaa")
        second = await register(admin, ann, "abb")
        await decide(admin, first, "activate")
        await admin.post(f"{MERCHANTS}/{second}/flag", json={"reason": "x"})
        for query, found in (
            ("status=active", [first]),
            ("status=pending", [second]),
            ("flagged=true", [second]),
            ("slug=a", [first, second]),
            ("slug=ab", [second]),
            ("slug=x", []),
        ):
            assert [one["id"] for one in (await admin.get(f"{MERCHANTS}?{query}")).json()["items"]] == found, query


class TestEffects:
    @pytest.fixture
    async def shop(self, api: Api, admin: Person, ann: Person) -> str:
        """An active merchant with one live service."""
        merchant_id = await register(admin, ann)
        await decide(admin, merchant_id, "activate")
        upstream = UpstreamConfig(base_url="http://127.0.0.1:9")
        await api.builder.put(
            Service(id="svc_one", merchant_id=merchant_id, slug="one", name="One", status="active", upstream=upstream),
        )
        return merchant_id

    async def admitted(self, api: Api) -> str:
        """What the gate says to a consumer with a grant."""
        consumer = Consumer(id="con_1", name="C")
        await api.builder.put(consumer)
        await api.builder.grant(consumer_id="con_1", service_id="svc_one", status="approved")
        gate: Gate = api.app.access.gate
        holder = Holder(api_key("ams_live_x", service_ids=("svc_one",)), consumer)
        try:
            await gate.admit(holder, "one", forwarding=True)
        except Problem as refused:
            return refused.code
        return "admitted"

    async def in_catalogue(self, api: Api) -> bool:
        await api.drain()
        items = (await api.anonymous.get("/api/v1/catalog/services")).json()["items"]
        detail = await api.anonymous.get("/api/v1/catalog/services/one")
        assert (len(items) == 1) == (detail.status_code == 200)
        return len(items) == 1

    @pytest.mark.parametrize("decision", ["suspend", "disable"])
    async def test_a_stopped_merchants_services_are_gone_and_come_back(
        self, api: Api, admin: Person, shop: str, decision: str
    ) -> None:
        assert await self.admitted(api) == "admitted"
        assert await self.in_catalogue(api)
        await decide(admin, shop, decision)
        assert await self.admitted(api) == "service_suspended"
        assert not await self.in_catalogue(api)
        await decide(admin, shop, "restore")
        assert await self.admitted(api) == "admitted"
        assert await self.in_catalogue(api)

    async def test_a_kill_after_the_decision_does_not_leave_it_in_the_catalogue(
        self, api: Api, admin: Person, shop: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert await self.in_catalogue(api)
        with monkeypatch.context() as patched:
            patched.setattr(api.app.audit.journal, "_do_inline", dies)
            with pytest.raises(Killed):
                await api.app.catalog.merchants.decide(Actor(admin.account.id, "admin"), shop, "suspend", "x")
        assert await self.admitted(api) == "service_suspended"
        api.clock.passes(seconds=FIRST_DUE.total_seconds() + 1)
        await api.app.audit.journal.deliver_due()
        assert not await self.in_catalogue(api)

    async def test_a_flag_changes_nothing(self, api: Api, admin: Person, shop: str) -> None:
        await admin.post(f"{MERCHANTS}/{shop}/flag", json={"reason": "x"})
        assert await self.admitted(api) == "admitted"
        assert await self.in_catalogue(api)

    async def test_blocked_subscriptions_stop_new_requests_only(self, api: Api, admin: Person, shop: str) -> None:
        bob = await api.sign_in("Bob")
        await api.drain()
        path = f"/api/v1/consumers/{bob.account.consumer_id}/access-requests"
        await admin.post(f"{MERCHANTS}/{shop}/block-subscriptions", json={"reason": "x"})
        assert problem(await bob.post(path, json={"service": "one"})) == (409, "subscriptions_blocked")
        assert await self.admitted(api) == "admitted"
        await admin.post(f"{MERCHANTS}/{shop}/allow-subscriptions", json={"reason": "x"})
        assert (await bob.post(path, json={"service": "one"})).status_code == 201

    async def test_a_new_name_is_in_the_catalogue(self, api: Api, ann: Person, shop: str) -> None:
        path = f"/api/v1/merchants/{shop}"
        tag = (await ann.get(path)).headers["etag"]
        await ann.patch(path, json={"name": "Renamed"}, headers={"If-Match": tag})
        await api.drain()
        (item,) = (await api.anonymous.get("/api/v1/catalog/services", params={"q": "renamed"})).json()["items"]
        assert item["merchant"]["name"] == "Renamed"


async def test_others_do_not_see_a_merchant(api: Api, admin: Person, ann: Person) -> None:
    merchant_id = await register(admin, ann)
    bob = await api.sign_in("Bob")
    await register(admin, bob, "other")
    for method, path in (("GET", ""), ("PATCH", ""), ("PUT", "/logo"), ("DELETE", "/logo")):
        answer = await bob.request(method, f"/api/v1/merchants/{merchant_id}{path}", json={})
        assert problem(answer) == (404, "not_found")
        answer = await api.anonymous.request(method, f"/api/v1/merchants/{merchant_id}{path}", json={})
        assert problem(answer) == (401, "token_missing")
