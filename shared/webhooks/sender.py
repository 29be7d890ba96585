"""Posting events: signed as Standard Webhooks says, tried again for about three days, every attempt on record.

Order: the event's task makes one delivery document per webhook, each with a task of its own; a delivery's task posts,
records the attempt, and raises unless the receiver took it, which has the journal try again later. A kill in between
posts twice with the same `webhook-id`, never not at all.
"""

import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from hashlib import sha256

from standardwebhooks import Webhook as Signer

from shared.audit.journal import ATTEMPTS_MAX, Journal, PermanentFailure
from shared.audit.models import SYSTEM, changed
from shared.audit.platform import PlatformSettingsStore
from shared.kernel.clock import parse_time, utc_now
from shared.kernel.documents import Stored
from shared.kernel.errors import Problem
from shared.platform.documents import Create, Documents, Replace
from shared.platform.secrets import SecretMissing, Secrets
from shared.platform.upstream import Upstream, UpstreamError, UpstreamRequest
from shared.webhooks.models import Delivery, DeliveryAttempt, Webhook, webhook_secret_name
from shared.webhooks.store import ALERTS, WebhookStore, delivery_document, webhook_document
from shared.webhooks.tasks import DeliverEvent, EmitEvent

TIMEOUT_S = 20.0
ATTEMPTS_KEPT_MAX = 30
ERROR_CHARACTERS_MAX = 300


class NotTaken(Exception):
    """The receiver did not take the event; the journal tries again."""


class WebhookSender:
    """Posts events to webhooks: the handlers of `EmitEvent` and `DeliverEvent`."""

    def __init__(
        self,
        documents: Documents,
        store: WebhookStore,
        journal: Journal,
        vault: Secrets,
        upstream: Upstream,
        settings: PlatformSettingsStore,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._documents = documents
        self._store = store
        self._journal = journal
        self._vault = vault
        self._upstream = upstream
        self._settings = settings
        self._now = now

    async def on_emit(self, task_id: str, task: EmitEvent) -> None:
        """Make one delivery for each webhook that wants the event; those that are there already are left alone."""
        body = json.dumps({"type": task.type, "timestamp": task.timestamp, "data": task.data})
        for stored in await self._store.webhooks(task.owner_id):
            webhook = stored.value
            chosen = task.webhook_id == webhook.id if task.webhook_id else task.type in webhook.events
            if not chosen or webhook.status == "disabled":
                continue
            moment = int(parse_time(task.timestamp).timestamp() * 1000)
            unique = sha256(f"{task_id}:{webhook.id}".encode()).hexdigest()[:20]
            delivery = Delivery(
                id=f"msg_{moment:012x}{unique}",
                webhook_id=webhook.id,
                owner_id=webhook.owner_id,
                type=task.type,
                body=body,
                created_at=self._now(),
            )
            await self._begin(delivery)

    async def _begin(self, delivery: Delivery) -> None:
        document = delivery_document(delivery.webhook_id, delivery.id)
        write = Create(document, delivery.to_json(), await self._ttl_s())
        task = DeliverEvent(owner_id=delivery.owner_id, webhook_id=delivery.webhook_id, delivery_id=delivery.id)
        with contextlib.suppress(Problem):  # 409: it was begun before
            await self._journal.commit(ALERTS, delivery.owner_id, [write], tasks=[task])

    async def on_deliver(self, task_id: str, task: DeliverEvent) -> None:
        """Handle DeliverEvent: post one delivery. Raises NotTaken, PermanentFailure."""
        webhook = await self._store.webhook(task.owner_id, task.webhook_id)
        delivery = await self._store.delivery(task.owner_id, task.webhook_id, task.delivery_id)
        if webhook is None or delivery is None or webhook.value.status == "disabled":
            return  # deleted or switched off meanwhile, or the log's time is over: nothing is owed
        attempt = await self._post(webhook.value, delivery.value)
        taken = attempt.status is not None and 200 <= attempt.status < 300
        await self._record(delivery, attempt, taken=taken)
        if attempt.status == 410:
            await self._disable(webhook)
            raise PermanentFailure("the receiver answered 410: it wants no more")
        if not taken:
            raise NotTaken(attempt.error or f"the receiver answered {attempt.status}")

    async def _post(self, webhook: Webhook, delivery: Delivery) -> DeliveryAttempt:
        at, started = self._now(), time.perf_counter()
        status, error = None, None
        try:
            status = await self._send(webhook, delivery, at)
        except (UpstreamError, SecretMissing) as failed:
            error = str(failed)[:ERROR_CHARACTERS_MAX]
        took_ms = round((time.perf_counter() - started) * 1000)
        return DeliveryAttempt(at=at, status=status, error=error, took_ms=took_ms)

    async def _send(self, webhook: Webhook, delivery: Delivery, at: datetime) -> int:
        body = delivery.body.encode()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "AMS-Webhooks/1",
            "webhook-id": delivery.id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": await self._signatures(webhook, delivery, at),
        }
        request = UpstreamRequest(
            "POST", webhook.url, headers=headers, body=_once(body), content_length=len(body), timeout_s=TIMEOUT_S
        )
        response = await self._upstream.send(request)
        response.close()  # what it says beside its status is of no use
        return response.status

    async def _signatures(self, webhook: Webhook, delivery: Delivery, at: datetime) -> str:
        versions = [webhook.secret_version]
        if webhook.previous_until is not None and webhook.previous_until > at:
            versions.append(webhook.secret_version - 1)
        secrets = [await self._vault.get(webhook_secret_name(webhook.id, version)) for version in versions]
        return " ".join(Signer(secret).sign(delivery.id, at, delivery.body) for secret in secrets)

    async def _record(self, stored: Stored[Delivery], attempt: DeliveryAttempt, *, taken: bool) -> None:
        delivery = stored.value
        attempts = (*delivery.attempts, attempt)[-ATTEMPTS_KEPT_MAX:]
        status = "delivered" if taken else "failed" if len(attempts) >= ATTEMPTS_MAX else delivery.status
        after = delivery.model_copy(update={"attempts": attempts, "status": status})
        document = delivery_document(delivery.webhook_id, delivery.id)
        # Not conditional: two attempts at the same moment lose a line of the log, not a delivery.
        await self._documents.upsert(ALERTS, delivery.owner_id, document, after.to_json(), ttl_s=await self._ttl_s())

    async def _disable(self, stored: Stored[Webhook]) -> None:
        reason = "the receiver answered 410 Gone"
        after = stored.value.model_copy(update={"status": "disabled", "reason": reason})
        change = changed(SYSTEM, "webhook.disable", f"webhook:{after.id}", stored.value, after, reason=reason)
        write = Replace(webhook_document(after.id), after.to_json(), stored.etag)
        with contextlib.suppress(Problem):  # 409: its owner changed it meanwhile, and decides
            await self._journal.commit(ALERTS, after.owner_id, [write], change)

    async def _ttl_s(self) -> int:
        return (await self._settings.current()).delivery_log_days * 24 * 3600


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body
