"""Pages of a query on Cosmos DB.

Within a partition the service orders and continues by itself. Across partitions the Python SDK has no continuation
for ordered queries, so pages are built from two reads that it does support:

- a read *along* the physical ranges, one after the other, unordered, with the service's continuation in each range;
- the *first* documents beyond a value, merged in order over all ranges (the SDK's cross-partition pipeline).

An unordered query is one read along. An ordered one repeats: take the first documents beyond the last value; those
before their highest value are complete; all documents *at* that value are then read along, where the page may end and
the next one continue. A document that is not written meanwhile has one value and lies in one range, so it is returned
exactly once. No composite index is needed; a page costs about twice the request units of a single pass.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from azure.cosmos.aio import ContainerProxy

from shared.platform.documents import Query
from shared.platform.documents.cosmos_client import READ_RETRIES
from shared.platform.documents.cosmos_query import FeedPosition, Statement, order_value, statement

CosmosItem = dict[str, Any]
_CONTINUATION = "x-ms-continuation"


async def read_page(
    proxy: ContainerProxy, query: Query, start: FeedPosition
) -> tuple[list[CosmosItem], FeedPosition | None]:
    """At most `query.limit` items from `start`, and where the next page starts, None when there is none."""
    if query.partition is not None:
        items, token = await _read(
            proxy, statement(query), {"partition_key": query.partition}, start.token, query.limit
        )
        return items, None if token is None else FeedPosition(token=token)
    if query.order_by is None:
        return await _read_ranges(proxy, statement(query), start, query.limit)
    return await _ordered_across(proxy, query, start)


async def _ordered_across(
    proxy: ContainerProxy, query: Query, start: FeedPosition
) -> tuple[list[CosmosItem], FeedPosition | None]:
    items: list[CosmosItem] = []
    position = start
    while True:
        if position.feed_range is not None and position.value is not None:
            tied, rest = await _read_ranges(
                proxy, statement(query, at=position.value), position, query.limit - len(items)
            )
            items += tied
            position = rest or FeedPosition(position.value)
        if len(items) >= query.limit:
            return items, position
        wanted = query.limit - len(items)
        found = await _read_first_in_order(proxy, statement(query, beyond=position.value), wanted)
        if len(found) < wanted:
            return items + found, None
        highest = order_value(query, found[-1])
        items += [item for item in found if order_value(query, item) != highest]
        position = FeedPosition(highest, (await _feed_ranges(proxy))[0])


async def _read_ranges(
    proxy: ContainerProxy, what: Statement, start: FeedPosition, limit: int
) -> tuple[list[CosmosItem], FeedPosition | None]:
    """Read unordered through the physical ranges from `start`; the returned position keeps its value."""
    ranges = await _feed_ranges(proxy)
    if start.feed_range is not None:
        # The current range may have been split since; the SDK finds its parts. What follows is whatever lies behind.
        ranges = [start.feed_range, *(r for r in ranges if _bounds(r)[0] >= _bounds(start.feed_range)[1])]
    items: list[CosmosItem] = []
    token = start.token
    for index, feed_range in enumerate(ranges):
        found, token = await _read(proxy, what, {"feed_range": feed_range}, token, limit - len(items))
        items += found
        if token is not None:
            return items, FeedPosition(start.value, feed_range, token)
        if len(items) >= limit:
            following = ranges[index + 1 : index + 2]
            return items, FeedPosition(start.value, following[0]) if following else None
    return items, None


async def _read(
    proxy: ContainerProxy, what: Statement, scope: Mapping[str, Any], token: str | None, limit: int
) -> tuple[list[CosmosItem], str | None]:
    """Up to `limit` items of one partition or range, and the continuation behind them, None at the end."""
    items: list[CosmosItem] = []
    answered: list[Mapping[str, str]] = []

    def remember(headers: Mapping[str, str], _: object) -> None:
        # Of this very call: the client's `last_response_headers` are those of whichever call answered last.
        answered.append(headers)

    while len(items) < limit:
        pages = proxy.query_items(
            query=what.sql,
            parameters=what.parameters,
            max_item_count=limit - len(items),
            response_hook=remember,
            **READ_RETRIES,
            **scope,
        ).by_page(token)
        page = await anext(pages, None)
        items += [item async for item in page] if page is not None else []
        token = answered[-1].get(_CONTINUATION)
        if token is None:
            break
    return items, token


async def _read_first_in_order(proxy: ContainerProxy, what: Statement, limit: int) -> list[CosmosItem]:
    """The first `limit` items of all partitions in order."""
    pages = proxy.query_items(
        query=what.sql,
        parameters=what.parameters,
        max_item_count=limit,
        **READ_RETRIES,
    ).by_page()
    page = await anext(pages, None)
    return [item async for item in page] if page is not None else []


async def _feed_ranges(proxy: ContainerProxy) -> Sequence[dict[str, Any]]:
    """The physical ranges in ascending order, from the SDK's cache."""
    return sorted([feed_range async for feed_range in proxy.read_feed_ranges()], key=_bounds)


def _bounds(feed_range: Mapping[str, Any]) -> tuple[str, str]:
    try:
        return feed_range["Range"]["min"], feed_range["Range"]["max"]
    except (KeyError, TypeError) as error:
        raise ValueError("cursor is not one of this query's") from error
