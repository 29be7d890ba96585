"""How a merchant bills, what it agreed with the platform, and what a consumer wants on its invoices."""

import asyncio
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from shared.billing.month_close.store import close_document
from shared.billing.profiles.service import counts_in_quarters
from shared.billing.store import BILLING
from shared.catalog.models import Address
from shared.kernel.clock import utc_now
from shared.kernel.periods import name_at, period
from shared.platform.documents import Query
from tests.support.api.access_market import AccessMarket, DyingDocuments, open_access_market
from tests.support.api.harness import Api

BILLS = "/api/v1/merchants/mer_1/billing"
TERMS = "/api/v1/admin/merchants/mer_1/terms"
GERMAN = {"country": "DE", "kind": "vat", "number": "de 136 695 976", "percent": "19"}
INDIAN = {"country": "IN", "kind": "in_gst", "number": "27AAPFU0939F1ZV", "percent": "18"}
BUYER = {"legal_name": "Ann AG", "address": {"lines": ["Ring 1"], "city": "Wien", "country": "AT"}}


async def put(market: AccessMarket, if_match: str | None = None, **values: Any) -> httpx.Response:
    headers = {} if if_match is None else {"If-Match": if_match}
    return await market.mia.put(BILLS, json={"number_prefix": "ACME", **values}, headers=headers)


async def put_buyer(market: AccessMarket, if_match: str | None = None, **values: Any) -> httpx.Response:
    headers = {} if if_match is None else {"If-Match": if_match}
    return await market.ann.put(f"{market.consumer}/billing", json={**BUYER, **values}, headers=headers)


async def settle(market: AccessMarket) -> None:
    """Give the merchant an address."""
    await market.merchant(address=Address(lines=("Hauptstr. 1",), city="Berlin", postal_code="10115", country="DE"))


def faults(answer: httpx.Response) -> dict[str, str]:
    assert (answer.status_code, answer.json()["code"]) == (400, "request_invalid"), answer.text
    return {error["field"]: error["rule"] for error in answer.json()["errors"]}


async def audited(market: AccessMarket, resource: str) -> list[dict[str, Any]]:
    """The oldest first."""
    found = (await market.root.get(f"/api/v1/admin/audit?resource={resource}")).json()["items"]
    return list(reversed(found))


async def test_a_merchant_bills_from_its_first_profile_on(market: AccessMarket) -> None:
    await settle(market)
    before, none = utc_now(), await market.mia.get(BILLS)
    made = await put(market, registrations=[GERMAN, INDIAN], time_zone="Asia/Kolkata", anchor_day=31)

    assert (none.status_code, made.status_code) == (404, 201)
    profile = made.json()
    assert before - timedelta(seconds=1) <= datetime.fromisoformat(profile.pop("billing_from")) <= utc_now()
    assert profile == {
        "time_zone": "Asia/Kolkata",
        "anchor_day": 31,
        "number_prefix": "ACME",
        "financial_year_month": 1,
        "payment_terms_days": 30,
        "payment_details": "",
        "footer": "",
        "registrations": [{**GERMAN, "number": "DE136695976"}, INDIAN],
    }
    read = await market.mia.get(BILLS)
    assert (read.json(), read.headers["ETag"]) == (made.json(), made.headers["ETag"])


async def test_it_is_replaced_as_a_whole_by_who_read_it(market: AccessMarket) -> None:
    await settle(market)
    first = await put(market, footer="Hello", registrations=[GERMAN])
    tag = first.headers["ETag"]

    answers = [await put(market), await put(market, '"other"'), await put(market, tag), await put(market, tag)]

    assert [answer.status_code for answer in answers] == [428, 412, 200, 412]
    after = answers[2].json()
    assert (after["footer"], after["registrations"]) == ("", [])
    assert after["billing_from"] == first.json()["billing_from"]


async def test_nothing_is_replaced_where_nothing_is(market: AccessMarket) -> None:
    answers = [await put(market, "*"), await put_buyer(market, '"x"')]
    answers.append(
        await market.root.put(TERMS, json={"commission_percent": "5", "reason": "x"}, headers={"If-Match": '"x"'})
    )
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(412, "precondition_failed")] * 3


