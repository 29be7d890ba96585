"""Why a call would be refused: every check in its order, with nothing counted and nothing told too much."""

from typing import Any

import httpx
import pytest

from shared.access.keys.format import new_key
from shared.catalog.models import CallLimits
from shared.metering.consume.explain import CHECKS, QUESTIONS_PER_MINUTE_MAX
from tests.support.api.access_market import AccessMarket
from tests.support.api.keys import created, do

pytestmark = pytest.mark.usefixtures("granted")

ROUTE = "/api/v1/consume/explain"
ORDER = ["key", *(name for name, _, _ in CHECKS)]


async def ask(market: AccessMarket, clear: str, service: str = "maps", **body: Any) -> httpx.Response:
    headers = {"X-AMS-Key": clear}
    return await market.api.anonymous.post(ROUTE, json={"service": service, **body}, headers=headers)


async def explained(market: AccessMarket, clear: str, service: str = "maps", **body: Any) -> dict[str, Any]:
    answer = await ask(market, clear, service, **body)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    assert [check["check"] for check in document["checks"]] == ORDER
    return document


def failed(document: dict[str, Any]) -> list[str]:
    return [check["code"] for check in document["checks"] if check["passed"] is False]


def first(document: dict[str, Any]) -> str:
    (check,) = [check for check in document["checks"] if check["first_failure"]]
    assert check["what_to_do"]
    assert check["detail"]
    return str(check["code"])


async def test_a_call_that_would_be_admitted_passes_every_check(market: AccessMarket) -> None:
    key = await created(market)
    for reference in ("maps", "svc_maps"):
        document = await explained(market, key["key"], reference)
        assert document["allowed"] is True
        assert all(check["passed"] is True for check in document["checks"])


@pytest.mark.parametrize("headers", [{}, {"X-AMS-Key": "ams_live_x"}, {"X-AMS-Key": new_key("live")}])
async def test_an_unknown_key_gets_what_consume_gives_it(market: AccessMarket, headers: dict[str, str]) -> None:
    answer = await market.api.anonymous.post(ROUTE, json={"service": "maps"}, headers=headers)
    assert answer.status_code == 401
    assert answer.json()["code"] in ("key_missing", "key_malformed", "key_unknown")


async def test_stopped_keys_are_told_why(market: AccessMarket) -> None:
    disabled, revoked, expired = await created(market), await created(market), await created(market, ttl_days=1)
    await do(market, disabled, "disable")
    await do(market, revoked, "revoke", reason="lost")
    stored = await market.api.app.access.store.key(market.consumer_id, expired["id"])
    assert stored is not None
    gone = stored.model_copy(update={"expires_at": stored.created_at, "status": "disabled"})
    await market.api.builder.put(gone)

    assert failed(await explained(market, disabled["key"])) == ["key_disabled"]
    assert failed(await explained(market, revoked["key"])) == ["key_revoked"]
    document = await explained(market, expired["key"])
    assert failed(document) == ["key_expired", "key_disabled"]
    assert first(document) == "key_expired"


async def test_what_consume_says_is_the_first_failure(market: AccessMarket) -> None:
    key = await created(market)
    for prepare, code in (
        (market.merchant(status="disabled"), "service_suspended"),
        (market.merchant(), None),
        (market.offer("maps", status="suspended"), "service_suspended"),
        (market.offer("maps", upstream=None), "merchant_misconfigured"),
        (market.offer("maps"), None),
        (market.decide("withdraw", "svc_maps", reason="over"), "service_not_granted"),
    ):
        await prepare
        document = await explained(market, key["key"])
        assert failed(document) == ([] if code is None else [code])
        refused = await market.call(key["key"])
        assert refused.endswith(code or "ok")


async def test_a_report_needs_no_upstream(market: AccessMarket) -> None:
    await market.offer("maps", upstream=None)
    key = await created(market)
    assert (await explained(market, key["key"], way="report"))["allowed"] is True


async def test_an_unknown_service_and_an_ungranted_one_look_alike(market: AccessMarket) -> None:
    await market.offer("secret", status="suspended")
    key = await created(market)
    secret, nothing = await explained(market, key["key"], "secret"), await explained(market, key["key"], "nothing")
    assert secret == nothing
    assert failed(secret) == ["service_not_granted"]
    assert [c["passed"] for c in secret["checks"]][ORDER.index("restriction") :] == [None] * 5


async def test_a_stopped_key_tells_nothing_of_services(market: AccessMarket) -> None:
    key = await created(market)
    await do(market, key, "revoke", reason="lost")
    granted, nothing = await explained(market, key["key"]), await explained(market, key["key"], "nothing")
    assert granted == nothing
    assert granted["checks"][ORDER.index("grant")]["passed"] is None


async def test_networks_are_checked_for_any_address_and_not_listed(market: AccessMarket) -> None:
    key = await created(market, networks=["192.0.2.0/24"])
    inside = await explained(market, key["key"], source_address="192.0.2.7")
    outside = await explained(market, key["key"], source_address="2001:db8::1")
    unknown = await ask(market, key["key"])  # in process: nobody forwards
    assert (inside["allowed"], failed(outside), failed(unknown.json())) == (
        True,
        ["network_not_allowed"],
        ["network_not_allowed"],
    )
    assert "192.0.2" not in str(outside)
    bad = await ask(market, key["key"], source_address="nowhere")
    assert [error["field"] for error in bad.json()["errors"]] == ["source_address"]


async def test_limits_are_looked_at_and_not_used(market: AccessMarket) -> None:
    key = await created(market, limits={"per_minute": 1, "quota_per_month": 1})
    app = market.api.app
    for _ in range(5):
        assert (await explained(market, key["key"]))["allowed"] is True
    admission = await app.access.gate.admit(await app.access.gate.identify(key["key"]), "maps", forwarding=True)
    await app.metering.limiter.take_call(admission)
    assert failed(await explained(market, key["key"])) == ["rate_limited"]
    await market.offer("maps", limits=CallLimits(quota_per_month=1))
    other = await created(market)
    again = await app.access.gate.admit(await app.access.gate.identify(other["key"]), "maps", forwarding=True)
    await app.metering.limiter.take_quota(again, 1)
    assert failed(await explained(market, other["key"])) == ["quota_exceeded"]


async def test_a_client_that_makes_every_post_repeatable_may_ask(market: AccessMarket) -> None:
    key = await created(market)
    await do(market, key, "disable")
    headers = {"Authorization": f"Bearer {key['key']}", "Idempotency-Key": "one"}
    first_answer = await market.api.anonymous.post(ROUTE, json={"service": "maps"}, headers=headers)
    assert first_answer.status_code == 200, first_answer.text
    await do(market, key, "enable")
    second = await market.api.anonymous.post(ROUTE, json={"service": "maps"}, headers=headers)
    assert (failed(first_answer.json()), failed(second.json())) == (["key_disabled"], [])


async def test_questions_are_limited_and_not_counted_as_refusals(market: AccessMarket) -> None:
    key = await created(market)
    await do(market, key, "disable")
    statuses = [(await ask(market, key["key"])).status_code for _ in range(QUESTIONS_PER_MINUTE_MAX + 5)]
    assert statuses.count(200) <= 2 * QUESTIONS_PER_MINUTE_MAX
    assert 429 in statuses
    await market.api.app.access.refusal_counts.flush()
    answer = await market.ann.get(f"{market.consumer}/keys/{key['id']}/refusals")
    assert answer.json()["total"] == 0
