"""Pages of lists: bound to their list, complete over several sources, and short rather than slow."""

from collections.abc import Awaitable, Callable

import pytest

from shared.kernel.errors import Problem
from shared.kernel.http.paging import Page, encode_cursor, read_all, read_page, scan

SOURCES = {"a": [1, 2, 3], "b": [], "c": [4, 5, 6, 7, 8]}


def read(size: int | None) -> Callable[[str, str | None, int], Awaitable[Page[int]]]:
    """A store of numbers, read `size` at a time, or as many as are missing."""

    async def page(source: str, inner: str | None, missing: int) -> Page[int]:
        start = int(inner or 0)
        end = start + (size or missing)
        return Page(tuple(SOURCES[source][start:end]), str(end) if end < len(SOURCES[source]) else None)

    return page


async def listed(limit: int, size: int | None, *, even: bool = False, reads_max: int = 20) -> list[list[int]]:
    pages, cursor = [], None
    while True:
        page = await scan(
            read(size),
            lambda number: None if even and number % 2 else number,
            list_name="numbers",
            limit=limit,
            cursor=cursor,
            reads_max=reads_max,
            sources=list(SOURCES),
        )
        pages.append(list(page.items))
        if (cursor := page.cursor) is None:
            return pages


@pytest.mark.parametrize("size", [None, 1, 2, 3, 100])
@pytest.mark.parametrize("limit", [1, 2, 3, 4, 8, 9])
async def test_a_scan_gives_every_item_once_in_full_pages(limit: int, size: int | None) -> None:
    pages = await listed(limit, size)
    assert [item for page in pages for item in page] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert [len(page) for page in pages[:-1]] == [limit] * (len(pages) - 1)
    assert pages[-1]


async def test_a_scan_skips_what_is_not_wanted() -> None:
    assert await listed(2, 100, even=True) == [[2, 4], [6, 8]]


async def test_a_scan_that_reads_too_often_gives_a_short_page_with_a_cursor() -> None:
    assert await listed(4, 1, even=True, reads_max=3) == [[2], [4], [6, 8]]


@pytest.mark.parametrize("position", [["d", None, 0], ["a", 1, 0], ["a", None, -1], ["a", None], "a", None])
async def test_a_scan_refuses_a_position_that_it_never_gave(position: object) -> None:
    with pytest.raises(Problem, match="cursor_invalid"):
        await scan(
            read(2),
            lambda number: number,
            list_name="numbers",
            limit=2,
            cursor=encode_cursor("numbers", position),
            reads_max=2,
            sources=list(SOURCES),
        )


async def test_a_scan_of_no_sources_is_empty() -> None:
    page = await scan(read(2), lambda one: one, list_name="", limit=2, cursor=None, reads_max=2, sources=[])
    assert page == Page((), None)


async def test_pages_continue_one_and_the_same_list() -> None:
    async def store(inner: str | None) -> Page[int]:
        return await read(2)("a", inner, 0)

    first = await read_page(store, list_name="all", cursor=None)
    assert await read_page(store, list_name="all", cursor=first.cursor) == Page((3,), None)
    assert [number async for number in read_all(store)] == [1, 2, 3]
    for list_name, cursor in (("others", first.cursor), ("all", "x"), ("all", encode_cursor("all", 1))):
        with pytest.raises(Problem, match="cursor_invalid"):
            await read_page(store, list_name=list_name, cursor=cursor)


async def test_a_store_that_refuses_its_own_first_page_is_no_bad_cursor() -> None:
    async def store(inner: str | None) -> Page[int]:
        raise ValueError("no such field")

    with pytest.raises(ValueError, match="no such field"):
        await read_page(store, list_name="all", cursor=None)
    with pytest.raises(Problem, match="cursor_invalid"):
        await read_page(store, list_name="all", cursor=encode_cursor("all", "x"))
