"""Making API keys: the only moment, beside a rotation, at which a clear key is seen."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.access.concurrency import guard_count
from shared.access.keys.assignable import check_services
from shared.access.keys.expiry import notice_day
from shared.access.keys.secrets import KeySecrets, Secret
from shared.access.keys.writer import key_change
from shared.access.membership_guard import assert_still_member
from shared.access.models import ApiKey, Environment, Network, Project
from shared.access.store import ACCESS, AccessStore, key_document
from shared.audit.journal import Journal
from shared.audit.models import Actor
from shared.audit.platform import PlatformSettingsStore
from shared.catalog.models import CallLimits
from shared.identity.models import Account
from shared.kernel.clock import utc_now
from shared.kernel.documents import Stored
from shared.kernel.errors import Problem
from shared.kernel.http.problems import invalid_field, not_found
from shared.kernel.ids import new_id
from shared.kernel.retries import retry_on_conflict
from shared.platform.documents import Create


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRequest:
    """The key that somebody asks for. `ttl_days` None: it never expires."""

    name: str
    description: str
    purpose: str
    environment: Environment
    service_ids: tuple[str, ...]
    project_id: str | None
    ttl_days: int | None
    limits: CallLimits
    networks: tuple[Network, ...]


@dataclass(frozen=True, slots=True)
class CreatedKey:
    """A key with its clear text, which nobody can read again."""

    key: Stored[ApiKey]
    clear: str


class KeyCreation:
    """Makes keys, and shows each once."""

    def __init__(
        self,
        store: AccessStore,
        secrets: KeySecrets,
        journal: Journal,
        settings: PlatformSettingsStore,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._store = store
        self._secrets = secrets
        self._journal = journal
        self._settings = settings
        self._now = now

    async def create(self, actor: Actor, creator: Account, consumer_id: str, request: KeyRequest) -> CreatedKey:
        """Make a key, which works when this returns. Raises Problem 400 naming the field, 403 `consumer_suspended`,
        404; 409 `limit_reached`."""
        key_id = new_id("key")
        await self._check(consumer_id, request)
        secret = await self._secrets.reserve(consumer_id, key_id, request.environment)
        try:
            stored = await retry_on_conflict(lambda: self._commit(actor, creator, consumer_id, key_id, request, secret))
        except Problem:  # of anything else one cannot tell whether it was committed
            await self._secrets.drop(secret)
            raise
        return CreatedKey(stored, secret.clear)

    async def _commit(
        self, actor: Actor, creator: Account, consumer_id: str, key_id: str, request: KeyRequest, secret: Secret
    ) -> Stored[ApiKey]:
        # The guards come before anything is counted or read: another creation, or the project's deletion, meets them.
        guards = [await guard_count(self._store, consumer_id, "keys")]
        if request.project_id is not None:
            guards.append(await guard_count(self._store, consumer_id, f"members:{request.project_id}"))
        await self._check(consumer_id, request)
        await self._check_room(consumer_id)
        membership = await assert_still_member(self._store, consumer_id, request.project_id, creator)
        key = self._key(consumer_id, key_id, request, secret, creator)
        change = key_change(actor, "key.create", None, key)
        writes = [Create(key_document(key_id), key.to_json()), *guards, *membership]
        etags = await self._journal.commit(ACCESS, consumer_id, writes, change)
        return Stored(key, etags[0])

    async def _check(self, consumer_id: str, request: KeyRequest) -> None:
        consumer = await self._store.consumer(consumer_id)
        if consumer is None:
            raise not_found()
        if consumer.status == "suspended":
            raise Problem(403, "consumer_suspended", "This consumer is suspended by the platform.")
        await check_services(self._store, consumer_id, await self._project(consumer_id, request), request.service_ids)

    async def _project(self, consumer_id: str, request: KeyRequest) -> Project | None:
        if request.project_id is None:
            return None
        project = await self._store.project(consumer_id, request.project_id)
        if project is None:
            raise invalid_field("project_id", "must name a project of this consumer")
        return project

    async def _check_room(self, consumer_id: str) -> None:
        """Check that one more key may be made. Raises Problem 409 `limit_reached` when there are as many keys as may
        be; revoked ones do not count."""
        keys = await self._store.all_of(ApiKey, consumer_id, key_document(""))
        limit = (await self._settings.current()).keys_per_consumer_max
        if sum(stored.value.status != "revoked" for stored in keys) >= limit:
            detail = f"There are {limit} keys already, which is the most. Revoke one that is not needed."
            raise Problem(409, "limit_reached", detail)

    def _key(self, consumer_id: str, key_id: str, request: KeyRequest, secret: Secret, creator: Account) -> ApiKey:
        now = self._now()
        expires_at = None if request.ttl_days is None else now + timedelta(days=request.ttl_days)
        return ApiKey(
            id=key_id,
            consumer_id=consumer_id,
            name=request.name,
            description=request.description,
            purpose=request.purpose,
            environment=request.environment,
            service_ids=tuple(dict.fromkeys(request.service_ids)),
            project_id=request.project_id,
            ttl_days=request.ttl_days,
            expires_at=expires_at,
            expiry_day=notice_day(expires_at, now.date()),
            limits=request.limits,
            networks=request.networks,
            created_by=creator.id,
            created_at=now,
            **secret.stored_fields,
        )
