"""Alert rules: told once when a threshold is reached, whatever is repeated or dies."""

import asyncio
from typing import Any

import pytest

from shared.audit.journal import FIRST_DUE
from shared.kernel.clock import format_time, utc_now
from tests.emulators.receiver import Receiver
from tests.support.api.harness import Api
from tests.support.api.problems import problem
from tests.support.api.world import World, make_world
from tests.support.embedded import raw, usage_event

RULE = {"name": "Many requests", "metric": "requests", "window": "day", "threshold": "10"}


@pytest.fixture
async def world(api: Api, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("AMS_SECRET_PSEUDONYM_PEPPER", "pepper")
    made = await make_world(api)
    # The world's own rules fire at the first request; they would only be in the way here.
    owners = {"tenant": f"consumers/{made.ids['consumer_id']}", "merchant": "merchants/mer_one", "admin": "admin"}
    for name, owner in owners.items():
        for what in ("alerts/rul_one", "webhooks/whk_one"):
            path = f"/api/v1/{owner}/{what}"
            tag = (await made.people[name].get(path)).headers["etag"]
            assert (await made.people[name].delete(path, headers={"If-Match": tag})).status_code == 204
    return made


def alerts(world: World, kind: str = "consumers") -> str:
    owner_id = world.ids["consumer_id"] if kind == "consumers" else "mer_one"
    return f"/api/v1/{kind}/{owner_id}/alerts"


async def add(world: World, kind: str = "consumers", **changes: Any) -> dict[str, Any]:
    person = world.people["tenant" if kind == "consumers" else "merchant"]
    answer = await person.post(alerts(world, kind), json={**RULE, **changes})
    assert answer.status_code == 201, answer.text
    return {**answer.json(), "etag": answer.headers["etag"]}


async def use(world: World, requests: int, **data: Any) -> None:
    """Count usage of the tenant's key."""
    now = format_time(utc_now())
    event = usage_event(
        f"event-{utc_now().timestamp()}-{requests}",
        time=now,
        received_at=now,
        subject="service-one",
        consumer_id=world.ids["consumer_id"],
        api_key_id="key_one",
        service_id="svc_one",
        merchant_id="mer_one",
        project_id="prj_one",
        data={"requests": requests, **data},
    )
    outcome = await world.api.app.metering.aggregator.apply(raw(event))
    assert outcome.counted == 1
    await world.api.app.metering.rollups.run()


async def look(world: World) -> int:
    fired = await world.api.app.alerts.evaluator.run()
    await world.api.drain()
    return int(fired)


async def told(world: World, kind: str = "consumers") -> list[dict[str, Any]]:
    person = world.people["tenant" if kind == "consumers" else "merchant"]
    items: list[dict[str, Any]] = (await person.get(f"{alerts(world, kind)}/fired")).json()["items"]
    return items


async def test_a_rule_fires_when_its_threshold_is_reached_and_not_before(world: World) -> None:
    await add(world)
    await use(world, 9)
    assert await look(world) == 0
    await use(world, 1)
    assert await look(world) == 1
    (fired,) = await told(world)
    assert (fired["value"], fired["threshold"], fired["metric"]) == ("10", "10", "requests")


async def test_it_fires_once_in_a_period(world: World) -> None:
    await add(world)
    await use(world, 20)
    assert [await look(world), await look(world)] == [1, 0]
    await use(world, 20)
    assert await look(world) == 0
    assert len(await told(world)) == 1


async def test_many_timers_at_once_tell_once(world: World, receiver: Receiver) -> None:
    await world.people["tenant"].post(
        f"/api/v1/consumers/{world.ids['consumer_id']}/webhooks", json={"url": receiver.url}
    )
    await add(world)
    await use(world, 20)
    assert sum(await asyncio.gather(*(world.api.app.alerts.evaluator.run() for _ in range(20)))) == 1
    await world.api.drain()
    assert len(receiver.requests) == 1
    assert len([m for m in world.api.mails() if m["Subject"].startswith("Alert")]) == 1


async def test_a_kill_after_it_fired_loses_neither_mail_nor_webhook(
    world: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    async def dies(*_: object) -> None:
        raise Killed

    await world.people["tenant"].post(
        f"/api/v1/consumers/{world.ids['consumer_id']}/webhooks", json={"url": receiver.url}
    )
    rule = await add(world)
    await use(world, 20)
    stored = await world.api.app.alerts.rules.find(world.ids["consumer_id"], rule["id"])
    with monkeypatch.context() as patched:
        patched.setattr(world.api.app.audit.journal, "_do_inline", dies)
        with pytest.raises(Killed):
            await world.api.app.alerts.evaluator.evaluate(stored.value)
    assert receiver.requests == []
    world.api.clock.passes(seconds=FIRST_DUE.total_seconds() + 1)
    await world.api.app.audit.journal.deliver_due()
    await world.api.drain()
    assert len(receiver.requests) == 1
    assert len([m for m in world.api.mails() if m["Subject"].startswith("Alert")]) == 1
    assert await look(world) == 0


@pytest.mark.parametrize(
    ("rule", "used", "fires"),
    [
        ({"metric": "error_rate_percent", "threshold": "50"}, (200, {"status_code": 500}), True),
        ({"metric": "error_rate_percent", "threshold": "50"}, (99, {"status_code": 500}), False),
        ({"metric": "error_rate_percent", "threshold": "50"}, (200, {"status_code": 399}), False),
        ({"metric": "request_bytes", "threshold": "1000"}, (1, {"request_bytes": 1000}), True),
        ({"metric": "executions", "threshold": "3"}, (1, {"executions": 2}), False),
        ({"metric": "requests", "window": "month"}, (10, {}), True),
        ({"service_id": "svc_one"}, (10, {}), True),
        ({"service_id": "svc_other"}, (10, {}), False),
        ({"project_id": "prj_one", "api_key_id": "key_one"}, (10, {}), True),
        ({"project_id": "prj_two"}, (10, {}), False),
    ],
)
async def test_what_a_rule_looks_at(
    world: World, rule: dict[str, Any], used: tuple[int, dict[str, Any]], fires: bool
) -> None:
    await add(world, **rule)
    await use(world, used[0], **used[1])
    assert await look(world) == int(fires)


async def test_a_share_of_a_keys_quota(world: World) -> None:
    key = await world.api.app.access.store.key(world.ids["consumer_id"], "key_one")
    assert key is not None
    limits = key.limits.model_copy(update={"quota_per_month": 200})
    await world.api.builder.put(key.model_copy(update={"limits": limits}))
    await add(world, metric="quota_percent", window="month", threshold="50", api_key_id="key_one")
    await use(world, 99)
    assert await look(world) == 0
    await use(world, 1)
    assert await look(world) == 1


async def test_a_merchants_rule_looks_at_its_services(world: World) -> None:
    await add(world, "merchants")
    await use(world, 10)
    assert await look(world) == 1
    (fired,) = await told(world, "merchants")
    assert world.ids["consumer_id"] not in str(fired)


async def test_a_rule_that_is_switched_off_is_silent(world: World) -> None:
    rule = await add(world)
    path = f"{alerts(world)}/{rule['id']}"
    tenant = world.people["tenant"]
    answer = await tenant.patch(path, json={"status": "disabled"}, headers={"If-Match": rule["etag"]})
    assert answer.json()["status"] == "disabled"
    await use(world, 20)
    assert await look(world) == 0


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"threshold": "0"}, "threshold"),
        ({"threshold": "NaN"}, "threshold"),
        ({"threshold": "-1"}, "threshold"),
        ({"threshold": "1e40"}, "threshold"),
        ({"metric": "money"}, "metric"),
        ({"window": "year"}, "window"),
        ({"metric": "quota_percent"}, "metric"),
        ({"name": ""}, "name"),
        ({"owner_id": "con_x"}, "owner_id"),
        ({"requests_min": 0}, "requests_min"),
    ],
)
async def test_bad_rules_are_refused_by_name(world: World, change: dict[str, Any], field: str) -> None:
    answer = await world.people["tenant"].post(alerts(world), json={**RULE, **change})
    assert problem(answer) == (400, "request_invalid")
    assert answer.json()["errors"][0]["field"] == field


async def test_there_is_an_end_to_rules(world: World) -> None:
    for _ in range(100):
        await add(world)
    answer = await world.people["tenant"].post(alerts(world), json=RULE)
    assert problem(answer) == (409, "limit_reached")
