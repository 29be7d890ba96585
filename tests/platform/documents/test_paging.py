"""The documents port's contract: order and paging."""

import json

import pytest

from shared.platform.documents import Documents, Query, Where
from tests.support.platform.documents import USAGE, A, B, field, ids, pages, put


@pytest.mark.parametrize("descending", [False, True], ids=["ascending", "descending"])
@pytest.mark.parametrize("partition", ["p", None], ids=["within", "across"])
@pytest.mark.parametrize("limit", [1, 7, 30, 1000])
async def test_pages_are_ordered_and_hold_every_document_once(
    store: Documents, partition: str | None, descending: bool, limit: int
) -> None:
    partitions = ["p"] if partition else [f"p{n}" for n in range(6)]
    count = 30 // len(partitions)
    # Three values, so that ties are longer than most pages; equal ids in every partition.
    await put(store, ((p, f"d{n}", {A: n % 3, B: "x"}) for p in partitions for n in range(count)))
    await put(store, ((p, f"other{n}", {A: n, B: "y"}) for p in partitions for n in range(3)))
    query = Query(partition, (Where(B, "=", "x"),), order_by=A, descending=descending, limit=limit)
    found = [document for page in await pages(store, query) for document in page]
    assert sorted((d.partition, d.id) for d in found) == sorted((p, f"d{n}") for p in partitions for n in range(count))
    assert [field(d, A) for d in found] == sorted((field(d, A) for d in found), reverse=descending)


@pytest.mark.parametrize("partition", ["p", None], ids=["within", "across"])
@pytest.mark.parametrize("order_by", [None, "id", A])
async def test_every_order_pages_through_everything(
    store: Documents, partition: str | None, order_by: str | None
) -> None:
    await put(store, ((partition or f"p{n % 5}", f"d{n:02}", {A: f"v{n * 7 % 23:02}"}) for n in range(23)))
    found = [d for page in await pages(store, Query(partition, order_by=order_by, limit=4)) for d in page]
    assert sorted(d.id for d in found) == [f"d{n:02}" for n in range(23)]
    if order_by is not None:
        values = [field(d, order_by) for d in found]
        assert values == sorted(values)


async def test_the_first_page_is_full_and_the_cursor_says_whether_there_is_more(store: Documents) -> None:
    await put(store, (("p", f"d{n}", {A: n}) for n in range(5)))
    first = await store.query(USAGE, Query("p", order_by=A, limit=3))
    assert [d.id for d in first.items] == ["d0", "d1", "d2"]
    second = await store.query(USAGE, Query("p", order_by=A, limit=3), first.cursor)
    assert ([d.id for d in second.items], second.cursor) == (["d3", "d4"], None)
    nothing = await store.query(USAGE, Query("nobody", order_by=A))
    assert (nothing.items, nothing.cursor) == ((), None)


@pytest.mark.parametrize("partition", ["p", None], ids=["within", "across"])
@pytest.mark.parametrize("descending", [False, True], ids=["ascending", "descending"])
async def test_writes_between_pages_neither_skip_nor_repeat_the_other_documents(
    store: Documents, partition: str | None, descending: bool
) -> None:
    homes = ["p"] if partition else [f"p{n}" for n in range(6)]
    await put(store, ((homes[n % len(homes)], f"kept{n}", {A: n % 4}) for n in range(24)))
    await put(store, ((home, "victim", {A: 2}) for home in homes))
    query, cursor, found = Query(partition, order_by=A, descending=descending, limit=3), None, []
    for step in range(100):
        page = await store.query(USAGE, query, cursor)
        found += [(d.partition, d.id) for d in page.items if d.id.startswith("kept")]
        cursor = page.cursor
        if cursor is None:
            break
        home = homes[step % len(homes)]
        await store.upsert(USAGE, home, f"new{step}", json.dumps({A: step % 4}).encode())
        await store.upsert(USAGE, home, "victim", json.dumps({A: (step + 1) % 4}).encode())
    assert sorted(found) == sorted((homes[n % len(homes)], f"kept{n}") for n in range(24))


async def test_documents_without_the_order_field_are_left_out(store: Documents) -> None:
    await put(store, [("p", "one", {A: 1}), ("p", "null", {A: None}), ("p", "missing", {}), ("q", "missing", {})])
    for partition in ("p", None):
        for descending in (False, True):
            assert await ids(store, Query(partition, order_by=A, descending=descending)) == ["one"]


async def test_documents_carry_what_get_returns(store: Documents) -> None:
    await put(store, [("p", "a", {A: 1, "deep": {"text": "ü"}}), ("q", "b", {A: 2})])
    for query in (Query(None, order_by=A), Query(None)):
        page = await store.query(USAGE, query)
        assert {d.id for d in page.items} == {"a", "b"}
        for document in page.items:
            assert document == await store.get(USAGE, document.partition, document.id)


@pytest.mark.parametrize("cursor", ["", "x", "not a cursor", "🧾", "W10", "bnVsbA", "eyJhIjoxfQ", "MQ", "WyJhIl0"])
async def test_a_cursor_that_is_no_cursor_is_refused(store: Documents, cursor: str) -> None:
    await put(store, [("p", "a", {A: 1})])
    for query in (Query("p"), Query(None), Query(None, order_by=A)):
        with pytest.raises(ValueError):
            await store.query(USAGE, query, cursor)


@pytest.mark.parametrize("partition", ["p", None], ids=["within", "across"])
async def test_a_cursor_of_another_order_is_refused(store: Documents, partition: str | None) -> None:
    await put(store, ((f"p{n}" if partition is None else "p", f"d{n}", {A: n, B: n}) for n in range(4)))
    cursor = (await store.query(USAGE, Query(partition, order_by=A, limit=1))).cursor
    assert cursor is not None
    for other in (
        Query(partition, order_by=B, limit=1),
        Query(partition, order_by=A, descending=True, limit=1),
        Query(partition, limit=1),
    ):
        with pytest.raises(ValueError):
            await store.query(USAGE, other, cursor)


async def test_the_page_size_may_change_between_pages(store: Documents) -> None:
    await put(store, (("p", f"d{n}", {A: n}) for n in range(10)))
    first = await store.query(USAGE, Query("p", order_by=A, limit=2))
    rest = await store.query(USAGE, Query("p", order_by=A, limit=100), first.cursor)
    assert [d.id for d in rest.items] == [f"d{n}" for n in range(2, 10)]
