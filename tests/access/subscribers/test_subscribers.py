"""A merchant's subscribers: known by pseudonym only, restricted at once."""

import json
import re
from typing import Any

import pytest

from shared.access.models import Grant
from tests.support.api.access_market import AccessMarket

HOME = "/api/v1/merchants/mer_1/subscribers"


async def the_pseudonym(market: AccessMarket) -> str:
    [subscriber] = (await market.mia.get(HOME)).json()["items"]
    return str(subscriber["pseudonym"])


async def test_a_merchant_sees_who_may_use_its_services(market: AccessMarket) -> None:
    await market.offer("two")
    await market.grant("maps")
    await market.grant("two")
    clear = await market.key(service_ids=("svc_maps", "svc_elsewhere"))

    [seen] = (await market.mia.get(HOME)).json()["items"]

    assert (seen["pseudonym"][:4], len(seen["pseudonym"]), seen["name"]) == ("cus_", 30, None)
    assert [(each["service_id"], each["status"]) for each in seen["subscriptions"]] == [
        ("svc_maps", "active"),
        ("svc_two", "active"),
    ]
    [key] = seen["keys"]
    assert (key["prefix"], key["last4"], key["status"]) == (clear[:13], clear[-4:], "active")
    assert key["service_ids"] == ["svc_maps"]  # not what it is assigned to elsewhere
    assert (await market.mia.get(f"{HOME}/{seen['pseudonym']}")).json() == seen


async def test_nothing_that_a_merchant_is_told_says_who_somebody_is(market: AccessMarket) -> None:
    road = await market.project("Secret Road")
    await market.grant()
    await market.key(project_id=road, created_by=market.ann.account.id)
    pseudonym = await the_pseudonym(market)
    body = {"reason": "abuse"}

    answers = [
        await market.mia.get(HOME),
        await market.mia.get(f"{HOME}/{pseudonym}"),
        await market.mia.post(f"{HOME}/{pseudonym}/restrict", json=body),
        await market.mia.post(f"{HOME}/{pseudonym}/restrict", json={**body, "service_ids": ["svc_none"]}),
        await market.mia.post(f"{HOME}/{pseudonym}/unblock", json=body),
        await market.mia.get(f"{HOME}/cus_{'a' * 26}"),
    ]

    told = json.dumps([[dict(answer.headers), answer.text] for answer in answers])
    account = market.ann.account
    for secret in (account.id, account.consumer_id, account.email, "buyers", "Ann", "Secret Road", road, "secret name"):
        assert not re.search(rf"\b{re.escape(secret)}\b", told)  # as a word: four characters of a key may hold "Ann"
    assert pseudonym in told


async def test_a_shared_name_is_shown_to_that_merchant_only(market: AccessMarket) -> None:
    await market.merchant("mer_2")
    await market.mia.runs("mer_2")
    await market.offer("other", merchant_id="mer_2")
    await market.grant("maps")
    await market.grant("other")
    await market.ann.patch(market.consumer, json={"shares_name_with": ["mer_1"]}, headers={"If-Match": "*"})

    [first] = (await market.mia.get(HOME)).json()["items"]
    [second] = (await market.mia.get("/api/v1/merchants/mer_2/subscribers")).json()["items"]

    assert (first["name"], second["name"]) == ("Ann", None)
    assert first["pseudonym"] != second["pseudonym"]


async def test_another_merchants_pseudonym_is_not_found(market: AccessMarket) -> None:
    await market.grant()
    pseudonym = await the_pseudonym(market)
    await market.merchant("mer_2")
    ned = await market.api.sign_in("Ned")
    await ned.runs("mer_2")
    theirs = f"/api/v1/merchants/mer_2/subscribers/{pseudonym}"

    assert (await ned.get(theirs)).status_code == 404
    for verb in ("restrict", "unblock"):
        assert (await ned.post(f"{theirs}/{verb}", json={"reason": "x"})).status_code == 404
        assert (await ned.post(f"{HOME}/{pseudonym}/{verb}", json={"reason": "x"})).status_code == 404
    assert (await ned.get(f"{HOME}/{pseudonym}")).status_code == 404
    assert (await ned.get("/api/v1/merchants/mer_2/subscribers")).json()["items"] == []


