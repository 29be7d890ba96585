"""What every store of billing is built on: the container, typed reads, and pages with cursors.

All documents of one merchant share one partition, so that an invoice, its number and the credit that it uses are one
transaction (docs/adr/0013-one-partition-for-a-merchants-money.md). Each sub-noun's `store.py` names its documents and
reads them; writes go through the journal (`shared.audit.journal`).
"""

from collections.abc import AsyncIterator
from functools import partial
from typing import TypeVar

from shared.kernel.documents import Stored, StoredModel
from shared.kernel.http.paging import Page, read_all, read_page
from shared.platform.documents import CONTAINERS, Documents, Query, Where

BILLING = CONTAINERS["billing"]
M = TypeVar("M", bound=StoredModel)


class BillingStore:
    """Reads documents of the container `billing` as models."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def get(self, model: type[M], partition: str, id: str) -> Stored[M] | None:
        """Read one document by its name in a partition; None where there is none."""
        document = await self._documents.get(BILLING, partition, id)
        return None if document is None else Stored(model.model_validate_json(document.body), document.etag)

    async def _page(self, model: type[M], list_name: str, query: Query, cursor: str | None) -> Page[Stored[M]]:
        """One page of the list that `list_name` names with its filters. Raises Problem 400 `cursor_invalid`."""
        page = await read_page(partial(self._documents.query, BILLING, query), list_name=list_name, cursor=cursor)
        return page.map(lambda found: Stored(model.model_validate_json(found.body), found.etag))

    async def _all(self, model: type[M], partition: str, prefix: str) -> AsyncIterator[Stored[M]]:
        """Every document of a partition whose name begins with `prefix`, by name."""
        query = Query(partition, (Where("id", "starts_with", prefix),), order_by="id", limit=1000)
        async for stored in self._query(model, query):
            yield stored

    async def _query(self, model: type[M], query: Query) -> AsyncIterator[Stored[M]]:
        """Every document that a query finds, page by page."""
        async for document in read_all(partial(self._documents.query, BILLING, query)):
            yield Stored(model.model_validate_json(document.body), document.etag)
