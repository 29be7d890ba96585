"""Invites into a project: to people without an account, once, to the address that they were sent to."""

import asyncio
import re
from hashlib import sha256
from typing import Any

import pytest

from shared.access.models import ProjectInvite
from shared.audit.models import SYSTEM
from tests.support.api.access_market import AccessMarket, DyingDocuments, open_access_market
from tests.support.api.harness import Api, Person

ANY = {"If-Match": "*"}
MOE = "moe@new.example"


async def invite(market: AccessMarket, project_id: str, email: str = MOE, role: str = "member") -> Any:
    path = f"{market.consumer}/projects/{project_id}/invites"
    return await market.ann.post(path, json={"email": email, "role": role})


async def codes(market: AccessMarket, to: str = MOE) -> list[str]:
    """From the mails to an address, oldest first."""
    await market.api.drain()
    texts = [mail.get_content() for mail in market.api.mails() if mail["To"] == to]
    return [code for text in texts for code in re.findall(r"/join\?invite=(\S+)", text)]


async def accept(person: Person, code: str) -> Any:
    return await person.post("/api/v1/project-invites/accept", json={"code": code})


async def test_a_stranger_gets_a_link_that_makes_them_a_member(market: AccessMarket) -> None:
    road = await market.project()

    answer = await invite(market, road, "  Moe@New.Example ", "manager")

    assert (answer.status_code, answer.json()) == (202, {"email": MOE, "role": "manager"})
    [code] = await codes(market)
    assert len(code) >= 32  # 192 bits in base64
    [mail] = [mail for mail in market.api.mails() if mail["To"] == MOE]
    assert "ann@buyers.example invites you to the project Road" in mail.get_content()
    moe = await market.api.sign_in("Moe", email=MOE)
    joined = await accept(moe, code)
    assert (joined.status_code, joined.json()["project_id"], joined.json()["role"]) == (200, road, "manager")
    assert (await moe.get(f"{market.consumer}/projects/{road}")).status_code == 200
    assert [each["id"] for each in (await moe.get("/api/v1/me/projects")).json()["items"]] == [road]
    assert (await market.ann.get(f"{market.consumer}/projects/{road}/invites")).json()["items"] == []


async def test_whoever_has_an_account_is_added_at_once_with_the_same_answer(market: AccessMarket) -> None:
    road = await market.project()
    moe = await market.api.sign_in("Moe", email=MOE)

    known, unknown = await invite(market, road), await invite(market, road, "zoe@new.example")

    assert (known.status_code, known.headers.get("etag")) == (unknown.status_code, unknown.headers.get("etag"))
    assert known.json().keys() == unknown.json().keys()
    assert (await moe.get(f"{market.consumer}/projects/{road}")).status_code == 200
    await market.api.drain()
    assert [mail["Subject"] for mail in market.api.mails() if mail["To"] == MOE] == ["You are in Road"]


async def test_an_address_that_nobody_vouched_for_is_nobodys(market: AccessMarket) -> None:
    road = await market.project()
    fake = await market.api.sign_in("Fake", email=MOE, email_verified=False)

    await invite(market, road)
    [code] = await codes(market)

    answer = await accept(fake, code)
    assert (answer.status_code, answer.json()["code"]) == (404, "invite_invalid")
    assert (await fake.get(f"{market.consumer}/projects/{road}")).status_code == 404


async def test_every_worthless_code_gets_one_answer(market: AccessMarket) -> None:
    road = await market.project()
    await invite(market, road)
    [code] = await codes(market)
    sue = await market.api.sign_in("Sue")
    answers = [await accept(sue, code), await accept(sue, "x" * 32), await accept(sue, code[:-1])]

    assert {(a.status_code, a.json()["code"], a.json()["detail"]) for a in answers} == {
        (404, "invite_invalid", answers[0].json()["detail"])
    }


