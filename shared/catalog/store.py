"""Merchants and services in and out of the documents port."""

import re

from shared.catalog.models import Merchant, Service, SlugOwner
from shared.kernel.clock import format_time, utc_now
from shared.kernel.stored import Listeners
from shared.platform.documents import CONTAINERS, DocumentExists, Documents

MERCHANTS, SERVICES, SLUGS = CONTAINERS["merchants"], CONTAINERS["services"], CONTAINERS["service_slugs"]


_REFERENCE = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


class SlugTaken(ValueError):  # noqa: N818 - an answer, not a failure
    """Another service has the slug."""


class CatalogStore(Listeners):
    def __init__(self, documents: Documents) -> None:
        super().__init__()
        self._documents = documents

    async def merchant(self, id: str) -> Merchant | None:
        document = await self._documents.get(MERCHANTS, id, id)
        return None if document is None else Merchant.model_validate_json(document.body)

    async def put_merchant(self, merchant: Merchant) -> None:
        await self._documents.upsert(MERCHANTS, merchant.id, merchant.id, merchant.to_json())
        self.changed()

    async def service(self, id: str) -> Service | None:
        document = await self._documents.get(SERVICES, id, id)
        return None if document is None else Service.model_validate_json(document.body)

    async def service_id(self, slug: str) -> str | None:
        document = await self._documents.get(SLUGS, slug, slug)
        return None if document is None else SlugOwner.model_validate_json(document.body).service_id

    async def find_service(self, reference: str) -> Service | None:
        """By slug or id. A slug cannot look like an id, which has an underscore."""
        if not _REFERENCE.fullmatch(reference):
            return None
        service_id = reference if "_" in reference else await self.service_id(reference)
        return None if service_id is None else await self.service(service_id)

    async def put_service(self, service: Service) -> None:
        """Raises SlugTaken. The slug is reserved first: a kill in between leaves a reservation that this repeats. The
        catalogue takes notice of what is put."""
        owner = SlugOwner(service_id=service.id)
        try:
            await self._documents.create(SLUGS, service.slug, service.slug, owner.to_json())
        except DocumentExists:
            if await self.service_id(service.slug) != service.id:
                raise SlugTaken(f"slug {service.slug} belongs to another service") from None
        listed = service.model_copy(update={"listing": format_time(utc_now())})
        await self._documents.upsert(SERVICES, service.id, service.id, listed.to_json())
        self.changed()
