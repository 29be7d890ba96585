"""Usage reports: what is refused, how, and that nothing else suffers."""

import json
from typing import Any

import pytest

from shared.catalog.models import Service
from tests.support.host.client import BATCH, EVENT
from tests.support.host.hosting import Customer, Host, Operator
from tests.support.host.usage_reports import ago, event

MIB = 1024 * 1024


def encoded(*changes: tuple[str, str], service: str = "svc") -> bytes:
    """A sound event as text, with parts of the text replaced by what no encoder would write."""
    text = json.dumps(event(service, data={"requests": 1}))
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text.encode()


NOT_JSON = {
    "broken": encoded()[:-1],
    "empty": b"",
    "NaN": encoded(('"requests": 1', '"requests": NaN')),
    "Infinity": encoded(('"requests": 1', '"requests": Infinity')),
    "-Infinity": encoded(('"requests": 1', '"requests": -Infinity')),
    "null byte": encoded() + b"\0",
    "null byte in text": encoded(("tests", "te\0sts")),
    "not UTF-8": encoded().replace(b"tests", b"te\xffsts"),
    "UTF-16": encoded().decode().encode("utf-16"),
    "two documents": encoded() * 2,
    "nested deeply": encoded(('{"requests": 1}', '{"metadata": ' + "[" * 100_000 + "]" * 100_000 + "}")),
}


@pytest.mark.parametrize("content_type", [EVENT, BATCH])
@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON.keys())
def test_a_body_that_is_not_json_is_refused_whole(
    host: Host, customer: Customer, service: Service, body: bytes, content_type: str
) -> None:
    host.client.post(customer.clear, body, content_type).problem(400, "body_invalid")


@pytest.mark.parametrize("body", [b"{}", b"3", b"null", b'"text"'])
def test_a_batch_must_be_an_array(host: Host, customer: Customer, body: bytes) -> None:
    host.client.post(customer.clear, body, BATCH).problem(400, "body_invalid")


def test_an_empty_batch_is_refused(host: Host, customer: Customer) -> None:
    host.client.post(customer.clear, b"[]", BATCH).problem(400, "batch_empty")


def test_a_batch_of_1000_events_is_taken_and_one_of_1001_refused_whole(
    host: Host, customer: Customer, service: Service
) -> None:
    events = [event(service) for _ in range(1_001)]
    host.client.report(customer.clear, *events).problem(413, "batch_too_large")
    assert host.client.report(customer.clear, *events[:1_000]).json()["accepted"] == 1_000
    assert host.counted(customer, 1_000)["requests"] == 1_000


@pytest.mark.parametrize("content_type", ["text/plain", "application/json", "application/cloudevents", ""])
def test_a_wrong_content_type_is_refused(host: Host, customer: Customer, service: Service, content_type: str) -> None:
    body = json.dumps(event(service)).encode()
    host.client.post(customer.clear, body, content_type).problem(415, "content_type_unsupported")
    assert host.settled(customer)["events"] == 0


def test_a_content_type_may_carry_parameters(host: Host, customer: Customer, service: Service) -> None:
    body = json.dumps(event(service)).encode()
    answer = host.client.post(customer.clear, body, "Application/CloudEvents+JSON; charset=utf-8")
    assert answer.status == 202
    assert host.counted(customer, 1)["requests"] == 1


