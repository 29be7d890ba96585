"""The documents port: Cosmos DB semantics, so that the embedded adapter cannot promise more than Cosmos gives.

A document is an opaque JSON object (`body`, UTF-8 bytes) addressed by container, partition and id. Nouns encode and
decode bodies in their `store.py`; adapters only store them, and may give them back with other white space. Numbers
keep the precision of a 64-bit float, so whole numbers are exact up to 2^53. An id is 1 to 1,023 bytes of UTF-8 without
`/ \\ ? #` and control characters, not ending with a space, and neither `.` nor `..` (`check_id`); a partition is 1 to
1,023 bytes of anything (`check_partition`); a write with another one is a ValueError, and so is a body over
BODY_BYTES_MAX.

What every adapter keeps, and the contract suite in `tests/platform/documents/` checks:

- one partition is the unit of atomicity: `transact` applies up to 100 operations of one partition or none;
- every write gives the document a new ETag; `replace`, `patch` and `delete` can be made conditional on it;
- a write is durable when the call returns;
- a document with `ttl_s` cannot be read that many seconds after its last write (removal may come later);
- filters are structured, never SQL text, and use only fields that `containers.json` declares as indexed, plus `id`.

Errors: `DocumentExists`, `DocumentMissing`, `PreconditionFailed`, `TransactionFailed` are answers about the documents;
`DocumentsUnavailable` means that the store could not be reached or is overloaded, and the call may be tried again.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from shared.kernel.errors import Unavailable
from shared.kernel.http.paging import Page

OPERATIONS_PER_TRANSACTION_MAX = 100
"""Cosmos DB's limit for a transactional batch."""

BODY_BYTES_MAX = 2 * 1024 * 1024 - 256 * 1024
"""For one body, and for all bodies of one transaction. Cosmos DB's limit for a document and for a batch is 2 MiB; the
rest is kept for ids, partition and system properties of up to 100 operations."""

PATCH_OPERATIONS_MAX = 10
"""Cosmos DB's limit for patch operations on one document."""


ID_BYTES_MAX = 1_023
_ID_FORBIDDEN = re.compile(r"[/\\?#\x00-\x1f\x7f]| $")


def check_id(id: str) -> str:
    """Return `id`, or raise ValueError: Cosmos DB takes 1 to 1,023 bytes without `/ \\ ? #`; its SDK no space at the
    end; AMS also no controls, and neither `.` nor `..`, which URLs swallow."""
    if not 1 <= len(id.encode()) <= ID_BYTES_MAX or _ID_FORBIDDEN.search(id) or id in {".", ".."}:
        raise ValueError(
            f"document id {id[:80]!r} must be 1 to {ID_BYTES_MAX} bytes without / \\ ? #, controls and a space at the"
            " end, and neither . nor .."
        )
    return id


def check_partition(partition: str) -> str:
    """Return `partition`, or raise ValueError: 1 to 1,023 bytes, any characters."""
    if not 1 <= len(partition.encode()) <= ID_BYTES_MAX:
        raise ValueError(f"partition {partition[:80]!r} must be 1 to {ID_BYTES_MAX} bytes")
    return partition


@dataclass(frozen=True, slots=True)
class Container:
    """One container as declared in `containers.json`, which Bicep reads too.

    `indexed` names the body fields (dotted paths) that filters and orderings may use; all other paths are excluded from
    the Cosmos indexing policy, which is what keeps a write at a few request units. `across` are those of them that are
    used in queries across partitions, for which the embedded adapter lays its indexes out differently. `ttl` says
    whether documents may carry a time to live.
    """

    name: str
    indexed: tuple[str, ...]
    across: tuple[str, ...]
    ttl: bool
    purpose: str


def _load_containers() -> dict[str, Container]:
    raw = json.loads((Path(__file__).parent / "containers.json").read_text())
    containers = (
        Container(c["name"], tuple(c["indexed"]), tuple(c["across"]), c["ttl"], c["purpose"]) for c in raw["containers"]
    )
    return {container.name: container for container in containers}


CONTAINERS = _load_containers()


@dataclass(frozen=True, slots=True)
class Document:
    """A document as it was read. Its ETag changes with every write."""

    partition: str
    id: str
    body: bytes
    etag: str


class Create(NamedTuple):
    """Create a document. Fails with `DocumentExists` when the id is taken. `ttl_s`: seconds to live, None for ever."""

    id: str
    body: bytes
    ttl_s: int | None = None


@dataclass(frozen=True, slots=True)
class Replace:
    """Replace a document. Fails with `DocumentMissing`, or with `PreconditionFailed` when `etag` is not the current
    one; None replaces any."""

    id: str
    body: bytes
    etag: str | None
    ttl_s: int | None = None


