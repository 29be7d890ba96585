"""Limits that hold under a race.

Counting and adding are two steps. Whoever does both reads the **turn** of what is counted first, and replaces it in the
transaction that adds: of two at the same time, one gets the 409 `conflict` and counts again.
"""

from typing import Literal

from shared.access.store import AccessStore
from shared.kernel.documents import StoredModel
from shared.platform.documents import Create, Operation, Replace

ENDED_S = 3_600
"""How long the turn of a set that is gone stays, so that an addition that began before still meets it."""


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
