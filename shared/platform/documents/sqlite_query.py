"""How the embedded adapter reads inside bodies: structured queries to SQL with keyset paging, and patches."""

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any

from shared.platform.documents import Container, Patch, Query, Scalar, Where

QUERY_LIMIT_MAX = 1_000
LIVE = "(expires_at IS NULL OR expires_at > ?)"
"""Takes the current time as its parameter."""


def field_value(field: str) -> str:
    """SQL expression for a dotted body field. Only for names from `containers.json` or checked against it."""
    return f"json_extract(body, '$.{field}')"


def compile_query(container: Container, query: Query, cursor: str | None, now: float) -> tuple[str, list[Any]]:
    """SQL and parameters that read one document more than the limit, to know whether there is a next page.

    Columns: partition, id, etag, body as bytes, order value.
    """
    if not 1 <= query.limit <= QUERY_LIMIT_MAX:
        raise ValueError(f"limit must be 1 to {QUERY_LIMIT_MAX}")
    conditions: list[str] = [LIVE]
    parameters: list[Any] = [now]
    if query.partition is not None:
        conditions.append("partition = ?")
        parameters.append(query.partition)
    for where in query.where:
        sql, values = _condition(container, where)
        conditions.append(sql)
        parameters += values
    order = _column(container, query.order_by or "id")
    if query.order_by not in (None, "id"):
        conditions.append(f"{order} IS NOT NULL")
    direction, beyond = ("DESC", "<") if query.descending else ("ASC", ">")
    keys = _order_keys(query, order)
    if cursor is not None:
        after = _decode_cursor(query, cursor, len(keys))
        conditions.append(f"({', '.join(keys)}) {beyond} ({', '.join('?' * len(keys))})")
        parameters += after
    ordering = ", ".join(f"{key} {direction}" for key in keys)
    return (
        f"SELECT partition, id, etag, CAST(body AS BLOB), {order} FROM {container.name}"
        f" WHERE {' AND '.join(conditions)} ORDER BY {ordering} LIMIT {query.limit + 1}",
        parameters,
    )


def _order_keys(query: Query, order: str) -> list[str]:
    """Columns that order the documents totally, so that a cursor names one place between them."""
    if query.order_by is None:
        return ["partition", "id"]
    return ["id", "partition"] if query.order_by == "id" else [order, "partition", "id"]


def _column(container: Container, field: str) -> str:
    if field == "id":
        return "id"
    if field not in container.indexed:
        raise ValueError(f"field {field!r} of {container.name} is not indexed")
    return field_value(field)


def _condition(container: Container, where: Where) -> tuple[str, list[Any]]:
    column = _column(container, where.field)
    if where.op == "in":
        if not isinstance(where.value, tuple) or not 1 <= len(where.value) <= QUERY_LIMIT_MAX:
            raise ValueError(f"`in` takes a tuple of 1 to {QUERY_LIMIT_MAX} values")
        return _any_of(where.field, column, where.value)
    if isinstance(where.value, tuple):
        raise ValueError(f"{where.op!r} takes one value")
    if where.op == "starts_with":
        if not isinstance(where.value, str):
            raise ValueError("`starts_with` takes text")
        return f"{column} >= ? AND {column} < ?", [where.value, where.value + "\U0010ffff"]
    if where.field == "id":
        return f"id {where.op} ?", [where.value]
    # Cosmos compares within one type only; SQLite would order every number before every text.
    return f"{column} {where.op} ? AND {_type_test(where.field, where.value)}", [where.value]


def _any_of(field: str, column: str, values: tuple[Scalar, ...]) -> tuple[str, list[Any]]:
    if field == "id":
        return f"id IN ({', '.join('?' * len(values))})", list(values)
    by_type: dict[str, list[Scalar]] = {}
    for value in values:
        by_type.setdefault(_type_test(field, value), []).append(value)
    tests = (f"{column} IN ({', '.join('?' * len(same))}) AND {test}" for test, same in by_type.items())
    return f"({' OR '.join(tests)})", [value for same in by_type.values() for value in same]


def _type_test(field: str, value: Scalar) -> str:
    if isinstance(value, bool):
        return f"json_type(body, '$.{field}') IN ('true', 'false')"
    kinds = "'text'" if isinstance(value, str) else "'integer', 'real'"
    return f"json_type(body, '$.{field}') IN ({kinds})"


def encode_cursor(query: Query, row: Sequence[Any]) -> str:
    """Opaque text naming the last document of a page: its order value, partition and id."""
    places = {"partition": row[0], "id": row[1]}
    keys = [places.get(key, row[4]) for key in _order_keys(query, "order value")]
    text = json.dumps([query.order_by, query.descending, *keys], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decode_cursor(query: Query, cursor: str, keys: int) -> list[Any]:
    try:
        decoded = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError) as error:
        raise ValueError("cursor is not one of this store's") from error
    if not isinstance(decoded, list) or decoded[:2] != [query.order_by, query.descending] or len(decoded) != 2 + keys:
        raise ValueError("cursor is not one of this query's")
    return decoded[2:]


def apply_patch(body: str, changes: Sequence[Patch]) -> bytes:
    """The body after all changes. Raises ValueError when a change does not fit what is there."""
    document = json.loads(body)
    for change in changes:
        *parents, last = change.path.split(".")
        target = document
        for name in parents:
            target = target.get(name) if isinstance(target, dict) else None
        if not isinstance(target, dict):
            raise ValueError(f"path {change.path!r} has no parent object")
        if change.op == "remove":
            if last not in target:
                raise ValueError(f"path {change.path!r} is missing")
            del target[last]
        elif change.op == "set":
            target[last] = change.value
        else:
            target[last] = _incremented(target.get(last, 0), change)
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _incremented(old: object, change: Patch) -> int | float:
    return _number(old, change) + _number(change.value, change)


def _number(value: object, change: Patch) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"increment of {change.path!r} needs numbers")
    return value
