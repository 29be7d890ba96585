"""A merchant takes its services from one key of a subscriber; everything else of the key stays as it is."""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.access.keys.mails import KeyMails
from shared.access.keys.writer import KeyWriter
from shared.access.models import ApiKey
from shared.access.subscribers.service import Subscribers
from shared.audit.models import Actor
from shared.identity.mails import reason_line
from shared.kernel.http.problems import not_found
from shared.kernel.retries import retry_on_conflict


@dataclass(frozen=True, slots=True)
class SubscriberKey:
    """A subscriber's key, as a merchant sees it; `service_ids` are the merchant's own that the key is still assigned
    to."""

    key: ApiKey
    service_ids: frozenset[str]


class SubscriberKeys:
    """Takes a merchant's services from keys of its subscribers."""

    def __init__(self, subscribers: Subscribers, writer: KeyWriter, mails: KeyMails) -> None:
        self._subscribers = subscribers
        self._writer = writer
        self._mails = mails

    async def revoke(
        self,
        actor: Actor,
        merchant_id: str,
        pseudonym: str,
        key_id: str,
        service_ids: Sequence[str] | None,
        reason: str,
    ) -> SubscriberKey:
        """Take these services (all of the merchant's when None) from a key; its owner gets a mail, and cannot assign
        them to this key again. Raises Problem 404 when one is not assigned, also for a key that the merchant cannot
        see; 409 `state_invalid`, `conflict`."""
        subscriber = await self._subscribers.read(merchant_id, pseudonym)
        mine = frozenset(grant.service_id for grant in subscriber.grants)
        consumer_id = subscriber.grants[0].consumer_id

        async def attempt() -> SubscriberKey:
            stored = await self._writer.read(consumer_id, key_id)
            before = stored.value
            assigned = mine.intersection(before.service_ids)
            gone = assigned if service_ids is None else frozenset(service_ids)
            if not gone or gone - assigned:
                raise not_found()
            left = tuple(each for each in before.service_ids if each not in gone)
            revoked = (*before.revoked_service_ids, *sorted(gone))
            after = before.model_copy(update={"service_ids": left, "revoked_service_ids": revoked})
            text = f"The merchant has taken {len(gone)} of its services from this key: {', '.join(sorted(gone))}."
            tasks = await self._mails.about(before, "API key lost services", f"{text}\n\n{reason_line(reason)}")
            action = "key.revoke_for_service"
            written = await self._writer.write(actor, action, stored, after, reason=reason, tasks=tasks)
            return SubscriberKey(written.value, assigned - gone)

        return await retry_on_conflict(attempt)