async def test_of_ten_first_profiles_at_once_one_is_made(market: AccessMarket) -> None:
    answers = await asyncio.gather(*(put(market, footer=str(number)) for number in range(10)))

    made = [answer for answer in answers if answer.status_code == 201]
    assert len(made) == 1
    refused = {(answer.status_code, answer.json()["code"]) for answer in answers if answer.status_code != 201}
    assert refused <= {(409, "conflict"), (428, "precondition_required")}
    assert (await market.mia.get(BILLS)).json() == made[0].json()


async def test_of_ten_changes_at_once_one_is_made(market: AccessMarket) -> None:
    tag = (await put(market)).headers["ETag"]

    answers = await asyncio.gather(*(put(market, tag, footer=str(number)) for number in range(10)))

    assert sorted({answer.status_code for answer in answers}) in ([200, 409], [200, 409, 412], [200, 412])
    assert [answer.status_code for answer in answers].count(200) == 1
    assert [entry["action"] for entry in await audited(market, "billing:mer_1")] == ["billing.create", "billing.update"]


@pytest.mark.parametrize(
    ("values", "fields"),
    [
        ({"number_prefix": "acme"}, {"number_prefix"}),
        ({"number_prefix": "ACMEX"}, {"number_prefix"}),
        ({"number_prefix": "A26"}, {"number_prefix"}),
        ({"number_prefix": None}, {"number_prefix"}),
        ({"anchor_day": 0}, {"anchor_day"}),
        ({"anchor_day": 32}, {"anchor_day"}),
        ({"financial_year_month": 13}, {"financial_year_month"}),
        ({"payment_terms_days": 366}, {"payment_terms_days"}),
        ({"payment_details": "x" * 1_001}, {"payment_details"}),
        ({"time_zone": "Mars/Olympus"}, {"time_zone"}),
        ({"time_zone": "../../etc/passwd"}, {"time_zone"}),
        ({"time_zone": "Europe"}, {"time_zone"}),
        ({"time_zone": "localtime"}, {"time_zone"}),
        ({"time_zone": "posix/Europe/Berlin"}, {"time_zone"}),
        ({"time_zone": ""}, {"time_zone"}),
        ({"billing_from": "2020-01-01T00:00:00Z"}, {"billing_from"}),
        ({"merchant_id": "mer_2"}, {"merchant_id"}),
        ({"kind": "terms"}, {"kind"}),
        ({"registrations": [{**GERMAN, "number": "DE136695977"}]}, {"registrations.0.number"}),
        ({"registrations": [{**GERMAN, "percent": "99999999"}]}, {"registrations.0.percent"}),
        ({"registrations": [{**GERMAN, "percent": "-1"}]}, {"registrations.0.percent"}),
        ({"registrations": [{**GERMAN, "percent": "NaN"}]}, {"registrations.0.percent"}),
        ({"registrations": [{**GERMAN, "percent": 19}]}, {"registrations.0.percent"}),
        ({"registrations": [{**GERMAN, "percent": "0." + "1" * 40}]}, {"registrations.0.percent"}),
        ({"registrations": [{**GERMAN, "kind": "in_gst"}]}, {"registrations.0.kind"}),
        ({"registrations": [{**GERMAN, "kind": "gst"}]}, {"registrations.0.kind"}),
        ({"registrations": [{**GERMAN, "kind": "none"}]}, {"registrations.0.kind"}),
        ({"registrations": [{**INDIAN, "kind": "gst"}]}, {"registrations.0.kind"}),
        ({"registrations": [INDIAN, GERMAN, {**GERMAN, "percent": "7"}]}, {"registrations.2.country"}),
        ({"registrations": [{**GERMAN, "country": "UK"}]}, {"registrations.0.country"}),
        ({"registrations": [{**GERMAN, "country": "de"}]}, {"registrations.0.country"}),
        ({"registrations": [{**INDIAN, "percent": "18.000001"}]}, {"registrations.0.percent"}),
        ({"registrations": [{**GERMAN, "name": "VAT"}]}, {"registrations.0.name"}),
        ({"registrations": [GERMAN] * 51}, {"registrations"}),
        (
            {"time_zone": "Mars", "registrations": [{**INDIAN, "kind": "vat", "number": "27", "percent": "0.000001"}]},
            {"time_zone", "registrations.0.kind", "registrations.0.number"},
        ),
    ],
)
async def test_what_is_wrong_is_named(market: AccessMarket, values: dict[str, Any], fields: set[str]) -> None:
    assert set(faults(await put(market, **values))) == fields
    assert (await market.mia.get(BILLS)).status_code == 404


