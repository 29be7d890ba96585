"""The search port: words and their misspellings, order, filters, facets, and pages that hold while things change."""

import random
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.platform.search import SearchItem, SearchPosition, SearchQuery, Sort
from shared.platform.search.fts import RANKED_MAX, FtsIndex
from shared.platform.search.words import misspelt_by, words_of


@pytest.fixture
async def index() -> AsyncIterator[FtsIndex]:
    opened = FtsIndex()
    yield opened
    await opened.close()


def item(
    id: str, name: str = "", *, tags: str = "", owner: str = "", text: str = "", newest: str = "", **values: Any
) -> SearchItem:
    return SearchItem(
        id=id,
        name=name,
        tags=tags,
        owner=owner,
        text=text,
        newest=newest,
        stored=id.encode(),
        values={k: tuple(v.split()) for k, v in values.items()},
    )


async def ids(index: FtsIndex, text: str = "", **rest: Any) -> list[str]:
    found = await index.search(SearchQuery(text, **rest))
    return [stored.decode() for stored in found.items]


async def pages(index: FtsIndex, search: SearchQuery, between: Sequence[SearchItem] = ()) -> list[str]:
    """Everything, page by page; one of `between` is added before each next page."""
    seen: list[str] = []
    adding = iter(between)
    while True:
        found = await index.search(search)
        seen += [stored.decode() for stored in found.items]
        if found.next is None:
            return seen
        search = SearchQuery(search.text, search.filters, search.sort, search.limit, found.next)
        if (added := next(adding, None)) is not None:
            await index.update([added], [])


async def test_a_word_is_found_in_every_place_and_better_places_come_first(index: FtsIndex) -> None:
    await index.update(
        [
            item("text", "One", text="measures rain"),
            item("owner", "Two", owner="Rain Ltd"),
            item("tags", "Three", tags="rain"),
            item("name", "Rain"),
            item("none", "Snow"),
        ],
        [],
    )

    assert await ids(index, "rain") == ["name", "tags", "owner", "text"]


async def test_all_words_must_occur_wherever(index: FtsIndex) -> None:
    await index.update([item("both", "Rain", owner="Acme"), item("one", "Rain", owner="Other")], [])

    assert await ids(index, "acme rain") == ["both"]


async def test_only_the_last_word_is_a_prefix(index: FtsIndex) -> None:
    await index.update([item("a", "Weather forecast")], [])

    assert await ids(index, "weather fore") == ["a"]
    assert await ids(index, "wea forecast") == []


async def test_case_and_accents_do_not_matter(index: FtsIndex) -> None:
    await index.update([item("a", "Café Zürich")], [])

    assert await ids(index, "CAFE zurich") == ["a"]
    assert await ids(index, "cafe\u0301") == ["a"]


@pytest.mark.parametrize("typed", ["wether", "waether", "weahter", "weathet", "forcasting", "foreacstnig"])
async def test_a_misspelt_word_finds_the_nearest(index: FtsIndex, typed: str) -> None:
    await index.update([item("a", "Weather forecasting")], [])

    assert await ids(index, typed) == ["a"]


@pytest.mark.parametrize("typed", ["wxxther", "fxrxcastixg", "ran", "2025"])
async def test_what_is_too_far_off_finds_nothing(index: FtsIndex, typed: str) -> None:
    await index.update([item("a", "Weather forecasting of rain 2024")], [])

    assert await ids(index, typed) == []


async def test_a_word_that_occurs_is_never_taken_for_another(index: FtsIndex) -> None:
    await index.update(
        [item("stock", "Stock"), item("stack", "Stack"), *(item(f"s{n}", "Stack") for n in range(5))], []
    )

    assert await ids(index, "stock") == ["stock"]


async def test_an_item_that_is_replaced_is_found_by_its_new_words_only(index: FtsIndex) -> None:
    await index.update([item("a", "Rain", kind="x")], [])
    await index.update([item("a", "Snow", kind="y")], [])

    assert await ids(index, "rain") == []
    assert await ids(index, "snow", filters={"kind": ["y"]}) == ["a"]
    assert await ids(index, filters={"kind": ["x"]}) == []


async def test_what_is_removed_is_gone_from_words_values_and_orders(index: FtsIndex) -> None:
    await index.update([item("a", "Rain", kind="x"), item("b", "Rain", kind="x")], [])
    await index.update([], ["a", "never there"])

    found = await index.search(SearchQuery("rain", facets=["kind"]))
    assert (found.items, found.total, found.facets) == ((b"b",), 1, {"kind": (("x", 1),)})
    assert await ids(index, sort="name") == await ids(index, sort="newest") == ["b"]


async def test_filters_need_all_values_of_all_fields(index: FtsIndex) -> None:
    await index.update(
        [item("a", tag="x y", kind="api"), item("b", tag="x", kind="api"), item("c", tag="x y", kind="image")], []
    )

    assert await ids(index, filters={"tag": ["x", "y"], "kind": ["api"]}) == ["a"]
    assert await ids(index, filters={"unheard": ["of"]}) == []


