"""The documents port's contract: filters, order, paging and time to live. Single documents: `test_documents.py`."""

import asyncio
import json
from collections.abc import Iterable
from typing import Any

import pytest

from shared.platform.documents import (
    CONTAINERS,
    Create,
    Document,
    DocumentMissing,
    Documents,
    Patch,
    Query,
    Replace,
    Scalar,
    TransactionFailed,
    Upsert,
    Where,
)

pytest_plugins = ["tests.contract.document_fixtures"]

USAGE = CONTAINERS["usage"]
MERCHANTS = CONTAINERS["merchants"]
# Any two indexed fields do: what they hold is the noun's affair, not the store's.
A, B = USAGE.indexed[:2]
AWKWARD = ["it's", 'say "no"', "' OR 1=1 --", '"] = 1 OR true', "@p0", "%", "_", "a\\b", "नमस्ते", "🧾", ""]

Clock = Any  # of `document_fixtures`, which pytest must be the first to import


async def put(store: Documents, documents: Iterable[tuple[str, str, dict[str, Any]]]) -> None:
    await asyncio.gather(
        *(store.create(USAGE, partition, name, json.dumps(fields).encode()) for partition, name, fields in documents)
    )


async def pages(store: Documents, query: Query) -> list[tuple[Document, ...]]:
    """Every page until there is no cursor; each is within the limit."""
    found, cursor = [], None
    while True:
        page = await store.query(USAGE, query, cursor)
        assert len(page.documents) <= query.limit
        found.append(page.documents)
        if page.cursor is None:
            return found
        assert len(found) < 1000, "paging does not end"
        cursor = page.cursor


async def ids(store: Documents, query: Query) -> list[str]:
    return [document.id for page in await pages(store, query) for document in page]


def field(document: Document, name: str) -> Any:
    return document.id if name == "id" else json.loads(document.body)[name]


# filters

NUMBERS = {"one": 1, "two": 2, "two-and-a-half": 2.5, "three": 3, "ten": 10, "negative": -1}
TEXTS = {"a": "a", "ab": "ab", "abc": "abc", "b": "b", "upper": "AB", "ten": "10"}


@pytest.mark.parametrize(
    ("values", "op", "value", "expected"),
    [
        (NUMBERS, "=", 2, {"two"}),
        (NUMBERS, "=", 2.5, {"two-and-a-half"}),
        (NUMBERS, "=", 7, set()),
        (NUMBERS, "<", 2, {"one", "negative"}),
        (NUMBERS, "<=", 2, {"one", "two", "negative"}),
        (NUMBERS, ">", 2.5, {"three", "ten"}),
        (NUMBERS, ">=", 2.5, {"two-and-a-half", "three", "ten"}),
        (NUMBERS, "in", (1, 10, 99), {"one", "ten"}),
        (TEXTS, "=", "ab", {"ab"}),
        (TEXTS, "<", "ab", {"a", "upper", "ten"}),
        (TEXTS, ">=", "abc", {"abc", "b"}),
        (TEXTS, "in", ("a", "b", "c"), {"a", "b"}),
        (TEXTS, "in", ("a",), {"a"}),
        (TEXTS, "starts_with", "ab", {"ab", "abc"}),
        (TEXTS, "starts_with", "", set(TEXTS)),
        ({"yes": True, "no": False}, "=", True, {"yes"}),
        ({"yes": True, "no": False}, "in", (False,), {"no"}),
    ],
)
@pytest.mark.parametrize("partition", ["p", None], ids=["within", "across"])
async def test_each_comparison(
    store: Documents, values: dict[str, Any], op: Any, value: Any, expected: set[str], partition: str | None
) -> None:
    await put(store, (("p", name, {A: held, B: 0}) for name, held in values.items()))
    assert sorted(await ids(store, Query(partition, (Where(A, op, value),)))) == sorted(expected)