async def test_a_hundred_acceptances_at_once_are_one_membership(market: AccessMarket) -> None:
    road = await market.project()
    await invite(market, road)
    [code] = await codes(market)
    moe = await market.api.sign_in("Moe", email=MOE)

    answers = await asyncio.gather(*(accept(moe, code) for _ in range(100)))

    assert {answer.status_code for answer in answers} == {200}  # repeating it does no harm
    members = (await market.ann.get(f"{market.consumer}/projects/{road}/members")).json()["items"]
    assert [member["name"] for member in members].count("Moe") == 1
    audit = market.api.app.audit.log
    entries = [entry for month in await audit.months() async for entry in audit.entries(month)]
    assert [entry.action for entry in entries].count("member.add") == 1
    assert MOE not in "".join(entry.model_dump_json() for entry in entries if entry.action.startswith("member."))
    assert code not in "".join(entry.model_dump_json() for entry in entries)


async def test_a_used_invite_does_not_bring_back_who_was_removed(market: AccessMarket) -> None:
    road = await market.project()
    await invite(market, road)
    [code] = await codes(market)
    moe = await market.api.sign_in("Moe", email=MOE)
    await accept(moe, code)
    members = f"{market.consumer}/projects/{road}/members"
    assert (await market.ann.delete(f"{members}/{moe.account.id}", headers=ANY)).status_code == 204

    assert (await accept(moe, code)).status_code == 404


async def test_an_invite_before_somebody_was_added_does_not_bring_them_back(market: AccessMarket) -> None:
    road = await market.project()
    await invite(market, road)
    [code] = await codes(market)
    moe = await market.api.sign_in("Moe", email=MOE)
    await invite(market, road)  # adds: there is an account now
    members = f"{market.consumer}/projects/{road}/members"
    assert (await market.ann.delete(f"{members}/{moe.account.id}", headers=ANY)).status_code == 204

    assert (await accept(moe, code)).status_code == 404


async def test_a_new_invite_replaces_the_one_before(market: AccessMarket) -> None:
    road = await market.project()
    await invite(market, road)
    await invite(market, road, role="manager")
    open_ones = (await market.ann.get(f"{market.consumer}/projects/{road}/invites")).json()["items"]
    assert [(each["email"], each["role"]) for each in open_ones] == [(MOE, "manager")]
    moe = await market.api.sign_in("Moe", email=MOE)

    [new] = [code for code in await codes(market) if sha256(code.encode()).hexdigest() == open_ones[0]["id"]]
    [old] = [code for code in await codes(market) if code != new]

    assert (await accept(moe, old)).status_code == 404
    assert (await accept(moe, new)).json()["role"] == "manager"


async def test_a_revoked_or_expired_invite_is_worthless(market: AccessMarket) -> None:
    road = await market.project()
    await invite(market, road)
    [code] = await codes(market)
    path = f"{market.consumer}/projects/{road}/invites"
    [one] = (await market.ann.get(path)).json()["items"]
    etag = (await market.ann.get(f"{path}/{one['id']}")).headers["ETag"]
    moe = await market.api.sign_in("Moe", email=MOE)

    with market.api.clock.shifted(days=14):
        assert (await accept(moe, code)).status_code == 404
    assert (await market.ann.delete(f"{path}/{one['id']}")).status_code == 428
    assert (await market.ann.delete(f"{path}/{one['id']}", headers={"If-Match": etag})).status_code == 204
    assert (await accept(moe, code)).status_code == 404
    assert (await market.ann.get(f"{path}/{one['id']}")).status_code == 404


async def test_revoking_beats_an_acceptance_that_began_before(
    market: AccessMarket, monkeypatch: pytest.MonkeyPatch
) -> None:
    road = await market.project()
    await invite(market, road)
    [code] = await codes(market)
    moe = await market.api.sign_in("Moe", email=MOE)
    path = f"{market.consumer}/projects/{road}/invites"
    [one] = (await market.ann.get(path)).json()["items"]
    settings = market.api.app.audit.platform_settings
    current, revoked = settings.current, []

    async def revoking_first() -> Any:
        """Asked for after the invite was read, and before the member is written."""
        if not revoked:
            revoked.append(await market.ann.delete(f"{path}/{one['id']}", headers=ANY))
        return await current()

    monkeypatch.setattr(settings, "current", revoking_first)
    answer = await accept(moe, code)

    assert (revoked[0].status_code, answer.status_code) == (204, 404)
    assert (await moe.get(f"{market.consumer}/projects/{road}")).status_code == 404


