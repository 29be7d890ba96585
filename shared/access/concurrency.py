"""Limits that hold under a race.

Counting and adding are two steps. Whoever does both reads the **turn** of what is counted first, and replaces it in the
transaction that adds: of two at the same time, one gets the 409 `conflict` and counts again.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Literal, TypeVar

from shared.access.store import AccessStore
from shared.kernel.documents import StoredModel
from shared.kernel.errors import Problem
from shared.platform.documents import Create, Operation, Replace

ATTEMPTS_MAX = 20
PAUSE_S_MAX = 0.05
ENDED_S = 3_600
"""How long the turn of a set that is gone stays, so that an addition that began before still meets it."""

T = TypeVar("T")


class Turn(StoredModel):
    kind: Literal["turn"] = "turn"
    taken: int = 0


async def guard_count(store: AccessStore, consumer_id: str, what: str, *, last: bool = False) -> Operation:
    """To be awaited before anything is counted, and put into the transaction. `what` names the set within the
    consumer's partition; with `last`, the set goes with this change."""
    at = f"turn:{what}"
    held = await store.held(Turn, consumer_id, at)
    ttl_s = ENDED_S if last else None
    if held is None:
        return Create(at, Turn(taken=1).to_json(), ttl_s)
    return Replace(at, Turn(taken=held.value.taken + 1).to_json(), held.etag, ttl_s)


async def retry_on_conflict(attempt: Callable[[], Awaitable[T]]) -> T:
    """For changes that are still meant when somebody else was first. Raises Problem 409 `conflict` at last."""
    for _ in range(ATTEMPTS_MAX - 1):
        try:
            return await attempt()
        except Problem as problem:
            if problem.code != "conflict":
                raise
        await asyncio.sleep(random.uniform(0, PAUSE_S_MAX))  # noqa: S311 - not for secrets
    return await attempt()