@pytest.mark.parametrize(
    ("op", "value", "expected"),
    [
        ("=", "doc-2", ["doc-2"]),
        (">=", "doc-3", ["doc-3", "doc-4"]),
        ("<", "doc-1", ["any", "doc-0"]),
        ("in", ("doc-0", "doc-4", "x"), ["doc-0", "doc-4"]),
        ("starts_with", "doc-", [f"doc-{n}" for n in range(5)]),
    ],
)
async def test_the_id_can_be_compared(store: Documents, op: Any, value: Any, expected: list[str]) -> None:
    await put(store, [*(("p", f"doc-{n}", {}) for n in range(5)), ("p", "any", {}), ("q", "doc-2", {})])
    assert sorted(await ids(store, Query("p", (Where("id", op, value),)))) == expected


async def test_conditions_are_joined_with_and(store: Documents) -> None:
    await put(store, (("p", f"{a}{b}", {A: a, B: b}) for a in range(3) for b in range(3)))
    assert sorted(await ids(store, Query("p", (Where(A, ">=", 1), Where(B, "=", 2))))) == ["12", "22"]
    assert await ids(store, Query("p", (Where(A, ">", 0), Where(A, "<", 2), Where("id", "=", "10")))) == ["10"]


@pytest.mark.parametrize("value", [0, 1, 10, "", "1", "true", False, True], ids=repr)
@pytest.mark.parametrize("op", ["=", "<=", ">=", "in"])
async def test_a_missing_null_or_differently_typed_field_never_matches(
    store: Documents, op: Any, value: Scalar
) -> None:
    fields: dict[str, Any] = {"number": 1, "text": "1", "true": True, "false": False, "null": None, "object": {"a": 1}}
    await put(store, [("p", name, {A: held}) for name, held in fields.items()])
    await put(store, [("p", "missing", {B: 1}), ("p", "elsewhere", {"deep": {A: value}})])
    found = await ids(store, Query("p", (Where(A, op, (value,) if op == "in" else value),)))
    assert {type(fields[name]) for name in found} <= {type(value)}


@pytest.mark.parametrize("text", AWKWARD)
async def test_any_text_is_a_value_and_nothing_else(store: Documents, text: str) -> None:
    await put(store, (("p", f"d{n}", {A: held}) for n, held in enumerate(AWKWARD)))
    expected = [f"d{AWKWARD.index(text)}"]
    assert await ids(store, Query("p", (Where(A, "=", text),))) == expected
    assert await ids(store, Query(None, (Where(A, "in", (text,)),))) == expected
    started = {f"d{n}" for n, held in enumerate(AWKWARD) if held.startswith(text)}
    assert set(await ids(store, Query("p", (Where(A, "starts_with", text),)))) == started


async def test_in_takes_1_to_1000_values(store: Documents) -> None:
    await put(store, [("p", "a", {A: 999}), ("p", "b", {A: 1000})])
    assert await ids(store, Query("p", (Where(A, "in", tuple(range(1000))),))) == ["a"]
    for refused in ((), tuple(range(1001))):
        with pytest.raises(ValueError):
            await store.query(USAGE, Query("p", (Where(A, "in", refused),)))


@pytest.mark.parametrize(
    "query",
    [
        Query("p", (Where("never_indexed", "=", 1),)),
        Query(None, (Where("never_indexed", "=", 1),)),
        Query("p", order_by="never_indexed"),
        Query("p", (Where(f"{A}'] = 1 OR c['x", "=", 1),)),
        Query("p", (Where("partition", "=", "p"),)),
        Query("p", (Where(A, "=", (1, 2)),)),
        Query("p", (Where(A, "in", 1),)),
        Query("p", (Where(A, "starts_with", 1),)),
        Query("p", limit=0),
        Query("p", limit=1001),
    ],
    ids=str,
)
async def test_queries_that_the_port_does_not_answer(store: Documents, query: Query) -> None:
    with pytest.raises(ValueError):
        await store.query(USAGE, query)


# order and paging


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
    assert [d.id for d in first.documents] == ["d0", "d1", "d2"]
    second = await store.query(USAGE, Query("p", order_by=A, limit=3), first.cursor)
    assert ([d.id for d in second.documents], second.cursor) == (["d3", "d4"], None)
    nothing = await store.query(USAGE, Query("nobody", order_by=A))
    assert (nothing.documents, nothing.cursor) == ((), None)


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
        found += [(d.partition, d.id) for d in page.documents if d.id.startswith("kept")]
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
        assert {d.id for d in page.documents} == {"a", "b"}
        for document in page.documents:
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
    assert [d.id for d in rest.documents] == [f"d{n}" for n in range(2, 10)]


