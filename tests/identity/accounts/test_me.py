"""One's own account and sessions."""

import asyncio
import time

import pytest

from shared.identity.store import ACCOUNTS, login_key, session_document
from tests.support.api.harness import Api, Person


async def _etag(person: Person) -> str:
    return (await person.get("/api/v1/me")).headers["etag"]


async def test_a_person_sees_their_account(api: Api) -> None:
    ann = await api.sign_in("Ann", email="ann@example.com")

    answer = await ann.get("/api/v1/me")

    assert answer.status_code == 200, answer.text
    assert answer.headers["etag"]
    body = answer.json()
    assert body.pop("created_at").endswith("Z")
    assert body == {
        "id": ann.account.id,
        "email": "ann@example.com",
        "email_verified": True,
        "name": "Ann",
        "status": "active",
        "roles": ["consumer"],
        "is_admin": False,
        "consumer_id": ann.account.consumer_id,
        "merchant_ids": [],
    }


async def test_a_person_renames_themselves(api: Api) -> None:
    ann = await api.sign_in("Ann")

    answer = await ann.patch("/api/v1/me", json={"name": " Ann Lee "}, headers={"If-Match": await _etag(ann)})

    assert (answer.status_code, answer.json()["name"]) == (200, "Ann Lee")
    assert answer.headers["etag"] == await _etag(ann)
    assert (await ann.reload()).name == "Ann Lee"


@pytest.mark.parametrize(("headers", "status"), [({}, 428), ({"If-Match": '"old"'}, 412)])
async def test_a_change_needs_the_etag_that_was_read(api: Api, headers: dict[str, str], status: int) -> None:
    ann = await api.sign_in("Ann")
    assert (await ann.patch("/api/v1/me", json={"name": "B"}, headers=headers)).status_code == status


@pytest.mark.parametrize(
    "field",
    [
        "role",
        "roles",
        "status",
        "is_admin",
        "merchant_ids",
        "consumer_id",
        "email",
        "email_verified",
        "id",
        "tokens_not_before",
    ],
)
async def test_nothing_but_the_name_can_be_written(api: Api, field: str) -> None:
    ann = await api.sign_in("Ann")

    answer = await ann.patch("/api/v1/me", json={"name": "Ann", field: "admin"}, headers={"If-Match": await _etag(ann)})

    assert (answer.status_code, answer.json()["code"]) == (400, "request_invalid")
    assert answer.json()["errors"][0]["field"] == field
    assert await ann.reload() == ann.account


@pytest.mark.parametrize("name", ["", "   ", "a\nb", "a\x00b", "x" * 201, None, 7])
async def test_a_name_is_one_line_of_text(api: Api, name: object) -> None:
    ann = await api.sign_in("Ann")

    answer = await ann.patch("/api/v1/me", json={"name": name}, headers={"If-Match": await _etag(ann)})

    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "name")


async def test_without_a_token_there_is_no_account(api: Api) -> None:
    answer = await api.anonymous.get("/api/v1/me")

    assert (answer.status_code, answer.json()["code"]) == (401, "token_missing")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "headers",
    [
        {"X-AMS-Key": "ams_live_x"},
        {"Authorization": "Bearer ams_live_x"},
        {"Authorization": "Basic YTpi"},
        {"Authorization": "Bearer"},
    ],
)
async def test_an_api_key_is_no_token(api: Api, headers: dict[str, str]) -> None:
    answer = await api.anonymous.get("/api/v1/me", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "token_missing")


async def _again(api: Api, subject: str, **claims: object) -> Person:
    """Another token of the same person."""
    return await api.present(api.issuer.token(subject, **claims))


async def test_sessions_are_listed_with_the_current_one_marked(api: Api) -> None:
    phone, laptop = await _again(api, "ann", sid="phone"), await _again(api, "ann", sid="laptop")
    await phone.get("/api/v1/me", headers={"User-Agent": "never shown: the session has started"})

    answer = await laptop.get("/api/v1/me/sessions")

    items = answer.json()["items"]
    assert (len(items), [item["current"] for item in items].count(True)) == (2, True)
    assert answer.json()["next_cursor"] is None


