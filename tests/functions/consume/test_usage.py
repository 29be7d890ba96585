"""Reading usage back: sums and raw events, of the key that asks and of nobody else."""

import base64
import json
import time
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any
from urllib.parse import quote

import pytest

from shared.catalog.models import Service
from tests.support.host.client import Answer, Header
from tests.support.host.hosting import VISIBLE_S, WAIT_S, Customer, Host, Operator, eventually
from tests.support.host.usage_reports import event

DAY = (datetime.now(UTC) - timedelta(days=10)).replace(hour=0, minute=0, second=0, microsecond=0)


@pytest.fixture(scope="module")
def services(operator: Operator) -> tuple[Service, Service]:
    return operator.service(), operator.service()


@pytest.fixture(scope="module")
def busy(host: Host, operator: Operator, services: tuple[Service, Service]) -> Customer:
    """Usage of two services on two days: at 00:00, 09:14, 09:15 and 23:59:59.999 each."""
    customer = operator.customer(*services)
    moments = [
        timedelta(0),
        timedelta(hours=9, minutes=14),
        timedelta(hours=9, minutes=15),
        timedelta(hours=24, milliseconds=-1),
    ]
    events = []
    for number, service in enumerate(services, start=1):
        for day in (DAY, DAY + timedelta(days=1)):
            events += [
                event(
                    service,
                    time=(day + moment).isoformat(),
                    data={"requests": number, "status_code": 200, "request_bytes": 5},
                )
                for moment in moments
            ]
    assert host.client.report(customer.clear, *events).status == 202
    host.counted(customer, 16)
    return customer


@pytest.fixture
def fresh(operator: Operator, services: tuple[Service, Service]) -> Customer:
    return operator.customer(*services)


def text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def get(host: Host, customer: Customer | None, target: str, headers: tuple[Header, ...] = ()) -> Answer:
    return host.client.call("GET", f"/api/v1/{target}", customer.clear if customer else None, headers)


def summary(host: Host, customer: Customer, start: str | datetime, to: str | datetime, group_by: str) -> Answer:
    start, to = (moment if isinstance(moment, str) else text(moment) for moment in (start, to))
    return get(host, customer, f"usage/summary?from={quote(start)}&to={quote(to)}&group_by={group_by}")


def table(answer: Answer) -> list[tuple[Any, ...]]:
    assert answer.status == 200, answer
    return [(item["service"], item["api_key"], item["start"], item["requests"]) for item in answer.json()["items"]]


TWO_DAYS = (DAY, DAY + timedelta(days=2))


def test_without_a_grouping_there_is_one_sum(host: Host, busy: Customer) -> None:
    document = summary(host, busy, *TWO_DAYS, "").json()
    assert document["total"] == {
        "requests": 24,
        "events": 16,
        "request_bytes": 80,
        "response_bytes": 0,
        "executions": 0,
        "duration_ms": 0,
        "quantity": "0",
        "status": {"200": 24},
    }
    assert document["items"] == [{**document["total"], "service": None, "api_key": None, "start": None}]
    assert (document["from"], document["to"], document["group_by"]) == (text(DAY), text(TWO_DAYS[1]), [])


def test_by_service_and_by_key(host: Host, busy: Customer, services: tuple[Service, Service]) -> None:
    one, two, key = services[0].id, services[1].id, busy.key.id
    by_service = sorted([(one, None, None, 8), (two, None, None, 16)])
    assert table(summary(host, busy, *TWO_DAYS, "service")) == by_service
    assert table(summary(host, busy, *TWO_DAYS, "api_key")) == [(None, key, None, 24)]
    both = sorted([(one, key, None, 8), (two, key, None, 16)])
    assert table(summary(host, busy, *TWO_DAYS, "service,api_key")) == both
    assert table(summary(host, busy, *TWO_DAYS, "api_key,service")) == both


def test_by_hour_day_and_month(host: Host, busy: Customer) -> None:
    hours = [
        (None, None, text(day + timedelta(hours=hour)), requests)
        for day in (DAY, DAY + timedelta(days=1))
        for hour, requests in ((0, 3), (9, 6), (23, 3))
    ]
    assert table(summary(host, busy, *TWO_DAYS, "hour")) == hours
    days = [(None, None, text(DAY), 12), (None, None, text(DAY + timedelta(days=1)), 12)]
    assert table(summary(host, busy, *TWO_DAYS, "day")) == days
    months = table(summary(host, busy, *TWO_DAYS, "month"))
    assert sum(row[3] for row in months) == 24
    assert {row[2] for row in months} == {text(day.replace(day=1)) for day in (DAY, DAY + timedelta(days=1))}


