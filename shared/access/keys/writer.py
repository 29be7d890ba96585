"""How a stored key is changed: the one way there is, so that what is revoked stays revoked."""

from collections.abc import Sequence

from shared.access.models import ApiKey
from shared.access.store import ACCESS, AccessStore, key_document
from shared.audit.journal import Journal
from shared.audit.models import Actor, Change, changed
from shared.audit.tasks import Task
from shared.kernel.documents import Stored
from shared.kernel.errors import Problem
from shared.kernel.http.problems import not_found
from shared.platform.documents import Operation, Replace

_SECRET = frozenset({"hash", "previous_hash"})


def replace_key(stored: Stored[ApiKey], after: ApiKey) -> Operation:
    """Make the write from what was read to `after`. Every change of a key is made with it, under the ETag that was
    read, so nothing brings a revoked key back. Raises Problem 409 `state_invalid`."""
    if stored.value.status == "revoked":
        raise Problem(409, "state_invalid", "This key is revoked, which is final. Make a new one.")
    return Replace(key_document(after.id), after.to_json(), stored.etag)


def key_change(actor: Actor, action: str, before: ApiKey | None, after: ApiKey, *, reason: str | None = None) -> Change:
    """Make the change of a key for the audit log, which no hash gets into."""
    return changed(actor, action, f"key:{after.id}", before, after, reason=reason, secret=_SECRET)


class KeyWriter:
    """Reads keys and writes changed ones, each with its audit entry."""

    def __init__(self, store: AccessStore, journal: Journal) -> None:
        self._store = store
        self._journal = journal

    async def read(self, consumer_id: str, key_id: str) -> Stored[ApiKey]:
        """Read a key with its ETag. Raises Problem 404."""
        stored = await self._store.find(ApiKey, consumer_id, key_document(key_id))
        if stored is None:
            raise not_found()
        return stored

    async def write(
        self,
        actor: Actor,
        action: str,
        stored: Stored[ApiKey],
        after: ApiKey,
        *,
        reason: str | None = None,
        tasks: Sequence[Task] = (),
        more: Sequence[Operation] = (),
    ) -> Stored[ApiKey]:
        """Write a changed key. `more` are operations of the same transaction, `tasks` follow from it. Raises Problem
        409 `state_invalid`, `conflict`."""
        change = key_change(actor, action, stored.value, after, reason=reason)
        writes = [replace_key(stored, after), *more]
        etags = await self._journal.commit(ACCESS, after.consumer_id, writes, change, tasks=tasks)
        return Stored(after, etags[0])
