"""What the catalogue lists, found by words and filters.

The documents are the truth. Each process keeps an index of its own and follows them: every change that the catalogue
may show sets a service's `listing` to the time of the change (a merchant's change those of all of its services), and
the index reads what was listed since it last looked, at most FOLLOW_S ago. So what is suspended anywhere is gone
everywhere within that, plus the time of a read.
"""

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from shared.catalog.models import Merchant, PriceModel, Service, ServiceType
from shared.catalog.store import SERVICES, CatalogStore
from shared.kernel.cache import FreshCache
from shared.kernel.clock import format_time, utc_now
from shared.kernel.documents import Slug, StoredModel
from shared.kernel.http.paging import bad_cursor, decode_cursor, encode_cursor, read_pages
from shared.platform.documents import Document, Documents, Query, Where
from shared.platform.search import TEXT_CHARACTERS_MAX, SearchIndex, SearchItem, SearchPosition, SearchQuery, Sort

FOLLOW_S = 1.0
OVERLAP = timedelta(seconds=30)
"""How far the clocks of two machines may differ, plus the time from taking a time to being committed, for a change to
be seen. What was listed this recently is read each time, and skipped where it is known."""

PAGE = 1_000
MERCHANTS_AT_ONCE = 16
SUMMARY_SOURCE = 1_000
"""Characters of Markdown that a card keeps, of which its summary is made when it is shown."""

FACETS = ("type", "category", "tag", "merchant", "price_model")


class Card(StoredModel):
    """The part of a service that a list shows."""

    id: str
    slug: Slug
    name: str
    type: ServiceType
    description: str
    category: str
    tags: tuple[str, ...]
    version: str
    price_model: PriceModel | None = None
    pricing: str
    logo: str | None = None
    merchant_slug: Slug
    merchant_name: str
    listing: str


@dataclass(frozen=True, slots=True)
class CatalogQuery:
    """A search of the catalogue. `filters` are values by facet; several values of one must all hold."""

    text: str = ""
    filters: Mapping[str, Sequence[str]] = field(default_factory=dict)
    sort: Sort = "relevance"

    @property
    def name(self) -> str:
        """The query's name, to which its cursors are bound."""
        return json.dumps(["catalog", self.text, sorted((k, list(v)) for k, v in self.filters.items()), self.sort])


@dataclass(frozen=True, slots=True)
class CatalogResults:
    """One page of cards, how many match in all, and the values of each facet with their counts."""

    cards: tuple[Card, ...]
    total: int
    cursor: str | None
    facets: Mapping[str, tuple[tuple[str, int], ...]]


