"""Merchants: from an invite to a shop that is open, or closed by an admin."""

import asyncio
import io
from datetime import timedelta
from typing import Any

import pytest
from PIL import Image

from shared.access.gate import Gate
from shared.access.models import Consumer, Grant
from shared.audit.journal import FIRST_DUE
from shared.catalog.models import Service, Upstream
from shared.kernel.clock import utc_now
from shared.kernel.errors import Problem
from shared.platform.documents import CONTAINERS
from tests.api.harness import Api, Person
from tests.api.test_edge import problem

INVITES = "/api/v1/admin/invites"
REGISTER = "/api/v1/merchant-registrations"
MERCHANTS = "/api/v1/admin/merchants"


@pytest.fixture
async def admin(api: Api) -> Person:
    return await api.sign_in("Admin", admin=True)


@pytest.fixture
async def ann(api: Api) -> Person:
    return await api.sign_in("Ann", email="ann@example.com")


async def invite(admin: Person, **fields: Any) -> dict[str, Any]:
    answer = await admin.post(INVITES, json=fields)
    assert answer.status_code == 201, answer.text
    return {**answer.json(), "etag": answer.headers["etag"]}


def wanted(code: str, slug: str = "meteo", **fields: Any) -> dict[str, Any]:
    return {"invite_code": code, "slug": slug, "name": "Meteo", **fields}


async def register(admin: Person, person: Person, slug: str = "meteo") -> str:
    answer = await person.post(REGISTER, json=wanted((await invite(admin))["code"], slug))
    assert answer.status_code == 201, answer.text
    await person.reload()
    return str(answer.json()["id"])


async def decide(admin: Person, merchant_id: str, decision: str) -> None:
    answer = await admin.post(f"{MERCHANTS}/{merchant_id}/{decision}", json={"reason": "test"})
    assert answer.status_code == 200, answer.text


