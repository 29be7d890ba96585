"""The documents port's contract: what one document and one transaction do. Queries: `test_documents_queries.py`."""

import asyncio
import json
from typing import Any

import pytest

from shared.platform.documents import (
    BODY_BYTES_MAX,
    CONTAINERS,
    OPERATIONS_PER_TRANSACTION_MAX,
    Create,
    Delete,
    DocumentExists,
    DocumentMissing,
    Documents,
    Operation,
    Patch,
    PreconditionFailed,
    Query,
    Replace,
    TransactionFailed,
    Upsert,
)

pytest_plugins = ["tests.contract.document_fixtures"]

USAGE = CONTAINERS["usage"]
MERCHANTS = CONTAINERS["merchants"]
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


def body(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


async def read(store: Documents, partition: str, id: str) -> Any:
    document = await store.get(USAGE, partition, id)
    return None if document is None else json.loads(document.body)


async def write(store: Documents, verb: str, id: str, data: bytes, partition: str = "p") -> None:
    match verb:
        case "create":
            await store.create(USAGE, partition, id, data)
        case "upsert":
            await store.upsert(USAGE, partition, id, data)
        case "replace":
            await store.replace(USAGE, partition, id, data, etag=None)
        case "delete":
            await store.delete(USAGE, partition, id)
        case _:
            await store.transact(USAGE, partition, [Create(id, data)])


async def test_a_created_document_is_read_back_with_its_etag(store: Documents) -> None:
    etag = await store.create(USAGE, "p", "a", body(n=1))
    document = await store.get(USAGE, "p", "a")
    assert document is not None
    assert (document.partition, document.id, document.etag) == ("p", "a", etag)
    assert json.loads(document.body) == {"n": 1}


async def test_what_was_never_written_is_none(store: Documents) -> None:
    await store.create(USAGE, "p", "a", body())
    assert await store.get(USAGE, "p", "b") is None


async def test_create_refuses_a_taken_id_and_changes_nothing(store: Documents) -> None:
    await store.create(USAGE, "p", "a", body(n=1))
    with pytest.raises(DocumentExists):
        await store.create(USAGE, "p", "a", body(n=2))
    assert await read(store, "p", "a") == {"n": 1}


async def test_replace_needs_a_document(store: Documents) -> None:
    with pytest.raises(DocumentMissing):
        await store.replace(USAGE, "p", "a", body(), etag=None)
    assert await store.get(USAGE, "p", "a") is None


async def test_upsert_creates_then_replaces(store: Documents) -> None:
    first = await store.upsert(USAGE, "p", "a", body(n=1, old=True))
    second = await store.upsert(USAGE, "p", "a", body(n=2))
    assert first != second
    assert await read(store, "p", "a") == {"n": 2}


async def test_delete_removes_and_frees_the_id(store: Documents) -> None:
    await store.create(USAGE, "p", "a", body(n=1))
    await store.delete(USAGE, "p", "a")
    assert await store.get(USAGE, "p", "a") is None
    with pytest.raises(DocumentMissing):
        await store.delete(USAGE, "p", "a")
    await store.create(USAGE, "p", "a", body(n=2))
    assert await read(store, "p", "a") == {"n": 2}


async def test_every_write_gives_a_new_etag_and_get_returns_the_last(store: Documents) -> None:
    etags = [await store.create(USAGE, "p", "a", body(n=1))]
    etags.append(await store.replace(USAGE, "p", "a", body(n=1), etag=None))
    etags.append(await store.upsert(USAGE, "p", "a", body(n=1)))
    etags.append((await store.patch(USAGE, "p", "a", [Patch("set", "n", 1)])).etag)
    etags += await store.transact(USAGE, "p", [Replace("a", body(n=1), None)])
    etags += await store.transact(USAGE, "p", [Upsert("a", body(n=1))])
    await store.delete(USAGE, "p", "a")
    etags.append(await store.create(USAGE, "p", "a", body(n=1)))
    document = await store.get(USAGE, "p", "a")
    assert document is not None
    assert document.etag == etags[-1]
    assert len(set(etags)) == len(etags)


@pytest.mark.parametrize("stale", ["the etag before", "nonsense", ""])
async def test_conditional_writes_refuse_an_etag_that_is_not_current(store: Documents, stale: str) -> None:
    before = await store.create(USAGE, "p", "a", body(n=1))
    current = await store.replace(USAGE, "p", "a", body(n=2), etag=before)
    etag = before if stale == "the etag before" else stale
    with pytest.raises(PreconditionFailed):
        await store.replace(USAGE, "p", "a", body(n=3), etag=etag)
    with pytest.raises(PreconditionFailed):
        await store.patch(USAGE, "p", "a", [Patch("set", "n", 3)], etag=etag)
    with pytest.raises(PreconditionFailed):
        await store.delete(USAGE, "p", "a", etag=etag)
    assert await read(store, "p", "a") == {"n": 2}

    patched = await store.patch(USAGE, "p", "a", [Patch("set", "n", 4)], etag=current)
    await store.delete(USAGE, "p", "a", etag=patched.etag)
    assert await store.get(USAGE, "p", "a") is None


async def test_conditional_writes_of_a_missing_document_say_missing(store: Documents) -> None:
    etag = await store.create(USAGE, "p", "a", body())
    await store.delete(USAGE, "p", "a")
    with pytest.raises(DocumentMissing):
        await store.replace(USAGE, "p", "a", body(), etag=etag)
    with pytest.raises(DocumentMissing):
        await store.patch(USAGE, "p", "a", [Patch("set", "n", 1)], etag=etag)
    with pytest.raises(DocumentMissing):
        await store.delete(USAGE, "p", "a", etag=etag)


async def test_of_40_concurrent_conditional_replaces_exactly_one_wins_each_round(store: Documents) -> None:
    etag = await store.create(USAGE, "p", "a", body(writer=-1))
    for _ in range(3):
        outcomes = await asyncio.gather(
            *(store.replace(USAGE, "p", "a", body(writer=writer), etag=etag) for writer in range(40)),
            return_exceptions=True,
        )
        winners = [writer for writer, outcome in enumerate(outcomes) if isinstance(outcome, str)]
        assert len(winners) == 1
        assert sum(isinstance(outcome, PreconditionFailed) for outcome in outcomes) == 39
        document = await store.get(USAGE, "p", "a")
        assert document is not None
        assert json.loads(document.body) == {"writer": winners[0]}
        assert document.etag == outcomes[winners[0]]
        etag = document.etag


async def test_of_20_concurrent_creates_of_one_id_exactly_one_wins(store: Documents) -> None:
    outcomes = await asyncio.gather(
        *(store.create(USAGE, "p", "a", body(writer=writer)) for writer in range(20)), return_exceptions=True
    )
    assert sum(isinstance(outcome, str) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, DocumentExists) for outcome in outcomes) == 19


