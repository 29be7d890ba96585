"""A merchant's side of grants: who uses its services, by pseudonym, and whom it keeps out.

Nothing here tells who a consumer is: a `Subscriber` has no field for it, except the organisation's name where the
consumer chose to share it with this merchant.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from shared.access.mails import AccessMails
from shared.access.models import ApiKey, Consumer, Grant, GrantStatus
from shared.access.store import ACCESS, AccessStore, grant_document
from shared.access.subscribers.directory import grants_by_pseudonym, grants_of_pseudonym
from shared.audit.journal import Journal
from shared.audit.models import Actor, Change
from shared.catalog.store import CatalogStore
from shared.identity.mails import one_line, reason_line
from shared.kernel.documents import Stored
from shared.kernel.http.paging import Page, bad_cursor, decode_cursor, encode_cursor
from shared.kernel.http.problems import not_found
from shared.platform.documents import Replace

KEYS_SHOWN_MAX = 100
GRANTS_SCANNED_MAX = 2_000
"""By one call that lists; a page may be short, and still not be the last."""

GRANTS_AT_ONCE_MAX = 90
"""Changed in one transaction, which takes 100 operations with its audit entry and mail."""

SubscriberStatus = Literal["active", "restricted", "left"]


@dataclass(frozen=True, slots=True)
class Subscriber:
    """A consumer as a merchant sees it; `grants` are those that the merchant may see; `keys` the newest of those
    assigned to these services."""

    pseudonym: str
    name: str | None
    grants: tuple[Grant, ...]
    keys: tuple[ApiKey, ...]


class Subscribers:
    """Shows a merchant its subscribers, and restricts them."""

    def __init__(self, store: AccessStore, catalog: CatalogStore, journal: Journal, mails: AccessMails) -> None:
        self._store = store
        self._catalog = catalog
        self._journal = journal
        self._mails = mails

    async def page(
        self, merchant_id: str, service_id: str | None, status: SubscriberStatus | None, limit: int, cursor: str | None
    ) -> Page[Subscriber]:
        """List subscribers with a grant in `status`, in the order of pseudonyms, a page at a time. A page may be short
        and still not be the last. Raises Problem 400 `cursor_invalid`."""
        list_name = f"subscribers:{merchant_id}:{service_id}:{status}"
        after = None if cursor is None else decode_cursor(list_name, cursor)
        if not isinstance(after, str | None):
            raise bad_cursor()
        found: list[tuple[str, tuple[Grant, ...]]] = []
        scanned, following = 0, None
        async for pseudonym, grants in grants_by_pseudonym(
            self._store, merchant_id, service_id=service_id, after=after
        ):
            if len(found) == limit or scanned >= GRANTS_SCANNED_MAX:
                following = encode_cursor(list_name, after)
                break
            visible = _visible(grants)
            if any(status in (None, standing(grant)) for grant in visible):
                found.append((pseudonym, visible))
            after = pseudonym
            scanned += len(grants)
        items = await asyncio.gather(*(self._subscriber(merchant_id, *each) for each in found))
        return Page(tuple(items), following)

    async def read(self, merchant_id: str, pseudonym: str) -> Subscriber:
        """Read one subscriber. Raises Problem 404, also for another merchant's pseudonym."""
        grants = await self._grants(merchant_id, pseudonym)
        return await self._subscriber(merchant_id, pseudonym, _visible([stored.value for stored in grants]))

    async def restrict(
        self, actor: Actor, merchant_id: str, pseudonym: str, service_ids: Sequence[str] | None, reason: str
    ) -> Subscriber:
        """Restrict a subscriber: calls to these services (all of the merchant's when None) are refused at once. What is
        restricted already stays so. Raises Problem 404; 409 `conflict`."""
        return await self._set(actor, merchant_id, pseudonym, service_ids, True, reason)

    async def unblock(
        self, actor: Actor, merchant_id: str, pseudonym: str, service_ids: Sequence[str] | None, reason: str
    ) -> Subscriber:
        """End a restriction: calls to these services (all of the merchant's when None) are taken again. Raises Problem
        404; 409 `conflict`."""
        return await self._set(actor, merchant_id, pseudonym, service_ids, False, reason)

    async def _set(
        self,
        actor: Actor,
        merchant_id: str,
        pseudonym: str,
        service_ids: Sequence[str] | None,
        restricted: bool,
        reason: str,
    ) -> Subscriber:
        grants = {stored.value.service_id: stored for stored in await self._grants(merchant_id, pseudonym)}
        wanted = grants.keys() if service_ids is None else set(service_ids)
        if wanted - grants.keys():
            raise not_found()
        chosen = [grants[service_id] for service_id in sorted(wanted)]
        todo = [stored for stored in chosen if stored.value.restricted != restricted]
        # More than fit one transaction are several: a kill in between leaves some as they were, and no answer.
        for start in range(0, len(todo), GRANTS_AT_ONCE_MAX):
            await self._commit(actor, pseudonym, todo[start : start + GRANTS_AT_ONCE_MAX], restricted, reason)
        return await self.read(merchant_id, pseudonym)

    async def _commit(
        self, actor: Actor, pseudonym: str, grants: Sequence[Stored[Grant]], restricted: bool, reason: str
    ) -> None:
        consumer_id = grants[0].value.consumer_id
        update: Mapping[str, object] = {"restricted": restricted, "reason": reason if restricted else None}
        writes = [
            Replace(
                grant_document(stored.value.service_id), stored.value.model_copy(update=update).to_json(), stored.etag
            )
            for stored in grants
        ]
        service_ids = [stored.value.service_id for stored in grants]
        action = "subscriber.restrict" if restricted else "subscriber.unblock"
        before, after = {"restricted": not restricted}, {"restricted": restricted, "service_ids": service_ids}
        change = Change(actor, action, f"subscriber:{pseudonym}", before=before, after=after, reason=reason)
        names = ", ".join([await self._service_name(service_id) for service_id in service_ids])
        word = "restricted" if restricted else "restored"
        text = f"The merchant has {word} your access to: {names}.\n\n{reason_line(reason)}\n"
        consumer = await self._store.consumer(consumer_id)
        tasks = await self._mails.to_consumer(consumer, f"Access {word} by the merchant", text)
        await self._journal.commit(ACCESS, consumer_id, writes, change, tasks=tasks)

    async def _service_name(self, service_id: str) -> str:
        service = await self._catalog.service(service_id)
        return service_id if service is None else one_line(service.name)

    async def _grants(self, merchant_id: str, pseudonym: str) -> list[Stored[Grant]]:
        """All grants of the pseudonym at the merchant. Raises Problem 404 when the merchant may see none of them."""
        grants = await grants_of_pseudonym(self._store, merchant_id, pseudonym)
        if not _visible([stored.value for stored in grants]):
            raise not_found()
        return grants

    async def _subscriber(self, merchant_id: str, pseudonym: str, grants: tuple[Grant, ...]) -> Subscriber:
        consumer_id = grants[0].consumer_id
        consumer = await self._store.consumer(consumer_id)
        service_ids = {grant.service_id for grant in grants}
        stored = await self._store.all_of(ApiKey, consumer_id, "key:")
        keys = [key.value for key in reversed(stored) if service_ids.intersection(key.value.service_ids)]
        return Subscriber(pseudonym, _shared_name(consumer, merchant_id), grants, tuple(keys[:KEYS_SHOWN_MAX]))


def standing(grant: Grant) -> SubscriberStatus:
    """Say how a grant that a merchant may see stands."""
    if grant.status == "withdrawn":
        return "left"
    return "restricted" if grant.restricted else "active"


def _visible(grants: Sequence[Grant]) -> tuple[Grant, ...]:
    """What was approved once. Requests are the platform's affair, and so are refusals."""
    shown: tuple[GrantStatus, ...] = ("approved", "withdrawn")
    return tuple(g for g in grants if g.status in shown and (g.status == "approved" or g.decided_at is not None))


def _shared_name(consumer: Consumer | None, merchant_id: str) -> str | None:
    return consumer.name if consumer is not None and merchant_id in consumer.shares_name_with else None
