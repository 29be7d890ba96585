"""The directory of subscribers: which consumer a merchant knows by which pseudonym, read from the merchant's grants.

Everybody who starts from a pseudonym asks here, so that one place keeps a merchant's own consumers from others'.
"""

from collections.abc import AsyncIterator

from shared.access.models import Grant
from shared.access.store import AccessStore
from shared.kernel.documents import Stored
from shared.platform.documents import Query, Where

GRANTS_PER_PAGE = 100


async def grants_of_pseudonym(store: AccessStore, merchant_id: str, pseudonym: str) -> list[Stored[Grant]]:
    """Read all grants of one consumer at the merchant, in whatever state; none for another merchant's pseudonym."""
    return [stored async for stored in store.stream(Grant, _of_pseudonym(merchant_id, pseudonym, GRANTS_PER_PAGE))]


async def find_consumer_id(store: AccessStore, merchant_id: str, pseudonym: str) -> str | None:
    """Find the consumer that the merchant knows by this pseudonym; None when the merchant has no such consumer."""
    stored = await store.first(Grant, _of_pseudonym(merchant_id, pseudonym, 1))
    return stored[0].value.consumer_id if stored else None


async def grants_by_pseudonym(
    store: AccessStore,
    merchant_id: str,
    *,
    service_id: str | None = None,
    after: str | None = None,
    page_size: int = GRANTS_PER_PAGE,
) -> AsyncIterator[tuple[str, list[Grant]]]:
    """Read each pseudonym behind `after`, in order, with its grants at the merchant (of one service, when it is
    given)."""
    where = [Where("merchant_id", "=", merchant_id)]
    if service_id is not None:
        where.append(Where("service_id", "=", service_id))
    if after is not None:
        where.append(Where("pseudonym", ">", after))
    group: list[Grant] = []
    # Across tenants: a merchant's own grants.
    async for stored in store.stream(Grant, Query(None, tuple(where), order_by="pseudonym", limit=page_size)):
        if group and group[0].pseudonym != stored.value.pseudonym:
            yield group[0].pseudonym or "", group
            group = []
        group.append(stored.value)
    if group:
        yield group[0].pseudonym or "", group


def _of_pseudonym(merchant_id: str, pseudonym: str, limit: int) -> Query:
    # Across tenants: a merchant knows its consumers by pseudonym only, and sees its own grants only.
    return Query(None, (Where("merchant_id", "=", merchant_id), Where("pseudonym", "=", pseudonym)), limit=limit)
