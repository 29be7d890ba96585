"""Kinds of tasks that post events, and whatever leaves an event to be posted: even a process that is killed in between
keeps none from its receivers."""

from collections.abc import Mapping
from datetime import datetime

from shared.audit.tasks import Task
from shared.kernel.clock import format_time
from shared.webhooks.models import EventType


class EmitEvent(Task):
    """Post an event to every webhook of the owner that subscribes to its type, or only to `webhook_id`:
    `WebhookSender.on_emit`."""

    kind = "webhook.emit"

    owner_id: str
    type: EventType
    data: Mapping[str, object]
    timestamp: str
    webhook_id: str | None = None


class DeliverEvent(Task):
    """Post one delivery to its webhook: `WebhookSender.on_deliver`."""

    kind = "webhook.deliver"

    owner_id: str
    webhook_id: str
    delivery_id: str


def emit(
    owner_id: str, type: EventType, data: Mapping[str, object], at: datetime, *, webhook_id: str | None = None
) -> EmitEvent:
    """Make the task, to be passed to `Journal.commit`, that posts `data` to every webhook of the owner that subscribes
    to `type`, or only to the one that is named."""
    return EmitEvent(owner_id=owner_id, type=type, data=data, timestamp=format_time(at), webhook_id=webhook_id)
