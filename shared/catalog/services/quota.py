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


class ServiceCount(StoredModel):
    """How many services a merchant has, and when one was counted last. Stored in the merchant's partition."""

    count: int = 0
    raised_at: AwareDatetime


class ServiceQuota:
    """Holds the number of a merchant's services below the platform's maximum."""

    def __init__(self, documents: Documents, store: CatalogStore, now: Callable[[], datetime] = utc_now) -> None:
        self._documents = documents
        self._store = store
        self._now = now

    async def reserve(self, merchant_id: str, services_max: int) -> None:
        """Count one service more. Raises Problem 409 `limit_reached` when the merchant has `services_max`; `conflict`
        when others kept being first."""
        await retry(
            lambda: self._try_to_reserve(merchant_id, services_max),
            on=(DocumentExists, PreconditionFailed),
            attempts_max=ATTEMPTS_MAX,
            pause_s_max=PAUSE_S_MAX,
            otherwise=conflict,
        )

    async def _try_to_reserve(self, merchant_id: str, services_max: int) -> None:
        document = await self._documents.get(MERCHANTS, merchant_id, DOCUMENT)
        stored = None if document is None else ServiceCount.model_validate_json(document.body)
        count = await self._count(merchant_id, services_max, stored)
        if count >= services_max:
            detail = (
                f"A merchant has at most {services_max} services. Retire one first; its place is free 5 minutes later."
            )
            raise Problem(409, "limit_reached", detail)
        body = ServiceCount(count=count + 1, raised_at=self._now()).to_json()
        if document is None:
            await self._documents.create(MERCHANTS, merchant_id, DOCUMENT, body)
        else:
            await self._documents.replace(MERCHANTS, merchant_id, DOCUMENT, body, etag=document.etag)

    async def _count(self, merchant_id: str, services_max: int, stored: ServiceCount | None) -> int:
        if stored is not None and (stored.count < services_max or stored.raised_at > self._now() - RESERVED):
            return stored.count
        return len([True async for _ in self._store.services_of(merchant_id, Where("status", "in", _COUNTED))])
