"""What the peer charges: Microsoft's published model of request units, "Understand request units consumption in Azure
Cosmos DB" (learn.microsoft.com/azure/cosmos-db/understand-request-unit-consumption, April 2026, one region):

- a create costs its size plus 0.2 for each indexed term;
- a replace deletes and inserts: twice the size (old and new), plus 0.2 + 0.2 for each changed term;
- a patch costs a replace plus 0.4 for each property it changes; a delete costs the size plus 0.2 for each term;
- reading through a feed costs what reading its documents one by one would.

Sizes between two rows of the published table are charged as the next row. Assumed here, because not published: a term
is one indexed scalar (the system's own index of `id` is part of the size's price), a batch costs the sum of its
operations, a query costs QUERY_BASE for each range it visits beside the documents it returns, and a call that fails
costs FAILED.
"""

import bisect
from collections.abc import Iterator, Mapping
from typing import Any

SIZES_KB = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048)
READS = (1.00, 1.04, 1.14, 1.33, 1.67, 2.19, 4.76, 9.95, 20.28, 40.95, 145.90, 291.80)
WRITES = (4.95, 6.29, 6.67, 7.04, 9.52, 11.23, 22.67, 48.19, 98.29, 184.57, 625.00, 1250.00)
TERM = 0.2
PATCHED_PROPERTY = 0.4
QUERY_BASE = 2.3
FAILED = 1.0

Terms = frozenset[tuple[str, Any]]


def _row(size: int) -> int:
    return min(bisect.bisect_left(SIZES_KB, size / 1024), len(SIZES_KB) - 1)


def read(size: int) -> float:
    """Sizes are bytes of JSON."""
    return READS[_row(size)]


def create(size: int, terms: Terms) -> float:
    return WRITES[_row(size)] + TERM * len(terms)


delete = create


def replace(old_size: int, old_terms: Terms, size: int, terms: Terms) -> float:
    changed = len(old_terms - terms) + len(terms - old_terms)
    return WRITES[_row(old_size)] + WRITES[_row(size)] + TERM * changed


def query(ranges: int, sizes: list[int]) -> float:
    return QUERY_BASE * ranges + sum(read(size) for size in sizes)


def indexed_terms(item: Mapping[str, Any], policy: Mapping[str, Any]) -> Terms:
    """The (path, value) pairs of an item that its container's indexing policy includes."""
    everything = any(path["path"] == "/*" for path in policy.get("includedPaths", ()))
    included = {path["path"].removesuffix("/?") for path in policy.get("includedPaths", ())}
    user_fields = {name: value for name, value in item.items() if name != "id" and not name.startswith("_")}
    return frozenset((path, value) for path, value in _leaves("", user_fields) if everything or path in included)


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(f"{path}/{name}", inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(f"{path}/[]", inner)
    else:
        yield path, value
