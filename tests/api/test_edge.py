"""What holds for every request: ids, careful headers, bounds, Idempotency-Key."""

import asyncio

import pytest

from shared.api.edge import BODY_BYTES_MAX
from shared.api.idempotency import IDEMPOTENCY
from shared.platform.documents import Query
from tests.support.api.harness import Api, Person
from tests.support.api.problems import problem

WEBHOOK = {"url": "https://example.com/hook", "events": ["alert.fired"]}


async def test_every_answer_has_an_id_and_careful_headers(admin: Person) -> None:
    answers = [await admin.get(path) for path in ("/api/v1/admin/settings", "/api/v1/nothing")]
    assert len({answer.headers["x-ams-request-id"] for answer in answers}) == 2
    for answer in answers:
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"


async def test_the_request_id_of_an_answer_is_in_the_audit_log(admin: Person) -> None:
    tag = (await admin.get("/api/v1/admin/settings")).headers["etag"]
    change = {"invite_days": 3, "reason": "test"}
    answer = await admin.patch("/api/v1/admin/settings", json=change, headers={"If-Match": tag})
    found = await admin.get("/api/v1/admin/audit", params={"action": "settings.update"})
    (entry,) = found.json()["items"]
    assert entry["request_id"] == answer.headers["x-ams-request-id"]


async def test_a_body_over_the_bound_is_refused(admin: Person) -> None:
    answer = await admin.request("POST", admin.webhooks, content=b" " * (BODY_BYTES_MAX + 1))
    assert problem(answer) == (413, "body_too_large")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'{"url": 1}', b"\xff\xfe", b'{"a":' * 5000])
async def test_a_body_that_is_none_is_a_problem(admin: Person, content: bytes) -> None:
    answer = await admin.request("POST", admin.webhooks, content=content, headers={"Content-Type": "application/json"})
    assert problem(answer) == (400, "request_invalid")


async def test_an_unknown_field_is_refused_by_name(admin: Person) -> None:
    answer = await admin.post(admin.webhooks, json={**WEBHOOK, "owner_id": "con_other"})
    assert problem(answer) == (400, "request_invalid")
    assert [error["field"] for error in answer.json()["errors"]] == ["owner_id"]


@pytest.mark.parametrize("role", ["boss", "", "ADMIN"])
async def test_a_role_that_is_none_is_refused(admin: Person, role: str) -> None:
    answer = await admin.get("/api/v1/admin/settings", headers={"X-AMS-Role": role})
    assert problem(answer) == (400, "request_invalid")


async def test_the_active_role_narrows_what_one_may(api: Api, admin: Person) -> None:
    assert (await admin.get("/api/v1/admin/settings", headers={"X-AMS-Role": "admin"})).status_code == 200
    assert problem(await admin.get("/api/v1/admin/settings", headers={"X-AMS-Role": "consumer"})) == (403, "forbidden")
    assert problem(await admin.get("/api/v1/admin/settings", headers={"X-AMS-Role": "merchant"})) == (
        403,
        "role_not_held",
    )
    ann = await api.sign_in("Ann")
    answer = await ann.get("/api/v1/admin/settings", headers={"X-AMS-Role": "admin"})
    assert problem(answer) == (403, "role_not_held")


class TestIdempotency:
    async def test_a_repetition_is_answered_and_not_done_again(self, api: Api, ann: Person) -> None:
        first, second = [await ann.post(ann.webhooks, json=WEBHOOK, headers={"Idempotency-Key": "one"}) for _ in "ab"]
        assert (first.status_code, second.status_code) == (201, 201)
        assert first.content == second.content, "the secret too, which is shown only once"
        assert second.headers["idempotency-replayed"] == "true"
        assert second.headers["etag"] == first.headers["etag"]
        assert len((await ann.get(ann.webhooks)).json()["items"]) == 1

    async def test_a_refusal_is_kept_too(self, ann: Person) -> None:
        sent = {"url": "ftp://example.com"}
        answers = [await ann.post(ann.webhooks, json=sent, headers={"Idempotency-Key": "one"}) for _ in "ab"]
        assert [answer.status_code for answer in answers] == [400, 400]
        assert answers[1].headers["idempotency-replayed"] == "true"

    async def test_the_same_key_for_something_else_is_refused(self, ann: Person) -> None:
        await ann.post(ann.webhooks, json=WEBHOOK, headers={"Idempotency-Key": "one"})
        other = {**WEBHOOK, "description": "another"}
        answer = await ann.post(ann.webhooks, json=other, headers={"Idempotency-Key": "one"})
        assert problem(answer) == (422, "idempotency_key_reused")

    async def test_accounts_do_not_share_keys(self, api: Api, ann: Person) -> None:
        bob = await api.sign_in("Bob")
        for person in (ann, bob):
            answer = await person.post(person.webhooks, json=WEBHOOK, headers={"Idempotency-Key": "one"})
            assert answer.status_code == 201
            assert "idempotency-replayed" not in answer.headers

    async def test_of_fifty_at_once_one_is_done(self, ann: Person) -> None:
        sent = [ann.post(ann.webhooks, json=WEBHOOK, headers={"Idempotency-Key": "one"}) for _ in range(50)]
        answers = await asyncio.gather(*sent)
        assert {answer.status_code for answer in answers} <= {201, 409}
        assert len({answer.content for answer in answers if answer.status_code == 201}) == 1
        assert len((await ann.get(ann.webhooks)).json()["items"]) == 1

    async def test_what_is_kept_cannot_be_read_without_the_key(self, api: Api, ann: Person) -> None:
        answer = await ann.post(ann.webhooks, json=WEBHOOK, headers={"Idempotency-Key": "one"})
        secret = answer.json()["secret"]
        page = await api.app.ports.documents.query(IDEMPOTENCY, Query(ann.account.id))
        (kept,) = page.items
        assert secret.encode() not in kept.body
        assert b"whsec" not in kept.body

    @pytest.mark.parametrize("key", ["", "x" * 256])
    async def test_a_key_that_is_none_is_refused(self, ann: Person, key: str) -> None:
        answer = await ann.post(ann.webhooks, json=WEBHOOK, headers={"Idempotency-Key": key})
        assert problem(answer) == (400, "request_invalid")

    async def test_nobody_signed_in_gets_the_usual_answer(self, api: Api) -> None:
        answer = await api.anonymous.post("/api/v1/consumers/con_1/webhooks", headers={"Idempotency-Key": "one"})
        assert problem(answer) == (401, "token_missing")