# time to live


async def test_an_expired_document_is_gone_for_every_verb(store: Documents, clock: Clock) -> None:
    etag = await store.create(USAGE, "p", "a", json.dumps({A: 1}).encode(), ttl_s=2)
    assert await store.get(USAGE, "p", "a") is not None
    assert await ids(store, Query("p", order_by=A)) == ["a"]
    await clock.passes(3)
    assert await store.get(USAGE, "p", "a") is None
    for query in (Query("p"), Query(None), Query("p", (Where(A, "=", 1),)), Query(None, order_by=A)):
        assert await ids(store, query) == []
    with pytest.raises(DocumentMissing):
        await store.replace(USAGE, "p", "a", b"{}", etag=None)
    with pytest.raises(DocumentMissing):
        await store.patch(USAGE, "p", "a", [Patch("set", "n", 1)])
    with pytest.raises(DocumentMissing):
        await store.delete(USAGE, "p", "a", etag=etag)
    with pytest.raises(TransactionFailed):
        await store.transact(USAGE, "p", [Create("b", b"{}"), Replace("a", b"{}", etag)])


@pytest.mark.parametrize("verb", ["create", "upsert", "transact", "transact among others"])
async def test_the_id_of_an_expired_document_is_free(store: Documents, clock: Clock, verb: str) -> None:
    old = await store.create(USAGE, "p", "a", b'{"n":1}', ttl_s=2)
    await clock.passes(3)
    match verb:
        case "create":
            etag = await store.create(USAGE, "p", "a", b'{"n":2}')
        case "upsert":
            etag = await store.upsert(USAGE, "p", "a", b'{"n":2}')
        case "transact":
            (etag,) = await store.transact(USAGE, "p", [Create("a", b'{"n":2}')])
        case _:
            _, etag, _ = await store.transact(
                USAGE, "p", [Create("x", b"{}"), Create("a", b'{"n":2}'), Upsert("y", b"{}")]
            )
    assert etag != old
    document = await store.get(USAGE, "p", "a")
    assert document is not None
    assert (json.loads(document.body), document.etag) == ({"n": 2}, etag)


@pytest.mark.parametrize("verb", ["replace", "upsert", "patch", "transact"])
async def test_a_write_starts_the_time_to_live_again(store: Documents, clock: Clock, verb: str) -> None:
    await store.create(USAGE, "p", "a", b"{}", ttl_s=4)
    await clock.passes(3)
    match verb:
        case "replace":
            await store.replace(USAGE, "p", "a", b"{}", etag=None, ttl_s=4)
        case "upsert":
            await store.upsert(USAGE, "p", "a", b"{}", ttl_s=4)
        case "patch":
            await store.patch(USAGE, "p", "a", [Patch("set", "n", 1)])
        case _:
            await store.transact(USAGE, "p", [Replace("a", b"{}", None, ttl_s=4)])
    await clock.passes(3)
    assert await store.get(USAGE, "p", "a") is not None
    await clock.passes(3)
    assert await store.get(USAGE, "p", "a") is None


async def test_a_write_without_time_to_live_lives_for_ever(store: Documents, clock: Clock) -> None:
    await store.create(USAGE, "p", "a", b"{}", ttl_s=1)
    await store.replace(USAGE, "p", "a", b"{}", etag=None)
    await store.create(USAGE, "p", "b", b"{}")
    await clock.passes(2)
    assert await store.get(USAGE, "p", "a") is not None
    assert await store.get(USAGE, "p", "b") is not None


async def test_a_container_without_time_to_live_refuses_one(store: Documents) -> None:
    with pytest.raises(ValueError):
        await store.create(MERCHANTS, "p", "a", b"{}", ttl_s=1)
    with pytest.raises(ValueError):
        await store.transact(MERCHANTS, "p", [Create("a", b"{}", ttl_s=1)])
    assert await store.get(MERCHANTS, "p", "a") is None
