"""Whom a merchant's close bills: every consumer who has, or once had, a grant for one of its services."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

from shared.access.models import Grant
from shared.access.store import AccessStore
from shared.access.subscribers.directory import grants_by_pseudonym, grants_of_pseudonym
from shared.billing.month_close.models import Close


@dataclass(frozen=True, slots=True, kw_only=True)
class BilledSubscriber:
    """A consumer of a merchant. It has access to `subscribed` services, and may have had to others."""

    consumer_id: str
    pseudonym: str
    subscribed: frozenset[str]


class BilledSubscribers:
    """Reads a merchant's consumers from the grants that they have."""

    def __init__(self, access: AccessStore) -> None:
        self._access = access

    async def behind(self, close: Close, pseudonym: str) -> AsyncIterator[BilledSubscriber]:
        """List the merchant's consumers by pseudonym, from behind `pseudonym` on; all of them behind an empty one."""
        groups = grants_by_pseudonym(self._access, close.merchant_id, after=pseudonym or None, page_size=1_000)
        async for _, grants in groups:
            yield _subscriber(grants, close.end)

    async def by_pseudonym(self, close: Close, pseudonym: str) -> BilledSubscriber | None:
        """Find one of the merchant's consumers by its pseudonym."""
        grants = [stored.value for stored in await grants_of_pseudonym(self._access, close.merchant_id, pseudonym)]
        return _subscriber(grants, close.end) if grants else None

    async def by_consumer(self, close: Close, consumer_id: str) -> BilledSubscriber | None:
        """Find one of the merchant's consumers by its id; None for a consumer without grants of the merchant."""
        grants = [stored.value for stored in await self._access.all_of(Grant, consumer_id, "grant:")]
        grants = [grant for grant in grants if grant.merchant_id == close.merchant_id and grant.pseudonym is not None]
        return _subscriber(grants, close.end) if grants else None


def _subscriber(grants: list[Grant], end: datetime) -> BilledSubscriber:
    """The consumer of these grants. Who has access now, and had it before the period was over at `end`, subscribed to
    the service in it."""
    subscribed = frozenset(
        grant.service_id
        for grant in grants
        if grant.status == "approved" and not grant.restricted and (grant.decided_at is None or grant.decided_at < end)
    )
    return BilledSubscriber(
        consumer_id=grants[0].consumer_id, pseudonym=grants[0].pseudonym or "", subscribed=subscribed
    )
