"""The documents port's contract: filters."""

from typing import Any

import pytest

from shared.platform.documents import Documents, Query, Scalar, Where
from tests.support.platform.documents import USAGE, A, B, ids, put

AWKWARD = ["it's", 'say "no"', "' OR 1=1 --", '"] = 1 OR true', "@p0", "%", "_", "a\\b", "नमस्ते", "🧾", ""]


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
