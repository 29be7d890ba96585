"""Blobs as files below one folder, for a POSIX file system that tells upper from lower case.

    <root>/incoming/    what is being written; never read
    <root>/blobs/       one file a blob: a line of JSON, then the bytes. `invoices/2026-11/a.pdf` is the file
                        `invoices+/2026-11+/a.pdf`

Bytes and content type are one file, so that one link or rename publishes both and no kill can come in between.
"""

import asyncio
import contextlib
import json
import os
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from shared.platform.blobs import Blob, BlobExists, BlobsUnavailable, check_name
from shared.platform.blobs.links import LocalLinks

LEFTOVER_SECONDS = 3600
"""What a killed writer left in `incoming` is removed when it is older. A writer that slept this long fails cleanly."""

_PIECE_CHARACTERS = 200
"""A segment may be longer than a file name (255 bytes): it is cut into pieces, each a folder but the last."""

# Folders end with a character that no blob name has, so that a blob `a` and a blob `a/b` can both exist.
_SEGMENT_ENDS = "+"
_SEGMENT_GOES_ON = "~"


CHUNK_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class OpenedBlob:
    """A blob to be sent piece by piece. `chunks` is iterated to its end, or closed with `aclose()`."""

    content_type: str
    size: int
    chunks: AsyncIterator[bytes]


class FileBlobs:
    """`root` is created when missing. Several processes may share it. Without `links`, the store gives none. Raises
    BlobsUnavailable when it is unusable."""

    def __init__(self, root: Path, links: LocalLinks | None = None) -> None:
        self._links = links
        self._incoming = root / "incoming"
        self._blobs = root / "blobs"
        with _unavailable():
            self._incoming.mkdir(parents=True, exist_ok=True)
            self._blobs.mkdir(exist_ok=True)
            for folder in (root, root.parent):
                _sync_folder(folder)
            _remove_leftovers(self._incoming)

    async def put(self, name: str, data: bytes, *, content_type: str, overwrite: bool = False) -> None:
        """Write a blob, which is on disk when this returns. Raises BlobExists unless `overwrite`; BlobsUnavailable;
        ValueError."""
        path = self._path(name)
        header = json.dumps({"content_type": content_type}).encode() + b"\n"
        await asyncio.to_thread(self._put, path, header, data, overwrite)

    async def put_stream(self, name: str, chunks: AsyncIterator[bytes], *, content_type: str) -> None:
        """Write a blob, which is on disk when this returns. Raises BlobExists; BlobsUnavailable; ValueError; what
        `chunks` raises."""
        path = self._path(name)
        with _unavailable():
            descriptor, temporary = await asyncio.to_thread(tempfile.mkstemp, dir=self._incoming)
        try:
            with os.fdopen(descriptor, "wb") as file:
                await _write(file, json.dumps({"content_type": content_type}).encode() + b"\n")
                async for chunk in chunks:
                    await _write(file, chunk)
                await asyncio.to_thread(self._publish, file, temporary, path, False)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)

    async def get(self, name: str) -> Blob | None:
        """Raises BlobsUnavailable, also for a damaged file; ValueError."""
        path = self._path(name)
        content = await asyncio.to_thread(self._read, path)
        if content is None:
            return None
        header, _, data = content.partition(b"\n")
        return Blob(name, data, _content_type(path, header))

    async def open(self, name: str) -> OpenedBlob | None:
        """A blob without reading it whole. Raises BlobsUnavailable, also for a damaged file; ValueError."""
        path = self._path(name)
        with _unavailable():
            try:
                file = await asyncio.to_thread(path.open, "rb")
            except FileNotFoundError:
                await asyncio.to_thread(self._check)
                return None
        header = await asyncio.to_thread(file.readline)
        return OpenedBlob(_content_type(path, header), path.stat().st_size - len(header), _chunks(file))

    async def link(self, name: str, *, expires_s: int, filename: str, content_type: str | None = None) -> str:
        """Make a link of this host. Raises BlobsUnavailable; ValueError."""
        if self._links is None:
            raise BlobsUnavailable("this store gives no links")
        return await self._links.url(name, expires_s, filename, content_type)

    async def delete(self, name: str) -> bool:
        """True when there was one. Raises BlobsUnavailable; ValueError."""
        return await asyncio.to_thread(self._delete, self._path(name))

    async def list(self, prefix: str) -> AsyncIterator[str]:
        """Names as of the first step, sorted in memory. Raises BlobsUnavailable."""
        for name in await asyncio.to_thread(_names, self._blobs, prefix):
            yield name

    async def ready(self) -> None:
        """Raises BlobsUnavailable when the folder cannot be read, such as after its disk was unmounted."""
        await asyncio.to_thread(self._check)

    async def close(self) -> None:
        """Nothing is kept open."""

    def _path(self, name: str) -> Path:
        *folders, last = [_pieces(segment) for segment in check_name(name).split("/")]
        path = self._blobs
        for pieces in folders:
            path = path.joinpath(*(p + _SEGMENT_GOES_ON for p in pieces[:-1]), pieces[-1] + _SEGMENT_ENDS)
        return path.joinpath(*(p + _SEGMENT_GOES_ON for p in last[:-1]), last[-1])

    def _put(self, path: Path, header: bytes, data: bytes, overwrite: bool) -> None:
        with _unavailable():
            descriptor, temporary = tempfile.mkstemp(dir=self._incoming)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(header)
                    file.write(data)
                    self._publish(file, temporary, path, overwrite)
            finally:
                with contextlib.suppress(FileNotFoundError):  # a rename took it away
                    os.unlink(temporary)

    def _publish(self, file: BinaryIO, temporary: str, path: Path, overwrite: bool) -> None:
        with _unavailable():
            file.flush()
            os.fsync(file.fileno())  # before the name exists: a power cut must not leave a name without bytes
            path.parent.mkdir(parents=True, exist_ok=True)
            if overwrite:
                os.replace(temporary, path)
            else:
                _link(temporary, path)
            self._sync_up_from(path.parent)

    def _read(self, path: Path) -> bytes | None:
        with _unavailable():
            try:
                return path.read_bytes()
            except FileNotFoundError:
                self._check()
                return None

    def _delete(self, path: Path) -> bool:
        with _unavailable():
            try:
                path.unlink()
            except FileNotFoundError:
                self._check()
                return False
            _sync_folder(path.parent)  # the emptied folder stays: a put that has just made sure of it may be under way
            return True

    def _check(self) -> None:
        """Without this, an unmounted disk would read as a store without blobs."""
        with _unavailable(), os.scandir(self._blobs) as entries:
            next(entries, None)

    def _sync_up_from(self, folder: Path) -> None:
        """Every level, also those that somebody else made a moment ago and has not synced yet."""
        while folder != self._blobs:
            _sync_folder(folder)
            folder = folder.parent
        _sync_folder(self._blobs)


