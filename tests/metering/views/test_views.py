"""Usage views over the API: what is told, to whom, and what is not."""

import csv
import io
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.access.store import member_document
from shared.platform.documents import CONTAINERS
from tests.support.api.access_market import AccessMarket
from tests.support.api.harness import Person
from tests.support.api.usage import DAY, RANGE, Used, used


async def get(person: Person, path: str, **params: Any) -> Any:
    days = {} if "/days/" in path or path.endswith("/months") else RANGE
    answer = await person.get(path, params={**days, **params})
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture
async def usage(market: AccessMarket) -> Used:
    await market.grant()
    road = await market.project("Road")
    await market.key(id="key_plain")
    await market.key(id="key_road", project_id=road)
    await market.offer("two")
    await used(market, "a", "key_plain", data={"requests": 3, "status_code": 500, "response_time_ms": 15})
    not_found = {"status_code": 404, "resource": "=cmd()"}
    await used(market, "b", "key_road", DAY + timedelta(hours=20), project_id=road, data=not_found)
    await used(market, "c", "key_plain", DAY + timedelta(days=2), service_id="svc_two")
    return Used(market.api, market.ann, market.mia, market.root, road)


async def test_a_consumer_sees_usage_by_whatever_it_asks(usage: Used) -> None:
    home = f"{usage.consumer}/usage"
    answer = await get(usage.ann, home)
    assert [(item["service"], item["requests"]) for item in answer["items"]] == [("svc_maps", 4), ("svc_two", 1)]
    assert (answer["total"]["requests"], answer["total"]["errors_5xx"], answer["total"]["error_rate"]) == (5, 3, 0.8)
    by_key = (await get(usage.ann, home, group_by="api_key,project"))["items"]
    assert [(item["api_key"], item["project"], item["requests"]) for item in by_key] == [
        ("key_plain", "", 4),
        ("key_road", usage.road, 1),
    ]
    days = (await get(usage.ann, home, group_by="day", time_zone="Asia/Kolkata"))["items"]
    labels = [f"{DAY + timedelta(days=n):%Y-%m-%d}" for n in (0, 1, 2)]
    assert [(item["label"], item["requests"]) for item in days] == list(zip(labels, [3, 1, 1], strict=True))
    assert (await get(usage.ann, home, service="svc_two"))["total"]["requests"] == 1
    assert (await get(usage.ann, home, api_key="key_road"))["total"]["requests"] == 1


async def test_a_revoked_key_stays_in_the_history(usage: Used) -> None:
    key = await usage.api.app.access.store.key(usage.consumer_id, "key_plain")
    assert key is not None
    await usage.api.builder.put(key.model_copy(update={"status": "revoked"}))
    assert (await get(usage.ann, f"{usage.consumer}/usage", api_key="key_plain"))["total"]["requests"] == 4


async def test_slices_say_the_same_as_counters(usage: Used) -> None:
    paths = [f"{usage.consumer}/usage", "/api/v1/merchants/mer_1/usage"]
    questions = ["service", "api_key,day", "hour", "service,month", ""]
    people = [usage.ann, usage.mia]
    asked = [(p, path, group_by) for p, path in zip(people, paths, strict=True) for group_by in questions]
    before = [(await get(p, path, group_by=group_by))["items"] for p, path, group_by in asked]
    usage.api.clock.passes(seconds=5)  # all of it was counted before
    await usage.api.app.metering.rollups.run()
    after = [(await get(p, path, group_by=group_by))["items"] for p, path, group_by in asked]
    assert after == before
    assert all(before)


async def test_a_trend_tops_and_a_day(usage: Used) -> None:
    home = f"{usage.consumer}/usage"
    trend = await get(
        usage.ann,
        f"{home}/trend",
        **{"from": f"{DAY + timedelta(days=2):%Y-%m-%d}", "to": f"{DAY + timedelta(days=4):%Y-%m-%d}"},
    )
    assert [(item["period"], item["requests"]) for item in trend["items"]] == [("current", 1), ("previous", 4)]
    assert trend["change_percent"]["requests"] == -75
    top = await get(usage.ann, f"{home}/top", by="api_key", metric="errors", limit=1)
    assert [(item["api_key"], item["share"]) for item in top["items"]] == [("key_plain", 0.75)]
    day = await get(usage.ann, f"{home}/days/{DAY:%Y-%m-%d}")
    assert [(item["label"][11:], item["requests"]) for item in day["items"]] == [("00:00+00:00", 3), ("20:00+00:00", 1)]
    assert [(item["service"], item["requests"]) for item in day["services"]] == [("svc_maps", 4)]
    assert day["total"]["p50_ms"] == 20.0


