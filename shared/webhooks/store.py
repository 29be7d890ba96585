"""Webhooks and deliveries in and out of the documents port."""

from functools import partial
from typing import TypeVar

from shared.kernel.documents import Stored, StoredModel
from shared.kernel.http.paging import Page, read_page
from shared.platform.documents import CONTAINERS, Documents, Query, Where
from shared.webhooks.models import Delivery, Webhook

ALERTS = CONTAINERS["alerts"]
WEBHOOKS_MAX = 20
Model = TypeVar("Model", bound=StoredModel)


def webhook_document(id: str) -> str:
    return f"webhook:{id}"


def delivery_document(webhook_id: str, id: str) -> str:
    """Ids sort by time, so a webhook's deliveries are a range in order."""
    return f"delivery:{webhook_id}:{id}"


class WebhookStore:
    """Reads webhooks and their deliveries."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def _get(self, model: type[Model], owner_id: str, id: str) -> Stored[Model] | None:
        document = await self._documents.get(ALERTS, owner_id, id)
        return None if document is None else Stored(model.model_validate_json(document.body), document.etag)

    async def webhook(self, owner_id: str, id: str) -> Stored[Webhook] | None:
        return await self._get(Webhook, owner_id, webhook_document(id))

    async def webhooks(self, owner_id: str) -> list[Stored[Webhook]]:
        """List all webhooks of an owner, of which there are at most WEBHOOKS_MAX, oldest first."""
        query = Query(owner_id, (Where("kind", "=", "webhook"),), limit=1000)
        page = await self._documents.query(ALERTS, query)
        stored = [Stored(Webhook.model_validate_json(document.body), document.etag) for document in page.items]
        return sorted(stored, key=lambda one: one.value.id)

    async def delivery(self, owner_id: str, webhook_id: str, id: str) -> Stored[Delivery] | None:
        return await self._get(Delivery, owner_id, delivery_document(webhook_id, id))

    async def deliveries(self, owner_id: str, webhook_id: str, limit: int, cursor: str | None) -> Page[Delivery]:
        """List a webhook's deliveries, newest first. Raises Problem 400 `cursor_invalid`."""
        list_name = f"deliveries:{owner_id}:{webhook_id}"
        where = (Where("id", "starts_with", delivery_document(webhook_id, "")),)
        query = Query(owner_id, where, order_by="id", descending=True, limit=limit)
        page = await read_page(partial(self._documents.query, ALERTS, query), list_name=list_name, cursor=cursor)
        return page.map(lambda document: Delivery.model_validate_json(document.body))
