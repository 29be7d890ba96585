"""Keys that are limited to networks, over a real host: nobody talks themselves into one."""

import json

import pytest

from tests.support.host.client import EVENT, Client
from tests.support.host.hosting import Customer, Host, Operator
from tests.support.host.usage_reports import event

HERE, ELSEWHERE = "127.0.0.0/8", "192.0.2.0/24"


def call(client: Client, customer: Customer, forwarded: list[str], subject: str) -> int:
    headers = [("Content-Type", EVENT), *(("X-Forwarded-For", value) for value in forwarded)]
    body = json.dumps(event(subject)).encode()
    answer = client.call("POST", "/api/consume", customer.clear, headers, body)
    if answer.status != 202:
        answer.problem(403, "network_not_allowed")
    return answer.status


@pytest.mark.parametrize("forwarded", [[], ["192.0.2.1"], ["192.0.2.1, 192.0.2.2", "192.0.2.3"], [""], [","]])
def test_what_a_client_claims_does_not_count(host: Host, operator: Operator, forwarded: list[str]) -> None:
    service = operator.service()
    inside = operator.customer(service, networks=(HERE,))
    outside = operator.customer(service, networks=(ELSEWHERE, "2001:db8::/48"))
    assert call(host.client, inside, forwarded, service.slug) == 202
    assert call(host.client, outside, forwarded, service.slug) == 403


def test_the_answer_says_the_same_of_usage_and_of_a_forwarded_call(host: Host, operator: Operator) -> None:
    service = operator.service("http://127.0.0.1:9/")
    outside = operator.customer(service, networks=(ELSEWHERE,))
    spoofed = [("X-Forwarded-For", "192.0.2.1")]
    for method, target in (("GET", f"/api/consume/{service.slug}/x"), ("GET", "/api/v1/usage/summary")):
        answer = host.client.call(method, target, outside.clear, spoofed)
        answer.problem(403, "network_not_allowed")


def test_a_key_without_networks_works_whatever_the_header_says(host: Host, operator: Operator) -> None:
    service = operator.service()
    assert call(host.client, operator.customer(service), ["nonsense, <>"], service.slug) == 202
