"""The promise of design: a revocation holds everywhere within two seconds. Every change is made by another process."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from math import inf

import pytest

from shared.catalog.models import Merchant
from tests.support.host.client import Answer
from tests.support.host.forwarding import Route
from tests.support.host.usage_reports import event

PROMISE_S = 2.0
CONNECTIONS = 6
"""Enough that both workers hold some of them; which worker took one is not the client's choice."""

PAUSE_S = 0.01

Change = Callable[[Route], object]


def put_grant(**changes: object) -> Change:
    return lambda route: route.operator.put(route.customer.grants[route.service.id], **changes)


def put_key(**changes: object) -> Change:
    return lambda route: route.operator.put(route.customer.key, **changes)


def suspend_merchant(route: Route) -> None:
    merchant_id = route.service.merchant_id
    route.operator.put(Merchant(id=merchant_id, slug=merchant_id.replace("_", "-"), name="Gone", status="suspended"))


CHANGES: dict[str, tuple[Change, int, str]] = {
    "key disabled": (put_key(status="disabled"), 403, "key_disabled"),
    "key revoked": (put_key(status="revoked"), 403, "key_revoked"),
    "key expired": (put_key(expires_at="2020-01-01T00:00:00Z"), 403, "key_expired"),
    "key without the service": (put_key(service_ids=()), 403, "service_not_granted"),
    "grant withdrawn": (put_grant(status="withdrawn"), 403, "service_not_granted"),
    "consumer restricted": (put_grant(restricted=True), 403, "consumer_restricted"),
    "consumer suspended": (
        lambda r: r.operator.put(r.customer.consumer, status="suspended"),
        403,
        "consumer_suspended",
    ),
    "service suspended": (lambda r: r.operator.put(r.service, status="suspended"), 403, "service_suspended"),
    "service retired": (lambda r: r.operator.put(r.service, status="retired"), 502, "merchant_misconfigured"),
    "merchant suspended": (suspend_merchant, 403, "service_suspended"),
}


class Callers:
    """Keep calling on a number of connections, which keeps both workers' caches as warm as they get."""

    def __init__(self, route: Route, stack: ExitStack) -> None:
        self._route = route
        self.until = inf
        self._connections = [stack.enter_context(route.host.client.connect()) for _ in range(CONNECTIONS)]

    def answers(self) -> list[Answer]:
        """One from each connection."""
        target, key = self._route.target("x"), self._route.customer.clear
        return [connection.call("GET", target, key) for connection in self._connections]

    def admitted_last(self) -> float:
        """When the last round began in which a call got through; rounds begin until `until`, which may be set later."""
        last = 0.0
        while (began := time.monotonic()) < self.until:
            if any(answer.status == 200 for answer in self.answers()):
                last = began
            time.sleep(PAUSE_S)
        return last


@pytest.mark.parametrize("round_of", [1, 2])
def test_every_change_holds_in_every_worker_within_two_seconds(route: Route, round_of: int) -> None:
    """All changes at once: twenty measurements in two rounds."""
    routes = {name: route.another() for name in CHANGES}
    with ExitStack() as stack, ThreadPoolExecutor(len(CHANGES)) as pool:
        callers = {name: Callers(own, stack) for name, own in routes.items()}
        for name in CHANGES:
            assert {answer.status for answer in callers[name].answers()} == {200}
        calling = {name: pool.submit(callers[name].admitted_last) for name in CHANGES}
        stored = {}
        try:
            for name, (change, _, _) in CHANGES.items():
                change(routes[name])
                stored[name] = time.monotonic()
        finally:
            for each in callers.values():
                each.until = time.monotonic() + PROMISE_S + 1
        late = {name: calling[name].result() - stored[name] for name in CHANGES}
        for name, (_, status, code) in CHANGES.items():
            for answer in callers[name].answers():
                answer.problem(status, code)
    assert max(late.values()) < PROMISE_S, late
    assert max(late.values()) > 0, "nothing was admitted after a change: the caches were never warm"


@pytest.mark.parametrize("name", ["key revoked", "service suspended"])
def test_reports_are_refused_as_calls_are_and_what_was_taken_counts(route: Route, name: str) -> None:
    own = route.another()
    change, status, code = CHANGES[name]

    def report() -> Answer:
        return own.host.client.report(own.customer.clear, event(own.service))

    taken = sum(report().status == 202 for _ in range(20))
    assert taken == 20
    change(own)
    until = time.monotonic() + PROMISE_S
    while time.monotonic() < until:
        taken += report().status == 202
        time.sleep(PAUSE_S)
    for _ in range(CONNECTIONS):
        report().problem(status, code)
    restore(own)
    total = own.host.settled(own.customer)
    assert total["requests"] - total["status"].get("200", 0) == taken, "what was acknowledged counts"


def restore(own: Route) -> None:
    for model in (own.customer.key, own.customer.grants[own.service.id], own.service):
        own.operator.put(model)
    hold(own)
    assert {own.call("x").status for _ in range(CONNECTIONS)} == {200}


def hold(own: Route) -> None:
    """Until the promise is due, keep the caches warm with what they hold."""
    until = time.monotonic() + PROMISE_S
    while time.monotonic() < until:
        own.host.client.call("GET", "/api/v1/usage/summary", own.customer.clear)
        time.sleep(PAUSE_S)


def test_a_revoked_key_reads_nothing_either(route: Route) -> None:
    own = route.another()
    own.host.total(own.customer)
    own.operator.put(own.customer.key, status="revoked")
    hold(own)
    for _ in range(CONNECTIONS):
        own.host.client.call("GET", "/api/v1/usage/summary", own.customer.clear).problem(403, "key_revoked")


def test_what_is_allowed_again_holds_within_two_seconds_too(route: Route) -> None:
    own = route.another()
    own.operator.put(own.customer.key, status="disabled")
    own.call("x").problem(403, "key_disabled")
    restore(own)