async def _write(file: BinaryIO, data: bytes) -> None:
    with _unavailable():
        await asyncio.to_thread(file.write, data)


async def _chunks(file: BinaryIO) -> AsyncIterator[bytes]:
    with file:
        while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
            yield chunk


def _content_type(path: Path, header: bytes) -> str:
    try:
        return str(json.loads(header)["content_type"])
    except (ValueError, KeyError, TypeError) as error:
        raise BlobsUnavailable(f"{path} is damaged") from error


def _pieces(segment: str) -> list[str]:
    return [segment[start : start + _PIECE_CHARACTERS] for start in range(0, len(segment), _PIECE_CHARACTERS)]


def _names(blobs: Path, prefix: str) -> list[str]:
    """Sorted as whole names: the order of a walk differs (`a-b`, `a/b`), because `-` sorts before `/`."""
    found: list[str] = []
    with _unavailable():
        pending = [(str(blobs), "")]
        while pending:
            folder, stem = pending.pop()
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.name.endswith((_SEGMENT_ENDS, _SEGMENT_GOES_ON)):
                        inner = stem + entry.name[:-1] + ("/" if entry.name.endswith(_SEGMENT_ENDS) else "")
                        if inner.startswith(prefix) or prefix.startswith(inner):
                            pending.append((entry.path, inner))
                    elif (name := stem + entry.name).startswith(prefix):
                        found.append(name)
    return sorted(found)


def _link(temporary: str, path: Path) -> None:
    try:
        os.link(temporary, path)  # unlike a rename, fails when the name is taken: of two writers, one wins
    except FileExistsError as error:
        raise BlobExists(str(path)) from error


def _sync_folder(folder: Path) -> None:
    """A new name is on disk only when the folder that holds it is."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_leftovers(incoming: Path) -> None:
    oldest = time.time() - LEFTOVER_SECONDS
    for path in incoming.iterdir():
        with contextlib.suppress(FileNotFoundError):  # its writer finished, or another process removes leftovers too
            if path.stat().st_mtime < oldest:
                path.unlink()


@contextlib.contextmanager
def _unavailable() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BlobsUnavailable(str(error)) from error
