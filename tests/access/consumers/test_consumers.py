"""Consumers: what they say of themselves, and what the platform decides about them."""

import asyncio
from typing import Any

import pytest

from tests.support.api.access_market import AccessMarket


async def test_a_consumer_reads_and_renames_itself(market: AccessMarket) -> None:
    read = await market.ann.get(market.consumer)
    assert (read.status_code, read.json()["name"], read.json()["status"]) == (200, "Ann", "active")

    assert (await market.ann.patch(market.consumer, json={"name": "Buyers"})).status_code == 428
    stale = await market.ann.patch(market.consumer, json={"name": "Buyers"}, headers={"If-Match": '"old"'})
    assert stale.status_code == 412
    changed = await market.ann.patch(
        market.consumer, json={"name": "Buyers"}, headers={"If-Match": read.headers["ETag"]}
    )

    assert (changed.status_code, changed.json()["name"]) == (200, "Buyers")
    assert (await market.ann.get(market.consumer)).headers["ETag"] == changed.headers["ETag"]


async def test_changes_at_once_lose_nothing(market: AccessMarket) -> None:
    etag = (await market.ann.get(market.consumer)).headers["ETag"]

    answers = await asyncio.gather(
        *(
            market.ann.patch(market.consumer, json={"name": f"Buyers {n}"}, headers={"If-Match": etag})
            for n in range(20)
        )
    )

    assert sorted(answer.status_code for answer in answers)[0] == 200
    assert sum(answer.status_code == 200 for answer in answers) == 1
    assert {answer.status_code for answer in answers} <= {200, 409, 412}


@pytest.mark.parametrize(
    "smuggled",
    [{"status": "active"}, {"account_id": "acc_x"}, {"shards": 4}, {"reason": None}, {"id": "con_x"}, {"kind": "x"}],
)
async def test_nothing_else_can_be_written(market: AccessMarket, smuggled: dict[str, Any]) -> None:
    answer = await market.ann.patch(market.consumer, json={"name": "B", **smuggled}, headers={"If-Match": "*"})

    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, next(iter(smuggled)))
    assert (await market.ann.get(market.consumer)).json()["name"] == "Ann"


async def test_a_name_is_shared_with_merchants_that_one_has_to_do_with(market: AccessMarket) -> None:
    await market.merchant("mer_2")
    share = {"shares_name_with": ["mer_1"]}
    early = await market.ann.patch(market.consumer, json=share, headers={"If-Match": "*"})
    assert (early.status_code, early.json()["errors"][0]["field"]) == (400, "shares_name_with")
    await market.ask()

    answer = await market.ann.patch(market.consumer, json=share, headers={"If-Match": "*"})

    assert answer.json()["shares_name_with"] == ["mer_1"]
    for unknown in ("mer_2", "mer_none"):  # one that exists and one that does not look alike
        more = {"shares_name_with": ["mer_1", unknown]}
        refused = await market.ann.patch(market.consumer, json=more, headers={"If-Match": "*"})
        assert (refused.status_code, refused.json()["detail"]) == (400, early.json()["detail"])


async def test_a_suspension_refuses_every_call_until_it_ends(market: AccessMarket) -> None:
    await market.grant()
    key = await market.key()
    path = f"/api/v1/admin/consumers/{market.consumer_id}"

    suspended = await market.root.post(f"{path}/suspend", json={"reason": "unpaid"})

    assert (suspended.json()["status"], suspended.json()["reason"]) == ("suspended", "unpaid")
    assert await market.call(key) == "403 consumer_suspended"
    assert (await market.ann.get(market.consumer)).json()["reason"] == "unpaid"
    twice = await market.root.post(f"{path}/suspend", json={"reason": "unpaid"})
    assert (twice.status_code, twice.json()["code"]) == (409, "state_invalid")

    restored = await market.root.post(f"{path}/restore", json={"reason": "paid"})

    assert (restored.json()["status"], restored.json()["reason"]) == ("active", None)
    assert await market.call(key) == "ok"
    await market.api.drain()
    subjects = [mail["Subject"] for mail in market.api.mails() if mail["To"] == "ann@buyers.example"]
    assert subjects[-2:] == ["Your organisation is suspended on AMS", "Your organisation is active on AMS"]


async def test_a_decision_needs_a_reason_and_an_admin(market: AccessMarket) -> None:
    path = f"/api/v1/admin/consumers/{market.consumer_id}/suspend"
    for body in ({}, {"reason": ""}, {"reason": "   "}):
        assert (await market.root.post(path, json=body)).status_code == 400
    assert (await market.ann.post(path, json={"reason": "x"})).status_code == 403
    assert (await market.mia.post(path, json={"reason": "x"})).status_code == 404
    assert (await market.root.post("/api/v1/admin/consumers/con_0/suspend", json={"reason": "x"})).status_code == 404


async def test_admins_find_consumers_by_name_id_and_status(market: AccessMarket) -> None:
    for n in range(230):  # over two pages of the scan
        await market.api.builder.consumer(id=f"con_{n:03}", name=f"Corp {n:03}")
    await market.api.builder.consumer(id="con_bad", name="Bad Corp", status="suspended")

    async def found(query: str) -> list[str]:
        names: list[str] = []
        cursor = ""
        while True:
            page = (await market.root.get(f"/api/v1/admin/consumers?limit=7&{query}{cursor}")).json()
            assert len(page["items"]) <= 7
            names += [each["name"] for each in page["items"]]
            if page["next_cursor"] is None:
                return names
            cursor = f"&cursor={page['next_cursor']}"

    assert sorted(await found("q=cORP%200")) == [f"Corp {n:03}" for n in range(100)]
    assert await found("status=suspended") == ["Bad Corp"]
    assert await found("q=con_bad") == ["Bad Corp"]
    everything = await found("")
    assert len(everything) == len(set(everything)) == 230 + 1 + 3
    assert (await market.ann.get("/api/v1/admin/consumers")).status_code == 403
