"""Who is calling, and may they call this service? Checks 1 to 4 of consume, from caches that are never stale for long.

    1 the key          find       shape and checksum → hash → owner → holder (key and consumer)
    2 key and consumer refusals   expired, disabled, revoked, suspended, called from elsewhere
    3 the grant        admit      assigned to the key, approved, open to the key's project, not restricted
    4 the service      admit      not suspended, active, with an upstream for calls

`identify` is 1 and 2; limits and quotas are check 5 (`shared.metering.consume.limits`).

Everything a check needs is held for at most `cache_s` seconds, counted from before it was read; nothing older is ever
used, so a revocation holds after `cache_s` plus one read. `invalidate` makes local changes hold at once.
"""

import hmac
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from shared.access.keys.format import KeyHasher, is_well_formed
from shared.access.keys.networks import IpAddress, client_address, is_allowed
from shared.access.models import ApiKey, Consumer, Grant, Project
from shared.access.store import AccessStore
from shared.catalog.models import Merchant, Service
from shared.catalog.store import CatalogStore
from shared.kernel.cache import FreshCache
from shared.kernel.clock import utc_now
from shared.kernel.errors import Problem
from shared.kernel.problem_codes import ProblemCode

OWNERS_CACHED_MAX = 200_000
HOLDERS_CACHED_MAX = 100_000
SERVICES_CACHED_MAX = 20_000
IDENTITY_DETAIL = "A valid API key is required, in X-AMS-Key or as Authorization: Bearer."
"""The same for every 401, so that the answer does not tell which keys exist."""

NOT_READY_DETAIL = "The merchant's service is not ready to be called."
STOPPED = ("suspended", "disabled")
"""States of a merchant by an admin's decision, which also stop its services."""

FOREVER_S = 365 * 24 * 3600.0
NO_HEADERS: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Holder:
    """A key that was checked, and its consumer."""

    key: ApiKey
    consumer: Consumer


@dataclass(frozen=True, slots=True)
class Admission:
    """A holder and a service that may be called now."""

    holder: Holder
    service: Service
    merchant: Merchant


@dataclass(frozen=True, slots=True)
class _Offer:
    """A service, and its merchant unless that is missing."""

    service: Service
    merchant: Merchant | None


