"""The contract of the blobs port, for both adapters. What only one of them can do is in test_blobs_{files,azure}.py."""

import asyncio
import sys
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from azure.storage.blob.aio import ContainerClient

from shared.platform.blobs import Blob, BlobExists, Blobs
from tests.support.paths import ROOT
from tests.support.platform.blobs_writer import is_whole, number_in, open_blobs

# aiohttp warns of bodies over 1 MiB, which the SDK passes as bytes and which are copied to the socket in one go. One
# request for one blob is worth that (see SINGLE_PUT_BYTES_MAX).
pytestmark = pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning")


@dataclass
class Store:
    """`where` is what `open_blobs` takes; `blobs` is one handle on the store, `another()` makes more."""

    where: tuple[str, ...]
    blobs: Blobs
    another: Callable[[], Blobs]


@pytest.fixture(params=["files", "azure"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    if request.param == "files":
        where: tuple[str, ...] = ("files", str(tmp_path / "store"))
    else:
        where = ("azure", request.getfixturevalue("azurite"), uuid.uuid4().hex)
        async with ContainerClient.from_connection_string(where[1], where[2]) as container:
            await container.create_container()
    opened: list[Blobs] = []

    def another() -> Blobs:
        opened.append(open_blobs(*where))
        return opened[-1]

    yield Store(where, another(), another)
    for handle in opened:
        await handle.close()


@pytest.fixture
def blobs(store: Store) -> Blobs:
    return store.blobs


async def put(blobs: Blobs, *names: str, data: bytes = b"x") -> None:
    for name in names:
        await blobs.put(name, data, content_type="text/plain")


async def names(blobs: Blobs, prefix: str = "") -> list[str]:
    return [name async for name in blobs.list(prefix)]


# Put and get


async def test_a_blob_comes_back_with_its_bytes_and_content_type(blobs: Blobs) -> None:
    every_byte = bytes(range(256)) + b"\n{}\r\n"
    await blobs.put("invoices/2026-11/INV-1.pdf", every_byte, content_type="application/pdf")
    expected = Blob("invoices/2026-11/INV-1.pdf", every_byte, "application/pdf")
    assert await blobs.get("invoices/2026-11/INV-1.pdf") == expected


async def test_content_type_parameters_are_kept(blobs: Blobs) -> None:
    await blobs.put("a.csv", b"a;b", content_type='text/csv; charset=utf-8; header="present"')
    blob = await blobs.get("a.csv")
    assert blob is not None
    assert blob.content_type == 'text/csv; charset=utf-8; header="present"'


@pytest.mark.parametrize("size", [0, 1, 20 * 1024 * 1024])
async def test_a_blob_may_be_empty_or_large(blobs: Blobs, size: int) -> None:
    data = bytes(i % 251 for i in range(1000)) * (size // 1000) + b"e" * (size % 1000)
    await put(blobs, "a", data=data)
    blob = await blobs.get("a")
    assert blob is not None
    assert blob.data == data


async def test_an_absent_blob_is_none(blobs: Blobs) -> None:
    await put(blobs, "folder/here")
    assert await blobs.get("absent") is None
    assert await blobs.get("folder") is None
    assert await blobs.get("folder/here/not") is None


async def test_another_handle_sees_a_blob_at_once(store: Store) -> None:
    await put(store.blobs, "a", data=b"value")
    assert await store.another().get("a") == Blob("a", b"value", "text/plain")


# Overwriting


async def test_a_taken_name_is_refused_and_its_blob_stays(blobs: Blobs) -> None:
    await put(blobs, "a", data=b"first")
    with pytest.raises(BlobExists):
        await blobs.put("a", b"second", content_type="text/html")
    assert await blobs.get("a") == Blob("a", b"first", "text/plain")


async def test_overwriting_replaces_bytes_and_content_type(blobs: Blobs) -> None:
    await put(blobs, "a", data=b"first and longer")
    await blobs.put("a", b"second", content_type="text/html", overwrite=True)
    assert await blobs.get("a") == Blob("a", b"second", "text/html")


async def test_overwriting_needs_nothing_to_overwrite(blobs: Blobs) -> None:
    await blobs.put("a", b"first", content_type="text/plain", overwrite=True)
    assert await blobs.get("a") == Blob("a", b"first", "text/plain")


async def test_of_concurrent_puts_of_one_name_exactly_one_wins(store: Store) -> None:
    handles = [store.blobs, store.another()]
    bodies = [bytes([number]) * 100_000 for number in range(10)]
    puts = (handles[n % 2].put("new/folder/a", data, content_type="text/plain") for n, data in enumerate(bodies))
    outcomes = await asyncio.gather(*puts, return_exceptions=True)
    won = [data for data, outcome in zip(bodies, outcomes, strict=True) if outcome is None]
    assert len(won) == 1
    assert {type(outcome) for outcome in outcomes} == {type(None), BlobExists}
    assert await store.blobs.get("new/folder/a") == Blob("new/folder/a", won[0], "text/plain")


async def test_a_reader_never_sees_half_of_an_overwriting_put(store: Store) -> None:
    bodies = [bytes([number]) * 2_000_000 for number in range(2)]
    await put(store.blobs, "a", data=bodies[0])
    reader = store.another()

    async def overwrite() -> None:
        for number in range(12):
            await store.blobs.put("a", bodies[number % 2], content_type="text/plain", overwrite=True)

    writing = asyncio.create_task(overwrite())
    while not writing.done():
        blob = await reader.get("a")
        assert blob is not None
        assert blob.data in bodies
    await writing


# Deleting


async def test_deleting_says_whether_there_was_one(blobs: Blobs) -> None:
    await put(blobs, "folder/a", "folder/b")
    assert await blobs.delete("folder/a") is True
    assert await blobs.delete("folder/a") is False
    assert await blobs.delete("never/was") is False
    assert await blobs.get("folder/a") is None
    assert await names(blobs) == ["folder/b"]


async def test_a_deleted_name_is_free_again(blobs: Blobs) -> None:
    await put(blobs, "a", data=b"first")
    await blobs.delete("a")
    await put(blobs, "a", data=b"second")
    assert await blobs.get("a") == Blob("a", b"second", "text/plain")


async def test_of_concurrent_deletes_exactly_one_finds_it(blobs: Blobs) -> None:
    await put(blobs, "a")
    assert sorted(await asyncio.gather(*(blobs.delete("a") for _ in range(5)))) == [False] * 4 + [True]


# Listing


async def test_an_empty_store_lists_nothing(blobs: Blobs) -> None:
    assert await names(blobs) == []


async def test_names_are_listed_in_ascending_byte_order_at_every_level(blobs: Blobs) -> None:
    given = ["a/b", "b", "a", "a-b", "a.b", "a0", "A", "_", "0", "a/b/c", "a/b-c", "a/B", "aa", "10", "9", "-"]
    await put(blobs, *given)
    assert await names(blobs) == sorted(given, key=str.encode)


async def test_a_prefix_is_any_start_of_a_name(blobs: Blobs) -> None:
    given = ["in", "in-1", "in/2", "inv/2026-10/a", "inv/2026-11/a", "inv/2026-11/b", "inv/2026-12/a", "other"]
    await put(blobs, *given)
    for prefix in ["", "i", "in", "in/", "inv", "inv/2026-1", "inv/2026-11", "inv/2026-11/", "inv/2026-11/a", "z", "o"]:
        assert await names(blobs, prefix) == [name for name in given if name.startswith(prefix)], prefix


@pytest.mark.parametrize("prefix", ["/", "../", "a//", "./a", "A", "%", "é", "a+"])
async def test_a_prefix_that_no_name_starts_with_lists_nothing(blobs: Blobs, prefix: str) -> None:
    await put(blobs, "a/b")
    assert await names(blobs, prefix) == []


async def test_a_listing_may_be_left_early(blobs: Blobs) -> None:
    await put(blobs, "a", "b", "c")
    async for name in blobs.list(""):
        assert name == "a"
        break
    assert await names(blobs) == ["a", "b", "c"]


async def test_what_is_raised_while_listing_is_the_callers_own(blobs: Blobs) -> None:
    await put(blobs, "a")

    async def fail_inside_the_loop() -> None:
        async for _ in blobs.list(""):
            raise OSError("mine")

    with pytest.raises(OSError, match="mine"):
        await fail_inside_the_loop()


# Names

LONGEST_NAMES = [
    "a" * 512,
    "a" * 255,
    "b" * 200,
    "b" * 200 + "/c",
    "b" * 200 + "-c",
    "b" * 200 + "0",
    "b" * 400,
    "c" * 300 + "/" + "d" * 211,
    "/".join("e" * 254),
]


async def test_every_allowed_name_is_a_blob_of_its_own(blobs: Blobs) -> None:
    given = [
        "a",
        "A",
        "a/b",
        "a/b/c",
        ".a",
        "..a",
        "a..b",
        "-",
        "_",
        "0",
        "a.tmp",
        "incoming/a",
        "blobs/a",
        *LONGEST_NAMES,
    ]
    for name in given:
        await blobs.put(name, name.encode(), content_type="text/plain")
    for name in given:
        assert await blobs.get(name) == Blob(name, name.encode(), "text/plain")
    assert await names(blobs) == sorted(given)
    assert await names(blobs, "b" * 200) == sorted(name for name in given if name.startswith("b" * 200))
    for name in given:
        assert await blobs.delete(name), name
    assert await names(blobs) == []


BAD_NAMES = ["", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/./b", "a.", "a./b", "a b", "a\\b", "a+", "a~"]
BAD_NAMES += ["é", "a\n", "a\0", "%2e%2e/a", "a?b", "a" * 513, "/".join("a" * 255)]


@pytest.mark.parametrize("name", BAD_NAMES)
async def test_other_names_are_refused(blobs: Blobs, name: str) -> None:
    for overwrite in (False, True):
        with pytest.raises(ValueError, match="blob name"):
            await blobs.put(name, b"x", content_type="text/plain", overwrite=overwrite)
    with pytest.raises(ValueError, match="blob name"):
        await blobs.get(name)
    with pytest.raises(ValueError, match="blob name"):
        await blobs.delete(name)
    assert await names(blobs) == []


# Living and dying


async def test_a_store_that_works_is_ready(blobs: Blobs) -> None:
    await blobs.ready()


async def test_closing_twice_is_harmless(blobs: Blobs) -> None:
    await put(blobs, "a")
    await blobs.close()
    await blobs.close()


@pytest.mark.parametrize("acknowledged_before_the_kill", [1, 10, 25])
async def test_a_writer_killed_amid_its_puts_leaves_whole_blobs_only(
    store: Store, acknowledged_before_the_kill: int
) -> None:
    command = [sys.executable, "-m", "tests.support.platform.blobs_writer", *store.where]
    writer = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    assert writer.stdout is not None
    printed = [await writer.stdout.readline() for _ in range(acknowledged_before_the_kill)]
    writer.kill()  # SIGKILL, while all its writers are at work
    rest, _ = await writer.communicate()
    printed += [line for line in rest.splitlines(keepends=True) if line.endswith(b"\n")]
    acknowledged = dict(line.decode().split() for line in printed)

    blobs = store.another()
    listed = await names(blobs)
    assert set(acknowledged) <= set(listed)
    for name in listed:
        blob = await blobs.get(name)
        assert blob is not None
        assert is_whole(name, blob.data), name
        assert number_in(blob.data) >= int(acknowledged.get(name, 0)), name
    for name in ("many/new", *({f"many/0/{number}" for number in range(100)} - set(listed))):
        try:
            await put(blobs, name)
        except BlobExists:  # a service may finish afterwards what it had got of the dead
            blob = await blobs.get(name)
            assert blob is not None
            assert is_whole(name, blob.data), name
