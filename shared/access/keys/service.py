"""What is done with keys that exist: found, described anew, stopped for a while or for good.

active ⇄ disabled        by the owner, at any time
active, disabled → revoked        final (`keys.writer.replace_key`)
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.access.keys.assignable import check_services
from shared.access.keys.writer import KeyWriter
from shared.access.models import ApiKey, Environment, KeyStatus, Project
from shared.access.store import SCAN_PAGE, AccessStore, key_document
from shared.audit.models import Actor
from shared.kernel.clock import format_time
from shared.kernel.documents import Stored
from shared.kernel.errors import Problem
from shared.kernel.http.etags import check_match
from shared.kernel.http.paging import Page
from shared.kernel.http.problems import invalid_field, not_found
from shared.platform.documents import Query, Where


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFilter:
    """Which keys are listed. None is any; `expiring_before` leaves out keys that never expire."""

    status: KeyStatus | None = None
    service_id: str | None = None
    project_id: str | None = None
    environment: Environment | None = None
    expiring_before: datetime | None = None

    def matches(self, key: ApiKey) -> bool:
        return (
            self.status in (None, key.status)
            and (self.service_id is None or self.service_id in key.service_ids)
            and self.project_id in (None, key.project_id)
            and self.environment in (None, key.environment)
            and self._expires_in_time(key)
        )

    def _expires_in_time(self, key: ApiKey) -> bool:
        if self.expiring_before is None:
            return True
        return key.expires_at is not None and key.expires_at < self.expiring_before

    def __str__(self) -> str:
        before = "" if self.expiring_before is None else format_time(self.expiring_before)
        return f"{self.status}:{self.service_id}:{self.project_id}:{self.environment}:{before}"


class Keys:
    """Finds keys, changes what they may do, and stops them."""

    def __init__(self, store: AccessStore, writer: KeyWriter) -> None:
        self._store = store
        self._writer = writer

    async def read(self, consumer_id: str, key_id: str) -> Stored[ApiKey]:
        """Read a key. Raises Problem 404."""
        return await self._writer.read(consumer_id, key_id)

    async def page(
        self, consumer_id: str, key_filter: KeyFilter, limit: int, cursor: str | None
    ) -> Page[Stored[ApiKey]]:
        """List a consumer's keys in the order in which they were made, a page at a time. Raises Problem 400
        `cursor_invalid`; 404 when there is no such consumer."""
        if await self._store.consumer(consumer_id) is None:
            raise not_found()
        query = Query(consumer_id, (Where("id", "starts_with", key_document("")),), order_by="id", limit=SCAN_PAGE)
        list_name = f"keys:{consumer_id}:{key_filter}"
        return await self._store.scan(
            ApiKey, query, key_filter.matches, list_name=list_name, limit=limit, cursor=cursor
        )

    async def update(
        self, actor: Actor, consumer_id: str, key_id: str, values: Mapping[str, Any], if_match: str | None
    ) -> Stored[ApiKey]:
        """Set `values`, which are valid, by field name. Only services that are added must be granted: others may have
        been lost since. Raises Problem 400 naming the field, 404, 409, 412, 428."""
        stored = await self._writer.read(consumer_id, key_id)
        check_match(if_match, stored.etag)
        after = stored.value.model_copy(update=dict(values))
        added = set(after.service_ids) - set(stored.value.service_ids)
        if added & set(after.revoked_service_ids):
            raise invalid_field("service_ids", "must not name a service that its merchant took from this key")
        await check_services(self._store, consumer_id, await self._project(after), added)
        return await self._writer.write(actor, "key.update", stored, after)

    async def disable(self, actor: Actor, consumer_id: str, key_id: str, reason: str | None) -> Stored[ApiKey]:
        """Disable a key: it is refused at once, until it is enabled. Raises Problem 404; 409 `state_invalid`,
        `conflict`."""
        return await self._set(actor, "key.disable", consumer_id, key_id, "disabled", reason)

    async def enable(self, actor: Actor, consumer_id: str, key_id: str) -> Stored[ApiKey]:
        """Enable a key that was disabled. Raises Problem 404; 409 `state_invalid`, `conflict`."""
        return await self._set(actor, "key.enable", consumer_id, key_id, "active", None)

    async def revoke(self, actor: Actor, consumer_id: str, key_id: str, reason: str) -> Stored[ApiKey]:
        """Revoke a key: it is refused at once and for good. Raises Problem 404; 409 `state_invalid`, `conflict`."""
        return await self._set(actor, "key.revoke", consumer_id, key_id, "revoked", reason)

    async def _set(
        self, actor: Actor, action: str, consumer_id: str, key_id: str, status: KeyStatus, reason: str | None
    ) -> Stored[ApiKey]:
        stored = await self._writer.read(consumer_id, key_id)
        before = stored.value
        if before.status == status:
            raise Problem(409, "state_invalid", f"A key cannot go from {before.status} to {status}.")
        update: dict[str, Any] = {"status": status, "reason": reason}
        if status == "revoked":
            update |= REVOKED
        return await self._writer.write(actor, action, stored, before.model_copy(update=update), reason=reason)

    async def _project(self, key: ApiKey) -> Project | None:
        """A key of a project that is gone is assigned nothing new."""
        if key.project_id is None:
            return None
        project = await self._store.project(key.consumer_id, key.project_id)
        if project is None:
            raise Problem(409, "state_invalid", "The project of this key is gone. Revoke the key.")
        return project


REVOKED: Mapping[str, Any] = {"status": "revoked", "expiry_day": None}
"""What a revocation sets: nothing works any more, so no expiry is to be announced."""