async def test_tokens_of_one_sid_are_one_session(api: Api) -> None:
    first, renewed = await _again(api, "ann", sid="s1"), await _again(api, "ann", sid="s1")
    items = (await renewed.get("/api/v1/me/sessions")).json()["items"]
    assert [item["id"] for item in items] == [(await first.get("/api/v1/me/sessions")).json()["items"][0]["id"]]


async def test_sessions_come_in_pages(api: Api) -> None:
    people = [await _again(api, "ann", sid=f"s{number}") for number in range(5)]
    found: list[str] = []
    cursor: str | None = None
    while True:
        after = "" if cursor is None else f"&cursor={cursor}"
        page = (await people[0].get(f"/api/v1/me/sessions?limit=2{after}")).json()
        found += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert len(found) == len(set(found)) == 5
    stranger = await api.sign_in("Bob")
    first = (await people[0].get("/api/v1/me/sessions?limit=2")).json()["next_cursor"]
    refused = await stranger.get(f"/api/v1/me/sessions?cursor={first}")
    assert (refused.status_code, refused.json()["code"]) == (400, "cursor_invalid")


async def test_an_ended_session_is_refused_and_so_are_its_renewed_tokens(api: Api) -> None:
    phone, laptop = await _again(api, "ann", sid="phone"), await _again(api, "ann", sid="laptop")
    items = (await laptop.get("/api/v1/me/sessions")).json()["items"]
    (other,) = (item["id"] for item in items if not item["current"])

    ended = await laptop.delete(f"/api/v1/me/sessions/{other}")

    assert (ended.status_code, ended.content) == (204, b"")
    refused = await phone.get("/api/v1/me")
    assert (refused.status_code, refused.json()["code"]) == (401, "session_ended")
    phone.token = api.issuer.token("ann", sid="phone")
    assert (await phone.get("/api/v1/me")).status_code == 401
    assert (await laptop.get("/api/v1/me")).status_code == 200
    assert [item["current"] for item in (await laptop.get("/api/v1/me/sessions")).json()["items"]] == [True]
    assert (await laptop.delete(f"/api/v1/me/sessions/{other}")).status_code == 204


async def test_nobody_ends_the_session_of_somebody_else(api: Api) -> None:
    ann, bob = await api.sign_in("Ann"), await api.sign_in("Bob")
    (session,) = (await ann.get("/api/v1/me/sessions")).json()["items"]

    assert (await bob.delete(f"/api/v1/me/sessions/{session['id']}")).status_code == 404
    assert (await ann.get("/api/v1/me")).status_code == 200


async def test_ending_all_sessions_ends_every_token_of_before(api: Api) -> None:
    ahead = int(time.time()) + 20  # the provider's clock
    phone, laptop = await _again(api, "ann", sid="phone", iat=ahead), await _again(api, "ann", sid="laptop", iat=ahead)

    assert (await laptop.delete("/api/v1/me/sessions")).status_code == 204

    for person in (phone, laptop):
        refused = await person.get("/api/v1/me")
        assert (refused.status_code, refused.json()["code"]) == (401, "session_ended")
    renewed = api.issuer.token("ann", sid="phone", iat=ahead + 5)
    phone.token = renewed
    assert (await phone.get("/api/v1/me")).status_code == 401, "a renewed token of an ended session"
    phone.token = api.issuer.token("ann", sid="never seen", iat=int(time.time()) - 10)
    assert (await phone.get("/api/v1/me")).status_code == 401, "a token that was issued before, but never used"


async def test_a_session_is_noted_as_seen_without_waiting(api: Api) -> None:
    ann = await _again(api, "ann", sid="s1")
    account_id = await api.app.identity.store.reserved_for(login_key(api.issuer.url, "ann"))
    assert account_id is not None
    (shown,) = (await ann.get("/api/v1/me/sessions")).json()["items"]
    stored = await api.app.identity.store.session(account_id, shown["id"])
    assert stored is not None
    long_ago = stored.value.model_copy(update={"seen_at": stored.value.seen_at.replace(year=2020)})
    await api.app.ports.documents.upsert(ACCOUNTS, account_id, session_document(shown["id"]), long_ago.to_json())

    await asyncio.gather(*(ann.get("/api/v1/me") for _ in range(5)))
    await api.drain()

    after = await api.app.identity.store.session(account_id, shown["id"])
    assert after is not None
    assert after.value.seen_at >= stored.value.seen_at
    assert after.value.started_at == stored.value.started_at
