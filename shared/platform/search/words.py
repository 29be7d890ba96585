"""From what people type to an expression of FTS5, with misspellings put right."""

import math
import re
import sqlite3
import unicodedata
from collections import defaultdict
from collections.abc import Callable
from functools import partial

from shared.platform.search import WORDS_MAX

_WORD = re.compile(r"[^\W_]+")
WORD_CHARACTERS_MAX = 64
NEAREST_MAX = 5
"""So many words of the vocabulary may stand in for a misspelled one."""


def fold(text: str) -> str:
    """Without case, accents and typographic variants: what is searched and what is searched for alike."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def indexed(text: str) -> str:
    """The words of an item, folded, with spaces between: the tokenizer of FTS5 may see words otherwise than we do."""
    return " ".join(_WORD.findall(fold(text)))


def words_of(text: str) -> list[str]:
    """The words of a query, folded. Everything but letters and digits separates."""
    found = _WORD.findall(fold(text[: WORDS_MAX * WORD_CHARACTERS_MAX]))
    return [word[:WORD_CHARACTERS_MAX] for word in found[:WORDS_MAX]]


def misspelt_by(word: str) -> int:
    """How many letters may be wrong: none of up to 3 or of a number, 1 of 4 to 7, 2 of more."""
    if len(word) < 4 or not word.isalpha():
        return 0
    return 1 if len(word) < 8 else 2


class Vocabulary:
    """The words of an FTS5 table by length. Reading them takes tenths of a second for 100,000, so it is done when a
    word was not found, the index has `changed`, and the last reading is `fresh_s` old. A new word itself is found at
    once."""

    def __init__(self, database: sqlite3.Connection, fresh_s: float, monotonic: Callable[[], float]) -> None:
        self._database = database
        self._fresh_s = fresh_s
        self._monotonic = monotonic
        self._read_at = -math.inf
        self.changed = True
        self._by_length: dict[int, list[str]] = {}

    def nearest(self, word: str) -> list[str]:
        """The words with the fewest wrong letters (a turned pair is one), frequent ones first; maybe none."""
        from rapidfuzz import process
        from rapidfuzz.distance import OSA

        most = misspelt_by(word)
        if not most:
            return []
        self._refresh()
        lengths = range(len(word) - most, len(word) + most + 1)
        choices = [choice for length in lengths for choice in self._by_length.get(length, ())]
        found = process.extract(word, choices, scorer=OSA.distance, score_cutoff=most, limit=NEAREST_MAX)
        return [choice for choice, distance, _ in found if distance == found[0][1]]

    def _refresh(self) -> None:
        now = self._monotonic()
        if not self.changed or now - self._read_at < self._fresh_s:
            return
        by_length = defaultdict(list)
        for (term,) in self._database.execute("SELECT term FROM vocabulary ORDER BY doc DESC"):
            by_length[len(term)].append(term)
        self._by_length, self._read_at, self.changed = by_length, now, False


def expression(text: str, occurs: Callable[[str], bool], nearest: Callable[[str], list[str]]) -> str:
    """What FTS5 is to match, empty when there are no words. `occurs` says whether anything matches an expression."""
    words = words_of(text)
    terms = [f'"{word}"' for word in words[:-1]] + [f'"{word}"*' for word in words[-1:]]
    return " AND ".join(map(partial(_or_nearest, occurs, nearest), words, terms))


def _or_nearest(occurs: Callable[[str], bool], nearest: Callable[[str], list[str]], word: str, term: str) -> str:
    if occurs(term):
        return term
    instead = nearest(word)
    return f"({' OR '.join(quoted(choice) for choice in instead)})" if instead else term


def quoted(word: str) -> str:
    """A string of FTS5: within it nothing is syntax."""
    return '"' + word.replace('"', '""') + '"'