class CatalogSearch:
    """Searches what is listed, in an index that follows the documents; one per process."""

    def __init__(
        self,
        documents: Documents,
        store: CatalogStore,
        index: SearchIndex,
        now: Callable[[], datetime] = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._documents = documents
        self._store = store
        self._index = index
        self._now = now
        self._followed: FreshCache[str, None] = FreshCache(FOLLOW_S, 1, monotonic)
        self._following = asyncio.Lock()
        self._since: datetime | None = None
        self._seen: dict[str, str] = {}
        self._listed: defaultdict[str, set[str]] = defaultdict(set)

    def changed(self) -> None:
        """Note a change by this process: the next search looks at once."""
        self._followed.clear()

    async def search(
        self, asked: CatalogQuery, *, limit: int = 20, cursor: str | None = None, facets: bool = False
    ) -> CatalogResults:
        """Find one page of cards. Raises Problem 400 `cursor_invalid`; SearchUnavailable, DocumentsUnavailable."""
        after = None if cursor is None else _position(decode_cursor(asked.name, cursor))
        await self.follow()
        search = SearchQuery(asked.text, asked.filters, asked.sort, limit, after, FACETS if facets else ())
        try:
            found = await self._index.search(search)
        except ValueError:  # a cursor that was made up
            raise bad_cursor() from None
        position = None if found.next is None else encode_cursor(asked.name, [found.next.id, found.next.key])
        cards = tuple(Card.model_validate_json(stored) for stored in found.items)
        return CatalogResults(cards, found.total, position, found.facets)

    async def all(self) -> AsyncIterator[Card]:
        """Read all cards that are listed, by name."""
        cursor = None
        while True:
            listed = await self.search(CatalogQuery(sort="name"), limit=PAGE, cursor=cursor)
            for card in listed.cards:
                yield card
            cursor = listed.cursor
            if cursor is None:
                return

    async def follow(self) -> None:
        """Have the index know what was committed FOLLOW_S ago. The first time reads everything."""
        await self._followed.get("", self._follow)

    async def _follow(self, _: str) -> None:
        async with self._following:  # a change of our own may ask for another look while one is under way
            started = self._now()
            since = "" if self._since is None else format_time(self._since - OVERLAP)
            # Across tenants: the catalogue is everybody's.
            query = Query(None, (Where("listing", ">=", since),), order_by="listing", limit=PAGE)
            merchants: dict[str, Merchant | None] = {}
            seen: dict[str, str] = {}
            async for page in read_pages(partial(self._documents.query, SERVICES, query)):
                new = [each for each in page.items if self._seen.get(each.id) != each.etag]
                await self._take(new, merchants)
                seen |= {each.id: each.etag for each in page.items}
            self._since, self._seen = started, seen

    async def _take(self, documents: Sequence[Document], merchants: dict[str, Merchant | None]) -> None:
        if not documents:
            return
        services = await asyncio.to_thread(lambda: [Service.model_validate_json(each.body) for each in documents])
        await self._read_merchants({service.merchant_id for service in services} - merchants.keys(), merchants)
        # In a thread as well: a page of services would hold up everybody else for a tenth of a second.
        put, remove = await asyncio.to_thread(_sort, services, merchants)
        for service in services:
            merchant, listed = merchants[service.merchant_id], self._listed[service.merchant_id]
            listed.add(service.id)
            if merchant is None or merchant.status != "active":
                # All at once: listing hundreds again takes its time, and none may be found longer than others.
                remove += listed
                listed.clear()
        await self._index.update(put, remove)

    async def _read_merchants(self, ids: set[str], into: dict[str, Merchant | None]) -> None:
        """After the services: a merchant's change lists its services again after it, so none is missed."""
        waiting = sorted(ids)
        for start in range(0, len(waiting), MERCHANTS_AT_ONCE):
            group = waiting[start : start + MERCHANTS_AT_ONCE]
            into.update(zip(group, await asyncio.gather(*map(self._store.merchant, group)), strict=True))


def is_live(service: Service, merchant: Merchant) -> bool:
    """Say whether a service is offered at all, to whomever may see it."""
    return service.status == "active" and merchant.status == "active"


def is_listed(service: Service, merchant: Merchant) -> bool:
    return is_live(service, merchant) and service.shown == "public"


def _sort(services: Sequence[Service], merchants: Mapping[str, Merchant | None]) -> tuple[list[SearchItem], list[str]]:
    """Items of those that are listed, and the ids of the others."""
    put: list[SearchItem] = []
    remove: list[str] = []
    for service in services:
        merchant = merchants[service.merchant_id]
        if merchant is not None and is_listed(service, merchant):
            put.append(_item(service, merchant))
        else:
            remove.append(service.id)
    return put, remove


def card_of(service: Service, merchant: Merchant) -> Card:
    return Card(
        id=service.id,
        slug=service.slug,
        name=service.name,
        type=service.type,
        description=service.description[:SUMMARY_SOURCE],
        category=service.category,
        tags=service.tags,
        version=service.version,
        price_model=service.price_model,
        pricing=service.pricing,
        logo=service.logo,
        merchant_slug=merchant.slug,
        merchant_name=merchant.name,
        listing=service.listing or "",
    )


def _item(service: Service, merchant: Merchant) -> SearchItem:
    values = {
        "type": (service.type,),
        "category": (service.category,) if service.category else (),
        "tag": service.tags,
        "merchant": (merchant.slug,),
        "price_model": (service.price_model,) if service.price_model else (),
    }
    newest = "" if service.created_at is None else format_time(service.created_at)
    return SearchItem(
        id=service.id,
        name=service.name,
        tags=" ".join(service.tags),
        owner=merchant.name,
        text=service.description[:TEXT_CHARACTERS_MAX],
        newest=newest,
        stored=card_of(service, merchant).to_json(),
        values=values,
    )


def _position(position: object) -> SearchPosition:
    match position:
        case [str(id), str() | float() | int() as key]:
            return SearchPosition(id, key)
        case _:
            raise bad_cursor()