async def test_rules_are_said_in_words(market: AccessMarket) -> None:
    wrong = [{**GERMAN, "number": "DE1"}, {**INDIAN, "number": "29"}, {**GERMAN, "country": "XX"}]

    rules = faults(await put(market, registrations=wrong))

    assert rules == {
        "registrations.0.number": "must be a VAT id of DE, with its check digits, or the number by which you use the"
        " One-Stop-Shop, such as EU372022452",
        "registrations.1.number": "must be a GSTIN (15 characters, with its check digit)",
        "registrations.2.country": "must be a country's code of ISO 3166-1 alpha-2, such as IN",
    }


async def test_who_bills_tax_has_an_address(market: AccessMarket) -> None:
    """It is on every tax invoice (EN 16931, BR-08)."""
    refused = faults(await put(market, registrations=[GERMAN]))
    assert refused == {"registrations": "need the address of the merchant's own profile"}
    assert (await put(market)).status_code == 201, "without tax nobody asks for it"


async def test_a_seller_may_use_the_one_stop_shop(market: AccessMarket) -> None:
    await settle(market)
    answer = await put(market, registrations=[GERMAN, {**GERMAN, "country": "FR", "percent": "20"}])

    assert [each["number"] for each in answer.json()["registrations"]] == ["DE136695976"] * 2


def test_days_begin_with_a_quarter_of_an_hour() -> None:
    now = datetime(2026, 11, 1, tzinfo=UTC)
    for name in ("Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Chatham", "Asia/Kolkata", "UTC"):
        assert counts_in_quarters(ZoneInfo(name), now), name
    assert not counts_in_quarters(timezone(timedelta(minutes=20)), now)
    assert not counts_in_quarters(ZoneInfo("Africa/Monrovia"), datetime(1970, 1, 1, tzinfo=UTC))


async def close(market: AccessMarket) -> None:
    """A month that is being closed."""
    stored = await market.api.app.billing.profile_store.profile("mer_1")
    assert stored is not None
    profile = stored.value
    of = period(name_at(profile.billing_from, profile.time_zone, profile.anchor_day), profile.time_zone)
    close = await market.api.app.billing.closer.draft_close(profile, of)
    await market.api.app.ports.documents.create(BILLING, "mer_1", close_document(of.name), close.to_json())


async def test_the_anchor_day_stays_once_a_month_was_closed(market: AccessMarket) -> None:
    first = await put(market)
    moved = await put(market, first.headers["ETag"], anchor_day=15)
    await close(market)

    refused = await put(market, moved.headers["ETag"], anchor_day=1)
    other = await put(market, moved.headers["ETag"], anchor_day=15, time_zone="Asia/Tokyo")

    assert (moved.status_code, other.status_code) == (200, 200)
    assert (refused.status_code, refused.json()["code"]) == (409, "state_invalid")
    assert other.json()["time_zone"] == "Asia/Tokyo"


async def test_terms_are_the_platforms_until_others_are_agreed(market: AccessMarket) -> None:
    before = await market.root.get(TERMS)
    agreed = await market.root.put(TERMS, json={"commission_percent": "7.5", "reason": "a big customer"})
    again = await market.root.put(TERMS, json={"commission_percent": "5", "reason": "x"})
    headers = {"If-Match": agreed.headers["ETag"]}
    back = await market.root.put(TERMS, json={"commission_percent": None, "reason": "over"}, headers=headers)

    assert (before.status_code, before.json()) == (200, {"commission_percent": None})
    assert (agreed.status_code, agreed.json()) == (201, {"commission_percent": "7.5"})
    assert again.status_code == 428
    assert (back.status_code, back.json()) == (200, {"commission_percent": None})
    entries = await audited(market, "terms:mer_1")
    assert [(entry["action"], entry["reason"]) for entry in entries] == [
        ("terms.create", "a big customer"),
        ("terms.update", "over"),
    ]
    assert (entries[0]["after"]["commission_percent"], entries[0]["actor"]) == ("7.5", market.root.account.id)
    assert entries[1]["before"]["commission_percent"] == "7.5"


