"""Price plans over the API: announced, withdrawn, never changed; seen by those who may see the service."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from shared.audit.journal import FIRST_DUE
from shared.billing.charges import CHARGE
from shared.billing.prices.models import Plan
from shared.billing.prices.store import plan_document
from shared.billing.profiles.models import BillingProfile
from shared.billing.profiles.store import PROFILE
from shared.billing.store import BILLING
from shared.kernel.clock import utc_now
from tests.support.api.access_market import AccessMarket, DyingDocuments, open_access_market
from tests.support.api.harness import Api

PLANS = "/api/v1/services/svc_maps/plans"
SHOWN = "/api/v1/catalog/services/maps/plan"
CALLS = {"id": "calls", "name": "API calls", "metric": "requests", "model": "per_unit", "unit_price": "0.0100"}
TRAFFIC = {
    "id": "traffic",
    "name": "Traffic",
    "metric": "data_mb",
    "model": "graduated",
    "tiers": [{"up_to": "1000", "unit_price": "0.05"}, {"up_to": None, "unit_price": "0.02"}],
}


async def add(market: AccessMarket, *charges: dict[str, Any], **changes: Any) -> httpx.Response:
    body = {"name": "Standard", "currency": "EUR", "charges": charges or (CALLS, TRAFFIC), **changes}
    return await market.mia.post(PLANS, json=body)


async def added(market: AccessMarket, *charges: dict[str, Any], **changes: Any) -> httpx.Response:
    answer = await add(market, *charges, **changes)
    assert answer.status_code == 201, answer.text
    return answer


async def in_force(market: AccessMarket, number: int = 1, **changes: Any) -> None:
    """One that took effect yesterday."""
    yesterday = utc_now() - timedelta(days=1)
    fields: dict[str, Any] = {
        "service_id": "svc_maps",
        "merchant_id": "mer_1",
        "number": number,
        "name": "Begun",
        "currency": "EUR",
        "charges": (CHARGE.validate_python(CALLS),),
        "effective_from": yesterday,
        "created_at": yesterday,
        "created_by": market.mia.account.id,
    }
    plan = Plan(**{**fields, **changes})
    await market.api.app.ports.documents.upsert(BILLING, "mer_1", plan_document("svc_maps", number), plan.to_json())


def next_month() -> datetime:
    now = utc_now()
    return datetime(now.year + now.month // 12, now.month % 12 + 1, 1, tzinfo=UTC)


def faults(answer: httpx.Response) -> dict[str, str]:
    assert (answer.status_code, answer.json()["code"]) == (400, "request_invalid"), answer.text
    return {error["field"]: error["rule"] for error in answer.json()["errors"]}


async def test_a_version_holds_from_the_next_period_on(market: AccessMarket, stopped: datetime) -> None:
    answer = await added(market)

    plan = answer.json()
    assert {name: plan[name] for name in ("number", "name", "currency", "state", "service_id")} == {
        "number": 1,
        "name": "Standard",
        "currency": "EUR",
        "state": "announced",
        "service_id": "svc_maps",
    }
    assert datetime.fromisoformat(plan["effective_from"]) == next_month()
    assert plan["charges"][0]["unit_price"] == "0.01"
    assert plan["charges"][1]["tiers"][0] == {"up_to": "1000", "unit_price": "0.05", "flat_fee": "0"}
    one = await market.mia.get(f"{PLANS}/1")
    assert (one.json(), one.headers["ETag"]) == (plan, answer.headers["ETag"])


async def test_what_is_read_can_be_sent_again(market: AccessMarket) -> None:
    plan = (await added(market)).json()
    again = (await added(market, *plan["charges"], name=plan["name"], currency=plan["currency"])).json()

    assert (again["number"], again["charges"]) == (2, plan["charges"])


async def test_the_moment_is_a_midnight_of_the_merchant(market: AccessMarket) -> None:
    zone = ZoneInfo("Asia/Kolkata")
    profile = BillingProfile(merchant_id="mer_1", time_zone=zone.key, number_prefix="ACME", billing_from=utc_now())
    await market.api.app.ports.documents.upsert(BILLING, "mer_1", PROFILE, profile.to_json())
    day = datetime.combine(utc_now().astimezone(zone).date() + timedelta(days=3), datetime.min.time(), zone)

    refused = await add(market, effective_from=day.replace(tzinfo=UTC).isoformat())
    taken = await added(market, effective_from=day.isoformat())

    assert faults(refused)["effective_from"].startswith("must be a midnight in Asia/Kolkata")
    assert datetime.fromisoformat(taken.json()["effective_from"]) == day


@pytest.mark.parametrize(
    ("charges", "fields"),
    [
        ([CALLS, {**CALLS, "id": "two", "metric": None}], {"charges.1.metric"}),
        ([{name: CALLS[name] for name in ("metric", "model", "unit_price")}], {"charges.0.id", "charges.0.name"}),
        ([{**CALLS, "name": "  "}], {"charges.0.name"}),
        ([CALLS, TRAFFIC, CALLS], {"charges.2.id"}),
        ([CALLS, {**CALLS, "unit_price": "-1"}], {"charges.1.unit_price"}),
        ([{**CALLS, "unit_price": 0.01}], {"charges.0.unit_price"}),
        ([{**CALLS, "unit_price": "NaN"}], {"charges.0.unit_price"}),
        ([{**CALLS, "unitprice": "1"}], {"charges.0.unitprice"}),
        ([{name: CALLS[name] for name in CALLS if name != "unit_price"}], {"charges.0.unit_price"}),
        ([{**TRAFFIC, "tiers": [{"up_to": "1"}, {"up_to": None, "price": "1"}]}], {"charges.0.tiers.1.price"}),
        ([{**CALLS, "model": "free"}], {"charges.0.model"}),
        ([CALLS] * 51, {"charges"}),
    ],
)
async def test_bad_charges_are_named(market: AccessMarket, charges: list[Any], fields: set[str]) -> None:
    assert set(faults(await add(market, *charges))) == fields
    assert (await market.mia.get(PLANS)).json()["items"] == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"currency": "XYZ"}, "currency"),
        ({"currency": "XAU"}, "currency"),
        ({"name": " "}, "name"),
        ({"effective_from": "2026-12-01T00:00:00"}, "effective_from"),
        ({"effective_from": "2020-01-01T00:00:00Z"}, "effective_from"),
        ({"effective_from": "9999-12-31T23:59:59-12:00"}, "effective_from"),
        ({"number": 7}, "number"),
        ({"merchant_id": "mer_2"}, "merchant_id"),
        ({"service_id": "svc_other"}, "service_id"),
        ({"state": "in_force"}, "state"),
        ({"created_by": "acc_2"}, "created_by"),
    ],
)
async def test_what_is_not_the_merchants_to_say_is_refused(
    market: AccessMarket, changes: dict[str, Any], field: str
) -> None:
    assert set(faults(await add(market, **changes))) == {field}


async def test_a_version_is_never_changed(market: AccessMarket) -> None:
    await added(market)

    for method in ("PUT", "PATCH", "POST"):
        answer = await market.mia.request(method, f"{PLANS}/1", json={"name": "x"}, headers={"If-Match": "*"})
        assert answer.status_code == 405


async def test_one_that_is_announced_can_be_withdrawn(market: AccessMarket) -> None:
    tag = (await added(market)).headers["ETag"]

    statuses = [
        (await market.mia.delete(f"{PLANS}/1", headers=headers)).status_code
        for headers in ({}, {"If-Match": '"other"'}, {"If-Match": tag}, {"If-Match": tag})
    ]

    assert statuses == [428, 412, 204, 404]
    assert (await market.mia.get(f"{PLANS}/1")).status_code == 404
    assert (await added(market)).json()["number"] == 2


async def test_one_in_force_stays(market: AccessMarket) -> None:
    await in_force(market)

    answer = await market.mia.delete(f"{PLANS}/1", headers={"If-Match": "*"})

    assert (answer.status_code, answer.json()["code"]) == (409, "state_invalid")
    assert (await market.mia.get(f"{PLANS}/1")).json()["state"] == "in_force"


async def test_one_cannot_take_effect_before_one_that_is_announced(market: AccessMarket) -> None:
    day = datetime.combine(utc_now().date() + timedelta(days=40), datetime.min.time(), UTC)
    await added(market, effective_from=day.isoformat())

    answer = await add(market, effective_from=(day - timedelta(days=1)).isoformat())

    assert (answer.status_code, answer.json()["code"]) == (409, "state_invalid")
    assert answer.json()["errors"][0]["field"] == "effective_from"


async def test_a_retired_service_gets_no_prices(market: AccessMarket) -> None:
    await market.offer("maps", status="retired")

    answer = await add(market)

    assert (answer.status_code, answer.json()["code"]) == (409, "state_invalid")


async def test_ten_at_once_are_versions_without_a_gap_or_conflicts(market: AccessMarket) -> None:
    answers = await asyncio.gather(*(add(market) for _ in range(10)))

    made = [answer.json()["number"] for answer in answers if answer.status_code == 201]
    refused = {(answer.status_code, answer.json()["code"]) for answer in answers if answer.status_code != 201}
    assert sorted(made) == list(range(1, len(made) + 1))
    assert made
    assert refused <= {(409, "conflict")}
    assert [each["number"] for each in (await market.mia.get(PLANS)).json()["items"]] == sorted(made, reverse=True)


async def test_the_list_pages_from_the_newest(market: AccessMarket) -> None:
    for number in range(1, 6):
        await in_force(market, number)

    path, numbers = f"{PLANS}?limit=2", []
    while True:
        page = (await market.mia.get(path)).json()
        numbers.append([each["number"] for each in page["items"]])
        if page["next_cursor"] is None:
            break
        path = f"{PLANS}?limit=2&cursor={page['next_cursor']}"

    assert numbers == [[5, 4], [3, 2], [1]]
    await market.offer("two")
    elsewhere = await market.mia.get(path.replace("svc_maps", "svc_two"))
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (400, "cursor_invalid")


async def test_others_services_are_not_there(market: AccessMarket) -> None:
    await added(market)
    ned = await market.api.sign_in("Ned")
    await market.merchant("mer_2")
    await ned.runs("mer_2")
    await market.offer("two")
    tag = {"If-Match": "*"}

    for person in (ned, market.ann):
        asked = [
            await person.get(PLANS),
            await person.get(f"{PLANS}/1"),
            await person.post(PLANS, json={"name": "x", "currency": "EUR", "charges": []}),
            await person.delete(f"{PLANS}/1", headers=tag),
        ]
        assert [answer.status_code for answer in asked] == [404] * 4
    assert (await market.mia.delete("/api/v1/services/svc_two/plans/1", headers=tag)).status_code == 404
    assert (await market.root.get(f"{PLANS}/1")).status_code == 200
    assert (await market.root.get("/api/v1/services/svc_none/plans")).status_code == 404
    assert (await market.root.post(PLANS, json={})).status_code == 403


async def test_everybody_sees_what_a_public_service_costs(market: AccessMarket) -> None:
    nobody = market.api.anonymous
    before = await nobody.get(SHOWN)
    await in_force(market)
    await added(market, TRAFFIC, name="Next")

    answer = await nobody.get(SHOWN)

    assert (before.status_code, before.json()) == (200, {"current": None, "next": None})
    shown = answer.json()
    assert (shown["current"]["name"], shown["current"]["charges"][0]["unit_price"]) == ("Begun", "0.01")
    assert (shown["next"]["name"], shown["next"]["number"]) == ("Next", 2)
    assert set(shown["current"]) == {"number", "name", "currency", "charges", "effective_from"}  # not who made it
    assert answer.headers["Cache-Control"].startswith("public")
    assert (await nobody.get(SHOWN, headers={"If-None-Match": answer.headers["ETag"]})).status_code == 304
    assert (await nobody.get("/api/v1/catalog/services/none/plan")).status_code == 404


async def test_a_private_services_prices_are_for_those_who_have_access(market: AccessMarket) -> None:
    await market.grant()
    await in_force(market)
    await market.offer("maps", visibility="private")
    other = await market.api.sign_in("Other")

    people = (market.api.anonymous, other, market.ann, market.mia, market.root)
    answers = [await person.get(SHOWN) for person in people]

    assert [answer.status_code for answer in answers] == [404, 404, 200, 200, 200]
    assert answers[2].headers["Cache-Control"] == "private, no-store"


@pytest.mark.parametrize("status", ["draft", "suspended", "retired"])
async def test_what_is_not_on_offer_shows_no_prices(market: AccessMarket, status: str) -> None:
    await in_force(market)
    await market.offer("maps", status=status)

    assert (await market.api.anonymous.get(SHOWN)).status_code == 404


async def test_changes_are_in_the_audit_log(market: AccessMarket) -> None:
    tag = (await added(market)).headers["ETag"]
    await market.mia.delete(f"{PLANS}/1", headers={"If-Match": tag})

    found = (await market.root.get("/api/v1/admin/audit?resource=plan:svc_maps:1")).json()["items"]

    made = {entry["action"]: entry for entry in found}
    assert set(made) == {"plan.create", "plan.withdraw"}
    assert made["plan.create"]["actor"] == market.mia.account.id
    assert made["plan.create"]["after"]["charges"][0]["unit_price"] == "0.01"
    assert made["plan.withdraw"]["before"]["number"] == 1


async def test_subscribers_are_told(market: AccessMarket) -> None:
    await market.grant()

    await added(market)
    await told(market)

    mails = [mail for mail in market.api.mails() if "Prices" in mail["Subject"]]
    assert [(mail["To"], mail["Subject"]) for mail in mails] == [
        ("ann@buyers.example", f"Prices of Maps from {next_month():%Y-%m-%d}")
    ]
    assert "- API calls\n- Traffic\n" in mails[0].get_content().replace("\r\n", "\n")


async def told(market: AccessMarket) -> None:
    await market.api.drain()
    market.api.clock.passes(seconds=2 * FIRST_DUE.total_seconds())
    await market.api.app.audit.journal.deliver_due()


async def test_a_kill_before_anything_is_durable_leaves_nothing(api: Api) -> None:
    documents = DyingDocuments(api.app.ports.documents, "billing")
    api.app.ports.__dict__["documents"] = documents
    market = await open_access_market(api)
    await market.grant()
    documents.dead = True

    assert (await add(market)).status_code == 500
    documents.dead = False
    await told(market)

    assert (await market.mia.get(PLANS)).json()["items"] == []
    assert [mail for mail in api.mails() if "Prices" in mail["Subject"]] == []
    assert (await added(market)).json()["number"] == 1
