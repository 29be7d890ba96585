"""Notices before a key expires: 30, 7 and 1 days, by mail, each once.

A key's `expiry_day` is the next UTC day on which one is due. It moves on in the transaction that leaves the mail in the
outbox, under the ETag that was read: a run that is killed, or that meets another run, sends nothing twice.
"""

import logging
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

from shared.access.keys.mails import KeyMails
from shared.access.keys.writer import KeyWriter
from shared.access.models import ApiKey
from shared.access.store import AccessStore
from shared.audit.models import SYSTEM
from shared.kernel.clock import utc_now
from shared.kernel.documents import Stored
from shared.kernel.errors import Problem
from shared.platform.documents import Query, Where

NOTICE_DAYS = (30, 7, 1)
_logger = logging.getLogger(__name__)


def notice_day(expires_at: datetime | None, today: date) -> str | None:
    """Compute the first day after `today` on which a notice is due (`YYYY-MM-DD`). Nobody needs one on the day on which
    they made the key."""
    if expires_at is None:
        return None
    last = expires_at.astimezone(UTC).date()
    days = (last - timedelta(days=before) for before in NOTICE_DAYS)
    return next((day.isoformat() for day in days if day > today), None)


class ExpiryNotices:
    """Sends the notices that are due; a timer runs it."""

    def __init__(
        self, store: AccessStore, writer: KeyWriter, mails: KeyMails, now: Callable[[], datetime] = utc_now
    ) -> None:
        self._store = store
        self._writer = writer
        self._mails = mails
        self._now = now

    async def run(self) -> int:
        """Send what is due; returns how many notices. A notice that is late tells the days that are left."""
        sent = 0
        due = (Where("expiry_day", "<=", f"{self._now():%Y-%m-%d}"),)
        # Across tenants: a timer of the platform, which tells each owner of their own key.
        async for stored in self._store.stream(ApiKey, Query(None, due, order_by="expiry_day")):
            try:
                sent += await self._notify(stored)
            except Problem as problem:  # changed meanwhile: the next run sees it as it is then
                _logger.info("no notice for %s: %s", stored.value.id, problem.code)
        return sent

    async def _notify(self, stored: Stored[ApiKey]) -> bool:
        key, now = stored.value, self._now()
        if key.status == "revoked" or key.expires_at is None:
            return False  # `KeyWriter` would refuse; a revocation clears the day, so there is none but a seed's
        after = key.model_copy(update={"expiry_day": notice_day(key.expires_at, now.date())})
        if key.expired(now):
            await self._writer.write(SYSTEM, "key.expire", stored, after)
            return False
        days = (key.expires_at.astimezone(UTC).date() - now.date()).days
        left = "today" if days <= 0 else "tomorrow" if days == 1 else f"in {days} days"
        text = f"It expires {left}, at {key.expires_at:%Y-%m-%d %H:%M} UTC, and is refused from then on."
        text += "\nRotate it before: the new secret lives as long as this one did, and both work for a while."
        tasks = await self._mails.about(key, f"API key expires {left}", text)
        await self._writer.write(SYSTEM, "key.expiry_notice", stored, after, tasks=tasks)
        return True
