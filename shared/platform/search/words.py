"""From what people type to an expression of FTS5, with misspellings put right."""

import re
import sqlite3
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shared.platform.search import WORDS_MAX

_WORD = re.compile(r"[^\W_]+")
WORD_CHARACTERS_MAX = 64
_TERMS = "SELECT term FROM vocabulary WHERE term >= ? AND term < ? ORDER BY doc DESC"
NEAREST_MAX = 5
"""So many words of the vocabulary may stand in for a misspelled one."""


def fold(text: str) -> str:
    """Take case, accents and typographic variants away: what is searched and what is searched for alike."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def indexed(text: str) -> str:
    """Return the words of an item, folded, with spaces between: the tokenizer of FTS5 may see words otherwise than we
    do."""
    return " ".join(_WORD.findall(fold(text)))


def words_of(text: str) -> list[str]:
    """Return the words of a query, folded. Everything but letters and digits separates."""
    found = _WORD.findall(fold(text[: WORDS_MAX * WORD_CHARACTERS_MAX]))
    return [word[:WORD_CHARACTERS_MAX] for word in found[:WORDS_MAX]]


def misspelt_by(word: str) -> int:
    """Say how many letters may be wrong: none of up to 3 or of a number, 1 of 4 to 7, 2 of more."""
    if len(word) < 4 or not word.isalpha():
        return 0
    return 1 if len(word) < 8 else 2


class Vocabulary:
    """The words of an FTS5 table, by first letter. A letter's words are read (some milliseconds) when a word was not
    found, the index has changed, and the last reading is `fresh_s` old. A new word itself is found at once."""

    def __init__(self, database: sqlite3.Connection, fresh_s: float, monotonic: Callable[[], float]) -> None:
        self._database = database
        self._fresh_s = fresh_s
        self._monotonic = monotonic
        self._changes = 0
        self._read: dict[str, _Words] = {}

    def changed(self) -> None:
        self._changes += 1

    def nearest(self, word: str) -> list[str]:
        """Find the words with the fewest wrong letters (a swapped pair is one), frequent ones first; maybe none. They
        begin with its first letter or its second, since few people mistype how a word begins."""
        from rapidfuzz import process
        from rapidfuzz.distance import OSA

        most = misspelt_by(word)
        if not most:
            return []
        choices = [term for letter in dict.fromkeys(word[:2]) for term in self._beginning_with(letter)]
        found = process.extract(word, choices, scorer=OSA.distance, score_cutoff=most, limit=NEAREST_MAX)
        return [choice for choice, distance, _ in found if distance == found[0][1]]

    def _beginning_with(self, letter: str) -> Sequence[str]:
        words, now = self._read.get(letter), self._monotonic()
        if words is None or (words.changes != self._changes and now - words.read_at >= self._fresh_s):
            found = self._database.execute(_TERMS, (letter, letter + "\U0010ffff"))
            words = _Words(self._changes, now, [term for (term,) in found])
            if words.terms:  # nobody fills the memory with letters that no word begins with
                self._read[letter] = words
        return words.terms


@dataclass(frozen=True, slots=True)
class _Words:
    changes: int
    read_at: float
    terms: Sequence[str]


def exactly(words: Sequence[str]) -> str:
    """Write what FTS5 is to match: all of the words, the last one as the beginning of one. Empty without words."""
    return " AND ".join(_terms(words))


def forgiving(words: Sequence[str], occurs: Callable[[str], bool], nearest: Callable[[str], Sequence[str]]) -> str:
    """Write the same, with each word that occurs nowhere replaced by the nearest that do. `occurs` says whether
    anything matches an expression."""
    return " AND ".join(
        term if occurs(term) else _any(nearest(word)) or term for word, term in zip(words, _terms(words), strict=True)
    )


def _terms(words: Sequence[str]) -> list[str]:
    return [f'"{word}"' for word in words[:-1]] + [f'"{word}"*' for word in words[-1:]]


def _any(words: Sequence[str]) -> str:
    """Words of the vocabulary, as strings of FTS5: within them nothing is syntax."""
    quoted = (word.replace('"', '""') for word in words)
    return "(" + " OR ".join(f'"{word}"' for word in quoted) + ")" if words else ""