async def test_a_close_takes_what_was_agreed(market: AccessMarket) -> None:
    await put(market)
    stored = await market.api.app.billing.profile_store.profile("mer_1")
    assert stored is not None
    of = period("2026-03", "UTC")
    before = await market.api.app.billing.closer.draft_close(stored.value, of)
    await market.root.put(TERMS, json={"commission_percent": "0", "reason": "a friend"})
    after = await market.api.app.billing.closer.draft_close(stored.value, of)

    assert (before.commission_percent, after.commission_percent) == (Decimal(10), Decimal(0))


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"commission_percent": "5"}, {"reason"}),
        ({"commission_percent": "5", "reason": " "}, {"reason"}),
        ({"reason": "x"}, {"commission_percent"}),
        ({"commission_percent": "100.1", "reason": "x"}, {"commission_percent"}),
        ({"commission_percent": "-1", "reason": "x"}, {"commission_percent"}),
        ({"commission_percent": "NaN", "reason": "x"}, {"commission_percent"}),
        ({"commission_percent": 5, "reason": "x"}, {"commission_percent"}),
        ({"commission_percent": "5", "reason": "x", "merchant_id": "mer_2"}, {"merchant_id"}),
    ],
)
async def test_terms_that_are_none_are_refused(market: AccessMarket, body: dict[str, Any], fields: set[str]) -> None:
    assert set(faults(await market.root.put(TERMS, json=body))) == fields


async def test_a_consumer_says_what_is_on_its_invoices(market: AccessMarket) -> None:
    path = f"{market.consumer}/billing"
    none = await market.ann.get(path)
    made = await put_buyer(market, tax_id="u 13585627", email="bills@ann.example")
    tag = made.headers["ETag"]
    answers = [await put_buyer(market), await put_buyer(market, '"x"'), await put_buyer(market, tag)]

    assert (none.status_code, made.status_code) == (404, 201)
    assert made.json() == {
        "legal_name": "Ann AG",
        "tax_id": "ATU13585627",
        "email": "bills@ann.example",
        "address": {"lines": ["Ring 1"], "city": "Wien", "region": "", "postal_code": "", "country": "AT"},
    }
    assert [answer.status_code for answer in answers] == [428, 412, 200]
    assert (answers[2].json()["tax_id"], answers[2].json()["email"]) == ("", None)
    assert (await market.ann.get(path)).json() == answers[2].json()


def indian(region: str = "", **values: Any) -> dict[str, Any]:
    return {"address": {"country": "IN", "region": region}, **values}


@pytest.mark.parametrize(
    ("values", "fields"),
    [
        ({"tax_id": "ATU13585628"}, {"tax_id"}),
        ({"tax_id": "DE136695976"}, {"tax_id"}),
        ({"legal_name": " "}, {"legal_name"}),
        ({"legal_name": "x" * 201}, {"legal_name"}),
        ({"email": "nobody"}, {"email"}),
        ({"address": None}, {"address"}),
        ({"address": {"city": "Wien"}}, {"address.country"}),
        ({"address": {"country": "UK"}}, {"address.country"}),
        ({"address": {"country": "Österreich"}}, {"address.country"}),
        ({"address": {"country": "AT", "planet": "Earth"}}, {"address.planet"}),
        ({"address": {"country": "AT", "lines": ["x"] * 5}}, {"address.lines"}),
        (indian(), {"address.region"}),
        (indian("Bavaria"), {"address.region"}),
        (indian("Bavaria", tax_id="27AAPFU0939F1ZV"), {"address.region"}),
        (indian("Karnataka", tax_id="27AAPFU0939F1ZV"), {"address.region"}),
        (indian("Karnataka", tax_id="27AAPFU0939F1ZO"), {"tax_id"}),
        ({"consumer_id": "con_2"}, {"consumer_id"}),
        ({"kind": "profile"}, {"kind"}),
    ],
)
async def test_a_buyer_that_cannot_be_taxed_is_refused(
    market: AccessMarket, values: dict[str, Any], fields: set[str]
) -> None:
    assert set(faults(await put_buyer(market, **values))) == fields
    assert (await market.ann.get(f"{market.consumer}/billing")).status_code == 404


