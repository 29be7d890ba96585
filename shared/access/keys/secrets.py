"""New secrets of keys, and the order in which they come to life.

A secret is found by its hash, in a document of its own. That document comes first, the key that names the hash second:
the key's document decides, so a hash that no key names opens nothing, and when an answer shows a secret it works. A
kill in between leaves a hash of nobody, whose clear text nobody has seen, beside whatever key there was before.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from shared.access.keys.format import PREFIX_CHARACTERS, KeyHasher, new_key
from shared.access.models import Environment, KeyOwner
from shared.access.store import KEY_HASHES, AccessStore
from shared.audit.tasks import Task, remove

REMOVE_S = 60
"""Beyond the end of a secret: requests that began before may still be looking it up."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A new secret of a key, in clear and as it is stored. `clear` is shown once and kept nowhere; the rest is what an
    `ApiKey` keeps of it."""

    clear: str
    hash: str

    @property
    def stored_fields(self) -> dict[str, Any]:
        """Return the fields of an `ApiKey` that a secret sets."""
        return {"hash": self.hash, "prefix": self.clear[:PREFIX_CHARACTERS], "last4": self.clear[-4:]}


class KeySecrets:
    """Makes secrets of keys. `load_hasher` is awaited once, at the first key."""

    def __init__(self, store: AccessStore, load_hasher: Callable[[], Awaitable[KeyHasher]]) -> None:
        self._store = store
        self._load_hasher = load_hasher
        self._hasher: KeyHasher | None = None

    async def hasher(self) -> KeyHasher:
        if self._hasher is None:
            self._hasher = await self._load_hasher()
        return self._hasher

    async def reserve(self, consumer_id: str, key_id: str, environment: Environment) -> Secret:
        """Make a new secret, and store its hash. To be awaited before the key is committed; `drop` the secret when that
        fails."""
        clear = new_key(environment)
        secret = Secret(clear, (await self.hasher()).hash(clear))
        await self._store.add_hash(secret.hash, KeyOwner(consumer_id=consumer_id, key_id=key_id))
        return secret

    async def drop(self, secret: Secret) -> None:
        await self._store.remove_hash(secret.hash)


def remove_hash_task(key_hash: str, after_s: int = 0) -> Task:
    """Make the task that removes the document of a hash that no key names any more, or that none will in `after_s`
    seconds."""
    return remove(KEY_HASHES, key_hash, key_hash).model_copy(update={"delay_s": after_s + REMOVE_S})
