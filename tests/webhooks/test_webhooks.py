"""Webhooks: signed as Standard Webhooks says, tried again, on record; and never to where they may not go."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from shared.audit.journal import ATTEMPTS_MAX, PAUSES_S
from shared.kernel.clock import utc_now
from shared.webhooks.store import ALERTS
from shared.webhooks.tasks import emit
from tests.emulators.issuer import Issuer
from tests.emulators.receiver import Receiver
from tests.support.api.harness import PEPPER, Api, Person
from tests.support.api.problems import problem

DATA = {"rule": "half", "value": "50"}


async def add(person: Person, url: str) -> dict[str, str]:
    answer = await person.post(person.webhooks, json={"url": url, "events": ["alert.fired"]})
    assert answer.status_code == 201, answer.text
    return {**answer.json(), "etag": answer.headers["etag"]}


async def happen(api: Api, person: Person, data: dict[str, str] = DATA) -> None:
    owner = person.account.consumer_id
    await api.app.audit.journal.commit(ALERTS, owner, [], tasks=[emit(owner, "alert.fired", data, utc_now())])
    await api.drain()


async def later(api: Api, seconds: float) -> None:
    """What the timer does then."""
    with api.clock.shifted(seconds=seconds):
        await api.app.audit.journal.deliver_due()
        await api.drain()


async def deliveries(person: Person, webhook_id: str) -> list[dict[str, object]]:
    items: list[dict[str, object]] = (await person.get(f"{person.webhooks}/{webhook_id}/deliveries")).json()["items"]
    return items


async def test_an_event_is_posted_once_and_its_signature_verifies(api: Api, ann: Person, receiver: Receiver) -> None:
    webhook = await add(ann, receiver.url)
    await happen(api, ann)
    (request,) = receiver.requests
    body = Verifier(webhook["secret"]).verify(request.body, request.headers)
    assert body["type"] == "alert.fired"
    assert body["data"] == DATA
    (delivery,) = await deliveries(ann, webhook["id"])
    assert delivery["status"] == "delivered"
    assert delivery["id"] == request.headers["webhook-id"]
    await later(api, 10**6)
    assert len(receiver.requests) == 1


async def test_a_changed_body_does_not_verify(api: Api, ann: Person, receiver: Receiver) -> None:
    webhook = await add(ann, receiver.url)
    await happen(api, ann)
    (request,) = receiver.requests
    with pytest.raises(WebhookVerificationError):
        Verifier(webhook["secret"]).verify(request.body.replace("50", "51"), request.headers)


async def test_while_a_secret_is_rotated_both_verify(api: Api, ann: Person, receiver: Receiver) -> None:
    webhook = await add(ann, receiver.url)
    new = (await ann.post(f"{ann.webhooks}/{webhook['id']}/rotate-secret")).json()["secret"]
    assert new != webhook["secret"]
    await happen(api, ann)
    (request,) = receiver.requests
    for secret in (new, webhook["secret"]):
        assert Verifier(secret).verify(request.body, request.headers)


@pytest.mark.parametrize("status", [301, 400, 404, 500, 503])
async def test_what_is_not_taken_is_tried_again_with_the_same_id(
    api: Api, ann: Person, receiver: Receiver, status: int
) -> None:
    webhook = await add(ann, receiver.url)
    receiver.answers = [status, 200]
    await happen(api, ann)
    await later(api, PAUSES_S[0] + 1)
    first, second = receiver.requests
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    (delivery,) = await deliveries(ann, webhook["id"])
    assert delivery["status"] == "delivered"
    assert [attempt["status"] for attempt in delivery["attempts"]] == [status, 200]  # type: ignore[union-attr,attr-defined]  # a list of attempts


async def test_a_receiver_that_is_down_for_days_is_given_up_and_the_log_says_so(
    api: Api, ann: Person, receiver: Receiver
) -> None:
    webhook = await add(ann, receiver.url)
    receiver.answers = [500] * ATTEMPTS_MAX
    await happen(api, ann)
    passed = 0.0
    for pause in PAUSES_S:
        passed += pause + 1
        await later(api, passed)
    assert len(receiver.requests) == ATTEMPTS_MAX
    await later(api, passed + 10**6)
    assert len(receiver.requests) == ATTEMPTS_MAX
    (delivery,) = await deliveries(ann, webhook["id"])
    assert delivery["status"] == "failed"


async def test_a_failed_delivery_can_be_sent_again(api: Api, ann: Person, receiver: Receiver) -> None:
    webhook = await add(ann, receiver.url)
    receiver.answers = [500]
    await happen(api, ann)
    (delivery,) = await deliveries(ann, webhook["id"])
    answer = await ann.post(f"{ann.webhooks}/{webhook['id']}/deliveries/{delivery['id']}/redeliver")
    assert answer.status_code == 202
    await api.drain()
    assert [request.headers["webhook-id"] for request in receiver.requests] == [delivery["id"]] * 2


async def test_a_receiver_that_is_gone_is_disabled(api: Api, ann: Person, receiver: Receiver) -> None:
    webhook = await add(ann, receiver.url)
    receiver.answers = [410]
    await happen(api, ann)
    await happen(api, ann)
    assert len(receiver.requests) == 1
    seen = (await ann.get(f"{ann.webhooks}/{webhook['id']}")).json()
    assert (seen["status"], seen["reason"]) == ("disabled", "the receiver answered 410 Gone")
    assert problem(await ann.post(f"{ann.webhooks}/{webhook['id']}/test")) == (409, "state_invalid")


async def test_a_test_posts_a_ping_to_that_webhook_alone(api: Api, ann: Person, receiver: Receiver) -> None:
    webhook, _ = await add(ann, receiver.url), await add(ann, receiver.url)
    assert (await ann.post(f"{ann.webhooks}/{webhook['id']}/test")).status_code == 202
    await api.drain()
    (request,) = receiver.requests
    assert json.loads(request.body)["type"] == "ping"


async def test_others_events_are_not_posted(api: Api, ann: Person, receiver: Receiver) -> None:
    await add(ann, receiver.url)
    await happen(api, await api.sign_in("Bob"))
    assert receiver.requests == []


async def test_a_secret_is_shown_once_and_never_again(api: Api, ann: Person) -> None:
    webhook = await add(ann, "https://example.com/hook")
    admin = await api.sign_in("Admin", admin=True)
    for answer in (
        await ann.get(ann.webhooks),
        await ann.get(f"{ann.webhooks}/{webhook['id']}"),
        await admin.get("/api/v1/admin/audit", params={"resource": f"webhook:{webhook['id']}"}),
    ):
        assert answer.status_code == 200
        assert webhook["secret"] not in answer.text
        assert webhook["secret"].removeprefix("whsec_") not in answer.text


@pytest.mark.parametrize(
    "url", ["ftp://example.com", "example.com", "https://user:pw@example.com/", "https://example.com/#x", "", "http://"]
)
async def test_a_url_that_breaks_a_rule_is_refused(ann: Person, url: str) -> None:
    answer = await ann.post(ann.webhooks, json={"url": url})
    assert problem(answer) == (400, "request_invalid")
    assert answer.json()["errors"][0]["field"] == "url"


async def test_changes_need_the_tag_and_are_seen(ann: Person) -> None:
    webhook = await add(ann, "https://example.com/hook")
    path = f"{ann.webhooks}/{webhook['id']}"
    assert problem(await ann.patch(path, json={"status": "disabled"})) == (428, "precondition_required")
    answer = await ann.patch(path, json={"status": "disabled"}, headers={"If-Match": webhook["etag"]})
    assert answer.json()["status"] == "disabled"
    assert problem(await ann.delete(path, headers={"If-Match": webhook["etag"]})) == (412, "precondition_failed")
    assert (await ann.delete(path, headers={"If-Match": answer.headers["etag"]})).status_code == 204
    assert problem(await ann.get(path)) == (404, "not_found")


class TestWherePrivateAddressesAreRefused:
    @pytest.fixture
    async def api(self, folder: Path, issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Api]:
        monkeypatch.setenv("AMS_SECRET_KEY_PEPPER_V1", PEPPER)
        async with Api(folder, issuer, AMS_UPSTREAM_ALLOW_PRIVATE="false") as opened:
            yield opened

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "2130706433"])
    async def test_nothing_is_posted_to_this_machine(
        self, api: Api, ann: Person, receiver: Receiver, host: str
    ) -> None:
        webhook = await add(ann, f"http://{host}:{receiver.port}/")
        await happen(api, ann)
        assert receiver.requests == []
        (delivery,) = await deliveries(ann, webhook["id"])
        assert delivery["attempts"][0]["status"] is None  # type: ignore[index]  # a list of attempts
