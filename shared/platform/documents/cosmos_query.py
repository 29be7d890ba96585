"""Structured queries as parameterised Cosmos SQL, and cursors. Values are always parameters, never part of the text."""

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import Any

from shared.platform.documents import Container, Query, Scalar, Where

QUERY_LIMIT_MAX = 1_000
IN_VALUES_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Statement:
    """A query in the SQL of Cosmos DB, and its parameters."""

    sql: str
    parameters: list[dict[str, object]]


@dataclass(frozen=True, slots=True)
class FeedPosition:
    """The position at which a page starts. All None is the beginning.

    `value`: in an ordered query across partitions, the order value that has been reached. `feed_range`: the physical
    range being read, as the SDK's JSON object; None beside a `value` means that all documents with it were returned.
    `token`: the service's continuation inside the partition or range.
    """

    value: Scalar | None = None
    feed_range: dict[str, Any] | None = None
    token: str | None = None


def check_query(container: Container, query: Query) -> None:
    """Raises ValueError for what no adapter answers."""
    if not 1 <= query.limit <= QUERY_LIMIT_MAX:
        raise ValueError(f"limit must be 1 to {QUERY_LIMIT_MAX}")
    for field in (query.order_by or "id", *(where.field for where in query.where)):
        if field != "id" and field not in container.indexed:
            raise ValueError(f"field {field!r} of {container.name} is not indexed")
    for where in query.where:
        if where.op == "in":
            if not isinstance(where.value, tuple) or not 1 <= len(where.value) <= IN_VALUES_MAX:
                raise ValueError(f"`in` takes a tuple of 1 to {IN_VALUES_MAX} values")
        elif isinstance(where.value, tuple):
            raise ValueError(f"{where.op!r} takes one value")
        elif where.op == "starts_with" and not isinstance(where.value, str):
            raise ValueError("`starts_with` takes text")


def statement(query: Query, *, at: Scalar | None = None, beyond: Scalar | None = None) -> Statement:
    """The SQL of a checked query.

    `at` restricts it to documents with that value of the order field, in no order; `beyond` to those that come after
    that value in the query's order.
    """
    parameters: list[dict[str, object]] = []

    def parameter(value: Scalar) -> str:
        parameters.append({"name": f"@p{len(parameters)}", "value": value})
        return f"@p{len(parameters) - 1}"

    conditions = [_condition(where, parameter) for where in query.where]
    ordering = ""
    if query.order_by is not None:
        path = _path(query.order_by)
        if at is not None:
            conditions.append(f"{path} = {parameter(at)}")
        else:
            if query.order_by != "id":
                conditions.append(f"IS_DEFINED({path}) AND NOT IS_NULL({path})")
            if beyond is not None:
                conditions.append(f"{path} {'<' if query.descending else '>'} {parameter(beyond)}")
            ordering = f" ORDER BY {path} {'DESC' if query.descending else 'ASC'}"
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return Statement(f"SELECT * FROM c{where}{ordering}", parameters)  # noqa: S608 - names are checked, values parameters


def _condition(where: Where, parameter: Any) -> str:
    path = _path(where.field)
    if isinstance(where.value, tuple):
        return f"{path} IN ({', '.join(parameter(value) for value in where.value)})"
    if where.op == "starts_with":
        return f"STARTSWITH({path}, {parameter(where.value)})"
    return f"{path} {where.op} {parameter(where.value)}"


def _path(field: str) -> str:
    # Brackets, because a field may be named like a keyword of Cosmos SQL (`value`, `order`).
    return 'c["id"]' if field == "id" else 'c["body"]' + "".join(f'["{name}"]' for name in field.split("."))


def order_value(query: Query, item: dict[str, Any]) -> Scalar:
    """The value of the order field in a stored item."""
    if query.order_by in (None, "id"):
        return str(item["id"])
    value: Any = item["body"]
    for name in str(query.order_by).split("."):
        value = value[name]
    scalar: Scalar = value  # the query leaves out items where it is not one
    return scalar


def encode_cursor(container: Container, query: Query, position: FeedPosition) -> str:
    """Opaque text that only this query continues; its page size may change."""
    parts = [_digest(container, query), position.value, position.feed_range, position.token]
    return base64.urlsafe_b64encode(json.dumps(parts, separators=(",", ":")).encode()).decode().rstrip("=")


def decode_cursor(container: Container, query: Query, cursor: str | None) -> FeedPosition:
    """Raises ValueError for a cursor that `encode_cursor` did not make for this query."""
    if cursor is None:
        return FeedPosition()
    try:
        digest, value, feed_range, token = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, TypeError) as error:
        raise ValueError("cursor is not one of this store's") from error
    if (
        digest != _digest(container, query)
        or not isinstance(value, str | int | float | None)
        or not isinstance(feed_range, dict | None)
        or not isinstance(token, str | None)
    ):
        raise ValueError("cursor is not one of this query's")
    return FeedPosition(value, feed_range, token)


def _digest(container: Container, query: Query) -> str:
    conditions = [(where.field, where.op, where.value) for where in query.where]
    identity = json.dumps([container.name, query.partition, conditions, query.order_by, query.descending])
    return hashlib.sha256(identity.encode()).hexdigest()[:16]
