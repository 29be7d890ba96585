"""What the catalogue says of a merchant, it says of each of its services: when that changes, each is listed anew, and
search index, pages and gateway follow."""

from collections.abc import Callable
from datetime import datetime

from shared.audit.journal import Journal
from shared.catalog.services.changes import effects
from shared.catalog.store import SERVICES, CatalogStore
from shared.catalog.tasks import RelistServices
from shared.kernel.clock import format_time, utc_now
from shared.kernel.retries import retry_on_conflict
from shared.platform.documents import Replace

ATTEMPTS_MAX = 10


class Relisting:
    """Lists a merchant's services anew in the marketplace when the merchant changed."""

    def __init__(self, store: CatalogStore, journal: Journal, now: Callable[[], datetime] = utc_now) -> None:
        self._store = store
        self._journal = journal
        self._now = now

    async def on_relist(self, task_id: str, task: RelistServices) -> None:
        """Handle RelistServices: doing it twice lists twice. Raises Problem 409 when a service keeps changing."""
        async for service in self._store.services_of(task.merchant_id):
            if service.status in ("active", "suspended"):
                await self._touch(service.id)

    async def _touch(self, service_id: str) -> None:
        async def attempt() -> None:
            stored = await self._store.stored_service(service_id)
            if stored is None:
                return
            after = stored.value.model_copy(update={"listing": format_time(self._now())})
            write = Replace(service_id, after.to_json(), stored.etag)
            await self._journal.commit(SERVICES, service_id, [write], tasks=effects(after))

        await retry_on_conflict(attempt, attempts_max=ATTEMPTS_MAX)
