"""What only blobs in files can do: fail like a disk, and leave things behind."""

import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from shared.platform.blobs import BlobExists, BlobsUnavailable
from shared.platform.blobs.files import LEFTOVER_SECONDS, FileBlobs


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "not" / "yet" / "there"


@pytest.fixture
def blobs(root: Path) -> FileBlobs:
    return FileBlobs(root)


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """What a full disk looks like to a writer: the kernel refuses to go on in the middle of the file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_nothing_is_written_outside_the_root(tmp_path: Path, root: Path, blobs: FileBlobs) -> None:
    await blobs.put("a/b", b"x", content_type="text/plain")
    assert all(path.is_relative_to(root) for path in files_below(tmp_path))


async def test_a_finished_or_refused_put_leaves_nothing_behind(root: Path, blobs: FileBlobs) -> None:
    await blobs.put("a", b"x", content_type="text/plain")
    await blobs.put("a", b"y", content_type="text/plain", overwrite=True)
    with pytest.raises(BlobExists):
        await blobs.put("a", b"z", content_type="text/plain")
    assert files_below(root) == [root / "blobs" / "a"]


async def test_a_put_that_finds_no_room_leaves_the_old_blob_and_nothing_else(root: Path, blobs: FileBlobs) -> None:
    await blobs.put("a", b"old", content_type="text/plain")
    with no_file_larger_than(100_000):
        for name, overwrite in (("a", True), ("b", False)):
            with pytest.raises(BlobsUnavailable):
                await blobs.put(name, bytes(1_000_000), content_type="text/plain", overwrite=overwrite)
    assert files_below(root) == [root / "blobs" / "a"]
    blob = await blobs.get("a")
    assert blob is not None
    assert blob.data == b"old"


async def test_leftovers_of_a_killed_writer_are_no_blobs_and_go_when_they_are_old(root: Path, blobs: FileBlobs) -> None:
    leftovers = {age: root / "incoming" / f"left-{age}" for age in (LEFTOVER_SECONDS - 60, LEFTOVER_SECONDS + 60)}
    for age, path in leftovers.items():
        path.write_bytes(b"half")
        os.utime(path, (time.time() - age,) * 2)
    blobs = FileBlobs(root)
    assert [name async for name in blobs.list("")] == []
    assert await blobs.get("incoming/left-60") is None
    assert files_below(root) == [leftovers[LEFTOVER_SECONDS - 60]]  # the young one may be a writer's at work


async def test_a_damaged_file_is_reported_not_returned(root: Path, blobs: FileBlobs) -> None:
    await blobs.put("a", b"x", content_type="text/plain")
    for damage in (b"", b"\n", b"[]\nx", b"{}\nx", b"\xff\xfe\nx"):
        (root / "blobs" / "a").write_bytes(damage)
        with pytest.raises(BlobsUnavailable, match="damaged"):
            await blobs.get("a")


async def test_a_root_that_went_away_is_unavailable_not_empty(root: Path, blobs: FileBlobs) -> None:
    await blobs.put("a", b"x", content_type="text/plain")
    os.rename(root, root.with_name("unmounted"))
    with pytest.raises(BlobsUnavailable):
        await blobs.ready()
    with pytest.raises(BlobsUnavailable):
        await blobs.get("a")
    with pytest.raises(BlobsUnavailable):
        await blobs.delete("a")
    with pytest.raises(BlobsUnavailable):
        await anext(blobs.list(""))
    with pytest.raises(BlobsUnavailable):
        await blobs.put("a", b"x", content_type="text/plain", overwrite=True)
    assert root.name not in os.listdir(root.parent)


def test_a_root_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(BlobsUnavailable):
        FileBlobs(tmp_path / "file" / "root")
