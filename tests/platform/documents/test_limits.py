"""The documents port's contract: ids, partitions, bodies."""

import pytest

from shared.platform.documents import (
    BODY_BYTES_MAX,
    OPERATIONS_PER_TRANSACTION_MAX,
    Create,
    Delete,
    DocumentMissing,
    Documents,
    Patch,
    Query,
    TransactionFailed,
    Upsert,
)
from tests.support.platform.documents import MERCHANTS, USAGE, body, read, write

AWKWARD = [
    "it's",
    'say "no"',
    "' OR 1=1 --",
    "a;DROP TABLE usage",
    "%2e%41",
    "a b&c=d+e@f:g,h",
    "नमस्ते",
    "🧾",
    "Ångström",
]
LARGE_BODY = pytest.mark.filterwarnings(  # aiohttp about bodies over 1 MiB; how to send them is the SDK's choice
    "ignore:Sending a large body directly:ResourceWarning"
)
WRITES = ["create", "upsert", "replace", "transact"]


async def test_containers_and_partitions_are_separate(store: Documents) -> None:
    await store.create(USAGE, "p", "a", body(n=1))
    await store.create(USAGE, "q", "a", body(n=2))
    await store.create(MERCHANTS, "p", "a", body(n=3))
    await store.delete(USAGE, "p", "a")
    assert await store.get(USAGE, "p", "a") is None
    assert await read(store, "q", "a") == {"n": 2}
    with pytest.raises(DocumentMissing):
        await store.replace(USAGE, "p", "a", body(), etag=None)
    with pytest.raises(TransactionFailed):
        await store.transact(USAGE, "p", [Delete("a")])
    page = await store.query(USAGE, Query("q"))
    assert [document.partition for document in page.items] == ["q"]


@pytest.mark.parametrize("text", [*AWKWARD, "é" * 500 + "abc"], ids=range(len(AWKWARD) + 1))
async def test_any_allowed_text_addresses_a_document_and_survives(store: Documents, text: str) -> None:
    await store.create(USAGE, text, text, body(text=text))
    await store.replace(USAGE, text, text, body(text=text, n=1), etag=None)
    await store.transact(USAGE, text, [Upsert(text, body(text=text, n=2))])
    document = await store.patch(USAGE, text, text, [Patch("set", "again", text)])
    assert (document.partition, document.id) == (text, text)
    assert await read(store, text, text) == {"text": text, "n": 2, "again": text}
    await store.delete(USAGE, text, text)
    assert await store.get(USAGE, text, text) is None


async def test_a_partition_may_hold_what_an_id_may_not(store: Documents) -> None:
    partition = "a/b\\c?d#e\n "
    await store.create(USAGE, partition, "a", body(n=1))
    assert await read(store, partition, "a") == {"n": 1}
    assert len((await store.query(USAGE, Query(partition))).items) == 1


@pytest.mark.parametrize("verb", [*WRITES, "delete"])
@pytest.mark.parametrize("id", ["", "a/b", "a\\b", "a?b", "a#b", "a\nb", "a\x00", "a ", ".", "..", "é" * 512])
async def test_writes_refuse_other_ids(store: Documents, verb: str, id: str) -> None:
    with pytest.raises(ValueError):
        await write(store, verb, id, body())
    assert await store.get(USAGE, "p", id) is None


@pytest.mark.parametrize("verb", WRITES)
@pytest.mark.parametrize("partition", ["", "é" * 512], ids=["empty", "1024 bytes"])
async def test_writes_refuse_other_partitions(store: Documents, verb: str, partition: str) -> None:
    with pytest.raises(ValueError):
        await write(store, verb, "a", body(), partition)


@LARGE_BODY
async def test_a_body_may_have_body_bytes_max_bytes_and_no_more(store: Documents) -> None:
    largest = b'{"text":"' + "é".encode() * ((BODY_BYTES_MAX - 11) // 2) + b'"}'
    largest = largest.ljust(BODY_BYTES_MAX)
    for verb in ("create", "replace", "upsert"):
        await write(store, verb, "a", largest)
    assert (await read(store, "p", "a"))["text"].endswith("é")
    await store.delete(USAGE, "p", "a")
    for verb in WRITES:
        with pytest.raises(ValueError):
            await write(store, verb, "a", largest + b" ")
    assert await store.get(USAGE, "p", "a") is None


@LARGE_BODY
async def test_the_bodies_of_a_transaction_share_that_limit(store: Documents) -> None:
    names = ["x" * 1000 + f"{n:023}" for n in range(OPERATIONS_PER_TRANSACTION_MAX)]
    each = BODY_BYTES_MAX // OPERATIONS_PER_TRANSACTION_MAX
    fitting = b'{"text":"' + b"x" * (each - 11) + b'"}'
    etags = await store.transact(USAGE, "p", [Create(name, fitting) for name in names])
    assert len(etags) == OPERATIONS_PER_TRANSACTION_MAX
    half = b'{"text":"' + b"x" * (BODY_BYTES_MAX // 2) + b'"}'
    with pytest.raises(ValueError):
        await store.transact(USAGE, "p", [Create("a", half), Create("b", half)])
    assert await store.get(USAGE, "p", "a") is None


async def test_numbers_and_nesting_survive(store: Documents) -> None:
    fields = {
        "whole": [0, -1, 2**53, -(2**53)],
        "real": [0.1, -1.5e-300, 1.7976931348623157e308, 5e-324, 1e15],
        "text": ["12.50", "0.1", "", "\u0000\u001f\u2028"],
        "rest": [True, False, None, {}, [], {"a": {"b": [{"c": 1}]}}],
    }
    await store.create(USAGE, "p", "a", body(**fields))
    assert await read(store, "p", "a") == fields
    await store.patch(USAGE, "p", "a", [Patch("set", "n", 2**53)])
    assert await read(store, "p", "a") == {**fields, "n": 2**53}


async def test_ready_returns_and_close_can_be_repeated(store: Documents) -> None:
    await store.ready()
    await store.close()
    await store.close()
