"""The part of Cosmos SQL that AMS sends, and the rewritten form that a query plan asks the SDK to send.

    SELECT * FROM c [WHERE condition] [ORDER BY path ASC|DESC]

with AND, NOT, parentheses, comparisons, IN, IS_DEFINED, IS_NULL, STARTSWITH and parameters; literals only `true` and
`false`, so that a value which slipped into the text is a syntax error. Comparisons across JSON types, or with a missing
field, are undefined and match nothing, as in Cosmos DB.
"""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Item = Mapping[str, Any]
Path = tuple[str, ...]
Condition = Callable[[Item], bool | None]

_TOKEN = re.compile(r'\s*(@\w+|c(?:\["[^"\]]+"\])+|\w+|<=|>=|[=<>(),*])')
_COMPARISONS = {"=": operator.eq, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_MISSING = object()
_REWRITTEN = re.compile(r'SELECT c\._rid, \[\{"item": (?P<path>c\S+)\}\] AS orderByItems, c AS payload ')
FILTER = "{documentdb-formattableorderbyquery-filter}"
"""The SDK replaces it by `true`, or by its own condition when it resumes."""


class BadQuery(ValueError):
    """What the service answers with 400."""


@dataclass(frozen=True)
class Select:
    condition: Condition
    order_path: Path | None
    descending: bool
    paths: frozenset[Path]
    merged: bool
    """True for the rewritten form, whose rows carry their order value for the SDK's merge."""

    def order_value(self, item: Item) -> Any:
        return None if self.order_path is None else value_at(item, self.order_path)

    def row(self, item: Item) -> Any:
        if not self.merged:
            return item
        return {"_rid": item["_rid"], "orderByItems": [{"item": self.order_value(item)}], "payload": item}


def parse(sql: str, parameters: Mapping[str, Any]) -> Select:
    """Raises BadQuery for anything else than the subset above."""
    merged = _REWRITTEN.match(sql)
    return _Parser(_REWRITTEN.sub("SELECT * ", sql), parameters).select(merged is not None)


def rewritten(sql: str) -> str:
    """The query that a plan tells the SDK to send to each range, so that it can merge their rows."""
    head, _, ordering = sql.partition(" ORDER BY ")
    _, _, condition = head.partition(" WHERE ")
    where = f"({condition}) AND ({FILTER})" if condition else f"({FILTER})"
    path = ordering.split()[0]
    return f'SELECT c._rid, [{{"item": {path}}}] AS orderByItems, c AS payload FROM c WHERE {where} ORDER BY {ordering}'


def value_at(item: Item, path: Path) -> Any:
    value: Any = item
    for name in path:
        if not isinstance(value, dict) or name not in value:
            return _MISSING
        value = value[name]
    return value


def type_rank(value: Any) -> int:
    """Cosmos DB orders undefined < null < booleans < numbers < strings < arrays < objects."""
    if value is _MISSING:
        return 0
    kinds = ((type(None), 1), (bool, 2), ((int, float), 3), (str, 4), (list, 5))
    return next((rank for kind, rank in kinds if isinstance(value, kind)), 6)  # type: ignore[arg-type]  # tuple of kinds


class _Parser:
    def __init__(self, sql: str, parameters: Mapping[str, Any]) -> None:
        self._tokens, end = [], 0
        while sql[end:].strip():
            token = _TOKEN.match(sql, end)
            if token is None:
                raise BadQuery(f"syntax error near {sql[end : end + 30]!r}")
            self._tokens.append(token[1])
            end = token.end()
        self._parameters = parameters
        self._paths: set[Path] = set()

    def select(self, merged: bool) -> Select:
        self._expect("SELECT", "*", "FROM", "c")
        condition: Condition = self._conjunction() if self._accept("WHERE") else lambda item: True
        order_path, descending = None, False
        if self._accept("ORDER"):
            self._expect("BY")
            order_path = self._path()
            descending = self._next() == "DESC"
        if self._tokens:
            raise BadQuery(f"syntax error near {self._tokens[0]!r}")
        return Select(condition, order_path, descending, frozenset(self._paths), merged)

    def _conjunction(self) -> Condition:
        parts = [self._term()]
        while self._accept("AND"):
            parts.append(self._term())
        return lambda item: all(part(item) is True for part in parts)

    def _term(self) -> Condition:
        if self._accept("NOT"):
            inner = self._term()
            return lambda item: None if (value := inner(item)) is None else not value
        if self._accept("("):
            inner = self._conjunction()
            self._expect(")")
            return inner
        if self._tokens and self._tokens[0] in {"true", "false"}:
            constant = self._next() == "true"
            return lambda item: constant
        if self._tokens and self._tokens[0] in {"IS_DEFINED", "IS_NULL", "STARTSWITH"}:
            return self._function(self._next())
        return self._comparison()

    def _function(self, name: str) -> Condition:
        self._expect("(")
        path = self._path()
        if name == "STARTSWITH":
            self._expect(",")
            prefix = self._value()
        self._expect(")")
        if name == "IS_DEFINED":
            return lambda item: value_at(item, path) is not _MISSING
        if name == "IS_NULL":
            return lambda item: value_at(item, path) is None
        return lambda item: value.startswith(prefix) if isinstance(value := value_at(item, path), str) else None

    def _comparison(self) -> Condition:
        path = self._path()
        sign = self._next()
        if sign == "IN":
            self._expect("(")
            values = [self._value()]
            while self._accept(","):
                values.append(self._value())
            self._expect(")")
            return lambda item: any(_compare(operator.eq, value_at(item, path), value) for value in values)
        if sign not in _COMPARISONS:
            raise BadQuery(f"syntax error near {sign!r}")
        value, compare = self._value(), _COMPARISONS[sign]
        return lambda item: _compare(compare, value_at(item, path), value)

    def _path(self) -> Path:
        token = self._next()
        if not token.startswith('c["'):
            raise BadQuery(f"expected a path, got {token!r}")
        path = tuple(re.findall(r'\["([^"\]]+)"\]', token))
        self._paths.add(path)
        return path

    def _value(self) -> Any:
        token = self._next()
        if token not in self._parameters:
            raise BadQuery(f"expected a parameter, got {token!r}")
        return self._parameters[token]

    def _next(self) -> str:
        if not self._tokens:
            raise BadQuery("unexpected end of the query")
        return self._tokens.pop(0)

    def _accept(self, token: str) -> bool:
        if self._tokens and self._tokens[0] == token:
            self._tokens.pop(0)
            return True
        return False

    def _expect(self, *tokens: str) -> None:
        for token in tokens:
            if not self._accept(token):
                raise BadQuery(f"expected {token!r} before {self._tokens[:1]}")


def _compare(compare: Callable[[Any, Any], bool], left: Any, right: Any) -> bool | None:
    return compare(left, right) if type_rank(left) == type_rank(right) > 1 else None
