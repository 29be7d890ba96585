"""New secrets for existing keys: what works when, who wins, and what a kill leaves."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from shared.access.gate.service import Gate
from shared.access.keys.rotation import Rotation
from shared.access.models import NO_SECRET
from shared.access.store import KEY_HASHES
from shared.audit.journal import Journal
from shared.audit.models import Actor
from shared.kernel.clock import parse_time, utc_now
from shared.platform.documents import Query
from tests.support.api.access_market import AccessMarket, DyingDocuments
from tests.support.api.keys import create, created, do, read, rotate

pytestmark = pytest.mark.usefixtures("granted")


async def works(market: AccessMarket, clear: str, after: timedelta = timedelta(0), cache_s: float = 0.0) -> str:
    """`ok`, or why consume would refuse the key that much later."""
    app = market.api.app
    gate = Gate(app.access.store, app.catalog.store, app.access.load_hasher, cache_s, now=lambda: utc_now() + after)
    market_gate, app.access.__dict__["gate"] = app.access.gate, gate
    try:
        return await market.call(clear)
    finally:
        app.access.__dict__["gate"] = market_gate


async def test_both_secrets_work_until_the_overlap_ends(market: AccessMarket) -> None:
    key = await created(market)
    answer = await rotate(market, key, overlap_hours=2)
    new = answer.json()

    assert (answer.status_code, new["id"]) == (200, key["id"])
    assert new["key"] != key["key"]
    assert [await works(market, each) for each in (key["key"], new["key"])] == ["ok", "ok"]
    late = timedelta(hours=2, seconds=1)
    assert [await works(market, each, late) for each in (key["key"], new["key"])] == ["401 key_unknown", "ok"]
    assert (new["prefix"], new["last4"]) == (new["key"][:13], new["key"][-4:])


async def test_the_end_of_an_overlap_is_not_cached(market: AccessMarket) -> None:
    key = await created(market)
    assert (await rotate(market, key, overlap_hours=1)).status_code == 200
    app, late = market.api.app, timedelta(0)
    gate = Gate(app.access.store, app.catalog.store, app.access.load_hasher, 3_600.0, now=lambda: utc_now() + late)

    assert (await gate.identify(key["key"])).key.id == key["id"]
    late = timedelta(hours=1, seconds=1)
    with pytest.raises(Exception, match="key_unknown"):
        await gate.identify(key["key"])


async def test_without_an_overlap_the_old_secret_stops_at_once(market: AccessMarket) -> None:
    key = await created(market)
    new = (await rotate(market, key, overlap_hours=0)).json()
    assert [await works(market, each) for each in (key["key"], new["key"])] == ["401 key_unknown", "ok"]
    assert new["previous_until"] is None


async def test_the_default_overlap_is_a_day_and_the_platform_says_how_long_it_may_be(market: AccessMarket) -> None:
    key = await created(market)
    change = {"rotation_overlap_hours_max": 24, "reason": "test"}
    await market.root.patch("/api/v1/admin/settings", json=change, headers={"If-Match": "*"})

    too_long = await rotate(market, key, overlap_hours=25)
    assert [error["field"] for error in too_long.json()["errors"]] == ["overlap_hours"]
    until = parse_time((await rotate(market, key)).json()["previous_until"])
    assert timedelta(hours=23, minutes=59) < until - utc_now() <= timedelta(hours=24)


async def test_a_second_rotation_ends_the_oldest_secret_at_once(market: AccessMarket) -> None:
    first = await created(market)
    second = await rotate(market, first)
    third = await rotate(market, {**second.json(), "etag": second.headers["etag"]})
    clear = [first["key"], second.json()["key"], third.json()["key"]]
    assert [await works(market, each) for each in clear] == ["401 key_unknown", "ok", "ok"]


async def test_one_of_many_rotations_wins(market: AccessMarket) -> None:
    key = await created(market)
    answers = await asyncio.gather(*(rotate(market, key) for _ in range(100)))
    won = [answer.json()["key"] for answer in answers if answer.status_code == 200]
    assert len(won) == 1
    assert {answer.status_code for answer in answers} <= {200, 409, 412}
    assert [await works(market, each) for each in (key["key"], won[0])] == ["ok", "ok"]
    hashes = await _hashes(market)
    assert len(hashes) == 2, "a loser's secret is left behind"


async def _hashes(market: AccessMarket) -> list[str]:
    # Across tenants: the test counts all of them.
    page = await market.api.app.ports.documents.query(KEY_HASHES, Query(None, (), limit=1000))
    return [document.id for document in page.items]


async def test_hashes_that_no_key_names_are_cleared_away(market: AccessMarket) -> None:
    first = await created(market)
    second = await rotate(market, first)
    await rotate(market, {**second.json(), "etag": second.headers["etag"]}, overlap_hours=0)
    app, later = market.api.app, utc_now() + timedelta(days=2)
    await app.audit.journal.drain()
    assert len(await _hashes(market)) == 3
    journal = Journal(app.ports.documents, app.audit.log.append, lambda: later)
    await journal.deliver_due()
    assert len(await _hashes(market)) == 1


async def test_the_time_to_live_starts_again(market: AccessMarket) -> None:
    key = await created(market, ttl_days=30)
    stored = await market.api.app.access.store.key(market.consumer_id, key["id"])
    assert stored is not None
    soon = utc_now() + timedelta(hours=1)
    await market.api.builder.put(stored.model_copy(update={"expires_at": soon}))

    new = (await rotate(market, await read(market, key), overlap_hours=24)).json()
    assert timedelta(days=29, hours=23) < parse_time(new["expires_at"]) - utc_now() <= timedelta(days=30)
    assert abs(parse_time(new["previous_until"]) - soon) < timedelta(seconds=1), "the old secret outlives its own end"


async def test_an_expired_key_is_not_rotated(market: AccessMarket) -> None:
    key = await created(market, ttl_days=30)
    stored = await market.api.app.access.store.key(market.consumer_id, key["id"])
    assert stored is not None
    await market.api.builder.put(stored.model_copy(update={"expires_at": utc_now()}))
    answer = await rotate(market, await read(market, key))
    assert (answer.status_code, answer.json()["code"]) == (409, "state_invalid")


async def test_the_old_secret_of_a_disabled_key_does_not_come_back(market: AccessMarket) -> None:
    key = await created(market)
    await do(market, key, "disable")
    new = (await rotate(market, await read(market, key), overlap_hours=24)).json()
    assert (new["status"], new["previous_until"]) == ("disabled", None)
    assert await works(market, new["key"]) == "403 key_disabled"
    await do(market, key, "enable")
    assert [await works(market, each) for each in (key["key"], new["key"])] == ["401 key_unknown", "ok"]


async def test_whoever_rotated_a_key_and_leaves_has_it_disabled(market: AccessMarket) -> None:
    road = await market.project("Road")
    max_ = await market.api.sign_in("Max")
    await market.join(max_, road, "manager")
    key = await created(market, project_id=road)
    assert (await rotate(market, key, max_)).status_code == 200
    left = await max_.post(f"{market.consumer}/projects/{road}/leave")
    assert left.status_code == 204, left.text
    found = await read(market, key)
    assert (found["status"], found["reason"]) == ("disabled", "who knows it left the project")


async def test_if_match_is_required(market: AccessMarket) -> None:
    key = await created(market)
    answer = await market.ann.post(f"{market.consumer}/keys/{key['id']}/rotate", json={})
    assert answer.status_code == 428


async def test_a_kill_before_the_commit_leaves_the_old_secret_alone(market: AccessMarket) -> None:
    key = await created(market)
    app = market.api.app
    dying: Any = DyingDocuments(app.ports.documents, "access")
    writer = type(app.access.key_writer)(app.access.store, Journal(dying, app.audit.log.append))
    rotation = Rotation(
        app.access.store, app.access.key_secrets, writer, app.audit.platform_settings, app.access.key_mails
    )
    dying.dead = True
    actor = Actor(market.ann.account.id, "consumer")

    with pytest.raises(RuntimeError):
        await rotation.rotate(actor, market.ann.account, market.consumer_id, key["id"], 0, "*")
    assert await works(market, key["key"]) == "ok"
    assert await read(market, key) == {name: key[name] for name in key if name != "key"}
    assert (await rotate(market, key, overlap_hours=0)).status_code == 200


async def test_a_forced_rotation_shows_nobody_a_secret_and_ends_the_old_ones(market: AccessMarket) -> None:
    key = await created(market)
    second = await rotate(market, key)
    path = f"/api/v1/admin/consumers/{market.consumer_id}/keys/{key['id']}/force-rotate"

    assert (await market.ann.post(path, json={"reason": "x"})).status_code == 403
    forced = await market.root.post(path, json={"reason": "seen in a screenshot"})
    assert forced.status_code == 200, forced.text
    assert "key" not in forced.json()
    assert forced.json()["needs_rotation"] is True
    stopped = [await works(market, each) for each in (key["key"], second.json()["key"])]
    assert stopped == ["401 key_unknown"] * 2
    await do(market, key, "disable")
    await do(market, key, "enable")
    assert await works(market, second.json()["key"]) == "401 key_unknown"
    assert (await market.root.post(path, json={"reason": "x"})).json()["code"] == "state_invalid"

    new = (await rotate(market, await read(market, key))).json()
    assert (new["needs_rotation"], new["previous_until"], new["reason"]) == (False, None, None)
    assert await works(market, new["key"]) == "ok"
    await market.api.drain()
    (mail,) = [mail for mail in market.api.mails() if "must be rotated" in str(mail["subject"])]
    assert mail["to"] == "ann@buyers.example"
    assert "seen in a screenshot" in mail.get_content()


async def test_nobody_has_a_key_that_hashes_to_none(market: AccessMarket) -> None:
    hasher = await market.api.app.access.load_hasher()
    assert NO_SECRET not in hasher.candidates(NO_SECRET)
    assert (await create(market)).json()["needs_rotation"] is False
