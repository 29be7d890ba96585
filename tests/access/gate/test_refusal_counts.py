"""Refused calls, as the key's owner sees them: summed up in memory, stored now and then, merged by all processes."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from shared.access.gate import refusal_counts as module
from shared.access.gate.refusal_counts import COUNTS_MAX, RefusalCounts
from shared.access.keys.format import new_key
from shared.access.models import ApiKey
from shared.kernel.clock import format_time, utc_now
from shared.kernel.errors import Problem
from shared.metering.events import EVENT_TYPE
from shared.platform.documents import DocumentsUnavailable
from tests.support.api.access_market import AccessMarket
from tests.support.api.keys import created, do

pytestmark = pytest.mark.usefixtures("granted")


async def body_of(*events: dict[str, Any]) -> AsyncIterator[bytes]:
    yield json.dumps(events).encode()


async def refused(market: AccessMarket, clear: str) -> str:
    with pytest.raises(Problem) as caught:
        await market.api.app.metering.consume.identify({"x-ams-key": clear})
    return caught.value.code


async def seen(market: AccessMarket, key: dict[str, Any], query: str = "") -> dict[str, int]:
    await market.api.app.access.refusal_counts.flush()
    answer = await market.ann.get(f"{market.consumer}/keys/{key['id']}/refusals{query}")
    assert answer.status_code == 200, answer.text
    document = answer.json()
    assert document["total"] == sum(item["count"] for item in document["items"])
    sums: dict[str, int] = {}
    for item in document["items"]:
        sums[item["code"]] = sums.get(item["code"], 0) + item["count"]
    return sums


async def test_refusals_are_counted_by_code_and_hour(market: AccessMarket) -> None:
    key = await created(market)
    await do(market, key, "disable")
    for _ in range(3):
        assert await refused(market, key["key"]) == "key_disabled"
    assert await seen(market, key) == {"key_disabled": 3}
    await do(market, key, "revoke", reason="lost")
    await refused(market, key["key"])
    assert await seen(market, key) == {"key_disabled": 3, "key_revoked": 1}
    (hour, *_) = (await market.ann.get(f"{market.consumer}/keys/{key['id']}/refusals")).json()["items"]
    assert hour["hour"].endswith(":00:00Z")


async def test_what_is_refused_after_the_key_was_identified_counts_too(market: AccessMarket) -> None:
    key = await created(market)
    consume = market.api.app.metering.consume
    holder = await consume.identify({"x-ams-key": key["key"]})
    with pytest.raises(Problem):
        await consume.forward(holder, "nothing", None)  # type: ignore[arg-type]  # refused before it is looked at
    event = {"specversion": "1.0", "type": EVENT_TYPE, "source": "test", "time": format_time(utc_now())}
    receipt = await consume.report(
        holder, "batch", body_of(*({**event, "id": str(n), "subject": "nothing"} for n in range(4))), None
    )
    assert len(receipt.rejected) == 4
    bad = {**event, "id": "bad", "subject": "maps", "data": {"requests": -1}}
    await consume.report(holder, "batch", body_of(bad), None)  # a mistake in the body is not a failed check
    assert await seen(market, key) == {"service_not_granted": 5}


async def test_keys_that_nobody_knows_are_nobodys(market: AccessMarket) -> None:
    key = await created(market)
    assert await refused(market, new_key("live")) == "key_unknown"
    assert await seen(market, key) == {}
    assert market.api.app.access.refusal_counts._counts == {}


async def test_processes_add_up(market: AccessMarket) -> None:
    key = await created(market)
    stored = await market.api.app.access.store.key(market.consumer_id, key["id"])
    assert stored is not None
    processes = [RefusalCounts(market.api.app.ports.documents) for _ in range(5)]
    for process in processes:
        for _ in range(20):
            process.note(stored, "rate_limited")
    await asyncio.gather(*(process.close() for process in processes))
    assert await seen(market, key) == {"rate_limited": 100}


async def test_they_are_stored_without_anybody_asking(market: AccessMarket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FLUSH_S", 0.01)
    stored = await _stored(market)
    now = utc_now()
    refusals = RefusalCounts(market.api.app.ports.documents, lambda: now)
    refusals.note(stored, "key_expired")
    flushing = refusals._flushing
    assert flushing is not None
    await asyncio.wait_for(flushing, 60)
    assert refusals._flushing is None, "an idle process has no timer"
    refusals.note(stored, "key_expired")
    await refusals.close()
    found = await refusals.read(stored.consumer_id, stored.id, now.date(), now.date())
    assert sum(each.count for each in found) == 2


async def _stored(market: AccessMarket) -> ApiKey:
    stored = await market.api.app.access.store.key(market.consumer_id, (await created(market))["id"])
    assert stored is not None
    return stored


async def test_what_the_store_does_not_take_waits(market: AccessMarket) -> None:
    stored = await _stored(market)

    class Failing:
        def __init__(self) -> None:
            self.fails = True

        def __getattr__(self, name: str) -> Any:
            if self.fails:
                raise DocumentsUnavailable("told to fail")
            return getattr(market.api.app.ports.documents, name)

    failing, now = Failing(), utc_now()
    refusals = RefusalCounts(failing, lambda: now)  # the real store, except that it fails
    refusals.note(stored, "key_expired")
    await refusals.flush()
    failing.fails = False
    refusals.note(stored, "key_expired")
    await refusals.close()
    today = now.date()
    assert [each.count for each in await refusals.read(stored.consumer_id, stored.id, today, today)] == [2]


async def test_memory_is_bounded(market: AccessMarket) -> None:
    stored = await _stored(market)
    refusals = RefusalCounts(market.api.app.ports.documents)
    for number in range(COUNTS_MAX + 100):
        refusals.note(stored.model_copy(update={"id": f"key_{number}"}), "key_expired")
    refusals.note(stored, "made_up_code")
    assert len(refusals._counts) == COUNTS_MAX
    refusals._counts.clear()
    await refusals.close()


async def test_memory_is_bounded_while_the_store_is_down(market: AccessMarket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "COUNTS_MAX", 5)
    stored = await _stored(market)
    numbers = count()

    class Down:
        """Refused calls go on while a flush waits for the store."""

        async def get(self, *_: Any) -> Any:
            _refuse_five()
            raise DocumentsUnavailable("told to fail")

    def _refuse_five() -> None:
        for _ in range(5):
            refusals.note(stored.model_copy(update={"id": f"key_{next(numbers)}"}), "key_expired")

    refusals = RefusalCounts(Down())  # type: ignore[arg-type]  # only what a flush reads first
    _refuse_five()
    for _ in range(10):
        await refusals.flush()
        assert len(refusals._counts) <= 5
    refusals._counts.clear()
    await refusals.close()


async def test_days_are_chosen(market: AccessMarket) -> None:
    stored = await _stored(market)
    app = market.api.app
    now = utc_now()
    for days in (0, 3, 10):
        past = RefusalCounts(app.ports.documents, lambda days=days: now - timedelta(days=days))  # type: ignore[misc]  # bound now
        past.note(stored, "key_expired")
        await past.close()
    key, day = {"id": stored.id}, now.date()
    assert await seen(market, key) == {"key_expired": 2}
    assert await seen(market, key, f"?from={day - timedelta(days=20)}") == {"key_expired": 3}
    assert await seen(market, key, f"?from={day - timedelta(days=12)}&to={day - timedelta(days=5)}") == {
        "key_expired": 1
    }
    path = f"{market.consumer}/keys/{stored.id}/refusals"
    for query in (f"?from={day}&to={day - timedelta(days=1)}", f"?from={day - timedelta(days=41)}", "?from=x"):
        answer = await market.ann.get(path + query)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "from")
    for edge in ("?to=0001-01-01", "?to=9999-12-31", "?from=0001-01-01&to=0001-01-01"):
        assert (await market.ann.get(path + edge)).status_code == 200
