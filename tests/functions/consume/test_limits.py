"""Rate limits and quotas: exact over both workers, also when everybody comes at once, and kept over restarts."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.catalog.models import CallLimits
from tests.emulators.upstream import answer, replying
from tests.support.host.client import Answer
from tests.support.host.forwarding import Route
from tests.support.host.hosting import Host, Operator, hosting
from tests.support.host.usage_reports import event


def outcomes(call: Callable[[], Answer], times: int, at_once: int) -> Counter[int]:
    with ThreadPoolExecutor(at_once) as pool:
        return Counter(answer.status for answer in pool.map(lambda _: call(), range(times)))


def refusal(answer: Answer, code: str, name: str, limit: int, window_s: int) -> None:
    answer.problem(429, code)
    retry_s = int(answer.one("retry-after") or "")
    assert 1 <= retry_s <= 2 * window_s  # the window slides: this one's calls weigh on into the next
    assert answer.one("ratelimit-policy") == f'"{name}";q={limit};w={window_s}'
    assert answer.one("ratelimit") == f'"{name}";r=0;t={retry_s}'


WINDOWS = {"minute": 60, "hour": 3_600, "day": 86_400}


@pytest.mark.parametrize("window", WINDOWS)
def test_exactly_the_limit_is_admitted_one_after_the_other(route: Route, window: str) -> None:
    limited = route.another(limits=CallLimits(**{f"per_{window}": 5}))
    left = []
    for _ in range(5):
        given = limited.call("x")
        assert given.status == 200
        assert given.one("ratelimit-policy") == f'"{window}";q=5;w={WINDOWS[window]}'
        left += re.findall(rf'^"{window}";r=(\d+);t=\d+$', given.one("ratelimit") or "")
    assert left == ["4", "3", "2", "1", "0"]
    for _ in range(3):
        refusal(limited.call("x"), "rate_limited", window, 5, WINDOWS[window])
    assert route.host.settled(limited.customer)["status"] == {"200": 5}


@pytest.mark.parametrize("way", ["forward", "report"])
def test_exactly_the_limit_is_admitted_of_many_at_once(route: Route, way: str) -> None:
    limited = route.another(limits=CallLimits(per_day=60))
    calls: dict[str, Callable[[], Answer]] = {
        "forward": lambda: limited.call("x"),
        "report": lambda: route.host.client.report(limited.customer.clear, event(limited.service)),
    }
    found = outcomes(calls[way], times=150, at_once=50)
    assert found == {200 if way == "forward" else 202: 60, 429: 90}
    assert route.host.settled(limited.customer)["requests"] == 60


def test_what_the_limit_refused_does_not_reach_the_upstream(route: Route) -> None:
    limited = route.another(limits=CallLimits(per_day=1))
    path = "only-once"
    assert [limited.call(path).status for _ in range(3)] == [200, 429, 429]
    assert len(route.upstream.at(f"/base/{path}")) == 1


def test_what_ams_refuses_for_other_reasons_uses_no_limit_up(route: Route) -> None:
    limited = route.another(limits=CallLimits(per_day=2, quota_per_month=2), request_bytes_max=10)
    for _ in range(5):
        limited.call("../x").problem(400, "path_invalid")
        limited.call("x", "POST", body=b"x" * 11).problem(413, "request_too_large")
        route.host.client.call("GET", limited.target("x")).problem(401, "key_missing")
    assert [limited.call("x").status for _ in range(3)] == [200, 200, 429]


def test_a_services_limit_counts_a_consumer_whatever_key_it_uses(route: Route) -> None:
    limited = route.another(limits=CallLimits(per_day=3))
    _, second = route.operator.key(limited.customer.consumer, limited.service)
    keys = [limited.customer.clear, second] * 2
    assert [route.host.client.call("GET", limited.target("x"), key).status for key in keys] == [200, 200, 200, 429]
    stranger = route.operator.customer(limited.service)
    assert route.host.forward(stranger, limited.service, "x").status == 200


def test_a_keys_limit_counts_that_key_over_all_its_services(route: Route) -> None:
    other = route.operator.service(f"{route.upstream.url}/base")
    customer = route.operator.customer(route.service, other, limits=CallLimits(per_day=3))
    services = [route.service, other] * 2
    assert [route.host.forward(customer, service, "x").status for service in services] == [200, 200, 200, 429]


def test_the_upstreams_own_limits_are_told_where_ams_has_none(route: Route) -> None:
    theirs = replying(answer(429, b"", 'RateLimit: "theirs";r=0;t=1', "Retry-After: 1"))
    given = route.call(route.behave(theirs))
    assert (given.status, given.one("ratelimit"), given.one("x-ams-answered-by")) == (
        429,
        '"theirs";r=0;t=1',
        "upstream",
    )
    limited = route.another(limits=CallLimits(per_day=3))
    (state,) = limited.call(limited.behave(theirs)).all("ratelimit")
    assert re.fullmatch(r'"day";r=2;t=\d+', state)


def test_the_tightest_of_several_limits_refuses(route: Route) -> None:
    limited = route.another(limits=CallLimits(per_minute=100, per_hour=2, per_day=50))
    assert [limited.call("x").status for _ in range(2)] == [200, 200]
    given = limited.call("x")
    given.problem(429, "rate_limited")
    assert (given.one("ratelimit") or "").startswith('"hour";r=0;t=')
    assert given.one("ratelimit-policy") == '"minute";q=100;w=60, "hour";q=2;w=3600, "day";q=50;w=86400'


def test_a_report_costs_its_requests_of_the_quota_and_one_call_of_the_rate(route: Route) -> None:
    limited = route.another(limits=CallLimits(per_day=3, quota_per_month=100))

    def report(requests: int) -> Answer:
        return route.host.client.report(limited.customer.clear, event(limited.service, data={"requests": requests}))

    assert report(60).status == 202
    refused = report(41)
    refused.problem(429, "quota_exceeded")
    assert int(refused.one("retry-after") or "") <= 31 * 86_400
    assert (refused.one("ratelimit-policy") or "").startswith('"month";q=100;w=')
    assert report(40).status == 202
    assert route.host.settled(limited.customer)["requests"] == 100


def test_a_batch_over_the_quota_is_taken_as_far_as_it_goes(route: Route) -> None:
    limited = route.another(limits=CallLimits(quota_per_month=7))
    given = route.host.client.report(limited.customer.clear, *(event(limited.service) for _ in range(10)))
    assert (given.status, given.json()["accepted"]) == (202, 7)
    assert [(r["index"], r["code"]) for r in given.json()["rejected"]] == [(n, "quota_exceeded") for n in (7, 8, 9)]
    assert route.host.settled(limited.customer)["requests"] == 7


@pytest.fixture
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Host, Operator]]:
    """A host that a test may stop."""
    with hosting(tmp_path_factory.mktemp("own") / "data", 2) as host, Operator(host.data) as operator:
        yield host, operator


def test_a_quota_is_exact_and_survives_a_restart_and_the_loss_of_its_counts(own: tuple[Host, Operator]) -> None:
    host, operator = own
    service = operator.service(limits=CallLimits(quota_per_month=100))
    customer = operator.customer(service)

    def report() -> Answer:
        return host.client.report(customer.clear, event(service))

    assert outcomes(report, times=40, at_once=20) == {202: 40}
    host.counted(customer, 40)
    host.restart()
    assert outcomes(report, times=30, at_once=20) == {202: 30}
    host.counted(customer, 70)
    host.stop()
    (host.data / "limits.bin").unlink()  # as after a move to another machine: the counters tell what was used
    host.start()
    assert outcomes(report, times=60, at_once=50) == {202: 30, 429: 30}
    assert host.settled(customer)["requests"] == 100
