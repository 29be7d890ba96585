"""Check 5 of consume: rate limits, then the month's quota.

A service's limits count the calls of one consumer (so that more keys are not more calls), a key's own limits count that
key's. A forwarded call costs one. A usage report costs one call per service it names, and its requests of the quota.
"""

from collections.abc import Callable
from datetime import UTC, datetime

from shared.access.gate.service import Admission
from shared.catalog.models import CallLimits
from shared.kernel.clock import utc_now
from shared.kernel.errors import Problem
from shared.metering.store import UsageQueries
from shared.platform.limits import Decision, Demand, Limits

MINUTE_S, HOUR_S, DAY_S = 60, 3_600, 86_400


class RateLimiter:
    """Counts calls and requests against the limits of a service and of a key. `queries` reads what was used before."""

    def __init__(self, limits: Limits, queries: UsageQueries, now: Callable[[], datetime] = utc_now) -> None:
        self._limits = limits
        self._queries = queries
        self._now = now

    async def take_call(self, admission: Admission) -> dict[str, str]:
        """Count one call against the rate limits. Returns response headers. Raises Problem 429 `rate_limited`."""
        demands = _rate_demands(admission)
        if not demands:
            return {}
        decision = await self._limits.take(demands)
        if not decision.allowed:
            raise _rate_limited(demands, decision)
        return _headers(demands, decision)

    async def peek_call(self, admission: Admission) -> Problem | None:
        """The problem with which `take_call` would refuse now; nothing is counted."""
        demands = _rate_demands(admission)
        decision = await self._limits.peek(demands) if demands else None
        return None if decision is None or decision.allowed else _rate_limited(demands, decision)

    async def take_quota(self, admission: Admission, requests: int) -> None:
        """Count `requests` against the month's quotas. Raises Problem 429 `quota_exceeded`."""
        demands = self._quota_demands(admission)
        if not demands or requests == 0:
            return
        await self._seed(admission, demands)
        decision = await self._limits.take(demands, requests)
        if not decision.allowed:
            raise _quota_exceeded(demands, decision)

    async def peek_quota(self, admission: Admission) -> Problem | None:
        """The problem with which `take_quota` would refuse one request now; nothing is counted."""
        demands = self._quota_demands(admission)
        if not demands:
            return None
        await self._seed(admission, demands)
        decision = await self._limits.peek(demands)
        return None if decision.allowed else _quota_exceeded(demands, decision)

    async def _seed(self, admission: Admission, demands: list[Demand]) -> None:
        for demand in demands:
            if not await self._limits.is_known(demand):
                await self._limits.seed(demand, await self._used(admission, demand))

    def _quota_demands(self, admission: Admission) -> list[Demand]:
        key, service = admission.holder.key, admission.service
        if service.limits.quota_per_month is None and key.limits.quota_per_month is None:
            return []
        now = self._now()
        start = datetime(now.year, now.month, 1, tzinfo=UTC)
        following = datetime(now.year + now.month // 12, now.month % 12 + 1, 1, tzinfo=UTC)
        length_s = int((following - start).total_seconds())
        cells = (
            (f"service:{key.consumer_id}:{service.id}", service.limits.quota_per_month),
            (f"key:{key.consumer_id}:{key.id}", key.limits.quota_per_month),
        )
        return [
            Demand(cell, "month", limit, length_s, int(start.timestamp())) for cell, limit in cells if limit is not None
        ]

    async def _used(self, admission: Admission, demand: Demand) -> int:
        """Requests that the counters have of this month: where a count starts that this machine does not know."""
        month = f"{self._now():%Y-%m}"
        consumer = admission.holder.consumer
        if demand.cell.startswith("key:"):
            return await self._queries.month_requests(consumer, month, api_key_id=admission.holder.key.id)
        return await self._queries.month_requests(consumer, month, service_id=admission.service.id)


def _rate_demands(admission: Admission) -> list[Demand]:
    key, service = admission.holder.key, admission.service
    demands: list[Demand] = []
    if _limits_calls(service.limits):
        demands += _windows(f"service:{key.consumer_id}:{service.id}", service.limits)
    if _limits_calls(key.limits):
        demands += _windows(f"key:{key.consumer_id}:{key.id}", key.limits)
    return demands


def _limits_calls(limits: CallLimits) -> bool:
    return limits.per_minute is not None or limits.per_hour is not None or limits.per_day is not None


def _windows(cell: str, limits: CallLimits) -> list[Demand]:
    windows = (
        ("minute", limits.per_minute, MINUTE_S),
        ("hour", limits.per_hour, HOUR_S),
        ("day", limits.per_day, DAY_S),
    )
    return [Demand(cell, name, limit, window_s) for name, limit, window_s in windows if limit is not None]


def _headers(demands: list[Demand], decision: Decision) -> dict[str, str]:
    """Headers as in draft-ietf-httpapi-ratelimit-headers: every policy, and the state of the tightest."""
    return {
        "RateLimit-Policy": ", ".join(f'"{d.name}";q={d.limit};w={d.window_s}' for d in demands),
        "RateLimit": f'"{decision.demand.name}";r={decision.remaining};t={decision.reset_s}',
    }


def _rate_limited(demands: list[Demand], decision: Decision) -> Problem:
    headers = {"Retry-After": str(decision.reset_s), **_headers(demands, decision)}
    return Problem(429, "rate_limited", "More calls than the rate limit allows.", headers=headers)


def _quota_exceeded(demands: list[Demand], decision: Decision) -> Problem:
    headers = {"Retry-After": str(decision.reset_s), **_headers(demands, decision)}
    detail = f"The quota of {decision.demand.limit} requests a month is used up."
    return Problem(429, "quota_exceeded", detail, headers=headers)
