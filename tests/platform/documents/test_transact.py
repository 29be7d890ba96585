"""The documents port's contract: transactions."""

import asyncio
import json

import pytest

from shared.platform.documents import (
    OPERATIONS_PER_TRANSACTION_MAX,
    Create,
    Delete,
    DocumentExists,
    DocumentMissing,
    Documents,
    Operation,
    PreconditionFailed,
    Replace,
    TransactionFailed,
    Upsert,
)
from tests.support.platform.documents import USAGE, body, read


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