@dataclass(frozen=True, slots=True)
class Upsert:
    """Write a document, whether it is there or not. `ttl_s`: seconds to live, None for ever."""

    id: str
    body: bytes
    ttl_s: int | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete a document. Fails with `DocumentMissing`, or with `PreconditionFailed` when `etag` is not the current one;
    None deletes any."""

    id: str
    etag: str | None = None


Operation = Create | Replace | Upsert | Delete


@dataclass(frozen=True, slots=True)
class Patch:
    """One change of a document. `path` is a dotted field path, whose parent must be an object that exists.

    `increment` needs a number or a missing field, `remove` a field that is there.
    """

    op: Literal["set", "increment", "remove"]
    path: str
    value: str | int | float | bool | None = None


Scalar = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Where:
    """One condition; conditions of a query are joined with AND. A document without the field never matches, nor does
    one where it is null or of another JSON type than `value`.

    `value` is a tuple for `in` (1 to 1,000 values), text for `starts_with` and a scalar otherwise (ValueError).
    """

    field: str
    op: Literal["=", "<", "<=", ">", ">=", "in", "starts_with"]
    value: Scalar | tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Query:
    """`partition=None` is a query across all partitions, which costs accordingly: use it knowingly.

    `order_by` is an indexed field or `id`; documents where it is missing or null are left out, and in a query across
    partitions it must be of one JSON type. Ties are in no promised order, but paging with the cursor neither skips nor
    repeats a document that is not written meanwhile. `limit` is 1 to 1,000 documents per page (ValueError).
    """

    partition: str | None
    where: tuple[Where, ...] = ()
    order_by: str | None = None
    descending: bool = False
    limit: int = 100


class DocumentExists(Exception):
    """A create met an id that is taken."""


class DocumentMissing(Exception):
    """The document to replace, patch or delete does not exist."""


class PreconditionFailed(Exception):
    """The document has another ETag than the given one."""


class TransactionFailed(Exception):
    """Nothing was applied. `index` is the operation that failed, `reason` one of the three answers above."""

    def __init__(self, index: int, reason: DocumentExists | DocumentMissing | PreconditionFailed) -> None:
        super().__init__(f"operation {index}: {type(reason).__name__}")
        self.index = index
        self.reason = reason


class DocumentsUnavailable(Unavailable):
    """The store could not be reached, is throttling, or its disk fails; try again."""


class Documents(Protocol):
    """Keeps JSON documents by container, partition and id, with the guarantees above."""

    async def get(self, container: Container, partition: str, id: str) -> Document | None:
        """Read a document. None when there is none, also for an id that no document can have."""
        ...

    async def create(
        self, container: Container, partition: str, id: str, body: bytes, *, ttl_s: int | None = None
    ) -> str:
        """Create a document. Returns the ETag. Raises DocumentExists."""
        ...

    async def replace(
        self, container: Container, partition: str, id: str, body: bytes, *, etag: str | None, ttl_s: int | None = None
    ) -> str:
        """Replace a document. Returns the new ETag. Raises DocumentMissing, PreconditionFailed."""
        ...

    async def upsert(
        self, container: Container, partition: str, id: str, body: bytes, *, ttl_s: int | None = None
    ) -> str: ...

    async def patch(
        self, container: Container, partition: str, id: str, changes: Sequence[Patch], *, etag: str | None = None
    ) -> Document:
        """Apply 1 to 10 changes, all or none, and return the document after it. The time to live starts again. Raises
        DocumentMissing, PreconditionFailed; ValueError for a change that does not fit what is there (see Patch)."""
        ...

    async def delete(self, container: Container, partition: str, id: str, *, etag: str | None = None) -> None:
        """Delete a document. Raises DocumentMissing, PreconditionFailed."""
        ...

    async def transact(self, container: Container, partition: str, operations: Sequence[Operation]) -> Sequence[str]:
        """Apply all operations or none. Returns the new ETag of each operation's document, empty for a delete.
        Raises TransactionFailed; ValueError for none or more than 100 operations, or bodies over BODY_BYTES_MAX."""
        ...

    async def query(self, container: Container, query: Query, cursor: str | None = None) -> Page[Document]:
        """Read one page of the documents that match. Raises ValueError for a field that is not indexed and for a cursor
        that is not one of its own."""
        ...

    async def ready(self) -> None:
        """Check that documents can be read. Raises DocumentsUnavailable when a read would fail."""
        ...

    async def close(self) -> None: ...
