"""What an owner does with its webhooks: add, change, rotate the secret, test, look at deliveries, send one again."""

import base64
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from shared.audit.journal import Journal
from shared.audit.models import Actor, Change, changed
from shared.kernel.clock import format_time, utc_now
from shared.kernel.documents import Stored
from shared.kernel.errors import FieldError, Problem
from shared.kernel.http.etags import check_match
from shared.kernel.http.paging import Page
from shared.kernel.http.problems import not_found
from shared.kernel.ids import new_id
from shared.platform.documents import Create, Delete, Replace
from shared.platform.secrets import Secrets
from shared.webhooks.models import Delivery, Webhook, webhook_secret_name
from shared.webhooks.store import ALERTS, WEBHOOKS_MAX, WebhookStore, webhook_document
from shared.webhooks.tasks import DeliverEvent, emit

SECRET_BYTES = 32
"""Standard Webhooks: 24 to 64."""

OVERLAP = timedelta(hours=24)


def new_secret() -> str:
    return f"whsec_{base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()}"


class Webhooks:
    """Makes, changes and removes the webhooks of an owner, and shows what was delivered to them."""

    def __init__(
        self, store: WebhookStore, journal: Journal, vault: Secrets, now: Callable[[], datetime] = utc_now
    ) -> None:
        self._store = store
        self._journal = journal
        self._vault = vault
        self._now = now

    async def add(
        self, actor: Actor, owner_id: str, url: str, description: str, events: Sequence[str]
    ) -> tuple[Stored[Webhook], str]:
        """Add a webhook. Returns it, and its secret, which is shown this once. Raises Problem 409 `limit_reached`."""
        if len(await self._store.webhooks(owner_id)) >= WEBHOOKS_MAX:
            raise Problem(409, "limit_reached", f"There are {WEBHOOKS_MAX} webhooks already. Delete one first.")
        webhook = Webhook.model_validate(
            {
                "id": new_id("whk"),
                "owner_id": owner_id,
                "url": url,
                "description": description,
                "events": events,
                "created_at": self._now(),
            }
        )
        secret = new_secret()
        # The secret first: a kill in between leaves one that nobody uses, never a webhook that cannot sign.
        await self._vault.put(webhook_secret_name(webhook.id, 1), secret)
        change = changed(actor, "webhook.create", f"webhook:{webhook.id}", None, webhook)
        write = Create(webhook_document(webhook.id), webhook.to_json())
        etags = await self._journal.commit(ALERTS, owner_id, [write], change)
        return Stored(webhook, etags[0]), secret

    async def list(self, owner_id: str) -> Sequence[Stored[Webhook]]:
        return await self._store.webhooks(owner_id)

    async def find(self, owner_id: str, id: str) -> Stored[Webhook]:
        """Read a webhook. Raises Problem 404."""
        stored = await self._store.webhook(owner_id, id)
        if stored is None:
            raise not_found()
        return stored

    async def update(
        self, actor: Actor, owner_id: str, id: str, values: Mapping[str, Any], if_match: str | None
    ) -> Stored[Webhook]:
        """Change url, description, events or status. Raises Problem 404, 409, 412, 428."""
        stored = await self.find(owner_id, id)
        check_match(if_match, stored.etag)
        after = Webhook.model_validate({**stored.value.model_dump(), **values})
        if after.status == "enabled":
            after = after.model_copy(update={"reason": None})
        return await self._replace(
            changed(actor, "webhook.update", f"webhook:{id}", stored.value, after), stored, after
        )

    async def rotate(self, actor: Actor, owner_id: str, id: str) -> tuple[Stored[Webhook], str]:
        """Give a webhook a new secret, shown this once; the old one signs beside it for 24 hours. Raises Problem 404,
        409."""
        stored = await self.find(owner_id, id)
        secret, version = new_secret(), stored.value.secret_version + 1
        await self._vault.put(webhook_secret_name(id, version), secret)
        after = stored.value.model_copy(update={"secret_version": version, "previous_until": self._now() + OVERLAP})
        change = changed(actor, "webhook.rotate", f"webhook:{id}", stored.value, after)
        return await self._replace(change, stored, after), secret

    async def _replace(self, change: Change, stored: Stored[Webhook], after: Webhook) -> Stored[Webhook]:
        write = Replace(webhook_document(after.id), after.to_json(), stored.etag)
        etags = await self._journal.commit(ALERTS, after.owner_id, [write], change)
        return Stored(after, etags[0])

    async def remove(self, actor: Actor, owner_id: str, id: str, if_match: str | None) -> None:
        """Remove a webhook. Its deliveries stay in the log until they expire. Raises Problem 404, 409, 412, 428."""
        stored = await self.find(owner_id, id)
        check_match(if_match, stored.etag)
        change = changed(actor, "webhook.delete", f"webhook:{id}", stored.value, None)
        await self._journal.commit(ALERTS, owner_id, [Delete(webhook_document(id), stored.etag)], change)
        await self._vault.delete(webhook_secret_name(id, stored.value.secret_version))

    async def test(self, actor: Actor, owner_id: str, id: str) -> None:
        """Send a `ping` to one webhook alone. Raises Problem 404, 409."""
        stored = await self.find(owner_id, id)
        if stored.value.status == "disabled":
            raise _disabled()
        change = Change(actor, "webhook.test", f"webhook:{id}")
        data = {"webhook_id": id, "sent_at": format_time(self._now())}
        ping = emit(owner_id, "ping", data, self._now(), webhook_id=id)
        await self._journal.commit(ALERTS, owner_id, [], change, tasks=[ping])

    async def deliveries(self, owner_id: str, id: str, limit: int, cursor: str | None) -> Page[Delivery]:
        """List what was delivered to a webhook, newest first. Raises Problem 400, 404."""
        await self.find(owner_id, id)
        return await self._store.deliveries(owner_id, id, limit, cursor)

    async def redeliver(self, actor: Actor, owner_id: str, id: str, delivery_id: str) -> Delivery:
        """Send a delivery again now, with the same id: a receiver that has it may ignore it. Raises Problem 404,
        409."""
        stored = await self.find(owner_id, id)
        delivery = await self._store.delivery(owner_id, id, delivery_id)
        if delivery is None:
            raise not_found()
        if stored.value.status == "disabled":
            raise _disabled()
        change = Change(actor, "webhook.redeliver", f"webhook:{id}", {}, {"delivery_id": delivery_id})
        await self._journal.commit(
            ALERTS,
            owner_id,
            [],
            change,
            tasks=[DeliverEvent(owner_id=owner_id, webhook_id=id, delivery_id=delivery_id)],
        )
        return delivery.value


def _disabled() -> Problem:
    rule = "must be `enabled`"
    return Problem(409, "state_invalid", "The webhook is disabled. Enable it first.", (FieldError("status", rule),))