BAD_EVENTS: dict[str, tuple[dict[str, Any], str]] = {
    "negative": ({"data": {"requests": -1}}, "data.requests"),
    "negative time": ({"data": {"response_time_ms": -0.5}}, "data.response_time_ms"),
    "text for a number": ({"data": {"requests": "1"}}, "data.requests"),
    "text for a float": ({"data": {"response_time_ms": "1.5"}}, "data.response_time_ms"),
    "truth for a number": ({"data": {"requests": True}}, "data.requests"),
    "half a request": ({"data": {"requests": 1.5}}, "data.requests"),
    "null for a number": ({"data": {"request_bytes": None}}, "data.request_bytes"),
    "too many": ({"data": {"requests": 1_000_001}}, "data.requests"),
    "over 64 bits": ({"data": {"request_bytes": 2**70}}, "data.request_bytes"),
    "no such status": ({"data": {"status_code": 600}}, "data.status_code"),
    "quantity as a number": ({"data": {"quantity": 1.5, "feature": "pages"}}, "data.quantity"),
    "quantity NaN": ({"data": {"quantity": "NaN", "feature": "pages"}}, "data.quantity"),
    "quantity negative": ({"data": {"quantity": "-1", "feature": "pages"}}, "data.quantity"),
    "quantity with an exponent": ({"data": {"quantity": "1e9", "feature": "pages"}}, "data.quantity"),
    "quantity of nothing": ({"data": {"quantity": "1"}}, "data.feature"),
    "id of 129 characters": ({"id": "x" * 129}, "id"),
    "empty id": ({"id": ""}, "id"),
    "id with NUL": ({"id": "a\0b"}, "id"),
    "id with a line break": ({"id": "a\r\nX-AMS-Key: b"}, "id"),
    "id as a number": ({"id": 7}, "id"),
    "subject with NUL": ({"subject": "\0"}, "subject"),
    "AMS's own source": ({"source": "ams/consume"}, "source"),
    "other type": ({"type": "ams.usage.v2"}, "type"),
    "other specversion": ({"specversion": "0.3"}, "specversion"),
    "unknown attribute": ({"consumerid": "con_1"}, "consumerid"),
    "unknown datum": ({"data": {"price": 1}}, "data.price"),
    "data as text": ({"data": "{}"}, "data"),
    "metadata over 4 KiB": ({"data": {"metadata": {"a": "x" * 4096}}}, "data.metadata"),
    "metadata as a list": ({"data": {"metadata": []}}, "data.metadata"),
    "time without an offset": ({"time": "2026-01-01T00:00:00"}, "time"),
    "time as a number": ({"time": 1767225600}, "time"),
    "time as words": ({"time": "yesterday"}, "time"),
    "the 32nd": ({"time": "2026-01-32T00:00:00Z"}, "time"),
}


@pytest.mark.parametrize(("changes", "field"), BAD_EVENTS.values(), ids=BAD_EVENTS.keys())
def test_a_bad_event_is_refused_naming_the_field(
    host: Host, customer: Customer, service: Service, changes: dict[str, Any], field: str
) -> None:
    answer = host.client.report(customer.clear, event(service, **changes))
    (error,) = answer.problem(422, "event_invalid")["errors"]
    assert error["field"] == field, error
    assert error["rule"]


@pytest.mark.parametrize("name", ["specversion", "type", "source", "id", "subject"])
def test_an_event_without_a_required_attribute_is_refused(
    host: Host, customer: Customer, service: Service, name: str
) -> None:
    problem = host.client.report(customer.clear, event(service, name)).problem(422, "event_invalid")
    assert problem["errors"] == [{"field": name, "rule": "is required"}]


def test_a_number_that_no_float_can_hold_is_refused(host: Host, customer: Customer, service: Service) -> None:
    body = encoded(('"requests": 1', '"response_time_ms": 1e400'), service=service.slug)
    host.client.post(customer.clear, body, EVENT).problem(422, "event_invalid")


@pytest.mark.parametrize(
    ("moment", "code"),
    [
        ("1969-12-31T23:59:59Z", "event_too_old"),
        ("0001-01-01T00:00:00Z", "event_too_old"),
        ({"days": 36}, "event_too_old"),
        ("3000-01-01T00:00:00Z", "event_in_future"),
        ({"minutes": -6}, "event_in_future"),
    ],
)
def test_an_event_outside_the_window_is_refused(
    host: Host, customer: Customer, service: Service, moment: str | dict[str, float], code: str
) -> None:
    time = moment if isinstance(moment, str) else ago(**moment)  # from now, not from when tests were collected
    problem = host.client.report(customer.clear, event(service, time=time)).problem(422, code)
    assert problem["errors"][0]["field"] == "time"


@pytest.mark.parametrize("moment", [{"days": 34, "hours": 23}, {"minutes": -4}, "2999-12-31T23:59:59+24:00"])
def test_the_window_is_35_days_back_to_5_minutes_ahead(
    host: Host, customer: Customer, service: Service, moment: str | dict[str, float]
) -> None:
    time = moment if isinstance(moment, str) else ago(**moment)
    answer = host.client.report(customer.clear, event(service, time=time))
    if isinstance(moment, str):
        answer.problem(422, "event_invalid")  # no such offset
        return
    assert answer.status == 202, answer
    assert host.counted(customer, 1)["requests"] == 1