def test_by_service_and_day(host: Host, busy: Customer, services: tuple[Service, Service]) -> None:
    expected = [
        (service.id, None, text(day), 4 * number)
        for day in (DAY, DAY + timedelta(days=1))
        for number, service in enumerate(services, 1)
    ]
    assert table(summary(host, busy, *TWO_DAYS, "service,day")) == sorted(expected, key=lambda row: (row[2], row[0]))


@pytest.mark.parametrize(
    ("start_minutes", "to_minutes", "requests"),
    [
        (0, 15, 3),
        (15, 9 * 60, 0),
        (9 * 60, 9 * 60 + 15, 3),
        (9 * 60 + 15, 9 * 60 + 30, 3),
        (9 * 60, 9 * 60 + 30, 6),
        (23 * 60 + 45, 24 * 60, 3),
        (23 * 60 + 45, 24 * 60 + 15, 6),
        (0, 24 * 60, 12),
        (-15, 48 * 60 + 15, 24),
    ],
)
def test_a_range_is_half_open_in_quarter_hours(
    host: Host, busy: Customer, start_minutes: int, to_minutes: int, requests: int
) -> None:
    start, to = DAY + timedelta(minutes=start_minutes), DAY + timedelta(minutes=to_minutes)
    assert summary(host, busy, start, to, "").json()["total"]["requests"] == requests


def test_a_range_in_another_time_zone_is_the_same_range(host: Host, busy: Customer) -> None:
    start = (DAY + timedelta(hours=5, minutes=45)).strftime("%Y-%m-%dT%H:%M:%S+05:45")
    to = (DAY + timedelta(hours=24) - timedelta(hours=3, minutes=30)).strftime("%Y-%m-%dT%H:%M:%S-03:30")
    assert summary(host, busy, start, to, "").json()["total"]["requests"] == 12


def test_by_default_a_summary_is_of_this_month_by_service(
    host: Host, fresh: Customer, services: tuple[Service, Service]
) -> None:
    before = datetime.now(UTC)
    events = [event(service, time=before.isoformat()) for service in services]
    assert host.client.report(fresh.clear, *events).status == 202
    host.counted(fresh, 2)
    answer = get(host, fresh, "usage/summary")
    starts = [text(moment.replace(day=1, hour=0, minute=0, second=0)) for moment in (before, datetime.now(UTC))]
    assert answer.json()["from"] in starts  # two, if a month ended meanwhile; then the events are of the one before
    counted = services if answer.json()["from"] == starts[0] else ()
    assert sorted(table(answer)) == sorted((service.id, None, None, 1) for service in counted)


BAD_RANGES = {
    "not a whole quarter": (DAY + timedelta(minutes=1), DAY + timedelta(days=1), "from"),
    "a second too much": (DAY, DAY + timedelta(days=1, seconds=1), "to"),
    "empty": (DAY, DAY, "to"),
    "backwards": (DAY, DAY - timedelta(days=1), "to"),
    "over 400 days": (DAY - timedelta(days=400), DAY + timedelta(minutes=15), "to"),
    "at the end of the calendar": (text(DAY), "9999-12-31T23:45:00Z", "to"),
}


@pytest.mark.parametrize(("start", "to", "field"), BAD_RANGES.values(), ids=BAD_RANGES.keys())
def test_a_range_that_cannot_be_answered_is_refused(
    host: Host, busy: Customer, start: datetime | str, to: datetime | str, field: str
) -> None:
    problem = summary(host, busy, start, to, "").problem(400, "range_invalid")
    assert [error["field"] for error in problem["errors"]] == [field]


