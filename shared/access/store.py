"""Consumers, grants, keys and projects in and out of the documents port."""

import contextlib
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import TypeVar

from shared.access.models import ApiKey, Consumer, Grant, KeyOwner, Member, Project
from shared.kernel.documents import ChangeNotifier, Stored, StoredModel
from shared.kernel.http.paging import Page, read_all, scan
from shared.platform.documents import CONTAINERS, Document, DocumentMissing, Documents, Query, Where

ACCESS, KEY_HASHES = CONTAINERS["access"], CONTAINERS["key_hashes"]

CONSUMER = "consumer"
SCAN_PAGE = 100
SCAN_PAGES_MAX = 20
"""Documents that one call looks through for those that match: at most 2,000."""

Model = TypeVar("Model", bound=StoredModel)


def grant_document(service_id: str) -> str:
    return f"grant:{service_id}"


def project_document(project_id: str) -> str:
    return f"project:{project_id}"


def member_document(project_id: str, account_id: str) -> str:
    return f"member:{project_id}:{account_id}"


def invite_document(project_id: str, invite_id: str) -> str:
    return f"invite:{project_id}:{invite_id}"


def key_document(key_id: str) -> str:
    return f"key:{key_id}"


class AccessStore(ChangeNotifier):
    """Reads the documents of consumers, grants, projects and keys. Listeners are told when this process changed one."""

    def __init__(self, documents: Documents) -> None:
        super().__init__()
        self.documents = documents

    async def _get(self, model: type[Model], consumer_id: str, id: str) -> Model | None:
        document = await self.documents.get(ACCESS, consumer_id, id)
        return None if document is None else model.model_validate_json(document.body)

    async def find(self, model: type[Model], consumer_id: str, id: str) -> Stored[Model] | None:
        """Read a document with its ETag. `id` is one of the `…_document` functions', or CONSUMER."""
        document = await self.documents.get(ACCESS, consumer_id, id)
        return None if document is None else Stored(model.model_validate_json(document.body), document.etag)

    async def first(self, model: type[Model], query: Query) -> list[Stored[Model]]:
        """Read the first `query.limit` documents that match."""
        page = await self.documents.query(ACCESS, query)
        return [Stored(model.model_validate_json(document.body), document.etag) for document in page.items]

    async def stream(self, model: type[Model], query: Query) -> AsyncIterator[Stored[Model]]:
        """Read everything that matches."""
        async for document in read_all(partial(self.documents.query, ACCESS, query)):
            yield Stored(model.model_validate_json(document.body), document.etag)

    async def all_of(self, model: type[Model], consumer_id: str, prefix: str) -> list[Stored[Model]]:
        """Read all documents of one consumer whose ids start with `prefix`, in the order of their ids."""
        where = (Where("id", "starts_with", prefix),)
        return [stored async for stored in self.stream(model, Query(consumer_id, where, order_by="id", limit=1_000))]

    async def scan(
        self,
        model: type[Model],
        query: Query,
        keep: Callable[[Model], bool],
        *,
        list_name: str,
        limit: int,
        cursor: str | None,
    ) -> Page[Stored[Model]]:
        """List at most `limit` documents of the query that `keep` takes: for filters that have no index. `list_name`
        names the list with its filters, to which the cursor is bound. Raises Problem 400 `cursor_invalid`."""

        def take(document: Document) -> Stored[Model] | None:
            value = model.model_validate_json(document.body)
            return Stored(value, document.etag) if keep(value) else None

        async def read(_source: str, inner: str | None, _missing: int) -> Page[Document]:
            return await self.documents.query(ACCESS, query, inner)

        return await scan(read, take, list_name=list_name, limit=limit, cursor=cursor, reads_max=SCAN_PAGES_MAX)

    async def consumer(self, id: str) -> Consumer | None:
        return await self._get(Consumer, id, CONSUMER)

    async def grant(self, consumer_id: str, service_id: str) -> Grant | None:
        return await self._get(Grant, consumer_id, grant_document(service_id))

    async def key(self, consumer_id: str, key_id: str) -> ApiKey | None:
        return await self._get(ApiKey, consumer_id, key_document(key_id))

    async def project(self, consumer_id: str, project_id: str) -> Project | None:
        return await self._get(Project, consumer_id, project_document(project_id))

    async def member(self, consumer_id: str, project_id: str, account_id: str) -> Member | None:
        return await self._get(Member, consumer_id, member_document(project_id, account_id))

    async def key_owner(self, key_hash: str) -> KeyOwner | None:
        document = await self.documents.get(KEY_HASHES, key_hash, key_hash)
        return None if document is None else KeyOwner.model_validate_json(document.body)

    async def add_hash(self, key_hash: str, owner: KeyOwner) -> None:
        """Store whose key a hash is. Raises DocumentExists."""
        await self.documents.create(KEY_HASHES, key_hash, key_hash, owner.to_json())

    async def remove_hash(self, key_hash: str) -> None:
        """Delete the document of a hash; that it is gone already is fine."""
        with contextlib.suppress(DocumentMissing):
            await self.documents.delete(KEY_HASHES, key_hash, key_hash)
