"""The API gateway follows the services: told after every change, from what is true by then."""

from shared.catalog.models import Service
from shared.catalog.store import CatalogStore
from shared.catalog.tasks import SyncGateway
from shared.kernel.documents import Stored
from shared.kernel.errors import Unavailable
from shared.platform.blobs import Blobs
from shared.platform.gateways import Gateway, GatewayService

ROUNDS_MAX = 5


class GatewayBusy(Unavailable):
    """The service changes faster than the gateway takes it; try again."""


class GatewaySync:
    """Keeps the API gateway in front of AMS in step with the services that are on offer."""

    def __init__(self, store: CatalogStore, blobs: Blobs, gateway: Gateway) -> None:
        self._store = store
        self._blobs = blobs
        self._gateway = gateway

    async def on_sync(self, task_id: str, task: SyncGateway) -> None:
        """Handle SyncGateway. Raises Unavailable, to be tried again.

        Two tasks of one service may run at the same time, and the slower one may have read an older state: so each
        looks again after it told the gateway, until what it told is what is there.
        """
        service_id = task.service_id
        state = await self._state(service_id)
        for _ in range(ROUNDS_MAX):
            await self._tell(service_id, state)
            now = await self._state(service_id)
            if now == state:
                return
            state = now
        raise GatewayBusy(f"{service_id} changes all the time")

    async def _state(self, service_id: str) -> tuple[Stored[Service] | None, bool]:
        """The service, and whether its merchant is active."""
        stored = await self._store.stored_service(service_id)
        merchant = None if stored is None else await self._store.merchant(stored.value.merchant_id)
        return stored, merchant is not None and merchant.status == "active"

    async def _tell(self, service_id: str, state: tuple[Stored[Service] | None, bool]) -> None:
        stored, merchant_active = state
        if stored is None or stored.value.status != "active" or stored.value.type != "api" or not merchant_active:
            await self._gateway.withdraw(service_id)
            return
        service = stored.value
        openapi = None
        if service.openapi is not None:
            blob = await self._blobs.get(service.openapi)
            openapi = None if blob is None else blob.data.decode()
        await self._gateway.publish(
            GatewayService(
                service_id=service.id,
                slug=service.slug,
                name=service.name,
                description=service.description,
                openapi=openapi,
            )
        )
