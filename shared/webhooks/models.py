"""Webhooks and their deliveries. All of one owner's documents share one partition: a consumer's id, a merchant's id, or
`platform`."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, AwareDatetime, Field

from shared.kernel.documents import Identifier, StoredModel

EventType = Literal["alert.fired", "report.ready", "invoice.issued", "invoice.overdue", "invoice.paid", "ping"]
"""`ping` is what a test sends; nobody subscribes to it."""

Subscription = Literal["alert.fired", "report.ready", "invoice.issued", "invoice.overdue", "invoice.paid"]


def _check_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an absolute http or https URL")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not carry a user name or password")
    if parts.fragment:
        raise ValueError("must not carry a fragment")
    return url


WebhookUrl = Annotated[str, Field(max_length=2_000), AfterValidator(_check_url)]


class Webhook(StoredModel):
    """`secret_version` names the secret that signs (`webhook-<id>-<version>`); while `previous_until` has not come, the
    one before signs too, so a receiver can change over. A receiver that answers 410 disables it."""

    kind: Literal["webhook"] = "webhook"
    id: Identifier
    owner_id: Identifier
    url: WebhookUrl
    description: Annotated[str, Field(max_length=200)] = ""
    events: Annotated[tuple[Subscription, ...], Field(min_length=1)]
    status: Literal["enabled", "disabled"] = "enabled"
    reason: str | None = None
    secret_version: int = 1
    previous_until: AwareDatetime | None = None
    created_at: AwareDatetime


class DeliveryAttempt(StoredModel):
    """An attempt to deliver an event."""

    at: Annotated[AwareDatetime, Field(description="Start of the attempt.")]
    status: Annotated[
        int | None, Field(description="HTTP status of the receiver's answer; null if there was no answer.")
    ] = None
    error: Annotated[str | None, Field(description="Reason of the failure; null if there was none.")] = None
    took_ms: Annotated[int, Field(description="Milliseconds until the answer, or until the failure.")] = 0


class Delivery(StoredModel):
    """One event for one webhook. `id` is the `webhook-id` header, the same in every attempt and every redelivery."""

    kind: Literal["delivery"] = "delivery"
    id: Identifier
    webhook_id: Identifier
    owner_id: Identifier
    type: EventType
    body: str
    status: Literal["pending", "delivered", "failed"] = "pending"
    attempts: tuple[DeliveryAttempt, ...] = ()
    created_at: AwareDatetime


def webhook_secret_name(webhook_id: str, version: int) -> str:
    """In the secrets port; it takes no underscore."""
    return f"webhook-{webhook_id.replace('_', '-').lower()}-{version}"
