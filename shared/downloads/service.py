"""Links to documents: short-lived, and every one that is given out is in the audit log."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from shared.audit.journal import Journal
from shared.audit.models import Actor, Change
from shared.kernel.clock import format_time, utc_now
from shared.platform.blobs import Blobs
from shared.platform.documents import CONTAINERS

LINK_S = 300
_OUTBOX = CONTAINERS["billing"]


class Link(NamedTuple):
    """A link to a document. Whoever has the URL can read the document until then: it is for the person who asked, never
    for a mail."""

    url: str
    expires_at: datetime


class Downloads:
    """Gives out links to blobs, and writes each into the audit log."""

    def __init__(self, blobs: Blobs, journal: Journal, now: Callable[[], datetime] = utc_now) -> None:
        self._blobs = blobs
        self._journal = journal
        self._now = now

    async def link(
        self, actor: Actor, resource: str, *, blob_name: str, filename: str, expires_s: int = LINK_S
    ) -> Link:
        """Link to a blob, once `<noun>.download` of `resource` (`<noun>:<id>`) is durably written down. Raises
        BlobsUnavailable, DocumentsUnavailable; ValueError for a file name that is none."""
        expires_at = (self._now() + timedelta(seconds=expires_s)).replace(microsecond=0)
        url = await self._blobs.link(blob_name, expires_s=expires_s, filename=filename)
        after = {"blob": blob_name, "expires_at": format_time(expires_at)}
        noun = resource.partition(":")[0]
        # Nothing is changed, so the entry passes through an outbox of whoever asked.
        change = Change(actor, f"{noun}.download", resource, after=after)
        await self._journal.commit(_OUTBOX, actor.account_id, [], change)
        return Link(url, expires_at)