@pytest.mark.parametrize(
    "values", [indian("IN-KA"), indian("maharashtra", tax_id="27AAPFU0939F1ZV"), indian(tax_id="27AAPFU0939F1ZV")]
)
async def test_an_indian_buyer_says_its_state(market: AccessMarket, values: dict[str, Any]) -> None:
    assert (await put_buyer(market, **values)).status_code == 201


async def test_invoices_bear_what_both_said(market: AccessMarket, stopped: datetime) -> None:
    await settle(market)
    await put(market, registrations=[GERMAN])
    await market.grant()
    plan = {
        "name": "Flat",
        "currency": "EUR",
        "effective_from": f"{stopped:%Y-%m}-01T00:00:00Z",
        "charges": [
            {
                "id": "fee",
                "name": "Fee",
                "metric": "requests",
                "model": "per_unit",
                "unit_price": "0",
                "base_fee": "33.33",
            }
        ],
    }
    assert (await market.mia.post("/api/v1/services/svc_maps/plans", json=plan)).status_code == 201
    path = f"{market.consumer}/invoice-previews"
    before = (await market.ann.get(path)).json()["items"]
    await put_buyer(market, tax_id="ATU13585627")
    after = (await market.ann.get(path)).json()["items"]

    assert [(tax["name"], tax["amount"]) for tax in before[0]["taxes"]] == [("VAT", "6.33")]
    assert [(tax["category"], Decimal(tax["amount"])) for tax in after[0]["taxes"]] == [("AE", Decimal(0))]
    assert (after[0]["buyer_party"]["name"], after[0]["buyer_party"]["tax_id"]) == ("Ann AG", "ATU13585627")
    assert after[0]["seller_party"]["name"] == "Acme"


async def test_the_log_says_that_personal_data_changed_and_not_to_what(market: AccessMarket) -> None:
    tag = (await put_buyer(market, tax_id="ATU13585627", email="bills@ann.example")).headers["ETag"]
    await put_buyer(market, tag, legal_name="Other AG")

    entries = await audited(market, f"buyer:{market.consumer_id}")

    assert [(entry["action"], entry["actor"]) for entry in entries] == [
        ("buyer.create", market.ann.account.id),
        ("buyer.update", market.ann.account.id),
    ]
    for word in ("Ann AG", "Other AG", "ATU13585627", "Ring 1", "bills@"):
        assert word not in str(entries)


async def test_others_are_not_there(market: AccessMarket) -> None:
    await put(market)
    await put_buyer(market)
    ned = await market.api.sign_in("Ned")
    await market.merchant("mer_2")
    await ned.runs("mer_2")
    buyer, tag = f"{market.consumer}/billing", {"If-Match": "*"}

    asked = [await person.get(BILLS) for person in (ned, market.ann)]
    asked += [await person.put(BILLS, json={"number_prefix": "X"}, headers=tag) for person in (ned, market.ann)]
    asked += [await person.get(buyer) for person in (ned, market.mia)]
    asked += [await person.put(buyer, json=BUYER, headers=tag) for person in (ned, market.mia)]
    asked.append(await market.root.get("/api/v1/merchants/mer_none/billing"))
    asked.append(await market.root.get("/api/v1/admin/merchants/mer_none/terms"))
    asked.append(
        await market.root.put("/api/v1/admin/merchants/mer_none/terms", json={"commission_percent": "1", "reason": "x"})
    )
    assert [answer.status_code for answer in asked] == [404] * 11
    assert (await market.root.get(BILLS)).status_code == 200
    assert (await market.root.put(BILLS, json={"number_prefix": "X"}, headers=tag)).status_code == 403
    assert (await market.mia.get(TERMS)).status_code in (403, 404)


async def test_a_kill_leaves_all_or_nothing(api: Api) -> None:
    documents = DyingDocuments(api.app.ports.documents, "billing")
    api.app.ports.__dict__["documents"] = documents
    market = await open_access_market(api)
    documents.dead = True

    assert (await put(market)).status_code == 500
    documents.dead = False

    assert not (await api.app.ports.documents.query(BILLING, Query("mer_1"))).items
    assert await audited(market, "billing:mer_1") == []
    assert (await put(market)).status_code == 201
