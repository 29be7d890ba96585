"""Limits that hold under a race, such as how many keys a consumer has.

Counting and adding are two steps. So each counted set of a consumer has a guard document: whoever wants to add reads
it before counting, and replaces it under its ETag in the transaction that adds. Of two who do so at the same time, one
gets the 409 `conflict` and counts again (optimistic locking).
"""

from typing import Literal

from shared.access.store import AccessStore
from shared.kernel.documents import StoredModel
from shared.platform.documents import Create, Operation, Replace

ENDED_S = 3_600
"""How long the guard of a set that is gone stays, so that an addition that began before still meets it."""


class CountGuard(StoredModel):
    """The guard of one counted set. `taken` is how many transactions replaced it; only that it changes matters."""

    kind: Literal["turn"] = "turn"
    taken: int = 0


async def guard_count(store: AccessStore, consumer_id: str, counted_set: str, *, last: bool = False) -> Operation:
    """Make the write by which a transaction fails if somebody else added to (or removed) the set since this was called.

    Call it before anything is counted, and put what it returns into the transaction that adds. `counted_set` names the
    set within the consumer's partition: `keys`, `projects`, or `members:` and a project's id. `last` says that this
    transaction removes the set; then the guard goes after ENDED_S seconds.
    """
    at = f"turn:{counted_set}"  # the stored name of guards
    stored = await store.find(CountGuard, consumer_id, at)
    ttl_s = ENDED_S if last else None
    if stored is None:
        return Create(at, CountGuard(taken=1).to_json(), ttl_s)
    return Replace(at, CountGuard(taken=stored.value.taken + 1).to_json(), stored.etag, ttl_s)