async def test_the_log_of_a_day_is_filtered_and_paged(usage: Used) -> None:
    log = f"{usage.consumer}/usage/days/{DAY:%Y-%m-%d}/records"
    assert [item["id"] for item in (await get(usage.ann, log))["items"]] == ["a", "b"]
    assert [item["id"] for item in (await get(usage.ann, log, status="5xx"))["items"]] == ["a"]
    assert [item["id"] for item in (await get(usage.ann, log, api_key="key_road"))["items"]] == ["b"]
    assert (await get(usage.ann, log, service="svc_two"))["items"] == []
    first = await get(usage.ann, log, limit=1)
    assert [item["id"] for item in first["items"]] == ["a"]
    second = await get(usage.ann, log, limit=1, cursor=first["next_cursor"])
    assert ([item["id"] for item in second["items"]], second["next_cursor"]) == (["b"], None)
    other = await usage.ann.get(log, params={"cursor": first["next_cursor"], "status": "5xx"})
    assert (other.status_code, other.json()["code"]) == (400, "cursor_invalid")
    local = f"{usage.consumer}/usage/days/{DAY + timedelta(days=1):%Y-%m-%d}/records"
    assert [item["id"] for item in (await get(usage.ann, local, time_zone="Asia/Kolkata"))["items"]] == ["b"]


async def test_records_are_paged_past_what_is_filtered_out(usage: Used, monkeypatch: pytest.MonkeyPatch) -> None:
    from shared.metering.views import consumer as views

    monkeypatch.setattr(views, "RECORDS_PER_READ", 3)
    day = DAY + timedelta(days=3)
    for number in range(20):
        await used(
            usage,
            f"n{number:02d}",
            "key_plain",
            day + timedelta(minutes=number),
            data={"status_code": 503 if number % 4 == 1 else 200},
        )
    log, cursor, seen = f"{usage.consumer}/usage/days/{day:%Y-%m-%d}/records", None, []
    for _ in range(10):
        page = await get(usage.ann, log, status="5xx", limit=2, **({"cursor": cursor} if cursor else {}))
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == ["n01", "n05", "n09", "n13", "n17"]


@pytest.mark.parametrize("path", ["", "/trend", "/top", "/days/2026-11-01", "/days/2026-11-01/records"])
async def test_another_tenants_usage_does_not_exist(usage: Used, path: str) -> None:
    eve = await usage.api.sign_in("Eve")
    for person in (eve, usage.mia, usage.root):
        answer = await person.get(f"{usage.consumer}/usage{path}")
        assert answer.status_code in (403, 404)
        assert (person is usage.root) == (answer.status_code == 403)


async def test_members_see_their_project_only_and_nothing_once_they_left(usage: Used) -> None:
    eve, other = await usage.api.sign_in("Eve"), await usage.project("Other")
    await usage.join(eve, usage.road)
    home, project = f"{usage.consumer}/usage", f"{usage.consumer}/projects/{usage.road}/usage"
    for path, params in ((project, {}), (home, {"project_id": usage.road})):
        answer = await get(eve, path, group_by="api_key", **params)
        assert [(item["api_key"], item["requests"]) for item in answer["items"]] == [("key_road", 1)]
    log = await get(eve, f"{project}/days/{DAY:%Y-%m-%d}/records")
    assert [item["id"] for item in log["items"]] == ["b"]
    assert (await get(eve, project, api_key="key_plain"))["items"] == []
    elsewhere = (
        home,
        f"{home}?project_id=",
        f"{home}?project_id={other}",
        f"{home}?project_id={usage.road}&project_id={other}",
    )
    for path in (*elsewhere, f"{usage.consumer}/projects/{other}/usage?project_id={usage.road}"):
        assert (await eve.get(path)).status_code == 404, path
    for path in (f"{project}?project={other}", f"{project}?project_id={other}"):
        assert (await eve.get(path)).status_code == 400, path
    member = member_document(usage.road, eve.account.id)
    await usage.api.app.ports.documents.delete(CONTAINERS["access"], usage.consumer_id, member)
    assert (await eve.get(project)).status_code == 404


