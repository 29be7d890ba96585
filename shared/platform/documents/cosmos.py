"""Documents on Cosmos DB for NoSQL: point reads, ETags, transactional batches, no SQL text from outside.

Stored form: `{"id", "partition", "ttl"?, "body": {...}}`, partition key path `/partition`. See `cosmos_client` for
retries and metering, `cosmos_query` for SQL and cursors, `cosmos_paging` for pages across partitions.

Reads are as fresh as the account's consistency level makes them for other clients; conditional writes are decided by
the primary replica and are right at every level.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
from azure.core import MatchConditions
from azure.core.credentials_async import AsyncTokenCredential
from azure.cosmos import PartitionKey
from azure.cosmos.aio import ContainerProxy, CosmosClient

from shared.kernel.http.paging import Page
from shared.platform.documents import (
    BODY_BYTES_MAX,
    CONTAINERS,
    OPERATIONS_PER_TRANSACTION_MAX,
    PATCH_OPERATIONS_MAX,
    Container,
    Create,
    Delete,
    Document,
    DocumentMissing,
    DocumentsUnavailable,
    Operation,
    Patch,
    Query,
    Replace,
    TransactionFailed,
    check_id,
    check_partition,
)
from shared.platform.documents.cosmos_client import (
    PARTITION_PATH,
    READ_RETRIES,
    container_definitions,
    open_client,
    translated_errors,
)
from shared.platform.documents.cosmos_paging import read_page
from shared.platform.documents.cosmos_query import check_query, decode_cursor, encode_cursor

TTL_S_MAX = 2**31 - 1
PAGE_S_MAX = 15
"""For one page. The SDK repeats throttled queries in two nested loops, whose limits multiply (9 times 10 seconds)."""

_PATCH_OPS = {"set": "set", "increment": "incr", "remove": "remove"}


class CosmosDocuments:
    """One instance, and so one client, per process; the client is opened by the first call, on its event loop.

    `credential` is an asynchronous token credential, or the account key of an emulator. The caller closes it.
    """

    def __init__(self, endpoint: str, credential: AsyncTokenCredential | str, database: str) -> None:
        self._endpoint = endpoint
        self._credential = credential
        self._database = database
        self._client: CosmosClient | None = None
        self._proxies: dict[str, ContainerProxy] = {}
        self._opening = asyncio.Lock()
        self._closed = False

    async def get(self, container: Container, partition: str, id: str) -> Document | None:
        try:
            check_id(id)
        except ValueError:
            return None
        proxy = await self._proxy(container)
        try:
            with translated_errors(id):
                return _document(await proxy.read_item(id, partition, **READ_RETRIES))
        except DocumentMissing:
            return None

    async def create(
        self, container: Container, partition: str, id: str, body: bytes, *, ttl_s: int | None = None
    ) -> str:
        item = _item(container, partition, id, body, ttl_s)
        proxy = await self._proxy(container)
        with translated_errors(id):
            return str((await proxy.create_item(item))["_etag"])

    async def replace(
        self, container: Container, partition: str, id: str, body: bytes, *, etag: str | None, ttl_s: int | None = None
    ) -> str:
        item = _item(container, partition, id, body, ttl_s)
        proxy = await self._proxy(container)
        with translated_errors(id):
            return str((await proxy.replace_item(id, item, **_if_match(etag)))["_etag"])

    async def upsert(
        self, container: Container, partition: str, id: str, body: bytes, *, ttl_s: int | None = None
    ) -> str:
        item = _item(container, partition, id, body, ttl_s)
        proxy = await self._proxy(container)
        with translated_errors(id):
            return str((await proxy.upsert_item(item))["_etag"])

    async def patch(
        self, container: Container, partition: str, id: str, changes: Sequence[Patch], *, etag: str | None = None
    ) -> Document:
        if not 1 <= len(changes) <= PATCH_OPERATIONS_MAX:
            raise ValueError(f"a patch has 1 to {PATCH_OPERATIONS_MAX} changes")
        check_id(id)
        operations = [_patch_operation(change) for change in changes]
        proxy = await self._proxy(container)
        with translated_errors(id):
            return _document(await proxy.patch_item(id, partition, operations, **_if_match(etag)))

    async def delete(self, container: Container, partition: str, id: str, *, etag: str | None = None) -> None:
        check_id(id)
        proxy = await self._proxy(container)
        with translated_errors(id):
            await proxy.delete_item(id, partition, **_if_match(etag))

    async def transact(self, container: Container, partition: str, operations: Sequence[Operation]) -> Sequence[str]:
        if not 1 <= len(operations) <= OPERATIONS_PER_TRANSACTION_MAX:
            raise ValueError(f"a transaction has 1 to {OPERATIONS_PER_TRANSACTION_MAX} operations")
        batch = [_batch_operation(container, partition, operation) for operation in operations]
        total = sum(len(operation.body) for operation in operations if not isinstance(operation, Delete))
        if total > BODY_BYTES_MAX:
            raise ValueError(f"bodies of {total} bytes are over {BODY_BYTES_MAX}")
        proxy = await self._proxy(container)
        try:
            with translated_errors():
                results = await proxy.execute_item_batch(batch, partition)
        except TransactionFailed as failed:
            failed.reason.args = (operations[failed.index].id,)
            raise
        return ["" if isinstance(o, Delete) else str(r["eTag"]) for o, r in zip(operations, results, strict=True)]

    async def query(self, container: Container, query: Query, cursor: str | None = None) -> Page[Document]:
        check_query(container, query)
        start = decode_cursor(container, query, cursor)
        proxy = await self._proxy(container)
        with translated_errors():
            async with asyncio.timeout(PAGE_S_MAX):
                items, after = await read_page(proxy, query, start)
        documents = tuple(_document(item) for item in items)
        return Page(documents, None if after is None else encode_cursor(container, query, after))

    async def ready(self) -> None:
        # A point read of one request unit that finds nothing; a missing database or container raises.
        await self.get(CONTAINERS["jobs"], "ready", "ready")

    async def close(self) -> None:
        async with self._opening:
            self._closed = True
            if self._client is not None:
                await self._client.close()
            self._client = None
            self._proxies = {}

    async def ensure_containers(self) -> None:
        """Create the database and all containers where they are missing: for emulators, Bicep does it on Azure."""
        client = await self._open()
        with translated_errors():
            database = await client.create_database_if_not_exists(self._database)
            for definition in container_definitions():
                await database.create_container_if_not_exists(
                    definition["id"],
                    PartitionKey(PARTITION_PATH),
                    indexing_policy=definition["indexingPolicy"],
                    default_ttl=definition.get("defaultTtl"),
                )

    async def _open(self) -> CosmosClient:
        async with self._opening:
            if self._closed:
                raise DocumentsUnavailable("closed")
            if self._client is None:
                client = open_client(self._endpoint, self._credential)
                try:
                    with translated_errors():
                        await client.__aenter__()  # reads the account; left by `close`
                except BaseException:
                    await client.close()
                    raise
                self._client = client
            return self._client

    async def _proxy(self, container: Container) -> ContainerProxy:
        """The SDK's handle of a container, whose existence is checked once: the SDK would report a missing container
        as a missing document, and an API key would look unknown because of a misspelt database."""
        if proxy := self._proxies.get(container.name):
            return proxy
        proxy = (await self._open()).get_database_client(self._database).get_container_client(container.name)
        try:
            with translated_errors():
                await proxy.read(**READ_RETRIES)
        except DocumentMissing as error:
            raise DocumentsUnavailable(f"container {self._database}/{container.name} does not exist") from error
        return self._proxies.setdefault(container.name, proxy)


def _item(container: Container, partition: str, id: str, body: bytes, ttl_s: int | None) -> dict[str, Any]:
    """The stored form. Raises ValueError for what the port refuses."""
    check_id(id)
    check_partition(partition)
    if len(body) > BODY_BYTES_MAX:
        raise ValueError(f"a body of {len(body)} bytes is over {BODY_BYTES_MAX}")
    item: dict[str, Any] = {"id": id, "partition": partition, "body": msgspec.json.decode(body, type=dict[str, Any])}
    if ttl_s is not None:
        if not container.ttl or not 1 <= ttl_s <= TTL_S_MAX:
            raise ValueError(f"documents of {container.name} cannot live for {ttl_s} s")
        item["ttl"] = ttl_s
    return item


def _document(item: dict[str, Any]) -> Document:
    return Document(item["partition"], item["id"], msgspec.json.encode(item["body"]), item["_etag"])


def _if_match(etag: str | None) -> dict[str, Any]:
    if etag is None:
        return {}
    # The SDK takes an empty text for "none given"; quotes around nothing are an ETag that no document has.
    return {"etag": etag or '""', "match_condition": MatchConditions.IfNotModified}


def _patch_operation(change: Patch) -> dict[str, object]:
    names = change.path.split(".")
    pointer = "/body/" + "/".join(name.replace("~", "~0").replace("/", "~1") for name in names)
    operation: dict[str, object] = {"op": _PATCH_OPS[change.op], "path": pointer}
    return operation if change.op == "remove" else {**operation, "value": change.value}


def _batch_operation(container: Container, partition: str, operation: Operation) -> tuple[Any, ...]:
    """The SDK's form: name, positional arguments, options."""
    if isinstance(operation, Delete):
        check_partition(partition)
        options = {} if operation.etag is None else {"if_match_etag": operation.etag}
        return "delete", (check_id(operation.id),), options
    item = _item(container, partition, operation.id, operation.body, operation.ttl_s)
    if isinstance(operation, Replace):
        return "replace", (operation.id, item), {} if operation.etag is None else {"if_match_etag": operation.etag}
    return ("create" if isinstance(operation, Create) else "upsert"), (item,), {}
