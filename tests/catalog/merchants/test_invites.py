"""Becoming a merchant: an invite, used once by whom it is for, and a registration that is whole or did not happen."""

import asyncio
from typing import Any

import pytest

from shared.audit.journal import FIRST_DUE
from shared.audit.models import Actor
from shared.catalog.merchants import invites as rules
from shared.catalog.models import Merchant
from shared.catalog.store import RESERVED, SlugTaken
from shared.identity.store import ACCOUNT_DOCUMENT, ACCOUNTS
from shared.kernel.errors import Problem
from shared.kernel.http.paging import encode_cursor
from shared.platform.documents import CONTAINERS
from tests.support.api.harness import Api, Person
from tests.support.api.merchant_steps import INVITES, MERCHANTS, REGISTER, Killed, dies, invite, register, wanted
from tests.support.api.problems import problem


async def pages(admin: Person, params: dict[str, str]) -> list[dict[str, Any]]:
    """The items of all pages."""
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        answer = await admin.get(INVITES, params={**params, **cursor})
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += page["items"]
        if page["next_cursor"] is None:
            return found
        cursor = {"cursor": page["next_cursor"]}


class TestInvites:
    async def test_a_code_is_shown_once_and_kept_as_a_hash(self, api: Api, admin: Person) -> None:
        made = await invite(admin, note="for the fair")
        assert len(made["code"]) >= 36
        seen = (await admin.get(f"{INVITES}/{made['id']}")).text + (await admin.get(INVITES)).text
        audit = (await admin.get("/api/v1/admin/audit", params={"action": "invite.create"})).text
        document = await api.app.ports.documents.get(CONTAINERS["invites"], made["id"], made["id"])
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
        assert sorted(one["id"] for one in await pages(admin, {"limit": "3"})) == sorted(made)

    async def test_lists_tell_those_that_expired_apart(
        self, api: Api, admin: Person, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        expired = []
        for number in range(3):
            with api.clock.shifted(days=number - 10):
                expired.append((await invite(admin, days=1))["id"])
        revoked, accepted, opened = [(await invite(admin)) for _ in range(3)]
        await admin.post(f"{INVITES}/{revoked['id']}/revoke", headers={"If-Match": revoked["etag"]})
        await admin.post(REGISTER, json=wanted(accepted["code"]))
        for status, ids in (
            ("open", [opened["id"]]),
            ("accepted", [accepted["id"]]),
            ("revoked", [revoked["id"]]),
            ("expired", expired[::-1]),
        ):
            items = await pages(admin, {"status": status, "limit": "1"})
            assert [(one["id"], one["status"]) for one in items] == [(invite_id, status) for invite_id in ids]

    async def test_all_pages_are_as_of_the_first(
        self, api: Api, admin: Person, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        older, newer = [(await invite(admin, days=1))["id"] for _ in range(2)]
        first = (await admin.get(INVITES, params={"status": "open", "limit": "1"})).json()
        api.clock.passes(days=2)
        params = {"status": "open", "limit": "1", "cursor": first["next_cursor"]}
        second = (await admin.get(INVITES, params=params)).json()
        assert [one["id"] for one in first["items"] + second["items"]] == [newer, older]

    async def test_a_cursor_that_was_made_up_is_refused(self, admin: Person) -> None:
        for position in ([1, 2], "text", [], ["2026-11-21T10:00:00.000Z", "no cursor"]):
            cursor = encode_cursor("merchant_invites:None", position)
            assert problem(await admin.get(INVITES, params={"cursor": cursor})) == (400, "cursor_invalid")

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

    async def test_who_guesses_does_not_learn_that_the_next_one_is_right(
        self, api: Api, admin: Person, ann: Person
    ) -> None:
        code = (await invite(admin))["code"]
        for number in range(10):
            await ann.post(REGISTER, json=wanted(f"inv_{number}"))
        assert problem(await ann.post(REGISTER, json=wanted(code))) == (429, "rate_limited")
        bob = await api.sign_in("Bob")
        assert (await bob.post(REGISTER, json=wanted(code))).status_code == 201, "others are not slowed down"

    async def test_guesses_of_many_accounts_stop_what_can_be_guessed_only(
        self, api: Api, admin: Person, ann: Person, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(rules, "WRONG_EVERYWHERE_MAX", 6)
        for number in range(3):
            eve = await api.sign_in("Eve")
            for guess in range(2):
                answer = await eve.post(REGISTER, json=wanted(f"inv_{number}_{guess}"))
                assert problem(answer) == (404, "invite_invalid")
        anybody, hers = (await invite(admin))["code"], (await invite(admin, email="ann@example.com"))["code"]
        assert problem(await ann.post(REGISTER, json=wanted(anybody))) == (429, "rate_limited")
        assert (await ann.post(REGISTER, json=wanted(hers))).status_code == 201

    async def test_every_invite_that_is_of_no_use_gets_the_same_answer(
        self, api: Api, admin: Person, ann: Person, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with api.clock.shifted(days=-2):
            expired = await invite(admin, days=1)
        used, revoked = await invite(admin), await invite(admin)
        await admin.post(REGISTER, json=wanted(used["code"], "used"))
        await admin.post(f"{INVITES}/{revoked['id']}/revoke", headers={"If-Match": revoked["etag"]})
        others = await invite(admin, email="bob@example.com")
        codes = ["inv_unknown", *(one["code"] for one in (expired, used, revoked, others))]
        answers = [await ann.post(REGISTER, json=wanted(code)) for code in codes]
        assert {problem(answer) for answer in answers} == {(404, "invite_invalid")}
        assert len({answer.json()["detail"] for answer in answers}) == 1

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


class TestKills:
    async def registers(self, api: Api, person: Person, code: str, slug: str = "meteo") -> Merchant:
        actor = Actor(person.account.id, "consumer")
        return await api.app.catalog.registration.register(
            actor, person.account, code, slug=slug, name="M", legal_name="", tax_id="", address=None
        )

    async def test_after_the_invite_is_used_the_timer_finishes(
        self, api: Api, admin: Person, ann: Person, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        code = (await invite(admin))["code"]
        with monkeypatch.context() as patched:
            patched.setattr(api.app.audit.journal, "_do_inline", dies)
            with pytest.raises(Killed):
                await self.registers(api, ann, code)
        assert (await ann.reload()).merchant_ids == ()
        # However late the timer is: what the invite was used for keeps its slug.
        api.clock.passes(days=3)
        with pytest.raises(Problem, match="slug_taken"):
            await self.registers(api, admin, (await invite(admin))["code"])
        await api.app.audit.journal.deliver_due()
        (merchant_id,) = (await ann.reload()).merchant_ids
        assert (await ann.get(f"/api/v1/merchants/{merchant_id}")).json()["slug"] == "meteo"
        with pytest.raises(Problem, match="invite_invalid"):
            await api.app.catalog.invites.find(ann.account, code)

    async def test_before_the_invite_is_used_the_slug_is_free_after_a_while(
        self, api: Api, admin: Person, ann: Person, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        code = (await invite(admin))["code"]
        with monkeypatch.context() as patched:
            patched.setattr(api.app.catalog.invites, "accept", dies)
            with pytest.raises(Killed):
                await self.registers(api, ann, code)
        assert problem(await ann.post(REGISTER, json=wanted(code))) == (409, "slug_taken")
        api.clock.passes(seconds=RESERVED.total_seconds() + 1)
        assert (await ann.post(REGISTER, json=wanted(code))).status_code == 201

    async def test_twice_delivered_is_once_done(
        self, api: Api, admin: Person, ann: Person, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as patched:
            patched.setattr(api.app.audit.journal, "_finish", dies)  # done, but not forgotten
            merchant = await self.registers(api, ann, (await invite(admin))["code"])
            with pytest.raises(Killed):
                await asyncio.gather(*api.app.audit.journal._background)
        api.clock.passes(seconds=FIRST_DUE.total_seconds() + 1)
        assert await api.app.audit.journal.deliver_due() > 0
        assert (await ann.reload()).merchant_ids == (merchant.id,)


async def test_a_merchant_that_is_not_there_yet_is_not_listed(api: Api, admin: Person, ann: Person) -> None:
    merchant_id = await register(admin, ann)
    account = ann.account.model_copy(update={"merchant_ids": (merchant_id, "mer_coming")})
    await api.app.ports.documents.upsert(ACCOUNTS, account.id, ACCOUNT_DOCUMENT, account.to_json())
    assert [one["id"] for one in (await ann.get("/api/v1/me/merchants")).json()["items"]] == [merchant_id]


async def test_a_slug_is_one_merchants_however_it_came(api: Api, admin: Person, ann: Person) -> None:
    seeded = Merchant(id="mer_seeded", slug="meteo", name="Meteo")
    await api.builder.put(seeded)
    await api.builder.put(seeded)
    code = (await invite(admin))["code"]
    assert problem(await ann.post(REGISTER, json=wanted(code))) == (409, "slug_taken")
    assert (await ann.post(REGISTER, json=wanted(code, "other"))).status_code == 201
    with pytest.raises(SlugTaken):
        await api.builder.put(seeded.model_copy(update={"slug": "other"}))