def test_one_bad_event_never_sinks_its_neighbours(
    host: Host, operator: Operator, customer: Customer, service: Service
) -> None:
    foreign = operator.service()
    batch: list[Any] = [
        event(service),
        event(service, id="bad", data={"requests": -1}),
        event(service, id="old", time="1969-01-01T00:00:00Z"),
        event(foreign, id="foreign"),
        7,
        event(service, data={"requests": 5}),
    ]
    answer = host.client.report(customer.clear, *batch)
    assert answer.status == 202
    assert answer.json()["accepted"] == 2
    assert [(r["index"], r["id"], r["code"]) for r in answer.json()["rejected"]] == [
        (1, "bad", "event_invalid"),
        (2, "old", "event_too_old"),
        (3, "foreign", "service_not_granted"),
        (4, None, "event_invalid"),
    ]
    assert host.counted(customer, 2)["requests"] == 6


def test_a_batch_without_a_good_event_is_one_problem_that_tells_of_each(
    host: Host, customer: Customer, service: Service
) -> None:
    answer = host.client.report(customer.clear, event(service, "id"), event("nobody", id="b"))
    problem = answer.problem(422, "batch_rejected")
    assert [(r["index"], r["code"]) for r in problem["rejected"]] == [(0, "event_invalid"), (1, "service_not_granted")]
    assert host.settled(customer)["events"] == 0


def test_the_same_id_twice_in_one_batch_counts_once(host: Host, customer: Customer, service: Service) -> None:
    twice = event(service, data={"requests": 3})
    answer = host.client.report(customer.clear, twice, event(service), twice, {**twice, "source": "elsewhere"})
    assert (answer.status, answer.json()["accepted"], answer.json()["duplicates"]) == (202, 3, 1)
    assert host.counted(customer, 3)["requests"] == 7  # an id belongs to its source


def test_a_retried_report_counts_once(host: Host, customer: Customer, service: Service) -> None:
    events = [event(service) for _ in range(3)]
    for _ in range(3):
        assert host.client.report(customer.clear, *events).status == 202
    assert host.settled(customer)["requests"] == 3


@pytest.mark.parametrize("subject", ["no-such-service", "svc_none", "../svc-1", "svc 1", "SVC-1"])
def test_an_unknown_service_is_not_granted(host: Host, customer: Customer, service: Service, subject: str) -> None:
    host.client.report(customer.clear, event(subject)).problem(403, "service_not_granted")
    assert host.settled(customer)["events"] == 0


def test_another_merchants_service_answers_as_if_it_did_not_exist(
    host: Host, operator: Operator, customer: Customer, service: Service
) -> None:
    foreign = operator.service()
    refused = host.client.report(customer.clear, event(foreign)).problem(403, "service_not_granted")
    unknown = host.client.report(customer.clear, event("no-such-service")).problem(403, "service_not_granted")
    assert {**refused, "request_id": ""} == {**unknown, "request_id": ""}
    assert host.settled(customer)["events"] == 0


def test_a_grant_does_not_stretch_to_a_key_that_was_not_given_the_service(
    host: Host, operator: Operator, service: Service
) -> None:
    other = operator.service()
    customer = operator.customer(service, other)
    _, narrow = operator.key(customer.consumer, other)
    host.client.report(narrow, event(service)).problem(403, "service_not_granted")
    assert host.client.report(narrow, event(other)).status == 202


def test_another_consumers_key_reports_for_its_own_consumer_only(
    host: Host, operator: Operator, customer: Customer, service: Service
) -> None:
    stranger = operator.customer(service)
    assert host.client.report(stranger.clear, event(service)).status == 202
    assert host.counted(stranger, 1)["requests"] == 1
    assert host.settled(customer)["events"] == 0


@pytest.mark.parametrize("shards", [1, 4])
def test_a_consumer_may_be_spread_over_shards(host: Host, operator: Operator, service: Service, shards: int) -> None:
    customer = operator.customer(service, shards=shards)
    events = [event(service) for _ in range(200)]
    for _ in range(2):
        assert host.client.report(customer.clear, *events).json()["accepted"] == 200
    assert host.settled(customer)["requests"] == 200


def test_refusals_count_nothing(host: Host, customer: Customer, service: Service) -> None:
    for body in NOT_JSON.values():
        host.client.post(customer.clear, body, BATCH)
    for changes, _ in BAD_EVENTS.values():
        assert host.client.report(customer.clear, event(service, **changes)).status == 422
    assert host.settled(customer)["events"] == 0
