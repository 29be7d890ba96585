"""The search port on SQLite FTS5, in a temporary database of the process's own, with bitmaps for filters and facets.

One thread does everything, so a search sees whole updates only, and the event loop waits for none of it. SQLite keeps a
temporary database in memory up to its cache and on disk beyond, and removes it with its connection.
"""

import asyncio
import sqlite3
import time
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, TypeVar

from shared.platform.search import (
    TEXT_CHARACTERS_MAX,
    SearchItem,
    SearchPosition,
    SearchQuery,
    SearchResults,
    SearchUnavailable,
)
from shared.platform.search.values import Rows, ValueIndex
from shared.platform.search.words import Vocabulary, exactly, forgiving, indexed, words_of

CACHE_KIB = 32 * 1024
VOCABULARY_FRESH_S = 60.0
RANKINGS_MAX = 64
FACETS_MAX = 1_024
"""What is kept until the next update: people page through results, and turn filters on and off."""

_SCHEMA = """
CREATE TABLE items (row INTEGER PRIMARY KEY, stored BLOB NOT NULL);
CREATE VIRTUAL TABLE words USING fts5(
  name, tags, owner, text, tokenize = 'unicode61 remove_diacritics 0', prefix = '2 3'
);
CREATE VIRTUAL TABLE vocabulary USING fts5vocab(words, row);
"""
_MATCHED = "SELECT rowid FROM words WHERE words MATCH ?"
_RANKED = "SELECT rowid, bm25(words, 10.0, 5.0, 3.0, 1.0) FROM words WHERE words MATCH ?"
RANKED_MAX = 2_000
"""More rows than these are not ranked: where words are that common, bm25 says little and takes long. Then those that
have them in better columns are ranked, and the others follow, newest first."""

_COLUMNS = ("", "{name tags owner} : ", "{name} : ")
"""Filters of FTS5, from all columns to the best."""
SORTED_ANEW_FROM = 100
_SCORE_DIGITS = 6
"""Finer differences are ties, which ids decide."""

T = TypeVar("T")
K = TypeVar("K")
Key = tuple[Any, str, int]
"""Where an item is in an order: what it is ordered by, then its id; and its row."""

Counts = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class _Known:
    """What is kept of an item in memory; its words and what is stored are in the database."""

    name: Key
    newest: Key
    values: Mapping[str, Sequence[str]]

    @property
    def row(self) -> int:
        return self.name[2]


@dataclass(frozen=True, slots=True)
class _Ranking:
    """What some words match. `best` comes first, a lower score before a higher; `rest` follows, newest first."""

    rows: Rows
    best: list[Key]
    rest: Rows

    def behind(self, after: SearchPosition) -> int | None:
        """How many of the best come up to the position; None when it is in the rest."""
        for index, key in enumerate(self.best):
            if key[1] == after.id:
                return index + 1
        if isinstance(after.key, str):
            return None
        return bisect_right(self.best, (after.key, after.id, 0))


