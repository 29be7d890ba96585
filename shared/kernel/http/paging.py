"""Pages of lists, and their opaque cursors.

A cursor is bound to the list that it continues: in another one it would skip items without a word.
"""

import base64
import binascii
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from shared.kernel.errors import FieldError, Problem

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """A part of a list. `cursor` continues it and is None on the last page; any other may be short, or even empty."""

    items: tuple[Item, ...]
    cursor: str | None

    def map(self, convert: Callable[[Item], Result]) -> "Page[Result]":
        """Return the same page with each of its items converted."""
        return Page(tuple(map(convert, self.items)), self.cursor)


ReadPage = Callable[[str | None], Awaitable[Page[Item]]]
"""Reads the page of a store's query at the store's own cursor, such as `partial(documents.query, container, query)`.
Raises ValueError for a cursor that the store did not make for this query."""


async def read_page(read: ReadPage[Item], *, list_name: str, cursor: str | None) -> Page[Item]:
    """Read one page of the list that `list_name` names with its filters. Raises Problem 400 `cursor_invalid`."""
    inner = None if cursor is None else decode_cursor(list_name, cursor)
    if not isinstance(inner, str | None):
        raise bad_cursor()
    page = await _checked(read(inner), inner)
    return Page(page.items, None if page.cursor is None else encode_cursor(list_name, page.cursor))


async def read_all(read: ReadPage[Item]) -> AsyncIterator[Item]:
    """Read everything that matches, page by page."""
    async for page in read_pages(read):
        for item in page.items:
            yield item


async def read_pages(read: ReadPage[Item]) -> AsyncIterator[Page[Item]]:
    """Read everything that matches, for those who work on a page at once."""
    cursor = None
    while True:
        page = await read(cursor)
        yield page
        cursor = page.cursor
        if cursor is None:
            return


async def scan(
    read: Callable[[str, str | None, int], Awaitable[Page[Item]]],
    take: Callable[[Item], Result | None],
    *,
    list_name: str,
    limit: int,
    cursor: str | None,
    reads_max: int,
    sources: Sequence[str] = ("",),
) -> Page[Result]:
    """Read a page of what `take` makes of the items of several sources, one after another: for filters that have no
    index, and for lists that lie in several partitions.

    `read` gets a source, the store's own cursor in it, and how many items are missing at least. `list_name` names
    the list with its filters. The page is short when `reads_max` reads found no more. Raises Problem 400
    `cursor_invalid`.
    """
    source, inner, skip = _scan_position(list_name, cursor, sources)
    found: list[Result] = []
    for _ in range(reads_max):
        if source is None:
            return Page(tuple(found), None)
        # When the page is full, one more is read: only the last page has no cursor, and none is empty without need.
        page = await _checked(read(source, inner, max(1, limit - len(found))), inner)
        for index, item in enumerate(page.items[skip:], skip):
            result = take(item)
            if result is None:
                continue
            if len(found) == limit:
                return Page(tuple(found), encode_cursor(list_name, [source, inner, index]))
            found.append(result)
        inner, skip = page.cursor, 0
        if inner is None:
            source = next(iter(sources[sources.index(source) + 1 :]), None)
    return Page(tuple(found), None if source is None else encode_cursor(list_name, [source, inner, 0]))


def _scan_position(list_name: str, cursor: str | None, sources: Sequence[str]) -> tuple[str | None, str | None, int]:
    """Where a scan goes on: the source, the store's cursor in it, and how many of that page were given already."""
    if cursor is None:
        return next(iter(sources), None), None, 0
    match decode_cursor(list_name, cursor):
        case [str(source), str() | None as inner, int(skip)] if source in sources and skip >= 0:
            return source, inner, skip
        case _:
            raise bad_cursor()


async def _checked(page: Awaitable[Page[Item]], inner: str | None) -> Page[Item]:
    try:
        return await page
    except ValueError:
        if inner is None:
            raise
        raise bad_cursor() from None  # a cursor that was made up


def encode_cursor(list_name: str, position: object) -> str:
    """Make a cursor of the list that `list_name` names with all of its filters; `position` is anything of JSON."""
    return base64.urlsafe_b64encode(json.dumps([list_name, position]).encode()).decode().rstrip("=")


def decode_cursor(list_name: str, cursor: str) -> object:
    """Return the position that a cursor stands for. Raises Problem 400 `cursor_invalid` when it continues another
    list."""
    try:
        of, position = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError, TypeError, RecursionError):
        raise bad_cursor() from None
    if of != list_name:
        raise bad_cursor()
    result: object = position
    return result


def bad_cursor() -> Problem:
    """Make the problem 400 `cursor_invalid`."""
    rule = "must be a `next_cursor` of the same query"
    return Problem(400, "cursor_invalid", f"`cursor` {rule}.", errors=(FieldError("cursor", rule),))
