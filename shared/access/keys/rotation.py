"""New secrets for existing keys: id, services, limits and usage stay.

A key has at most two secrets that work: the current one, and until `previous_until` the one before. A rotation during
an overlap drops the oldest at once. Of several rotations at the same time one wins, by the ETag that all of them read.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from shared.access.keys.creation import CreatedKey
from shared.access.keys.expiry import notice_day
from shared.access.keys.mails import KeyMails
from shared.access.keys.secrets import KeySecrets, Secret, remove_hash_task
from shared.access.keys.writer import KeyWriter
from shared.access.membership_guard import assert_still_member
from shared.access.models import NO_SECRET, ApiKey
from shared.access.store import AccessStore
from shared.audit.models import Actor
from shared.audit.platform import PlatformSettingsStore
from shared.audit.tasks import Task
from shared.identity.mails import reason_line
from shared.identity.models import Account
from shared.kernel.clock import utc_now
from shared.kernel.documents import Stored
from shared.kernel.errors import Problem
from shared.kernel.http.etags import check_match
from shared.kernel.http.problems import invalid_field

OVERLAP_HOURS = 24


class Rotation:
    """Gives an API key a new secret, while the old one works for an overlap or ends at once."""

    def __init__(
        self,
        store: AccessStore,
        secrets: KeySecrets,
        writer: KeyWriter,
        settings: PlatformSettingsStore,
        mails: KeyMails,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._store = store
        self._secrets = secrets
        self._writer = writer
        self._settings = settings
        self._mails = mails
        self._now = now

    async def rotate(
        self, actor: Actor, account: Account, consumer_id: str, key_id: str, overlap_hours: int, if_match: str | None
    ) -> CreatedKey:
        """Give a key a new secret. The old one works `overlap_hours` longer, but not beyond its own expiry, and not at
        all when the key is disabled. Raises Problem 400, 404, 412, 428; 409 `state_invalid`, `conflict`."""
        limit = (await self._settings.current()).rotation_overlap_hours_max
        if overlap_hours > limit:
            raise invalid_field("overlap_hours", f"must be at most {limit}")
        stored = await self._writer.read(consumer_id, key_id)
        check_match(if_match, stored.etag)
        key, now = stored.value, self._now()
        if key.status == "revoked" or key.expired(now):
            state = key.status if key.status == "revoked" else "expired"
            raise Problem(409, "state_invalid", f"A key that is {state} cannot be rotated. Make a new one.")
        membership = await assert_still_member(self._store, consumer_id, key.project_id, account)
        secret = await self._secrets.reserve(consumer_id, key_id, key.environment)
        after = _rotated(key, secret, account.id, now, timedelta(hours=overlap_hours))
        try:
            written = await self._writer.write(
                actor, "key.rotate", stored, after, tasks=_hash_removals(key, after, now), more=membership
            )
        except Problem:  # of anything else one cannot tell whether it was committed
            await self._secrets.drop(secret)
            raise
        return CreatedKey(written, secret.clear)

    async def force(self, actor: Actor, consumer_id: str, key_id: str, reason: str) -> Stored[ApiKey]:
        """End a key's secrets at once, as an admin. Nobody gets a new one: the owner is told, and rotates. Raises
        Problem 404; 409 `state_invalid`, `conflict`."""
        stored = await self._writer.read(consumer_id, key_id)
        before = stored.value
        if before.needs_rotation:
            raise Problem(409, "state_invalid", "This key has no secret already. Its owner must rotate it.")
        after = before.model_copy(
            update={"hash": NO_SECRET, "previous_hash": None, "previous_until": None, "reason": reason}
        )
        text = "The platform has ended its secret, which is refused from now on. Rotate the key to get a new one."
        text += f"\n\n{reason_line(reason)}"
        tasks: list[Task] = [*await self._mails.about(before, "API key must be rotated", text)]
        tasks += _hash_removals(before, after, self._now())
        return await self._writer.write(actor, "key.force_rotate", stored, after, reason=reason, tasks=tasks)


def _rotated(key: ApiKey, secret: Secret, account_id: str, now: datetime, overlap: timedelta) -> ApiKey:
    """The time to live starts again: it bounds the life of a secret. A disabled key may be one whose secret got into
    wrong hands, so that one does not come back with it."""
    overlaps = overlap > timedelta(0) and key.status == "active" and not key.needs_rotation
    until = now + overlap
    if key.expires_at is not None:
        until = min(until, key.expires_at)
    expires_at = key.expires_at if key.ttl_days is None else now + timedelta(days=key.ttl_days)
    return key.model_copy(
        update={
            **secret.stored_fields,
            "previous_hash": key.hash if overlaps else None,
            "previous_until": until if overlaps else None,
            "expires_at": expires_at,
            "expiry_day": notice_day(expires_at, now.date()),
            "rotated_at": now,
            "rotated_by": account_id,
            "leaked_at": None,
            "reason": key.reason if key.status == "disabled" else None,
        }
    )


def _hash_removals(before: ApiKey, after: ApiKey, now: datetime) -> list[Task]:
    """Clears hashes away that the key names no longer, or will not when the overlap is over."""
    tasks = []
    for old in (before.hash, before.previous_hash):
        if old is None or old == NO_SECRET:
            continue
        if old == after.previous_hash and after.previous_until is not None:
            tasks.append(remove_hash_task(old, int((after.previous_until - now).total_seconds())))
        else:
            tasks.append(remove_hash_task(old))
    return tasks