async def test_an_invite_dies_with_its_project(market: AccessMarket) -> None:
    road = await market.project()
    await invite(market, road)
    [code] = await codes(market)
    moe = await market.api.sign_in("Moe", email=MOE)

    assert (await market.ann.delete(f"{market.consumer}/projects/{road}", headers=ANY)).status_code == 204

    assert (await accept(moe, code)).status_code == 404
    assert await market.api.app.access.store.all_of(ProjectInvite, market.consumer_id, f"invite:{road}:") == []


async def test_open_invites_take_places_too(market: AccessMarket) -> None:
    road = await market.project()
    change = {"members_per_project_max": 2}
    await market.api.app.audit.platform_settings.change(SYSTEM, change, if_match="*", reason="test")
    await market.api.sign_in("Zoe", email="zoe@known.example")

    assert (await invite(market, road)).status_code == 202
    refused = [await invite(market, road, email) for email in ("zoe@known.example", "new@new.example")]

    assert {(a.status_code, a.json()["code"], a.json()["detail"]) for a in refused} == {
        (409, "limit_reached", refused[0].json()["detail"])
    }
    assert (await invite(market, road)).status_code == 202  # to the same address: its own place


async def test_a_member_invites_nobody(market: AccessMarket) -> None:
    road = await market.project()
    moe = await market.api.sign_in("Moe")
    await market.join(moe, road)
    path = f"{market.consumer}/projects/{road}/invites"
    assert (await moe.post(path, json={"email": MOE, "role": "manager"})).status_code == 403
    assert (await moe.get(path)).status_code == 403


@pytest.mark.parametrize(
    "body",
    [
        {"email": "nobody"},
        {"email": "a@b.example\nBcc: c@d.example"},
        {"email": MOE, "role": "owner"},
        {"email": MOE, "role": "admin"},
        {"email": MOE, "account_id": "acc_x"},
        {"email": MOE, "expires_at": "2099-01-01T00:00:00Z"},
        {"role": "member"},
    ],
)
async def test_what_an_invite_may_not_say(market: AccessMarket, body: dict[str, Any]) -> None:
    road = await market.project()
    answer = await market.ann.post(f"{market.consumer}/projects/{road}/invites", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "request_invalid")
    assert await codes(market) == []


async def test_a_kill_after_inviting_loses_no_mail(api: Api) -> None:
    market = await open_access_market(api)
    road = await market.project()
    sent: list[str] = []

    class DeadMail:
        async def send(self, message: Any) -> None:
            sent.append(message.to)
            raise RuntimeError("killed")

        async def close(self) -> None: ...

    api.app.ports.__dict__["mail"], alive = DeadMail(), api.app.ports.__dict__.pop("mail", None)
    await invite(market, road)
    await api.drain()
    assert sent == [MOE]
    del api.app.ports.__dict__["mail"]
    assert alive is None
    api.clock.passes(minutes=2)
    await api.app.audit.journal.deliver_due()

    [code] = await codes(market)
    moe = await api.sign_in("Moe", email=MOE)
    assert (await accept(moe, code)).status_code == 200


async def test_a_kill_between_pointer_and_invite_leaves_nothing_that_works(api: Api) -> None:
    documents = DyingDocuments(api.app.ports.documents, "access")
    api.app.ports.__dict__["documents"] = documents
    market = await open_access_market(api)
    road = await market.project()
    documents.dead = True

    assert (await invite(market, road)).status_code == 500
    documents.dead = False

    assert await codes(market) == []
    assert (await market.ann.get(f"{market.consumer}/projects/{road}/invites")).json()["items"] == []
    assert (await invite(market, road)).status_code == 202  # and it can be done again
    assert len(await codes(market)) == 1
