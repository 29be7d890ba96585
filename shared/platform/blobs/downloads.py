"""What a link of this host leads to."""

from collections.abc import Mapping
from dataclasses import dataclass

from shared.platform.blobs.files import FileBlobs, OpenedBlob
from shared.platform.blobs.links import LinkInvalid, LocalLinks, disposition


@dataclass(frozen=True, slots=True)
class Download:
    """An answer: its headers, and the blob piece by piece."""

    headers: Mapping[str, str]
    opened: OpenedBlob


class LocalDownloads:
    """`blobs` gives out the links that `open` follows."""

    def __init__(self, blobs: FileBlobs, links: LocalLinks) -> None:
        self.blobs = blobs
        self._links = links

    async def open(self, name: str, query: Mapping[str, str]) -> Download | None:
        """None when the blob was deleted since. Raises LinkInvalid, LinkExpired, BlobsUnavailable."""
        linked = await self._links.check(name, query)
        try:
            opened = await self.blobs.open(name)
        except ValueError:  # no name of a blob; nobody signed such a link
            raise LinkInvalid from None
        if opened is None:
            return None
        headers = {
            "Content-Type": linked.content_type or opened.content_type,
            "Content-Length": str(opened.size),
            "Content-Disposition": disposition(linked.filename),
            "Cache-Control": "private, no-store",
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "sandbox; default-src 'none'",
            "Referrer-Policy": "no-referrer",
        }
        return Download(headers, opened)