# patch


async def test_patch_applies_its_changes_in_order_and_returns_the_result(store: Documents) -> None:
    await store.create(USAGE, "p", "a", body(n=1, deep={"list": [1]}, gone="x", kept="ü"))
    changes = [
        Patch("increment", "n", 2.5),
        Patch("increment", "deep.fresh", 3),
        Patch("set", "deep.flag", value=True),
        Patch("set", "text", "it's"),
        Patch("set", "text", None),
        Patch("remove", "gone"),
    ]
    document = await store.patch(USAGE, "p", "a", changes)
    expected = {"n": 3.5, "deep": {"list": [1], "fresh": 3, "flag": True}, "text": None, "kept": "ü"}
    assert json.loads(document.body) == expected
    assert await store.get(USAGE, "p", "a") == document


async def test_patch_needs_a_document(store: Documents) -> None:
    with pytest.raises(DocumentMissing):
        await store.patch(USAGE, "p", "a", [Patch("set", "n", 1)])


@pytest.mark.parametrize(
    "misfit",
    [
        Patch("increment", "text", 1),
        Patch("increment", "flag", 1),
        Patch("increment", "nothing", 1),
        Patch("increment", "n", "1"),
        Patch("remove", "missing"),
        Patch("set", "missing.n", 1),
        Patch("set", "text.n", 1),
    ],
    ids=str,
)
async def test_patch_that_does_not_fit_changes_nothing(store: Documents, misfit: Patch) -> None:
    fields = {"n": 1, "text": "1", "flag": True, "nothing": None}
    etag = await store.create(USAGE, "p", "a", body(**fields))
    with pytest.raises(ValueError):
        await store.patch(USAGE, "p", "a", [Patch("set", "n", 2), misfit])
    document = await store.get(USAGE, "p", "a")
    assert document is not None
    assert (json.loads(document.body), document.etag) == (fields, etag)


async def test_patch_takes_1_to_10_changes(store: Documents) -> None:
    await store.create(USAGE, "p", "a", body(n=0))
    await store.patch(USAGE, "p", "a", [Patch("increment", "n", 1)] * 10)
    assert await read(store, "p", "a") == {"n": 10}
    for count in (0, 11):
        with pytest.raises(ValueError):
            await store.patch(USAGE, "p", "a", [Patch("increment", "n", 1)] * count)


async def test_concurrent_increments_all_count(store: Documents) -> None:
    await store.create(USAGE, "p", "a", body(n=0))
    await asyncio.gather(*(store.patch(USAGE, "p", "a", [Patch("increment", "n", 1)]) for _ in range(30)))
    assert await read(store, "p", "a") == {"n": 30}


# transact