BAD_QUERIES = {
    "usage/summary?from=yesterday": "from",
    "usage/summary?from=2026-01-01T00:00:00": "from",
    "usage/summary?to=2026-13-01T00:00:00Z": "to",
    "usage/summary?from=%00": "from",
    "usage/summary?group_by=consumer": "group_by",
    "usage/summary?group_by=hour,day": "group_by",
    "usage/summary?group_by=service,service": "group_by",
    "usage/events": "date",
    "usage/events?date=today": "date",
    "usage/events?date=2026-02-30": "date",
    "usage/events?date=2026-01-01&limit=0": "limit",
    "usage/events?date=2026-01-01&limit=1001": "limit",
    "usage/events?date=2026-01-01&limit=many": "limit",
}


@pytest.mark.parametrize(("target", "field"), BAD_QUERIES.items())
def test_a_query_that_cannot_be_read_is_refused_naming_the_field(
    host: Host, busy: Customer, target: str, field: str
) -> None:
    problem = get(host, busy, target).problem(400, "request_invalid")
    assert [error["field"] for error in problem["errors"]] == [field]


@pytest.mark.parametrize("target", ["usage/summary", "usage/events?date=2026-01-01"])
def test_usage_is_read_with_a_key_only(host: Host, operator: Operator, busy: Customer, target: str) -> None:
    get(host, None, target).problem(401, "key_missing")
    host.client.call("GET", f"/api/v1/{target}", "ams_live_x").problem(401, "key_malformed")
    two = (("Authorization", f"Bearer {operator.customer().clear}"),)
    get(host, busy, target, two).problem(400, "key_ambiguous")
    disabled = operator.customer(status="disabled")
    get(host, disabled, target).problem(403, "key_disabled")


def test_a_key_sees_its_own_usage_only(
    host: Host, operator: Operator, busy: Customer, services: tuple[Service, Service]
) -> None:
    sibling = Customer(busy.consumer, *operator.key(busy.consumer, *services), busy.grants, busy.marker)
    stranger = operator.customer(*services)
    mine = event(services[0], id="mine", time=(DAY + timedelta(hours=12)).isoformat(), data={"requests": 100})
    for customer in (sibling, stranger):
        assert host.total(customer)["events"] == 0
        assert host.client.report(customer.clear, mine).status == 202
        host.counted(customer, 1)
        assert table(summary(host, customer, *TWO_DAYS, "api_key")) == [(None, customer.key.id, None, 100)]
        items = get(host, customer, f"usage/events?date={DAY.date()}").json()["items"]
        assert [(item["id"], item["apikeyid"]) for item in items] == [("mine", customer.key.id)]
    assert summary(host, busy, *TWO_DAYS, "").json()["total"]["requests"] == 24


def test_raw_events_come_by_time_in_pages(host: Host, busy: Customer) -> None:
    pages = list(paged(host, busy, limit=3))
    items = [item for page in pages for item in page]
    assert [len(page) for page in pages] == [3, 3, 2]
    assert len({item["id"] for item in items}) == 8
    times = [item["time"] for item in items]
    assert times == sorted(times)
    assert times[0] == text(DAY)
    assert times[-1] == (DAY + timedelta(days=1, milliseconds=-1)).isoformat(timespec="milliseconds").replace(
        "+00:00", "Z"
    )
    assert all(item["consumerid"] == busy.consumer.id for item in items)
    assert list(paged(host, busy, limit=1000)) == [items]


def paged(host: Host, customer: Customer, limit: int) -> Any:
    cursor = ""
    while True:
        answer = get(host, customer, f"usage/events?date={DAY.date()}&limit={limit}{cursor}")
        assert answer.status == 200, answer
        yield answer.json()["items"]
        if (following := answer.json()["next_cursor"]) is None:
            return
        cursor = f"&cursor={quote(following)}"


def test_pages_go_over_all_shards(host: Host, operator: Operator, services: tuple[Service, Service]) -> None:
    customer = operator.customer(services[0], shards=3)
    events = [event(services[0], time=(DAY + timedelta(minutes=n)).isoformat()) for n in range(40)]
    assert host.client.report(customer.clear, *events).status == 202
    host.counted(customer, 40)
    items = [item["id"] for page in paged(host, customer, limit=7) for item in page]
    assert sorted(items) == sorted(each["id"] for each in events)


