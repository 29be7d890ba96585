"""What the modules of the documents contract share."""

import asyncio
import json
from collections.abc import Iterable
from typing import Any

from shared.platform.documents import CONTAINERS, Create, Document, Documents, Query

USAGE = CONTAINERS["usage"]
MERCHANTS = CONTAINERS["merchants"]
A, B = USAGE.indexed[:2]
"""Any two indexed fields: what they hold is the noun's affair, not the store's."""


def body(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


async def read(store: Documents, partition: str, id: str) -> Any:
    """The decoded body, None when there is no document."""
    document = await store.get(USAGE, partition, id)
    return None if document is None else json.loads(document.body)


async def write(store: Documents, verb: str, id: str, data: bytes, partition: str = "p") -> None:
    """One of the ways to write, so that a rule can be checked for all of them."""
    match verb:
        case "create":
            await store.create(USAGE, partition, id, data)
        case "upsert":
            await store.upsert(USAGE, partition, id, data)
        case "replace":
            await store.replace(USAGE, partition, id, data, etag=None)
        case "delete":
            await store.delete(USAGE, partition, id)
        case _:
            await store.transact(USAGE, partition, [Create(id, data)])


async def put(store: Documents, documents: Iterable[tuple[str, str, dict[str, Any]]]) -> None:
    await asyncio.gather(
        *(store.create(USAGE, partition, name, json.dumps(fields).encode()) for partition, name, fields in documents)
    )


async def pages(store: Documents, query: Query) -> list[tuple[Document, ...]]:
    """Every page until there is no cursor; each is within the limit."""
    found, cursor = [], None
    while True:
        page = await store.query(USAGE, query, cursor)
        assert len(page.items) <= query.limit
        found.append(page.items)
        if page.cursor is None:
            return found
        assert len(found) < 1000, "paging does not end"
        cursor = page.cursor


async def ids(store: Documents, query: Query) -> list[str]:
    return [document.id for page in await pages(store, query) for document in page]


def field(document: Document, name: str) -> Any:
    return document.id if name == "id" else json.loads(document.body)[name]