async def test_a_facet_counts_without_its_own_filter_but_with_the_others(index: FtsIndex) -> None:
    await index.update(
        [
            item("a", "Rain", kind="api", price="free"),
            item("b", "Rain", kind="image", price="free"),
            item("c", "Rain", kind="image", price="tiered"),
            item("d", "Snow", kind="image", price="free"),
        ],
        [],
    )

    found = await index.search(SearchQuery("rain", {"kind": ["image"]}, facets=["kind", "price"]))

    assert (found.total, found.items) == (2, (b"c", b"b")) or (found.total, set(found.items)) == (2, {b"b", b"c"})
    assert found.facets == {"kind": (("image", 2), ("api", 1)), "price": (("free", 1), ("tiered", 1))}


async def test_a_facet_has_its_most_frequent_values(index: FtsIndex) -> None:
    await index.update([item(f"{n}-{m}", kind=f"k{n}") for n in range(5) for m in range(n + 1)], [])

    found = await index.search(SearchQuery(facets=["kind"], values_max=2))

    assert found.facets == {"kind": (("k4", 5), ("k3", 4))}


async def test_orders_by_name_and_newest(index: FtsIndex) -> None:
    await index.update([item("1", "b", newest="2"), item("2", "A", newest="1"), item("3", "c", newest="3")], [])

    assert await ids(index, sort="name") == ["2", "1", "3"]
    assert await ids(index, sort="newest") == await ids(index) == ["3", "1", "2"]


@pytest.mark.parametrize("sort", ["relevance", "name", "newest"])
@pytest.mark.parametrize("text", ["", "rain"])
async def test_pages_neither_skip_nor_repeat_while_items_come(index: FtsIndex, sort: Sort, text: str) -> None:
    before = [item(f"i{n:03}", f"Rain {n % 7}", newest=str(n % 5)) for n in range(60)]
    await index.update(before, [])
    during = [item(f"n{n:03}", f"Rain {n % 7}", newest=str(n % 5)) for n in range(60)]

    seen = await pages(index, SearchQuery(text, sort=sort, limit=7), during)

    assert len(seen) == len(set(seen))
    assert {each.id for each in before} <= set(seen)


@pytest.mark.parametrize("sort", ["relevance", "name", "newest"])
async def test_a_page_follows_also_when_the_item_before_it_is_gone(index: FtsIndex, sort: Sort) -> None:
    await index.update([item(f"i{n}", f"Rain {n}", newest=str(n)) for n in range(9)], [])
    first = await index.search(SearchQuery("rain", sort=sort, limit=4))
    await index.update([], [first.items[-1].decode()])

    rest = await index.search(SearchQuery("rain", sort=sort, limit=100, after=first.next))

    assert sorted([*first.items, *rest.items]) == [f"i{n}".encode() for n in range(9)]


async def test_more_than_are_ranked_are_still_all_there_once_and_better_places_first(index: FtsIndex) -> None:
    many = [item(f"i{n}", "Thing", text="common", newest=f"{n:06}") for n in range(RANKED_MAX + 50)]
    await index.update([*many, item("best", "Common", newest="000000")], [])

    seen = await pages(index, SearchQuery("common", limit=500))

    assert seen == ["best", *(each.id for each in reversed(many))]


async def test_a_position_of_another_order_is_refused(index: FtsIndex) -> None:
    await index.update([item("a", "Rain")], [])

    with pytest.raises(ValueError):
        await index.search(SearchQuery(sort="name", after=SearchPosition("a", 1.0)))


_VALUES = st.sampled_from(["x", "y", "z"])


@settings(max_examples=300, deadline=None)
@given(
    text=st.text(max_size=60)
    | st.lists(st.sampled_from(['"', "*", "AND", "NOT", "NEAR(", ")", "^a", "a:b", "-", "rain"])).map(" ".join)
)
async def test_no_text_is_syntax(text: str) -> None:
    index = FtsIndex()
    try:
        await index.update([item("a", "rain and near"), item("b", text, tags=text, owner=text, text=text)], [])

        found = await ids(index, text)

        words = words_of(text)
        assert found or words, "without words everything is found"
        if words and all(word.isascii() for word in words):
            assert "b" in found, "what has the very words is found by them"
    finally:
        await index.close()


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.sampled_from(["rain", "snow"]), st.sets(_VALUES), st.booleans()), max_size=40
    )
)
async def test_whatever_happened_the_index_is_as_if_built_afresh(
    changes: list[tuple[int, str, set[str], bool]],
) -> None:
    changed, fresh = FtsIndex(), FtsIndex()
    try:
        held: dict[str, SearchItem] = {}
        for number, word, values, put in changes:
            each = item(f"i{number}", word, newest=str(number), v=" ".join(sorted(values)))
            held.pop(each.id, None)
            if put:
                held[each.id] = each
            await changed.update([each] if put else [], [] if put else [each.id])
        await fresh.update(list(held.values()), [])
        for sort in ("name", "newest"):
            for text in ("", "rain"):
                asked = SearchQuery(text, {"v": ["x"]}, sort, facets=["v"])  # type: ignore[arg-type]  # one of the literals
                assert await changed.search(asked) == await fresh.search(asked)
    finally:
        await changed.close()
        await fresh.close()


def test_how_far_off_a_word_may_be() -> None:
    assert [misspelt_by(word) for word in ("abc", "abcd", "abcdefg", "abcdefgh", "abcd1")] == [0, 1, 1, 2, 0]


def test_words_are_bounded() -> None:
    random.seed(1)
    assert len(words_of("word " * 1000)) == 12
    assert max(map(len, words_of("x" * 10_000))) == 64