async def pseudonym_of(market: AccessMarket) -> str:
    return await market.api.app.access.pseudonyms.of("mer_1", market.consumer_id)


async def test_a_merchant_sees_pseudonyms_and_the_ends_of_keys(usage: Used) -> None:
    home, pseudonym = "/api/v1/merchants/mer_1/usage", await pseudonym_of(usage)
    answer = await get(usage.mia, home, group_by="api_key")
    key = await usage.api.app.access.store.key(usage.consumer_id, "key_plain")
    assert key is not None
    assert {(i["pseudonym"], i["api_key"], i["requests"]) for i in answer["items"]} == {
        (pseudonym, "key_plain", 4),
        (pseudonym, "key_road", 1),
    }
    assert (answer["items"][0]["key_prefix"], answer["items"][0]["key_last4"]) == (key.prefix, key.last4)
    top = await get(usage.mia, f"{home}/top")
    assert [(item["pseudonym"], item["requests"], item["share"]) for item in top["items"]] == [(pseudonym, 5, 1)]
    assert (await get(usage.mia, home, pseudonym=pseudonym, service="svc_two"))["total"]["requests"] == 1
    one = await get(usage.mia, "/api/v1/merchants/mer_1/services/svc_maps/usage")
    assert [item["requests"] for item in one["items"]] == [4]
    months = await get(usage.mia, f"{home}/months", months=3)
    assert sum(item["requests"] for item in months["items"]) == 5


async def test_a_merchant_does_not_see_what_its_consumers_do_elsewhere(usage: Used) -> None:
    await usage.merchant("mer_2")
    await usage.offer("elsewhere", merchant_id="mer_2")
    await used(usage, "d", "key_plain", service_id="svc_elsewhere", merchant_id="mer_2")
    assert (await get(usage.ann, f"{usage.consumer}/usage"))["total"]["requests"] == 6
    for params in ({}, {"pseudonym": await pseudonym_of(usage)}, {"group_by": "consumer"}):
        assert (await get(usage.mia, "/api/v1/merchants/mer_1/usage", **params))["total"]["requests"] == 5


async def test_nothing_that_a_merchant_is_told_says_who_somebody_is(usage: Used) -> None:
    home, pseudonym = "/api/v1/merchants/mer_1", await pseudonym_of(usage)
    paths = [
        f"{home}/usage?group_by=consumer,api_key,day",
        f"{home}/usage/top",
        f"{home}/usage/top?by=api_key",
        f"{home}/services/svc_maps/usage?group_by=consumer,hour",
        f"{home}/usage/months",
        f"{home}/usage/trend",
        f"{home}/usage/distribution",
        f"{home}/usage/spikes",
        f"{home}/usage?pseudonym={pseudonym}",
    ]
    told = ""
    for path in paths:
        for kind in ("json", "csv"):
            between = "&" if "?" in path else "?"
            days = "" if "/months" in path else f"&from={RANGE['from']}&to={RANGE['to']}"
            answer = await usage.mia.get(f"{path}{between}format={kind}{days}")
            assert answer.status_code == 200, answer.text
            told += f"{dict(answer.headers)}\n{answer.text}\n"
    for secret in (usage.consumer_id, usage.ann.account.id, "buyers", "Ann", usage.road, "secret name"):
        assert not re.search(rf"\b{re.escape(secret)}\b", told)  # as a word: four characters of a key may hold "Ann"
    assert pseudonym in told


