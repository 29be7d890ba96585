"""Why would this call be refused? Every check of consume, in its order, for the holder of a key.

The checks are consume's own (`Gate`, `RateLimiter`), asked without counting anything. Nobody learns more than their
calls would tell them: once a check fails, what comes after it is looked at only as far as it concerns the key itself,
and a service that is not granted looks like one that does not exist.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from shared.access.gate.service import Gate, Holder
from shared.access.keys.networks import IpAddress
from shared.kernel.errors import Problem
from shared.kernel.problem_codes import ProblemCode
from shared.metering.consume.limits import RateLimiter
from shared.metering.consume.service import presented_key
from shared.platform.limits import Demand, Limits

QUESTIONS_PER_MINUTE_MAX = 60
"""For one key."""

KEY = "key"
OF_THE_KEY: tuple[tuple[str, ProblemCode, str], ...] = (
    ("expiry", "key_expired", "Create a new key. Rotate the next one before it expires."),
    ("enabled", "key_disabled", "The owner can enable the key."),
    ("not_revoked", "key_revoked", "Create a new key: a revoked one never works again."),
    ("consumer", "consumer_suspended", "Ask the platform."),
    ("network", "network_not_allowed", "Call from a network of the key's list, or have its owner change the list."),
)
OF_THE_SERVICE: tuple[tuple[str, ProblemCode, str], ...] = (
    ("grant", "service_not_granted", "Check the name; ask for access; have the key assigned to the service."),
    ("restriction", "consumer_restricted", "Ask the merchant."),
    ("service", "service_suspended", "Ask the platform."),
    ("merchant", "merchant_misconfigured", "Ask the merchant."),
)
OF_THE_LIMITS: tuple[tuple[str, ProblemCode, str], ...] = (
    ("rate_limit", "rate_limited", "Wait as long as `Retry-After` says; call less often."),
    ("quota", "quota_exceeded", "Wait for the next month, or ask for more."),
)
CHECKS: tuple[tuple[str, ProblemCode, str], ...] = (*OF_THE_KEY, *OF_THE_SERVICE, *OF_THE_LIMITS)
"""Name, the code with which it fails, and what to do then."""


@dataclass(frozen=True, slots=True)
class Check:
    """The outcome of one check. `passed` None means that it was not looked at, because of a check before it."""

    check: str
    passed: bool | None
    code: ProblemCode | None = None
    detail: str | None = None
    what_to_do: str | None = None


class Explainer:
    """Explains to the holder of a key why their calls would be refused."""

    def __init__(self, gate: Gate, limiter: RateLimiter, limits: Limits) -> None:
        self._gate = gate
        self._limiter = limiter
        self._limits = limits

    async def explain(
        self, headers: Mapping[str, str], service: str, source: IpAddress | None, *, forwarding: bool
    ) -> list[Check]:
        """Check a forwarded call to `service` (slug or id), or a usage report for it, with the key in `headers`, as if
        it came from where these say, or from `source`. Raises Problem 400 `key_ambiguous`, 401 as consume does, 429
        `rate_limited`."""
        holder = await self._gate.find(presented_key(headers))
        await self._count_question(holder)
        failed = {problem.code: problem for problem in self._gate.refusals(holder, headers, source)}
        reached = len(CHECKS)
        if failed:
            reached = len(OF_THE_KEY)
        elif (problem := await self._refusal(holder, service, forwarding)) is not None:
            failed[problem.code] = problem
            reached = [code for _, code, _ in CHECKS].index(problem.code) + 1
        checks = [_check(name, code, todo, failed.get(code)) for name, code, todo in CHECKS[:reached]]
        return [Check(KEY, True), *checks, *(Check(name, None) for name, _, _ in CHECKS[reached:])]

    async def _refusal(self, holder: Holder, service: str, forwarding: bool) -> Problem | None:
        try:
            admission = await self._gate.admit(holder, service, forwarding=forwarding)
        except Problem as problem:
            return problem
        return await self._limiter.peek_call(admission) or await self._limiter.peek_quota(admission)

    async def _count_question(self, holder: Holder) -> None:
        demand = Demand(f"explain:{holder.consumer.id}:{holder.key.id}", "minute", QUESTIONS_PER_MINUTE_MAX, 60)
        decision = await self._limits.take([demand])
        if not decision.allowed:
            wait = {"Retry-After": str(decision.reset_s)}
            raise Problem(429, "rate_limited", "Too many questions about this key.", headers=wait)


def _check(name: str, code: ProblemCode, what_to_do: str, problem: Problem | None) -> Check:
    if problem is None:
        return Check(name, True)
    return Check(name, False, code, problem.detail, what_to_do)
