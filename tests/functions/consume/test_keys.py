"""API keys in requests: which are refused, how, and how many a request may carry."""

import json
from contextlib import ExitStack
from typing import Any

import pytest

from shared.access.keys.format import new_key
from shared.catalog.models import Service
from tests.support.host.client import EVENT
from tests.support.host.hosting import Customer, Host, Operator
from tests.support.host.usage_reports import event

CONNECTIONS = 6
"""Enough that both workers hold some of them; which worker took one is not the client's choice."""


def test_every_key_that_does_not_exist_gets_the_same_401(host: Host, customer: Customer, service: Service) -> None:
    clear = customer.clear
    refused: list[tuple[str | None, str]] = [
        (None, "key_missing"),
        ("let me in", "key_malformed"),
        (clear[:-6], "key_malformed"),
        (clear[:-1] + ("0" if clear[-1] != "0" else "1"), "key_malformed"),  # a wrong checksum
        (clear.replace("_test_", "_live_"), "key_malformed"),
        (clear + "é", "key_malformed"),
        (new_key("live"), "key_unknown"),
    ]
    details = set()
    for key, code in refused:
        answer = host.client.post(key, json.dumps(event(service)).encode(), EVENT)
        details.add(answer.problem(401, code)["detail"])
        assert answer.one("www-authenticate") == 'Bearer realm="ams"'
    assert len(details) == 1
    assert host.settled(customer)["events"] == 0


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"status": "disabled"}, "key_disabled"),
        ({"status": "revoked"}, "key_revoked"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "key_expired"),
    ],
)
def test_a_key_that_is_not_active_is_refused(
    host: Host, operator: Operator, service: Service, fields: dict[str, Any], code: str
) -> None:
    customer = operator.customer(service, **fields)
    host.client.report(customer.clear, event(service)).problem(403, code)


def test_a_suspended_consumer_is_refused(host: Host, operator: Operator, service: Service) -> None:
    customer = operator.customer(service)
    operator.put(customer.consumer, status="suspended")
    host.client.report(customer.clear, event(service)).problem(403, "consumer_suspended")


def test_a_rotated_key_is_let_in_by_its_new_secret_on_every_worker_at_once(
    host: Host, operator: Operator, customer: Customer, service: Service
) -> None:
    body = json.dumps(event(service)).encode()

    def statuses(clear: str) -> list[int]:
        report = ("POST", "/api/consume", clear, [("Content-Type", EVENT)], body)
        return [connection.call(*report).status for connection in connections]

    with ExitStack() as stack:
        connections = [stack.enter_context(host.client.connect()) for _ in range(CONNECTIONS)]
        assert set(statuses(customer.clear)) == {202}  # from now on each worker keeps what it read, for a second
        assert set(statuses(operator.rotate(customer.key))) == {202}


def bearer(key: str) -> tuple[str, str]:
    return "Authorization", f"Bearer {key}"


def own(key: str) -> tuple[str, str]:
    return "X-AMS-Key", key


@pytest.mark.parametrize("ways", [(own, bearer), (bearer, own), (own, own), (bearer, bearer)])
def test_two_different_keys_are_ambiguous_and_the_same_twice_is_one(
    host: Host, operator: Operator, customer: Customer, service: Service, ways: Any
) -> None:
    other = operator.customer(service)
    body = json.dumps(event(service)).encode()
    first, second = ways
    headers = [("Content-Type", EVENT), first(customer.clear)]
    answer = host.client.call("POST", "/api/consume", None, [*headers, second(other.clear)], body)
    answer.problem(400, "key_ambiguous")
    assert host.client.call("POST", "/api/consume", None, [*headers, second(customer.clear)], body).status == 202
    assert host.counted(customer, 1)["requests"] == 1
    assert host.settled(other)["events"] == 0


def test_a_bearer_key_is_taken(host: Host, customer: Customer, service: Service) -> None:
    headers = [("Content-Type", EVENT), ("authorization", f"bearer {customer.clear}")]
    answer = host.client.call("POST", "/api/consume", None, headers, json.dumps(event(service)).encode())
    assert answer.status == 202
