"""Which items have which values: compressed bitmaps, so that filters and counts take microseconds."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from heapq import nsmallest

from pyroaring import BitMap

Rows = BitMap


class ValueIndex:
    """Items are row numbers."""

    def __init__(self) -> None:
        self.all = BitMap()
        self._rows: dict[str, dict[str, BitMap]] = defaultdict(dict)

    def add(self, row: int, values: Mapping[str, Sequence[str]]) -> None:
        self.all.add(row)
        for field, held in values.items():
            for value in held:
                self._rows[field].setdefault(value, BitMap()).add(row)

    def remove(self, row: int, values: Mapping[str, Sequence[str]]) -> None:
        self.all.discard(row)
        for field, held in values.items():
            for value in held:
                rows = self._rows[field].get(value)
                if rows is not None:
                    rows.discard(row)
                    if not rows:
                        del self._rows[field][value]

    def narrow(self, rows: BitMap, filters: Mapping[str, Sequence[str]]) -> BitMap:
        """Those of `rows` that have all of the values."""
        for field, wanted in filters.items():
            for value in wanted:
                rows = rows & self._rows[field].get(value, BitMap())
        return rows

    def count(self, rows: BitMap, field: str, values_max: int) -> tuple[tuple[str, int], ...]:
        """The most frequent values among `rows`, by count, then by value."""
        counts = ((rows.intersection_cardinality(held), value) for value, held in self._rows[field].items())
        most = nsmallest(values_max, ((-count, value) for count, value in counts if count))
        return tuple((value, -negative) for negative, value in most)