async def test_a_restriction_holds_at_once_and_until_it_is_taken_away(market: AccessMarket) -> None:
    await market.offer("two")
    await market.grant("maps")
    await market.grant("two")
    key = await market.key(service_ids=("svc_maps", "svc_two"))
    pseudonym = await the_pseudonym(market)

    one = {"reason": "scraping", "service_ids": ["svc_maps"]}
    answer = await market.mia.post(f"{HOME}/{pseudonym}/restrict", json=one)

    assert [each["status"] for each in answer.json()["subscriptions"]] == ["restricted", "active"]
    assert [await market.call(key, slug) for slug in ("maps", "two")] == ["403 consumer_restricted", "ok"]
    await market.mia.post(f"{HOME}/{pseudonym}/restrict", json={"reason": "scraping"})
    assert await market.call(key, "two") == "403 consumer_restricted"
    await market.mia.post(f"{HOME}/{pseudonym}/unblock", json={"reason": "settled"})
    assert [await market.call(key, slug) for slug in ("maps", "two")] == ["ok", "ok"]
    await market.api.drain()
    told = [mail for mail in market.api.mails() if "by the merchant" in mail["Subject"]]
    assert [mail["To"] for mail in told] == ["ann@buyers.example"] * 3
    assert "Maps" in told[0].get_content()
    assert "scraping" in told[0].get_content()


async def test_leaving_and_asking_again_does_not_lift_a_restriction(market: AccessMarket) -> None:
    await market.offer("two")
    await market.grant()
    key = await market.key(service_ids=("svc_maps", "svc_two"))
    await market.mia.post(f"{HOME}/{await the_pseudonym(market)}/restrict", json={"reason": "abuse"})

    await market.ann.delete(f"{market.consumer}/grants/svc_maps", headers={"If-Match": "*"})
    await market.grant("maps")
    await market.grant("two")  # new, at the merchant who restricted everything there was

    assert [await market.call(key, slug) for slug in ("maps", "two")] == ["403 consumer_restricted"] * 2


async def test_requests_and_refusals_are_not_the_merchants_to_see(market: AccessMarket) -> None:
    await market.ask()
    assert (await market.mia.get(HOME)).json()["items"] == []
    await market.decide("deny", "svc_maps", reason="no")
    assert (await market.mia.get(HOME)).json()["items"] == []
    await market.ask()
    await market.ann.delete(f"{market.consumer}/grants/svc_maps", headers={"If-Match": "*"})
    assert (await market.mia.get(HOME)).json()["items"] == []


async def test_whoever_left_is_still_listed_as_that(market: AccessMarket) -> None:
    await market.grant()
    await market.ann.delete(f"{market.consumer}/grants/svc_maps", headers={"If-Match": "*"})

    assert [s["subscriptions"][0]["status"] for s in (await market.mia.get(HOME)).json()["items"]] == ["left"]
    assert (await market.mia.get(f"{HOME}?status=active")).json()["items"] == []


async def test_the_list_pages_by_subscriber_and_filters(market: AccessMarket) -> None:
    await market.offer("two")
    for n in range(25):
        for slug in ("maps", "two"):
            await market.api.builder.put(
                Grant(
                    consumer_id=f"con_{n}",
                    service_id=f"svc_{slug}",
                    merchant_id="mer_1",
                    status="approved",
                    pseudonym=f"cus_{n:026}",
                    restricted=n % 5 == 0 and slug == "two",
                ),
            )

    async def listed(query: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        cursor = ""
        while True:
            page = (await market.mia.get(f"{HOME}?limit=4{query}{cursor}")).json()
            assert len(page["items"]) <= 4
            found += page["items"]
            if page["next_cursor"] is None:
                return found
            cursor = f"&cursor={page['next_cursor']}"

    everyone = await listed("")
    assert [each["pseudonym"] for each in everyone] == [f"cus_{n:026}" for n in range(25)]
    assert {len(each["subscriptions"]) for each in everyone} == {2}
    assert [each["pseudonym"] for each in await listed("&status=restricted")] == [
        f"cus_{n:026}" for n in range(0, 25, 5)
    ]
    assert await listed("&status=restricted&service=svc_maps") == []


@pytest.mark.parametrize("body", [{}, {"reason": "x", "service_ids": []}, {"reason": "x", "restricted": True}])
async def test_a_malformed_restriction_is_refused(market: AccessMarket, body: dict[str, Any]) -> None:
    await market.grant()
    answer = await market.mia.post(f"{HOME}/{await the_pseudonym(market)}/restrict", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "request_invalid")


async def test_without_the_secret_nobody_gets_a_wrong_pseudonym(
    market: AccessMarket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AMS_SECRET_PSEUDONYM_PEPPER")
    answer = await market.ask()
    assert (answer.status_code, answer.json()["code"]) == (503, "service_unavailable")
    assert (await market.ann.get(f"{market.consumer}/grants")).json()["items"] == []
