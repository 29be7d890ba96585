"""Tenants on the consuming side: what they say of themselves, and what the platform decides about them."""

from collections.abc import Mapping, Sequence
from typing import Any

from shared.access.mails import AccessMails
from shared.access.models import Consumer, ConsumerStatus, Grant
from shared.access.store import ACCESS, CONSUMER, SCAN_PAGE, AccessStore, grant_document
from shared.audit.journal import Journal
from shared.audit.models import Actor, changed
from shared.audit.tasks import Task, create
from shared.identity.mails import reason_line
from shared.identity.models import Account
from shared.kernel.documents import Stored
from shared.kernel.errors import FieldError, Problem
from shared.kernel.http.etags import check_match
from shared.kernel.http.paging import Page
from shared.kernel.http.problems import not_found
from shared.platform.documents import Query, Replace, Where


class Consumers:
    """Reads and changes consumers; suspends and restores them for the platform."""

    def __init__(self, store: AccessStore, journal: Journal, mails: AccessMails) -> None:
        self._store = store
        self._journal = journal
        self._mails = mails

    async def read(self, consumer_id: str) -> Stored[Consumer]:
        """Read a consumer. Raises Problem 404."""
        stored = await self._store.find(Consumer, consumer_id, CONSUMER)
        if stored is None:
            raise not_found()
        return stored

    async def page(
        self, status: ConsumerStatus | None, text: str | None, limit: int, cursor: str | None
    ) -> Page[Stored[Consumer]]:
        """List all consumers in a status, a page at a time. `text` is found anywhere in the name, in whatever case, or
        is the id. Raises Problem 400 `cursor_invalid`."""
        wanted = None if text is None else text.casefold()

        def keep(consumer: Consumer) -> bool:
            named = wanted is None or wanted in consumer.name.casefold() or wanted == consumer.id
            return named and status in (None, consumer.status)

        # Across tenants: the operators' list of all of them.
        query = Query(None, (Where("kind", "=", "consumer"),), limit=SCAN_PAGE)
        list_name = f"consumers:{status}:{wanted}"
        return await self._store.scan(Consumer, query, keep, list_name=list_name, limit=limit, cursor=cursor)

    async def update(
        self, actor: Actor, consumer_id: str, values: Mapping[str, Any], if_match: str | None
    ) -> Stored[Consumer]:
        """Set `values`, which are valid, by field name. Raises Problem 400, 404, 409, 412, 428."""
        stored = await self.read(consumer_id)
        check_match(if_match, stored.etag)
        after = stored.value.model_copy(update=dict(values))
        if new := set(after.shares_name_with) - set(stored.value.shares_name_with):
            await self._check_merchants(consumer_id, new)
        return await self._write(actor, "consumer.update", stored, after)

    async def suspend(self, actor: Actor, consumer_id: str, reason: str) -> Stored[Consumer]:
        """Suspend a consumer: all of its calls are refused at once. Raises Problem 404; 409 `state_invalid`."""
        text = f"The platform has suspended your organisation. Its API keys do not work.\n\n{reason_line(reason)}\n"
        return await self._decide(actor, "consumer.suspend", consumer_id, "suspended", reason, text)

    async def restore(self, actor: Actor, consumer_id: str, reason: str) -> Stored[Consumer]:
        """End a suspension. Raises Problem 404; 409 `state_invalid`."""
        text = f"The platform has restored your organisation. Its API keys work again.\n\n{reason_line(reason)}\n"
        return await self._decide(actor, "consumer.restore", consumer_id, "active", reason, text)

    async def _decide(
        self, actor: Actor, action: str, consumer_id: str, status: ConsumerStatus, reason: str, text: str
    ) -> Stored[Consumer]:
        stored = await self.read(consumer_id)
        if stored.value.status == status:
            raise Problem(409, "state_invalid", f"A consumer cannot go from {stored.value.status} to {status}.")
        kept = reason if status == "suspended" else None
        after = stored.value.model_copy(update={"status": status, "reason": kept})
        return await self._write(actor, action, stored, after, reason=reason, text=text)

    async def _write(
        self,
        actor: Actor,
        action: str,
        stored: Stored[Consumer],
        after: Consumer,
        *,
        reason: str | None = None,
        text: str | None = None,
    ) -> Stored[Consumer]:
        change = changed(actor, action, f"consumer:{after.id}", stored.value, after, reason=reason)
        tasks = []
        if text is not None:
            tasks = await self._mails.to_consumer(after, f"Your organisation is {after.status} on AMS", text)
        write = Replace(CONSUMER, after.to_json(), stored.etag)
        etags = await self._journal.commit(ACCESS, after.id, [write], change, tasks=tasks)
        return Stored(after, etags[0])

    async def _check_merchants(self, consumer_id: str, new: set[str]) -> None:
        """Refuse merchants that the consumer never asked for a service, with Problem 400, so that the answer says
        nothing about which others there are."""
        grants = await self._store.all_of(Grant, consumer_id, grant_document(""))
        if new - {stored.value.merchant_id for stored in grants}:
            rule = "must name merchants whose services this consumer has asked for"
            error = FieldError("shares_name_with", rule)
            raise Problem(400, "request_invalid", f"`shares_name_with` {rule}.", errors=(error,))


def first_tasks(account: Account) -> Sequence[Task]:
    """Make the tasks that an account leaves in the outbox when it comes into being: everybody is a consumer, so its
    tenant."""
    consumer = Consumer(id=account.consumer_id, name=account.name, account_id=account.id, created_at=account.created_at)
    return [create(ACCESS, consumer.id, "consumer", consumer)]
