"""Check 5: rate limits and quotas as a consumer meets them."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.access.gate.service import Admission, Holder
from shared.access.models import Consumer
from shared.catalog.models import CallLimits, Merchant
from shared.kernel.errors import Problem
from shared.metering.consume.limits import RateLimiter
from shared.metering.store import UsageQueries
from shared.platform.limits.memory import MemoryLimits
from tests.support.embedded import Embedded, api_key, raw, usage_event
from tests.support.market import service

NONE = CallLimits()


@pytest.fixture
async def limiter(embedded: Embedded) -> AsyncIterator[RateLimiter]:
    limits = MemoryLimits(embedded.folder / "limits.bin", embedded.time.seconds)
    yield RateLimiter(limits, UsageQueries(embedded.documents), embedded.time)
    await limits.close()


def admission(service_limits: CallLimits = NONE, key_limits: CallLimits = NONE, **key: Any) -> Admission:
    consumer = Consumer(id=key.get("consumer_id", "con_1"), name="Consumer")
    holder = Holder(api_key("ams_live_x", limits=key_limits, **key), consumer)
    merchant = Merchant(id="mer_1", slug="acme", name="Acme", status="active")
    return Admission(holder, service(limits=service_limits), merchant)


async def refusal(awaitable: Any) -> Problem:
    with pytest.raises(Problem) as caught:
        await awaitable
    return caught.value


async def test_without_limits_there_are_no_headers(limiter):
    assert await limiter.take_call(admission()) == {}


async def test_headers_tell_every_policy_and_the_state_of_the_tightest(limiter):
    headers = await limiter.take_call(admission(CallLimits(per_minute=10, per_day=1000), CallLimits(per_hour=5)))
    assert headers == {
        "RateLimit-Policy": '"minute";q=10;w=60, "day";q=1000;w=86400, "hour";q=5;w=3600',
        "RateLimit": '"hour";r=4;t=3150',  # 10:07:30
    }


async def test_a_call_over_the_rate_is_a_429_that_says_when_to_come_back(limiter, embedded):
    embedded.time.moment = embedded.time.moment.replace(second=0)
    tight = admission(CallLimits(per_minute=2))
    for _ in range(2):
        await limiter.take_call(tight)
    problem = await refusal(limiter.take_call(tight))
    assert (problem.status, problem.code) == (429, "rate_limited")
    assert problem.headers == {
        "Retry-After": "90",  # in the next minute the two calls weigh ever less: half of them after 30 s
        "RateLimit-Policy": '"minute";q=2;w=60',
        "RateLimit": '"minute";r=0;t=90',
    }
    embedded.time.passes(seconds=90)
    await limiter.take_call(tight)


async def test_a_services_limit_counts_all_keys_of_a_consumer_together(limiter):
    limits = CallLimits(per_minute=2)
    await limiter.take_call(admission(limits, id="key_1"))
    await limiter.take_call(admission(limits, id="key_2"))
    assert (await refusal(limiter.take_call(admission(limits, id="key_3")))).code == "rate_limited"


async def test_a_services_limit_does_not_count_another_consumer(limiter):
    limits = CallLimits(per_minute=1)
    await limiter.take_call(admission(limits))
    await limiter.take_call(admission(limits, consumer_id="con_2"))


async def test_a_keys_own_limit_counts_that_key_only(limiter):
    limits = CallLimits(per_minute=1)
    await limiter.take_call(admission(NONE, limits, id="key_1"))
    await limiter.take_call(admission(NONE, limits, id="key_2"))
    assert (await refusal(limiter.take_call(admission(NONE, limits, id="key_1")))).code == "rate_limited"


@pytest.mark.parametrize("whose", ["service", "key"])
async def test_the_sixth_request_of_a_quota_of_five_is_refused(limiter, whose):
    limits = CallLimits(quota_per_month=5)
    taker = admission(limits) if whose == "service" else admission(NONE, limits)
    for _ in range(5):
        await limiter.take_quota(taker, 1)
    problem = await refusal(limiter.take_quota(taker, 1))
    assert (problem.status, problem.code) == (429, "quota_exceeded")
    assert "5 requests" in problem.detail
    month_ends_s = int((datetime(2026, 4, 1, tzinfo=UTC) - limiter._now()).total_seconds())
    assert problem.headers["Retry-After"] == str(month_ends_s)


async def test_a_report_costs_its_requests_of_the_quota(limiter):
    taker = admission(CallLimits(quota_per_month=10))
    await limiter.take_quota(taker, 7)
    assert (await refusal(limiter.take_quota(taker, 4))).code == "quota_exceeded"
    await limiter.take_quota(taker, 3)
    await limiter.take_quota(taker, 0)  # no requests, no quota


@pytest.mark.parametrize("whose", ["service", "key"])
async def test_a_machine_that_knows_nothing_starts_from_the_counters(embedded, limiter, whose):
    await embedded.aggregator().apply(
        raw(
            usage_event("a", data={"requests": 3}),
            usage_event("b", data={"requests": 1, "feature": "f"}),
            usage_event("last month", time="2026-02-28T23:59:59.999Z", data={"requests": 50}),
        )
    )
    limits = CallLimits(quota_per_month=5)
    taker = admission(limits) if whose == "service" else admission(NONE, limits)
    await limiter.take_quota(taker, 1)
    assert (await refusal(limiter.take_quota(taker, 1))).code == "quota_exceeded"


async def test_counters_that_arrive_later_are_not_counted_twice(embedded, limiter):
    taker = admission(CallLimits(quota_per_month=5))
    await limiter.take_quota(taker, 4)
    await embedded.aggregator().apply(raw(usage_event("a", data={"requests": 4})))
    await limiter.take_quota(taker, 1)


@pytest.mark.parametrize("moment", [datetime(2026, 12, 31, 23, 59, tzinfo=UTC), datetime(2028, 2, 29, 12, tzinfo=UTC)])
async def test_a_quota_begins_anew_with_the_utc_month(embedded, limiter, moment):
    embedded.time.moment = moment
    taker = admission(CallLimits(quota_per_month=1))
    await limiter.take_quota(taker, 1)
    assert (await refusal(limiter.take_quota(taker, 1))).code == "quota_exceeded"
    embedded.time.passes(days=1)
    await limiter.take_quota(taker, 1)
