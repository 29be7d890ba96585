"""The search port: an index of things with words and values. Contract: `tests/platform/search/`.

An index is derived: it lives as long as its process and can be built again from what it was made of. Every field is
data; nothing of a query is syntax.

- Words: all words of `text` must occur, the last one as a prefix of a word. A word that occurs nowhere is taken for a
  misspelling of the nearest ones that do. Upper and lower case and accents do not matter.
- Filters: an item must have, for every named field, all of the given values.
- Facets: how many items there would be by each value of a field, without the filter on that field itself.
- Order: by relevance (name before tags before owner before text), by name, or newest first. Items that come or go while
  somebody pages neither skip nor repeat others. By relevance, a page follows the item that ended the one before,
  wherever it is now; should the index's statistics have turned two others around it meanwhile, those may.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from shared.kernel.errors import Unavailable

Sort = Literal["relevance", "name", "newest"]

TEXT_CHARACTERS_MAX = 4_000
"""Of an item's `text`; what comes after is not searched."""

WORDS_MAX = 12
"""Of a query; further ones are ignored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchItem:
    """`values` by field are what filters and facets know. `newest` orders as text. `stored` comes back as it is."""

    id: str
    name: str
    tags: str
    owner: str
    text: str
    newest: str
    stored: bytes
    values: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SearchPosition:
    """The item at which a page ended. `key` is where it was in its order, for when the item itself is gone."""

    id: str
    key: str | float


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """`facets` names the fields to count, `values_max` values each. Without words, relevance is newest first."""

    text: str = ""
    filters: Mapping[str, Sequence[str]] = field(default_factory=dict)
    sort: Sort = "relevance"
    limit: int = 20
    after: SearchPosition | None = None
    facets: Sequence[str] = ()
    values_max: int = 50


@dataclass(frozen=True, slots=True)
class SearchResults:
    """`total` counts all that match, `next` is None on the last page. Facets are by count, then by value."""

    items: tuple[bytes, ...]
    total: int
    next: SearchPosition | None
    facets: Mapping[str, tuple[tuple[str, int], ...]]


class SearchUnavailable(Unavailable):
    """The index failed, such as for want of disk or memory."""


class SearchIndex(Protocol):
    """Holds items with words and values, and finds them."""

    async def update(self, put: Sequence[SearchItem], remove: Sequence[str]) -> None:
        """Add items or replace those with the same id; forget others, whether they are there or not. A search sees all
        of it or nothing. Raises SearchUnavailable."""
        ...

    async def search(self, search: SearchQuery) -> SearchResults:
        """Find items. Raises SearchUnavailable; ValueError for a position that is of another order."""
        ...

    async def close(self) -> None: ...
