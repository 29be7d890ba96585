"""The blobs port: named bytes. Contract suite: `tests/platform/blobs/`.

Names are `/`-separated, 1 to 512 characters of `A-Z a-z 0-9 . _ - /`, of at most 254 segments; no segment is empty or
ends with a dot, which also rules out `.` and `..` (Azure's rules for blob names; ValueError).
"""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from shared.kernel.errors import Unavailable

_NAME = re.compile(r"[A-Za-z0-9._-]*[A-Za-z0-9_-](/[A-Za-z0-9._-]*[A-Za-z0-9_-]){0,253}")


def check_name(name: str) -> str:
    """Return `name`, or raise ValueError saying which rule it breaks."""
    if len(name) > 512 or not _NAME.fullmatch(name):
        rule = "must be 1 to 512 characters of A-Z a-z 0-9 . _ - in /-separated segments that do not end with a dot"
        raise ValueError(f"blob name {name!r} {rule}")
    return name


@dataclass(frozen=True, slots=True)
class Blob:
    """A blob with its bytes in memory."""

    name: str
    data: bytes
    content_type: str


class BlobExists(Exception):
    """The name is taken and overwriting was not asked for."""


class BlobsUnavailable(Unavailable):
    """The store could not be reached; try again."""


class Blobs(Protocol):
    """Keeps bytes by name. Every method may raise BlobsUnavailable."""

    async def put(self, name: str, data: bytes, *, content_type: str, overwrite: bool = False) -> None:
        """Store a blob whole or not at all: a reader never sees half of one. Raises BlobExists unless `overwrite`."""
        ...

    async def put_stream(self, name: str, chunks: AsyncIterator[bytes], *, content_type: str) -> None:
        """Store what is too large to be held in memory, whole or not at all. Raises BlobExists, at the end of the
        stream at the latest; whatever `chunks` raises comes out, and nothing is stored then."""
        ...

    async def get(self, name: str) -> Blob | None: ...

    async def delete(self, name: str) -> bool:
        """Delete a blob; True when there was one."""
        ...

    async def link(self, name: str, *, expires_s: int, filename: str, content_type: str | None = None) -> str:
        """Make a URL by which anybody who holds it can read the blob for `expires_s` seconds (1 to a day), and nothing
        else. A browser saves it as `filename` (1 to 150 characters of `A-Z a-z 0-9 . _ -` and spaces) instead of
        showing it; `content_type` replaces the blob's own. Whether there is such a blob is not looked at. Raises
        BlobsUnavailable; ValueError."""
        ...

    def list(self, prefix: str) -> AsyncIterator[str]:
        """List the names that start with `prefix`, in ascending byte order."""
        ...

    async def ready(self) -> None:
        """Check that blobs can be read. Raises BlobsUnavailable when a read would fail."""
        ...

    async def close(self) -> None: ...