class TestInvites:
    async def test_a_code_is_shown_once_and_kept_as_a_hash(self, api: Api, admin: Person) -> None:
        made = await invite(admin, note="for the fair")
        assert len(made["code"]) >= 36
        seen = (await admin.get(f"{INVITES}/{made['id']}")).text + (await admin.get(INVITES)).text
        audit = (await admin.get("/api/v1/admin/audit", params={"action": "invite.create"})).text
        document = await api.app.documents.get(CONTAINERS["invites"], made["id"], made["id"])
        assert document is not None
        for text in (seen, audit, document.body.decode()):
            assert made["code"] not in text

    async def test_it_is_sent_to_the_address_it_is_bound_to(self, api: Api, admin: Person) -> None:
        made = await invite(admin, email="Sales@Example.com")
        await api.drain()
        (message,) = api.mails()
        assert message["To"] == "sales@example.com"
        assert f"/register?invite={made['code']}" in message.get_content()

    async def test_a_revoked_one_is_of_no_use(self, admin: Person, ann: Person) -> None:
        made = await invite(admin)
        path = f"{INVITES}/{made['id']}/revoke"
        assert problem(await admin.post(path)) == (428, "precondition_required")
        assert (await admin.post(path, headers={"If-Match": made["etag"]})).json()["status"] == "revoked"
        assert problem(await ann.post(REGISTER, json=wanted(made["code"]))) == (404, "invite_invalid")
        again = await admin.get(f"{INVITES}/{made['id']}")
        answer = await admin.post(path, headers={"If-Match": again.headers["etag"]})
        assert problem(answer) == (409, "state_invalid")

    async def test_pages_list_every_invite_once(self, admin: Person) -> None:
        made = {(await invite(admin))["id"] for _ in range(7)}
        found, cursor = [], None
        while True:
            params = {"limit": "3", **({"cursor": cursor} if cursor else {})}
            page = (await admin.get(INVITES, params=params)).json()
            found += [one["id"] for one in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert sorted(found) == sorted(made)

    @pytest.mark.parametrize("body", [{"days": 0}, {"days": 91}, {"email": "no address"}, {"status": "accepted"}])
    async def test_bad_input_is_refused_by_name(self, admin: Person, body: dict[str, Any]) -> None:
        answer = await admin.post(INVITES, json=body)
        assert problem(answer) == (400, "request_invalid")
        assert answer.json()["errors"][0]["field"] == next(iter(body))


class TestRegistration:
    async def test_it_makes_a_pending_merchant_that_the_account_runs(
        self, api: Api, admin: Person, ann: Person
    ) -> None:
        merchant_id = await register(admin, ann)
        merchant = (await ann.get(f"/api/v1/merchants/{merchant_id}")).json()
        assert (merchant["status"], merchant["slug"]) == ("pending", "meteo")
        assert [one["id"] for one in (await ann.get("/api/v1/me/merchants")).json()["items"]] == [merchant_id]
        assert "merchant" in (await ann.get("/api/v1/me")).json()["roles"]
        (entry,) = (await admin.get("/api/v1/admin/audit", params={"action": "merchant.register"})).json()["items"]
        assert entry["actor"] == ann.account.id

    async def test_where_the_platform_says_so_it_is_active_at_once(self, admin: Person, ann: Person) -> None:
        settings = "/api/v1/admin/settings"
        tag = (await admin.get(settings)).headers["etag"]
        change = {"merchants_activate_at_once": True, "reason": "x"}
        await admin.patch(settings, json=change, headers={"If-Match": tag})
        merchant_id = await register(admin, ann)
        assert (await ann.get(f"/api/v1/merchants/{merchant_id}")).json()["status"] == "active"

    async def test_an_invite_works_once(self, admin: Person, ann: Person) -> None:
        code = (await invite(admin))["code"]
        assert (await ann.post(REGISTER, json=wanted(code))).status_code == 201
        assert problem(await ann.post(REGISTER, json=wanted(code, "other"))) == (404, "invite_invalid")

    async def test_of_a_hundred_at_once_one_is_first(self, api: Api, admin: Person, ann: Person) -> None:
        code = (await invite(admin))["code"]
        sent = [ann.post(REGISTER, json=wanted(code, f"shop-{number}")) for number in range(100)]
        answers = await asyncio.gather(*sent)
        assert sorted({answer.status_code for answer in answers}) in ([201, 404], [201, 404, 429])
        assert sum(answer.status_code == 201 for answer in answers) == 1
        assert len((await ann.reload()).merchant_ids) == 1
        assert len((await admin.get(MERCHANTS)).json()["items"]) == 1

    async def test_the_slugs_of_those_who_lost_are_free_again(self, admin: Person, ann: Person) -> None:
        code = (await invite(admin))["code"]
        await asyncio.gather(*(ann.post(REGISTER, json=wanted(code, f"shop-{number}")) for number in range(5)))
        taken = (await admin.get(MERCHANTS)).json()["items"][0]["slug"]
        for slug in {f"shop-{number}" for number in range(5)} - {taken}:
            answer = await ann.post(REGISTER, json=wanted((await invite(admin))["code"], slug))
            assert answer.status_code == 201, answer.text

    async def test_an_invite_for_another_address_is_of_no_use(self, api: Api, admin: Person, ann: Person) -> None:
        code = (await invite(admin, email="bob@example.com"))["code"]
        assert problem(await ann.post(REGISTER, json=wanted(code))) == (404, "invite_invalid")
        unproven = await api.sign_in("Eve", email="bob@example.com", email_verified=False)
        assert problem(await unproven.post(REGISTER, json=wanted(code))) == (404, "invite_invalid")
        bob = await api.sign_in("Bob", email="bob@example.com")
        assert (await bob.post(REGISTER, json=wanted(code))).status_code == 201

    async def test_who_guesses_is_slowed_down(self, ann: Person) -> None:
        answers = [await ann.post(REGISTER, json=wanted(f"inv_{number}")) for number in range(15)]
        assert [answer.status_code for answer in answers] == [404] * 10 + [429] * 5
        assert int(answers[-1].headers["retry-after"]) > 0

    async def test_a_slug_is_anothers(self, admin: Person, ann: Person) -> None:
        await register(admin, ann)
        code = (await invite(admin))["code"]
        answer = await ann.post(REGISTER, json=wanted(code))
        assert problem(answer) == (409, "slug_taken")
        assert (await ann.post(REGISTER, json=wanted(code, "another"))).status_code == 201, "the invite is not lost"

    @pytest.mark.parametrize("field", ["status", "id", "account_ids", "flagged", "subscriptions_blocked", "logo"])
    async def test_nothing_else_can_be_written(self, admin: Person, ann: Person, field: str) -> None:
        body = wanted((await invite(admin))["code"], **{field: "active"})
        answer = await ann.post(REGISTER, json=body)
        assert problem(answer) == (400, "request_invalid")
        assert answer.json()["errors"][0]["field"] == field

    async def test_a_kill_after_the_invite_is_used_is_finished_by_the_timer(
        self, api: Api, admin: Person, ann: Person, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Killed(BaseException):
            pass

        async def dies(*_: object) -> None:
            raise Killed

        code = (await invite(admin))["code"]
        held = await api.app.invites.find(ann.account, code)
        with monkeypatch.context() as patched:
            patched.setattr(api.app.journal, "_do_inline", dies)
            with pytest.raises(Killed):
                await api.app.registration.register(
                    admin_actor(ann), ann.account, code, slug="meteo", name="M", legal_name="", tax_id="", address=None
                )
        assert (await ann.reload()).merchant_ids == ()
        moment = utc_now() + FIRST_DUE + timedelta(seconds=1)
        monkeypatch.setattr(api.app.journal, "_now", lambda: moment)
        await api.app.journal.deliver_due()
        (merchant_id,) = (await ann.reload()).merchant_ids
        assert (await ann.get(f"/api/v1/merchants/{merchant_id}")).json()["slug"] == "meteo"
        with pytest.raises(Problem, match="invite_invalid"):
            await api.app.invites.find(ann.account, code)
        assert held.value.status == "open"


def admin_actor(person: Person) -> Any:
    from shared.audit.models import Actor

    return Actor(person.account.id, "consumer")


class TestProfile:
    @pytest.fixture
    async def path(self, admin: Person, ann: Person) -> str:
        return f"/api/v1/merchants/{await register(admin, ann)}"

    async def tag(self, person: Person, path: str) -> dict[str, str]:
        return {"If-Match": (await person.get(path)).headers["etag"]}

    async def test_its_people_change_it(self, ann: Person, path: str) -> None:
        change = {"name": "Meteo Works", "legal_name": "Meteo Works GmbH", "tax_id": "DE1",
                  "address": {"lines": ["Main 1"], "city": "Bern", "country": "CH"}}  # fmt: skip
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
            ([], "suspend"), ([], "disable"), ([], "restore"), (["activate"], "activate"), (["activate"], "reject"),
            (["activate"], "restore"), (["reject"], "activate"), (["activate", "disable"], "suspend"),
        ],
    )  # fmt: skip
    async def test_states_that_do_not(self, admin: Person, ann: Person, path: list[str], decision: str) -> None:
        merchant_id = await register(admin, ann)
        for step in path:
            await decide(admin, merchant_id, step)
        answer = await admin.post(f"{MERCHANTS}/{merchant_id}/{decision}", json={"reason": "x"})
        assert problem(answer) == (409, "state_invalid")

    async def test_one_of_two_contrary_decisions_holds(self, admin: Person, ann: Person) -> None:
        merchant_id = await register(admin, ann)
        sent = [
            admin.post(f"{MERCHANTS}/{merchant_id}/{('activate', 'reject')[number % 2]}",
                       json={"reason": "race"})
            for number in range(50)
        ]  # fmt: skip
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
            ("status=active", [first]), ("status=pending", [second]), ("flagged=true", [second]),
            ("slug=a", [first, second]), ("slug=ab", [second]), ("slug=x", []),
        ):  # fmt: skip
            assert [one["id"] for one in (await admin.get(f"{MERCHANTS}?{query}")).json()["items"]] == found, query


class TestEffects:
    @pytest.fixture
    async def shop(self, api: Api, admin: Person, ann: Person) -> str:
        """An active merchant with one live service."""
        merchant_id = await register(admin, ann)
        await decide(admin, merchant_id, "activate")
        upstream = Upstream(base_url="http://127.0.0.1:9")
        await api.app.catalog.put_service(
            Service(id="svc_one", merchant_id=merchant_id, slug="one", name="One", status="active", upstream=upstream)
        )
        return merchant_id

    async def admitted(self, api: Api) -> str:
        """What the gate says to a consumer with a grant."""
        from tests.unit.support import api_key

        consumer = Consumer(id="con_1", name="C")
        await api.app.access.put_consumer(consumer)
        await api.app.access.put_grant(Grant(consumer_id="con_1", service_id="svc_one", status="approved"))
        gate: Gate = api.app.gate
        from shared.access.gate import Holder

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
