"""Merchants and services in and out of the documents port."""

import contextlib
import re
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from shared.catalog.models import Merchant, Revision, Service, ServiceVersion, SlugOwner
from shared.kernel.documents import ChangeNotifier, Stored, StoredModel
from shared.kernel.http.paging import Page, read_all, read_page
from shared.platform.documents import (
    CONTAINERS,
    Container,
    DocumentExists,
    DocumentMissing,
    Documents,
    PreconditionFailed,
    Query,
    Where,
)

MERCHANTS, SERVICES, SLUGS = CONTAINERS["merchants"], CONTAINERS["services"], CONTAINERS["service_slugs"]
MERCHANT_SLUGS = CONTAINERS["merchant_slugs"]


REVISION = "revision"
_VERSION = "version:"
RESERVED = timedelta(minutes=5)
"""How long a slug is kept for a service or merchant that is being made; longer than any request lasts."""

Model = TypeVar("Model", bound=StoredModel)

_REFERENCE = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


class SlugTaken(ValueError):
    """Another service, or merchant, has the slug."""


def version_document(number: int) -> str:
    return f"{_VERSION}{number:06d}"


class CatalogStore(ChangeNotifier):
    """Reads the documents of merchants and services. Listeners are told when this process changed one."""

    def __init__(self, documents: Documents) -> None:
        super().__init__()
        self.documents = documents

    async def merchant(self, id: str) -> Merchant | None:
        document = await self.documents.get(MERCHANTS, id, id)
        return None if document is None else Merchant.model_validate_json(document.body)

    async def stored_merchant(self, id: str) -> Stored[Merchant] | None:
        """Read a merchant with the ETag that a change must name."""
        document = await self.documents.get(MERCHANTS, id, id)
        return None if document is None else Stored(Merchant.model_validate_json(document.body), document.etag)

    async def merchants(
        self, status: str | None, flagged: bool | None, prefix: str | None, limit: int, cursor: str | None
    ) -> Page[Stored[Merchant]]:
        """List merchants by slug, those whose slug starts with `prefix`. Raises Problem 400 `cursor_invalid`."""
        where = [] if status is None else [Where("status", "=", status)]
        if flagged is not None:
            where.append(Where("flagged", "=", flagged))
        if prefix:
            where.append(Where("slug", "starts_with", prefix))
        # Across tenants: an operator asks.
        query = Query(None, tuple(where), order_by="slug", limit=limit)
        list_name = f"merchants:{status}:{flagged}:{prefix}"
        return await self._page(Merchant, query, list_name, cursor, MERCHANTS)

    async def service(self, id: str) -> Service | None:
        document = await self.documents.get(SERVICES, id, id)
        return None if document is None else Service.model_validate_json(document.body)

    async def stored_service(self, id: str) -> Stored[Service] | None:
        """Read a service with the ETag that a change must name."""
        document = await self.documents.get(SERVICES, id, id)
        return None if document is None else Stored(Service.model_validate_json(document.body), document.etag)

    async def revision(self, service_id: str) -> Revision | None:
        document = await self.documents.get(SERVICES, service_id, REVISION)
        return None if document is None else Revision.model_validate_json(document.body)

    async def versions(self, service_id: str, limit: int, cursor: str | None) -> Page[Stored[ServiceVersion]]:
        """List a service's versions, newest first. Raises Problem 400 `cursor_invalid`."""
        where = (Where("id", "starts_with", _VERSION),)
        query = Query(service_id, where, order_by="id", descending=True, limit=limit)
        return await self._page(ServiceVersion, query, f"versions:{service_id}", cursor)

    async def services(
        self, *where: Where, list_name: str, order_by: str, limit: int, cursor: str | None
    ) -> Page[Stored[Service]]:
        """List all merchants' services that match, by `order_by`. `list_name` names the list with its filters. Only
        times are in ascending order, so that ids are newest first. Raises Problem 400 `cursor_invalid`."""
        # Across tenants: each service is its own partition; the conditions name the merchant, or an operator asks.
        query = Query(None, where, order_by=order_by, descending=order_by != "submitted_at", limit=limit)
        return await self._page(Service, query, list_name, cursor)

    async def services_of(self, merchant_id: str, *where: Where) -> AsyncIterator[Service]:
        """Read all services of one merchant that match."""
        # Across tenants: each service is its own partition; the condition names the merchant.
        query = Query(None, (Where("merchant_id", "=", merchant_id), *where), order_by="id", limit=1_000)
        async for document in read_all(partial(self.documents.query, SERVICES, query)):
            yield Service.model_validate_json(document.body)

    async def _page(
        self, model: type[Model], query: Query, list_name: str, cursor: str | None, container: Container = SERVICES
    ) -> Page[Stored[Model]]:
        page = await read_page(partial(self.documents.query, container, query), list_name=list_name, cursor=cursor)
        return page.map(lambda document: Stored(model.model_validate_json(document.body), document.etag))

    async def service_id(self, slug: str) -> str | None:
        document = await self.documents.get(SLUGS, slug, slug)
        return None if document is None else SlugOwner.model_validate_json(document.body).service_id

    async def find_service(self, reference: str) -> Service | None:
        """Find a service by slug or id. A slug cannot look like an id, which has an underscore."""
        if not _REFERENCE.fullmatch(reference):
            return None
        service_id = reference if "_" in reference else await self.service_id(reference)
        return None if service_id is None else await self.service(service_id)

    async def reserve_slug(self, slug: str, service_id: str, now: datetime) -> None:
        """Keep a slug for a service that is made next. A reservation older than RESERVED whose service never came is
        taken over. Raises SlugTaken."""
        owner = SlugOwner(service_id=service_id, reserved_at=now)
        try:
            await self.documents.create(SLUGS, slug, slug, owner.to_json())
        except DocumentExists:
            document = await self.documents.get(SLUGS, slug, slug)
            if document is None or not await self._is_abandoned(SlugOwner.model_validate_json(document.body), now):
                raise SlugTaken(f"slug {slug} belongs to another service") from None
            try:
                await self.documents.replace(SLUGS, slug, slug, owner.to_json(), etag=document.etag)
            except (DocumentMissing, PreconditionFailed):
                raise SlugTaken(f"slug {slug} belongs to another service") from None

    async def release_slug(self, slug: str, service_id: str) -> None:
        """Give a reservation up, if it is still this service's, which was not made."""
        document = await self.documents.get(SLUGS, slug, slug)
        if document is None or SlugOwner.model_validate_json(document.body).service_id != service_id:
            return
        with contextlib.suppress(DocumentMissing, PreconditionFailed):  # somebody else's by now
            await self.documents.delete(SLUGS, slug, slug, etag=document.etag)

    async def _is_abandoned(self, owner: SlugOwner, now: datetime) -> bool:
        if owner.reserved_at is None or owner.reserved_at > now - RESERVED:
            return False
        return await self.service(owner.service_id) is None