async def test_another_merchants_services_and_pseudonyms_do_not_exist(usage: Used) -> None:
    await usage.merchant("mer_2")
    other = await usage.api.sign_in("Otto")
    await other.runs("mer_2")
    await usage.offer("theirs", merchant_id="mer_2")
    home, pseudonym = "/api/v1/merchants/mer_2/usage", await pseudonym_of(usage)
    assert (await get(other, home))["items"] == []
    for params in ({"pseudonym": pseudonym}, {"service": "svc_maps"}):
        assert (await other.get(home, params={**RANGE, **params})).status_code == 404
    for path in ("merchants/mer_1/usage", "merchants/mer_2/services/svc_maps/usage", "admin/usage"):
        assert (await other.get(f"/api/v1/{path}")).status_code in (403, 404)
    assert (await usage.ann.get("/api/v1/merchants/mer_1/usage")).status_code == 404


async def test_operators_see_the_platform_once_it_is_derived(usage: Used) -> None:
    usage.api.clock.passes(seconds=5)
    await usage.api.app.metering.rollups.run()
    answer = await get(usage.root, "/api/v1/admin/usage", group_by="merchant,service")
    assert [(i["merchant"], i["service"], i["requests"]) for i in answer["items"]] == [
        ("mer_1", "svc_maps", 4),
        ("mer_1", "svc_two", 1),
    ]
    days = await get(usage.root, "/api/v1/admin/usage", time_zone="America/St_Johns")
    assert sum(item["requests"] for item in days["items"]) == 2  # the first three were the day before there
    top = await get(usage.root, "/api/v1/admin/usage/top", by="merchant")
    assert [(item["merchant"], item["share"]) for item in top["items"]] == [("mer_1", 1)]
    assert (await get(usage.root, "/api/v1/admin/usage", service="svc_two", group_by=""))["total"]["requests"] == 1
    assert (await usage.ann.get("/api/v1/admin/usage")).status_code == 403


async def test_every_view_is_a_file_too(usage: Used) -> None:
    answer = await usage.ann.get(f"{usage.consumer}/usage", params={**RANGE, "group_by": "service", "format": "csv"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    last = DAY + timedelta(days=4)
    assert answer.headers["content-disposition"] == f'attachment; filename="usage-{DAY:%Y-%m-%d}-{last:%Y-%m-%d}.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert [(row["service"], row["requests"], row["start"]) for row in rows] == [
        ("svc_maps", "4", ""),
        ("svc_two", "1", ""),
    ]
    by_header = await usage.ann.get(f"{usage.consumer}/usage/top", params=RANGE, headers={"Accept": "text/csv"})
    assert by_header.headers["content-type"].startswith("text/csv")
    log = await usage.ann.get(f"{usage.consumer}/usage/days/{DAY:%Y-%m-%d}/records", params={"format": "csv"})
    assert [(row["id"], row["resource"]) for row in csv.DictReader(io.StringIO(log.text, newline=""))] == [
        ("a", ""),
        ("b", "'=cmd()"),
    ]


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"from": "2026-01-01T00:07:00Z"}, "from"),
        ({"from": "2026-02-01", "to": "2026-01-01"}, "to"),
        ({"from": "2024-01-01", "to": "2026-01-01"}, "to"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"group_by": "hour,day"}, "group_by"),
        ({"group_by": "consumer"}, "group_by"),
        ({"from": "0001-01-01", "to": "0001-01-02", "time_zone": "Asia/Kolkata"}, "from"),
        ({"from": "9999-12-30", "to": "9999-12-31"}, "to"),
    ],
)
async def test_a_question_that_cannot_be_answered_names_the_field(
    usage: Used, params: dict[str, str], field: str
) -> None:
    answer = await usage.ann.get(f"{usage.consumer}/usage", params=params)
    assert answer.status_code == 400, answer.text
    assert [error["field"] for error in answer.json()["errors"]] == [field]


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
async def test_the_ends_of_the_calendar_are_refused_not_failed(usage: Used, day: str) -> None:
    answer = await usage.ann.get(f"{usage.consumer}/usage/days/{day}", params={"time_zone": "Asia/Kolkata"})
    assert (answer.status_code, answer.json()["code"]) == (400, "range_invalid")


async def test_by_default_it_is_this_month_so_far(usage: Used) -> None:
    before = datetime.now(UTC)
    answer = (await usage.ann.get(f"{usage.consumer}/usage", params={"time_zone": "Asia/Kolkata"})).json()
    assert answer["from"].endswith("T18:30:00.000Z")
    assert datetime.fromisoformat(answer["to"]) > before
