"""Events for webhooks, as tasks of the journal: what happened is posted, even when a process is killed in between."""

from datetime import datetime
from typing import Any

from shared.audit.journal import Task
from shared.kernel.clock import format_time
from shared.webhooks.models import EventType

EMIT_TASK = "webhook.emit"
DELIVER_TASK = "webhook.deliver"


def emit(owner_id: str, type: EventType, data: dict[str, Any], at: datetime, *, webhook_id: str | None = None) -> Task:
    """To be passed to `Journal.commit`: posts `data` to every webhook of the owner that subscribes to `type`, or only
    to the one that is named."""
    return Task(
        EMIT_TASK,
        {"owner_id": owner_id, "type": type, "data": data, "timestamp": format_time(at), "webhook_id": webhook_id},
    )


def deliver(owner_id: str, webhook_id: str, delivery_id: str) -> Task:
    return Task(DELIVER_TASK, {"owner_id": owner_id, "webhook_id": webhook_id, "delivery_id": delivery_id})


def secret_name(webhook_id: str, version: int) -> str:
    """In the secrets port; it takes no underscore."""
    return f"webhook-{webhook_id.replace('_', '-').lower()}-{version}"