async def test_a_transaction_applies_all_and_returns_an_etag_each(store: Documents) -> None:
    kept = await store.create(USAGE, "p", "replaced", body(n=0))
    gone = await store.create(USAGE, "p", "deleted", body(n=0))
    await store.create(USAGE, "p", "upserted", body(n=0))
    operations = [
        Create("created", body(n=1)),
        Replace("replaced", body(n=2), kept),
        Upsert("upserted", body(n=3)),
        Upsert("fresh", body(n=4)),
        Delete("deleted", gone),
    ]
    etags = await store.transact(USAGE, "p", operations)
    assert etags[4] == ""
    for operation, etag, n in zip(operations[:4], etags, range(1, 5), strict=False):
        document = await store.get(USAGE, "p", operation.id)
        assert document is not None
        assert (json.loads(document.body), document.etag) == ({"n": n}, etag)
    assert await store.get(USAGE, "p", "deleted") is None


@pytest.mark.parametrize("index", [0, 2, 4])
@pytest.mark.parametrize(
    ("failing", "reason"),
    [
        (Create("there", body(n=9)), DocumentExists),
        (Replace("absent", body(n=9), None), DocumentMissing),
        (Replace("there", body(n=9), "stale"), PreconditionFailed),
        (Delete("absent"), DocumentMissing),
        (Delete("there", "stale"), PreconditionFailed),
    ],
    ids=["create", "replace-missing", "replace-stale", "delete-missing", "delete-stale"],
)
async def test_a_failing_operation_undoes_all(
    store: Documents, failing: Operation, reason: type[Exception], index: int
) -> None:
    await store.create(USAGE, "p", "there", body(n=0))
    before = await store.get(USAGE, "p", "there")
    victim = await store.create(USAGE, "p", "victim", body(n=0))
    operations: list[Operation] = [
        Create("x", body(n=1)),
        Replace("victim", body(n=1), victim),
        Upsert("y", body(n=1)),
        Delete("victim"),
    ]
    operations.insert(index, failing)
    with pytest.raises(TransactionFailed) as failed:
        await store.transact(USAGE, "p", operations)
    assert failed.value.index == index
    assert isinstance(failed.value.reason, reason)
    assert failed.value.reason.args == (failing.id,)
    assert await store.get(USAGE, "p", "there") == before
    assert await read(store, "p", "victim") == {"n": 0}
    assert await store.get(USAGE, "p", "x") is None
    assert await store.get(USAGE, "p", "y") is None


async def test_an_id_created_twice_in_one_transaction_fails_at_the_second(store: Documents) -> None:
    with pytest.raises(TransactionFailed) as failed:
        await store.transact(USAGE, "p", [Create("a", body()), Create("b", body()), Create("a", body())])
    assert failed.value.index == 2
    assert isinstance(failed.value.reason, DocumentExists)
    assert await store.get(USAGE, "p", "a") is None


async def test_operations_see_the_ones_before_them(store: Documents) -> None:
    await store.transact(USAGE, "p", [Create("a", body(n=1)), Replace("a", body(n=2), None), Create("b", body())])
    assert await read(store, "p", "a") == {"n": 2}
    await store.transact(USAGE, "p", [Delete("a"), Create("a", body(n=3))])
    assert await read(store, "p", "a") == {"n": 3}


async def test_a_transaction_takes_1_to_100_operations(store: Documents) -> None:
    creates = [Create(f"d{n}", body(n=n)) for n in range(OPERATIONS_PER_TRANSACTION_MAX + 1)]
    for refused in ([], creates):
        with pytest.raises(ValueError):
            await store.transact(USAGE, "p", refused)
    assert await store.get(USAGE, "p", "d0") is None
    etags = await store.transact(USAGE, "p", creates[:OPERATIONS_PER_TRANSACTION_MAX])
    assert len(set(etags)) == OPERATIONS_PER_TRANSACTION_MAX
    assert await read(store, "p", "d99") == {"n": 99}


async def test_concurrent_transactions_on_one_counter_lose_no_count(store: Documents) -> None:
    await store.create(USAGE, "p", "counter", body(n=0))
    lost: list[tuple[int, type[Exception]]] = []

    async def count(worker: int) -> None:
        while True:
            counter = await store.get(USAGE, "p", "counter")
            assert counter is not None
            n = json.loads(counter.body)["n"]
            operations = [Create(f"event-{worker}", body()), Replace("counter", body(n=n + 1), counter.etag)]
            try:
                await store.transact(USAGE, "p", operations)
            except TransactionFailed as failed:
                lost.append((failed.index, type(failed.reason)))
            else:
                return

    await asyncio.gather(*(count(worker) for worker in range(10)))
    assert await read(store, "p", "counter") == {"n": 10}
    assert set(lost) <= {(1, PreconditionFailed)}


# addressing and bodies


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
    assert [document.partition for document in page.documents] == ["q"]


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
    assert len((await store.query(USAGE, Query(partition))).documents) == 1


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