def test_a_cursor_that_was_tampered_with_is_refused_and_shows_nothing_of_others(
    host: Host, operator: Operator, busy: Customer
) -> None:
    target = f"usage/events?date={DAY.date()}&limit=3"
    cursor = get(host, busy, target).json()["next_cursor"]
    refused = [
        "x",
        "%00",
        "e30",
        "W10",
        encoded([0]),
        encoded([-1, None]),
        encoded([0, 5]),
        encoded(["0", None]),
        encoded([0, "rubbish"]),
        encoded([0, "1'; DROP TABLE documents; --"]),
        encoded({"shard": 0}),
        base64.urlsafe_b64encode(b"[" * 10_000).decode()[:6_000],
    ]
    for bad in refused:
        get(host, busy, f"{target}&cursor={quote(bad)}").problem(400, "cursor_invalid")
    stranger = operator.customer()
    answer = get(host, stranger, f"{target}&cursor={quote(cursor)}")
    assert answer.status == 400 or answer.json()["items"] == []
    beyond = get(host, busy, f"{target}&cursor={encoded([10_000, None])}")
    assert beyond.status == 400 or beyond.json() == {"items": [], "next_cursor": None}


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def test_an_acknowledged_event_is_visible_within_three_seconds_unless_the_machine_is_busy(
    host: Host, fresh: Customer, services: tuple[Service, Service]
) -> None:
    waits = []
    for number in range(1, 11):
        assert host.client.report(fresh.clear, event(services[0])).status == 202
        acknowledged = time.monotonic()
        eventually(lambda wanted=number: host.total(fresh)["events"] == wanted, bool, WAIT_S)  # type: ignore[misc]  # a default binds the loop's variable
        waits.append(time.monotonic() - acknowledged)
    assert median(waits) < VISIBLE_S, waits


def test_what_was_counted_is_there_in_both_forms(
    host: Host, fresh: Customer, services: tuple[Service, Service]
) -> None:
    sent = event(services[0], data={"requests": 2, "quantity": "1.25", "feature": "pages", "metadata": {"a": [1]}})
    assert host.client.report(fresh.clear, sent).status == 202
    record = host.record(fresh)
    assert {name: record[name] for name in sent if name not in ("time",)} == {**sent, "data": record["data"]}
    assert record["data"] == sent["data"]
    assert host.counted(fresh, 1)["quantity"] == "1.25"


@pytest.mark.parametrize(
    "target", ["", "nothing", "usage", "usage/summary/", "usage/../usage/summary", "usage/%2e%2e/x"]
)
def test_an_unknown_route_is_a_404_problem(host: Host, busy: Customer, target: str) -> None:
    get(host, busy, target).problem(404, "not_found")


@pytest.mark.parametrize("target", ["usage/summary", "usage/events", "openapi.json"])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_a_wrong_method_is_a_405_problem(host: Host, busy: Customer, target: str, method: str) -> None:
    answer = host.client.call(method, f"/api/v1/{target}", busy.clear, body=b"{}")
    answer.problem(405, "method_not_allowed")
    assert "GET" in (answer.one("allow") or "")


def test_the_description_is_openapi_3_1_and_complete(host: Host) -> None:
    answer = host.client.call("GET", "/api/v1/openapi.json")
    assert (answer.status, answer.one("content-type")) == (200, "application/json")
    document = answer.json()
    assert document["openapi"].startswith("3.1.")
    assert document["info"]["title"] == "AMS"
    for path in ("/api/v1/usage/summary", "/api/v1/usage/events"):
        operation = document["paths"][path]["get"]
        assert operation["security"], "a key is needed, and the description must say so"
        assert set(operation["responses"]) == {"200", "400", "401", "403", "500", "503"}
        for status, named in operation["responses"].items():
            response = document["components"]["responses"][f"Problem{status}"] if "$ref" in named else named
            (media_type,) = response["content"]
            assert media_type == ("application/json" if status == "200" else "application/problem+json")
    resolve_references(document, document)


def resolve_references(node: Any, document: dict[str, Any]) -> None:
    """Raises KeyError for a reference to nothing."""
    if isinstance(node, dict):
        if isinstance(reference := node.get("$ref"), str):
            found: Any = document
            for part in reference.removeprefix("#/").split("/"):
                found = found[part]
        for value in node.values():
            resolve_references(value, document)
    elif isinstance(node, list):
        for value in node:
            resolve_references(value, document)
