"""Webhooks of a consumer, a merchant or the platform: the same routes three times, each with its own permission."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Response
from pydantic import AwareDatetime, Field

from shared.identity.guard import allowed
from shared.identity.models import Caller
from shared.kernel.documents import Stored
from shared.kernel.http.etags import entity_tag
from shared.kernel.http.fields import CreatedAt, DeliveryId, NextCursor, WebhookId
from shared.kernel.http.operation_ids import owned_operation_id
from shared.kernel.http.parameters import Cursor, IfMatch, PageSize
from shared.kernel.http.provided import provided
from shared.kernel.http.schemas import Input, View
from shared.webhooks.models import Delivery, DeliveryAttempt, Subscription, Webhook, WebhookUrl
from shared.webhooks.owners import OWNER_IDS, OWNER_NAMES, OWNER_PATHS, OwnerKind
from shared.webhooks.parts import WebhookParts
from shared.webhooks.service import Webhooks

SubscribedEvents = Annotated[tuple[Subscription, ...], Field(min_length=1, examples=[["alert.fired"]])]
WebhookDescription = Annotated[str, Field(max_length=200)]


class WebhookInput(Input):
    """A webhook: a URL, and the events that are posted to it."""

    url: Annotated[WebhookUrl, Field(examples=["https://example.com/ams-events"])]
    """URL that events are posted to: https, and no address of a private network."""
    description: WebhookDescription = ""
    """Description for people; empty is none."""
    events: SubscribedEvents = ("alert.fired",)
    """Types of the events that are posted."""


class WebhookChange(Input):
    """A change of a webhook: only what is given is changed."""

    url: WebhookUrl | None = None
    """URL that events are posted to: https, and no address of a private network. Null or absent leaves it."""
    description: WebhookDescription | None = None
    """Description for people; null or absent leaves it."""
    events: SubscribedEvents | None = None
    """Types of all events that are posted; null or absent leaves them."""
    status: Literal["enabled", "disabled"] | None = None
    """Status of the webhook. Nothing is posted while it is `disabled`. Null or absent leaves it."""


class WebhookView(View):
    """A webhook: a URL that events are posted to."""

    id: WebhookId
    url: str
    """URL that events are posted to."""
    description: str
    """Description for people; empty is none."""
    events: list[Subscription]
    """Types of the events that are posted."""
    status: Literal["enabled", "disabled"]
    """Status of the webhook. Nothing is posted while it is `disabled`."""
    reason: str | None
    """Reason why AMS disabled the webhook, such as too many failures; null if it did not."""
    previous_until: AwareDatetime | None
    """Time until which the previous secret also signs; null if only the current one signs."""
    created_at: CreatedAt


class WebhookWithSecret(WebhookView):
    """A webhook with its secret."""

    secret: str
    """Secret that verifies signatures (`whsec_…`, Standard Webhooks), only in this answer."""


class WebhookList(View):
    """All webhooks of one owner."""

    items: list[WebhookView]
    """Webhooks, oldest first."""


class DeliveryView(View):
    """A delivery: one event that is posted to a webhook."""

    id: str
    """Id of the delivery, which is the value of its `webhook-id` header at every attempt."""
    type: str
    """Type of the event, such as `alert.fired`."""
    status: Literal["pending", "delivered", "failed"]
    """Status: `pending` while attempts continue, `delivered`, or `failed` after the last attempt."""
    attempts: list[DeliveryAttempt]
    """Attempts, oldest first."""
    body: str
    """Body of the request: JSON as text."""
    created_at: CreatedAt


class DeliveryList(View):
    """A page of the log of deliveries."""

    items: list[DeliveryView]
    """Items of the page."""
    next_cursor: NextCursor


WebhooksPart = Annotated[Webhooks, Depends(provided(WebhookParts, lambda webhooks: webhooks.service))]


def _view(stored: Stored[Webhook], response: Response) -> WebhookView:
    response.headers["ETag"] = entity_tag(stored.etag)
    return WebhookView.model_validate(stored.value.model_dump())


def _delivery(delivery: Delivery) -> DeliveryView:
    return DeliveryView.model_validate(delivery.model_dump())


def _routes(kind: OwnerKind, action: str) -> APIRouter:
    """The routes for one kind of owner."""
    named = owned_operation_id(kind)
    router = APIRouter(prefix=OWNER_PATHS[kind], tags=["webhooks"], generate_unique_id_function=named)
    whose = OWNER_NAMES[kind]
    Allowed = Annotated[Caller, Depends(allowed(action))]  # noqa: N806 - a type
    Owner = Annotated[str, Depends(OWNER_IDS[kind])]  # noqa: N806 - a type

    @router.post("/webhooks", status_code=201, summary=f"Add {whose} webhook")
    async def add_webhook(
        caller: Allowed, owner_id: Owner, service: WebhooksPart, body: WebhookInput, response: Response
    ) -> WebhookWithSecret:
        """Create a webhook: events are posted to its URL. The secret that verifies their signatures is only in this
        answer."""
        stored, secret = await service.add(caller.actor, owner_id, body.url, body.description, body.events)
        return WebhookWithSecret(**_view(stored, response).model_dump(), secret=secret)

    @router.get("/webhooks", summary=f"List {whose} webhooks")
    async def list_webhooks(caller: Allowed, owner_id: Owner, service: WebhooksPart) -> WebhookList:
        """List all webhooks, oldest first."""
        stored = await service.list(owner_id)
        return WebhookList(items=[WebhookView.model_validate(one.value.model_dump()) for one in stored])

    @router.get("/webhooks/{webhook_id}", summary=f"Read {whose} webhook")
    async def read_webhook(
        caller: Allowed, owner_id: Owner, service: WebhooksPart, webhook_id: WebhookId, response: Response
    ) -> WebhookView:
        """Read one webhook."""
        return _view(await service.find(owner_id, webhook_id), response)

    @router.patch("/webhooks/{webhook_id}", summary=f"Change {whose} webhook")
    async def change_webhook(
        caller: Allowed,
        owner_id: Owner,
        service: WebhooksPart,
        webhook_id: WebhookId,
        body: WebhookChange,
        response: Response,
        if_match: IfMatch = None,
    ) -> WebhookView:
        """Change a webhook, or disable or enable it."""
        values = body.model_dump(exclude_unset=True, exclude_none=True)
        return _view(await service.update(caller.actor, owner_id, webhook_id, values, if_match), response)

    @router.delete("/webhooks/{webhook_id}", status_code=204, summary=f"Delete {whose} webhook")
    async def delete_webhook(
        caller: Allowed,
        owner_id: Owner,
        service: WebhooksPart,
        webhook_id: WebhookId,
        if_match: IfMatch = None,
    ) -> None:
        """Delete a webhook. Nothing more is posted to its URL."""
        await service.remove(caller.actor, owner_id, webhook_id, if_match)

    @router.post("/webhooks/{webhook_id}/rotate-secret", summary=f"Rotate the secret of {whose} webhook")
    async def rotate_secret(
        caller: Allowed, owner_id: Owner, service: WebhooksPart, webhook_id: WebhookId, response: Response
    ) -> WebhookWithSecret:
        """Create a new secret, shown only in this answer. The previous one also signs for 24 hours."""
        stored, secret = await service.rotate(caller.actor, owner_id, webhook_id)
        return WebhookWithSecret(**_view(stored, response).model_dump(), secret=secret)

    @router.post(
        "/webhooks/{webhook_id}/test", status_code=202, response_class=Response, summary=f"Test {whose} webhook"
    )
    async def test_webhook(caller: Allowed, owner_id: Owner, service: WebhooksPart, webhook_id: WebhookId) -> None:
        """Post a `ping` event to the webhook. Its delivery appears in the log soon after."""
        await service.test(caller.actor, owner_id, webhook_id)

    @router.get("/webhooks/{webhook_id}/deliveries", summary=f"List the deliveries of {whose} webhook")
    async def list_deliveries(
        caller: Allowed,
        owner_id: Owner,
        service: WebhooksPart,
        webhook_id: WebhookId,
        limit: PageSize = 20,
        cursor: Cursor = None,
    ) -> DeliveryList:
        """List the events that were posted to the webhook, newest first, with every attempt."""
        page = await service.deliveries(owner_id, webhook_id, limit, cursor)
        return DeliveryList(items=[_delivery(one) for one in page.items], next_cursor=page.cursor)

    @router.post(
        "/webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver",
        status_code=202,
        summary=f"Redeliver an event of {whose} webhook",
    )
    async def redeliver_event(
        caller: Allowed,
        owner_id: Owner,
        service: WebhooksPart,
        webhook_id: WebhookId,
        delivery_id: DeliveryId,
    ) -> DeliveryView:
        """Post an event again, with the same `webhook-id`."""
        return _delivery(await service.redeliver(caller.actor, owner_id, webhook_id, delivery_id))

    return router


routers = (
    _routes("consumer", "webhook.manage"),
    _routes("merchant", "webhook.manage_merchant"),
    _routes("platform", "webhook.manage_platform"),
)
