"""One service, or one merchant, as the public sees it: read from the documents, fresh."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.catalog.marketplace.search import is_live
from shared.catalog.models import Merchant, Service, ServiceVersion
from shared.catalog.openapi.operations import OpenApiOperation, operations_of
from shared.catalog.store import MERCHANTS, CatalogStore
from shared.kernel.cache import FreshCache
from shared.platform.documents import Documents, Query, Where

VERSIONS_SHOWN = 20
OPERATIONS_S = 600.0
"""A document never changes under its name, so this only frees memory."""

OPERATIONS_MAX = 256


class Visitors(Protocol):
    """Knows who may look at a private service. Catalog knows neither accounts nor grants."""

    async def may_see(self, headers: Mapping[str, str], service: Service) -> bool:
        """Say whether the request is from somebody who runs its merchant, has an approved grant, or is an admin. False
        also for a token that is not valid: to whoever may not see it, a private service does not exist."""
        ...


@dataclass(frozen=True, slots=True)
class PublicDetail:
    """`versions` are the latest first. `operations` are there when the merchant gave an OpenAPI document."""

    service: Service
    merchant: Merchant
    versions: Sequence[ServiceVersion]
    operations: Sequence[OpenApiOperation]


class Details:
    """Reads what the public sees of one service or merchant; `openapi` reads the OpenAPI document of a service, if it
    has one."""

    def __init__(
        self, documents: Documents, store: CatalogStore, openapi: Callable[[Service], Awaitable[bytes | None]]
    ) -> None:
        self._documents = documents
        self._store = store
        self._openapi = openapi
        self._operations: FreshCache[tuple[str, str], Sequence[OpenApiOperation]] = FreshCache(
            OPERATIONS_S, OPERATIONS_MAX
        )

    async def service(self, reference: str) -> PublicDetail | None:
        """Find a live service by slug or id, whoever may see it."""
        service = await self._store.find_service(reference)
        if service is None:
            return None
        merchant = await self._store.merchant(service.merchant_id)
        if merchant is None or not is_live(service, merchant):
            return None
        versions = [stored.value for stored in (await self._store.versions(service.id, VERSIONS_SHOWN, None)).items]
        return PublicDetail(service, merchant, versions, await self._operations_of(service))

    async def slugs(self, service_id: str) -> tuple[str, str] | None:
        """Return the slugs of the merchant and of the service, live or not."""
        service = await self._store.service(service_id)
        merchant = None if service is None else await self._store.merchant(service.merchant_id)
        return None if service is None or merchant is None else (merchant.slug, service.slug)

    async def _operations_of(self, service: Service) -> Sequence[OpenApiOperation]:
        if service.openapi is None:
            return ()

        async def read(_: object) -> Sequence[OpenApiOperation]:
            data = await self._openapi(service)
            return () if data is None else await asyncio.to_thread(lambda: operations_of(json.loads(data)))

        return await self._operations.get((service.id, service.openapi), read)

    async def merchant(self, slug: str) -> Merchant | None:
        """Find an active merchant by its slug."""
        # Across tenants: a public address does not say whose it is.
        query = Query(None, (Where("slug", "=", slug), Where("kind", "=", "merchant")), limit=10)
        page = await self._documents.query(MERCHANTS, query)
        found = (Merchant.model_validate_json(each.body) for each in page.items)
        return next((merchant for merchant in found if merchant.status == "active"), None)