class Gate:
    """Decides on calls to consume. One per process.

    `load_hasher` is awaited once, at the first key. `cache_s` is how long what was read is used. `proxy_hops` is how
    many proxies of our own write `X-Forwarded-For` (`shared.access.keys.networks`). `note` is called with every refusal
    of a key that is known."""

    def __init__(
        self,
        access: AccessStore,
        catalog: CatalogStore,
        load_hasher: Callable[[], Awaitable[KeyHasher]],
        cache_s: float,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = utc_now,
        proxy_hops: int = 1,
        note: Callable[[ApiKey, ProblemCode], None] = lambda key, code: None,
    ) -> None:
        self._access = access
        self._catalog = catalog
        self._load_hasher = load_hasher
        self._hasher: KeyHasher | None = None
        self._now = now
        self._proxy_hops = proxy_hops
        self._note = note
        # A hash never changes its key, so a found owner may be kept; "unknown" is kept no longer than anything else.
        self._owners: FreshCache[str, tuple[str, str]] = FreshCache(FOREVER_S, OWNERS_CACHED_MAX, monotonic)
        self._lookups: FreshCache[str, tuple[str, str] | None] = FreshCache(cache_s, HOLDERS_CACHED_MAX, monotonic)
        self._holders: FreshCache[tuple[str, str], Holder | None] = FreshCache(cache_s, HOLDERS_CACHED_MAX, monotonic)
        # By secret as well, so that a secret that is no more costs one read in `cache_s` and not one with every call.
        self._renewed: FreshCache[tuple[str, str, str], Holder | None] = FreshCache(
            cache_s, HOLDERS_CACHED_MAX, monotonic
        )
        self._grants: FreshCache[tuple[str, str], Grant | None] = FreshCache(cache_s, HOLDERS_CACHED_MAX, monotonic)
        self._projects: FreshCache[tuple[str, str], Project | None] = FreshCache(cache_s, HOLDERS_CACHED_MAX, monotonic)
        self._offers: FreshCache[str, _Offer | None] = FreshCache(cache_s, SERVICES_CACHED_MAX, monotonic)
        access.on_change(self.invalidate)
        catalog.on_change(self.invalidate)

    def invalidate(self) -> None:
        """Forget everything that may have changed, reads under way included."""
        for cache in (self._lookups, self._holders, self._renewed, self._grants, self._projects, self._offers):
            cache.clear()

    async def identify(self, key: str | None, headers: Mapping[str, str] = NO_HEADERS) -> Holder:
        """Do checks 1 and 2: find the holder of a key that may be used. `headers` (by lower-case name) say where the
        call comes from. Raises Problem 401 or 403."""
        holder = await self.find(key)
        for problem in self.refusals(holder, headers):
            self._note(holder.key, problem.code)
            raise problem
        return holder

    async def find(self, key: str | None) -> Holder:
        """Do check 1: find the holder of a key in whatever state. Raises Problem 401."""
        if not key:
            raise _not_identified("key_missing")
        if not is_well_formed(key):
            raise _not_identified("key_malformed")
        holder = await self._find(key)
        if holder is None:
            raise _not_identified("key_unknown")
        return holder

    def refusals(
        self, holder: Holder, headers: Mapping[str, str], source: IpAddress | None = None
    ) -> Iterator[Problem]:
        """List everything of check 2 that stands against the call, in order; the times that count are the present ones.
        `source` is asked about in place of where the call comes from."""
        if holder.key.expired(self._now()):
            yield Problem(403, "key_expired", "This API key has expired. Create a new key.")
        if holder.key.status == "disabled":
            yield Problem(403, "key_disabled", "This API key is disabled. Its owner can enable it.")
        if holder.key.status == "revoked":
            yield Problem(403, "key_revoked", "This API key was revoked for good. Create a new key.")
        if holder.consumer.status == "suspended":
            yield Problem(403, "consumer_suspended", "This consumer is suspended by the platform.")
        # Looked at for keys with networks only: most have none, and pay nothing.
        if networks := holder.key.networks:
            address = source or client_address(headers, self._proxy_hops)
            if not is_allowed(networks, address):
                yield Problem(403, "network_not_allowed", "This API key may not be used from where the call comes.")

    async def admit(self, holder: Holder, reference: str, *, forwarding: bool) -> Admission:
        """Do checks 3 and 4 for a service named by slug or id. Raises Problem 403 or 502.

        An unknown service and one without a grant get the same answer: what exists is not told to strangers.
        """
        offer = await self._offers.get(reference, self._load_offer)
        if offer is None or offer.service.id not in holder.key.service_ids:
            raise _not_granted()
        service = offer.service
        grant = await self._grants.get((holder.consumer.id, service.id), self._load_grant)
        if grant is None or grant.status != "approved" or not await self._open_to_project(grant, holder.key):
            raise _not_granted()
        if grant.restricted:
            raise Problem(403, "consumer_restricted", "The merchant has restricted this consumer for the service.")
        merchant = offer.merchant
        if service.status == "suspended" or (merchant is not None and merchant.status in STOPPED):
            raise Problem(403, "service_suspended", "The platform has suspended this service.")
        configured = service.upstream is not None or not forwarding
        if service.status != "active" or merchant is None or merchant.status != "active" or not configured:
            raise Problem(502, "merchant_misconfigured", NOT_READY_DETAIL)
        return Admission(holder, service, merchant)

    async def _open_to_project(self, grant: Grant, key: ApiKey) -> bool:
        """A key of a project that is gone may do nothing."""
        if key.project_id is None:
            return grant.open_to(None)
        project = await self._projects.get((key.consumer_id, key.project_id), self._load_project)
        return project is not None and grant.open_to(project)

    async def knows(self, consumer_id: str, key_id: str) -> bool:
        """Say whether the key exists, in whatever state: usage that it made still counts."""
        return await self._holders.get((consumer_id, key_id), self._load_holder) is not None

    async def _find(self, key: str) -> Holder | None:
        if self._hasher is None:
            self._hasher = await self._load_hasher()
        for key_hash in self._hasher.candidates(key):
            owner = await self._owner(key_hash)
            holder = None if owner is None else await self._holder(owner, key_hash)
            if holder is not None:
                return holder
        return None

    async def _owner(self, key_hash: str) -> tuple[str, str] | None:
        """Find consumer and key that a hash was made for, whether or not it still opens the key."""
        owner = self._owners.peek(key_hash)
        if owner is None:
            owner = await self._lookups.get(key_hash, self._load_owner)
            if owner is not None:
                self._owners.put(key_hash, owner)
        return owner

    async def _holder(self, owner: tuple[str, str], key_hash: str) -> Holder | None:
        """Find the holder of a key, if this hash opens it."""
        holder = await self._holders.get(owner, self._load_holder)
        if not self._opens(holder, key_hash):
            # It may have been rotated since that was read, and what a rotation shows works at once, everywhere.
            holder = await self._renewed.get((*owner, key_hash), self._load_renewed)
            if not self._opens(holder, key_hash):
                return None
        return holder

    def _opens(self, holder: Holder | None, key_hash: str) -> bool:
        if holder is None:
            return False
        return hmac.compare_digest(holder.key.hash, key_hash) or self._is_previous(holder.key, key_hash)

    def _is_previous(self, key: ApiKey, key_hash: str) -> bool:
        """Whether the hash is of the secret before the last rotation, which works a while longer."""
        previous = key.previous_hash
        return previous is not None and hmac.compare_digest(previous, key_hash) and key.previous_works(self._now())

    async def _load_owner(self, key_hash: str) -> tuple[str, str] | None:
        owner = await self._access.key_owner(key_hash)
        return None if owner is None else (owner.consumer_id, owner.key_id)

    async def _load_holder(self, owner: tuple[str, str]) -> Holder | None:
        consumer_id, key_id = owner
        key = await self._access.key(consumer_id, key_id)
        consumer = await self._access.consumer(consumer_id)
        return Holder(key, consumer) if key is not None and consumer is not None else None

    async def _load_renewed(self, owner_and_hash: tuple[str, str, str]) -> Holder | None:
        consumer_id, key_id, _ = owner_and_hash
        return await self._load_holder((consumer_id, key_id))

    async def _load_grant(self, pair: tuple[str, str]) -> Grant | None:
        return await self._access.grant(*pair)

    async def _load_project(self, pair: tuple[str, str]) -> Project | None:
        return await self._access.project(*pair)

    async def _load_offer(self, reference: str) -> _Offer | None:
        service = await self._catalog.find_service(reference)
        return None if service is None else _Offer(service, await self._catalog.merchant(service.merchant_id))


def _not_identified(code: ProblemCode) -> Problem:
    return Problem(401, code, IDENTITY_DETAIL, headers={"WWW-Authenticate": 'Bearer realm="ams"'})


def _not_granted() -> Problem:
    return Problem(403, "service_not_granted", "This API key has no approved grant for the service.")
