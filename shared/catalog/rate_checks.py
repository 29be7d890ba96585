"""How often a merchant may ask AMS for what is expensive, such as a call of its API."""

from shared.kernel.errors import Problem
from shared.platform.limits import Demand, Limits


async def check_rate(limits: Limits, demand: Demand) -> None:
    """Take one unit of `demand`. Raises Problem 429 `rate_limited` when none is left."""
    decision = await limits.take([demand])
    if not decision.allowed:
        detail = f"At most {demand.limit} a {demand.name} for one service."
        raise Problem(429, "rate_limited", detail, headers={"Retry-After": str(max(1, decision.reset_s))})