class FtsIndex:
    """An index of this process in SQLite FTS5. It is empty until it is filled, and goes with the process."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._thread = ThreadPoolExecutor(1, "search")
        self._opened: sqlite3.Connection | None = None
        self._vocabulary: Vocabulary | None = None
        self._known: dict[str, _Known] = {}
        self._next_row = 1
        self._ids: dict[int, str] = {}
        self._values = ValueIndex()
        self._by_name: list[Key] = []
        self._by_newest: list[Key] = []
        self._rankings: dict[str, _Ranking] = {}
        self._facets: dict[object, Counts] = {}

    async def update(self, put: Sequence[SearchItem], remove: Sequence[str]) -> None:
        await self._run(lambda: self._update({item.id: item for item in put}, set(remove)))

    async def search(self, search: SearchQuery) -> SearchResults:
        return await self._run(lambda: self._search(search))

    async def close(self) -> None:
        await self._run(self._close)
        self._thread.shutdown()

    async def _run(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except sqlite3.Error as error:
            raise SearchUnavailable(f"the search index failed: {error}") from error

    def _database(self) -> sqlite3.Connection:
        if self._opened is None:
            opened = sqlite3.connect("", isolation_level=None)
            opened.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
            opened.execute("PRAGMA synchronous = OFF")  # it dies with the process
            opened.executescript(_SCHEMA)
            self._opened = opened
        return self._opened

    def _close(self) -> None:
        if self._opened is not None:
            self._opened.close()

    def _update(self, put: dict[str, SearchItem], remove: set[str]) -> None:
        gone = [self._known[name] for name in {*put, *remove} if name in self._known]
        added = [_known(item, self._row_of(item.id, index)) for index, item in enumerate(put.values())]
        self._write([known.row for known in gone], list(zip([known.row for known in added], put.values(), strict=True)))
        for known in gone:
            self._values.remove(known.row, known.values)
            del self._known[self._ids.pop(known.row)]
        for item, known in zip(put.values(), added, strict=True):
            self._values.add(known.row, known.values)
            self._known[item.id] = known
            self._ids[known.row] = item.id
            self._next_row = max(self._next_row, known.row + 1)
        _merge(self._by_name, [known.name for known in gone], [known.name for known in added])
        _merge(self._by_newest, [known.newest for known in gone], [known.newest for known in added])
        self._rankings.clear()
        self._facets.clear()
        if self._vocabulary is not None:
            self._vocabulary.changed()

    def _row_of(self, id: str, index: int) -> int:
        known = self._known.get(id)
        return self._next_row + index if known is None else known.row

    def _write(self, gone: Sequence[int], added: Sequence[tuple[int, SearchItem]]) -> None:
        database = self._database()
        database.execute("BEGIN")
        try:
            database.executemany("DELETE FROM items WHERE row = ?", [(row,) for row in gone])
            database.executemany("DELETE FROM words WHERE rowid = ?", [(row,) for row in gone])
            database.executemany("INSERT INTO items VALUES (?, ?)", [(row, item.stored) for row, item in added])
            database.executemany(
                "INSERT INTO words (rowid, name, tags, owner, text) VALUES (?, ?, ?, ?, ?)",
                [(row, *map(indexed, (i.name, i.tags, i.owner, i.text[:TEXT_CHARACTERS_MAX]))) for row, i in added],
            )
        except BaseException:
            database.execute("ROLLBACK")
            raise
        database.execute("COMMIT")

    def _search(self, search: SearchQuery) -> SearchResults:
        words = words_of(search.text)
        match = exactly(words)
        ranking = self._rank(match) if words else None
        if ranking is not None and not ranking.rows:
            match = forgiving(words, self._occurs, self._nearest)
            ranking = self._rank(match)
        rows = self._values.all if ranking is None else ranking.rows
        narrowed = self._values.narrow(rows, search.filters)
        page: list[Key] = []
        for key in self._after(search, ranking):
            if key[2] in narrowed:
                page.append(key)
                if len(page) > search.limit:
                    break
        shown = page[: search.limit]
        last = SearchPosition(shown[-1][1], shown[-1][0]) if len(page) > search.limit else None
        facets = {field: self._counts(match, rows, search, field) for field in search.facets}
        return SearchResults(tuple(map(self._stored, shown)), len(narrowed), last, facets)

    def _counts(self, match: str, rows: Rows, search: SearchQuery, field: str) -> Counts:
        filters = tuple((name, tuple(wanted)) for name, wanted in sorted(search.filters.items()) if name != field)
        asked = (match, filters, field, search.values_max)
        counts = self._facets.pop(asked, None)
        if counts is None:
            counts = self._values.count(self._values.narrow(rows, dict(filters)), field, search.values_max)
        _keep(self._facets, asked, counts, FACETS_MAX)
        return counts

    def _occurs(self, match: str) -> bool:
        found = self._database().execute("SELECT 1 FROM words WHERE words MATCH ? LIMIT 1", (match,))
        return found.fetchone() is not None

    def _nearest(self, word: str) -> list[str]:
        if self._vocabulary is None:
            self._vocabulary = Vocabulary(self._database(), VOCABULARY_FRESH_S, self._monotonic)
        return self._vocabulary.nearest(word)

    def _rank(self, match: str) -> _Ranking:
        ranking = self._rankings.pop(match, None)
        if ranking is None:
            rows = self._rows(f"({match})")
            narrower = ((columns, self._rows(f"{columns}({match})") if columns else rows) for columns in _COLUMNS)
            best = next((self._scored(f"{columns}({match})") for columns, at in narrower if len(at) <= RANKED_MAX), [])
            ranking = _Ranking(rows, best, rows - Rows([key[2] for key in best]))
        _keep(self._rankings, match, ranking, RANKINGS_MAX)
        return ranking

    def _rows(self, match: str) -> Rows:
        return Rows([row for (row,) in self._database().execute(_MATCHED, (match,))])

    def _scored(self, match: str) -> list[Key]:
        scores = self._database().execute(_RANKED, (match,))
        return sorted((round(score, _SCORE_DIGITS), self._ids[row], row) for row, score in scores)

    def _after(self, search: SearchQuery, ranking: _Ranking | None) -> Iterator[Key]:
        """The keys of the order that is asked for, behind the position."""
        if search.sort == "name":
            return self._names(search.after)
        if search.sort == "newest" or ranking is None:
            return self._newest(search.after)
        start = 0 if search.after is None else ranking.behind(search.after)
        if start is None:
            return (key for key in self._newest(search.after) if key[2] in ranking.rest)
        rest = (key for key in self._newest(None) if key[2] in ranking.rest)
        return chain(islice(ranking.best, start, None), rest)

    def _names(self, after: SearchPosition | None) -> Iterator[Key]:
        start = 0 if after is None else bisect_right(self._by_name, (_text(after), after.id, self._next_row))
        return islice(self._by_name, start, None)

    def _newest(self, after: SearchPosition | None) -> Iterator[Key]:
        keys = self._by_newest
        end = len(keys) if after is None else bisect_left(keys, (_text(after), after.id, 0))
        return (keys[index] for index in range(end - 1, -1, -1))

    def _stored(self, key: Key) -> bytes:
        found = self._database().execute("SELECT stored FROM items WHERE row = ?", (key[2],)).fetchone()
        stored: bytes = found[0]
        return stored


def _known(item: SearchItem, row: int) -> _Known:
    values = {field: tuple(held) for field, held in item.values.items()}
    return _Known((item.name.casefold(), item.id, row), (item.newest, item.id, row), values)


def _merge(keys: list[Key], gone: Sequence[Key], added: Sequence[Key]) -> None:
    """Into and out of a sorted list: one by one, or all at once where many are added."""
    for key in gone:
        del keys[bisect_left(keys, key)]
    if len(added) > SORTED_ANEW_FROM:
        keys += added
        keys.sort()
    else:
        for key in added:
            insort(keys, key)


def _keep(cache: dict[K, T], key: K, value: T, capacity: int) -> None:
    """As the last one used; the one used longest ago gives way."""
    if len(cache) >= capacity:
        del cache[next(iter(cache))]
    cache[key] = value


def _text(position: SearchPosition) -> str:
    if not isinstance(position.key, str):
        raise ValueError("the position is of another order")
    return position.key
