"""How many services a merchant may have, also when many are made at the same time.

A counter in the merchant's partition is raised before a service is made, so it never says less than there are. It says
more when a process was killed in between, or a service was retired: once it is full, and nothing was added for a while
that may still be under way, what is really there is counted.
"""

from collections.abc import Callable
from datetime import datetime
from typing import get_args

from pydantic import AwareDatetime

from shared.audit.journal import conflict
from shared.catalog.models import ServiceStatus
from shared.catalog.store import MERCHANTS, RESERVED, CatalogStore
from shared.kernel.clock import utc_now
from shared.kernel.documents import StoredModel
from shared.kernel.errors import Problem
from shared.kernel.retries import retry
from shared.platform.documents import DocumentExists, Documents, PreconditionFailed, Where

DOCUMENT = "services"
ATTEMPTS_MAX = 50
PAUSE_S_MAX = 0.05
_COUNTED = tuple(status for status in get_args(ServiceStatus) if status != "retired")


class Taken(StoredModel):
    """Stored in the merchant's partition."""

    count: int = 0
    raised_at: AwareDatetime


class ServiceQuota:
    def __init__(self, documents: Documents, store: CatalogStore, now: Callable[[], datetime] = utc_now) -> None:
        self._documents = documents
        self._store = store
        self._now = now

    async def take(self, merchant_id: str, most: int) -> None:
        """One of the merchant's `most` places. Raises Problem 409 `limit_reached`; `conflict` under endless races."""
        await retry(
            lambda: self._try(merchant_id, most),
            on=(DocumentExists, PreconditionFailed),
            attempts_max=ATTEMPTS_MAX,
            pause_s_max=PAUSE_S_MAX,
            otherwise=conflict,
        )

    async def _try(self, merchant_id: str, most: int) -> None:
        document = await self._documents.get(MERCHANTS, merchant_id, DOCUMENT)
        taken = None if document is None else Taken.model_validate_json(document.body)
        count = await self._count(merchant_id, most, taken)
        if count >= most:
            detail = f"A merchant has at most {most} services. Retire one first; its place is free 5 minutes later."
            raise Problem(409, "limit_reached", detail)
        body = Taken(count=count + 1, raised_at=self._now()).to_json()
        if document is None:
            await self._documents.create(MERCHANTS, merchant_id, DOCUMENT, body)
        else:
            await self._documents.replace(MERCHANTS, merchant_id, DOCUMENT, body, etag=document.etag)

    async def _count(self, merchant_id: str, most: int, taken: Taken | None) -> int:
        if taken is not None and (taken.count < most or taken.raised_at > self._now() - RESERVED):
            return taken.count
        return len([True async for _ in self._store.services_of(merchant_id, Where("status", "in", _COUNTED))])
