"""Routes: from a method and a raw path to a function, by the rules and the precedence of ASP.NET Core.

Segment by segment, a literal beats a parameter, which beats a catch-all. Literals compare without case, a trailing
slash does not matter, and `%2F` in a segment stays as it is. Constraints (`{id:int}`) are refused: no function has one.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Generic, TypeVar
from urllib.parse import unquote_to_bytes

T = TypeVar("T")

ALL_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"})
_PARAMETER = re.compile(r"\{(\*{0,2})([A-Za-z_][A-Za-z0-9_]*)(\?)?\}")
_SLASH = re.compile(b"%(2f)", re.IGNORECASE)


class RouteError(ValueError):
    """A route cannot be served; the message quotes its template and what is wrong with it."""


class BadPath(ValueError):
    """The path cannot be decoded to text without NUL."""


class _Rank(IntEnum):
    LITERAL = 1
    PARAMETER = 2
    CATCH_ALL = 3


@dataclass(frozen=True, slots=True)
class _Segment:
    rank: _Rank
    text: str  # a literal in lower case, or a parameter's name
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Match(Generic[T]):
    """The target of the route that a path matched, and the values of its parameters."""

    target: T
    parameters: dict[str, str]


@dataclass(frozen=True, slots=True)
class MethodNotAllowed:
    """A path matched a route, but not with this method. `allowed` are the methods it has."""

    allowed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Route(Generic[T]):
    segments: tuple[_Segment, ...]
    methods: frozenset[str]
    target: T

    @property
    def precedence(self) -> tuple[int, ...]:
        return tuple(segment.rank for segment in self.segments)

    @property
    def first(self) -> str | None:
        """The first segment, when it is a literal."""
        return self.segments[0].text if self.segments[0].rank is _Rank.LITERAL else None

    def match(self, parts: list[str]) -> dict[str, str] | None:
        parameters: dict[str, str] = {}
        for index, segment in enumerate(self.segments):
            if segment.rank is _Rank.CATCH_ALL:
                parameters[segment.text] = "/".join(parts[index:])
                return parameters
            if index >= len(parts):
                if not segment.optional:
                    return None
                continue
            part = parts[index]
            if segment.rank is _Rank.LITERAL:
                if part.lower() != segment.text:
                    return None
            elif not part:
                return None
            else:
                parameters[segment.text] = part
        return parameters if len(parts) <= len(self.segments) else None


class Router(Generic[T]):
    """Finds the target of a path: `routes` are (template, methods, target); templates are below `prefix`, which may be
    empty. Raises RouteError."""

    def __init__(self, prefix: str, routes: Iterable[tuple[str, Iterable[str], T]]) -> None:
        self.prefix = f"/{prefix.strip('/')}".rstrip("/")
        parsed = [_Route(_parse(template), frozenset(methods), target) for template, methods, target in routes]
        self._routes = sorted(parsed, key=lambda route: route.precedence)
        # Without a prefix, the portal's files are beside the functions' routes.
        tops = {self.prefix} if self.prefix else {f"/{route.first}" for route in parsed if route.first is not None}
        self._covered = tuple(f"{top.lower()}/".encode() for top in tops)
        # The paths of hot functions have no parameters: one look-up by the bytes that clients usually send.
        self._literal: dict[tuple[bytes, str], Match[T]] = {}
        for route in self._routes:
            if all(segment.rank is _Rank.LITERAL for segment in route.segments):
                path = "/".join([self.prefix, *(segment.text for segment in route.segments)]).encode()
                for method in route.methods:
                    self._literal.setdefault((path, method), Match(route.target, {}))

    def covers(self, raw_path: bytes) -> bool:
        """Say whether only a function can answer: the path is below the prefix or, where that is empty, below the first
        segment of some route, unless that is a parameter."""
        return (raw_path + b"/").lower().startswith(self._covered)

    def find(self, method: str, raw_path: bytes) -> Match[T] | MethodNotAllowed | None:
        """Find the target of a path and method. Raises BadPath."""
        literal = self._literal.get((raw_path, method))
        if literal is not None:
            return literal
        if self.prefix and not self.covers(raw_path):
            return None
        below = raw_path[len(self.prefix) + 1 :]
        parts = [_decode(part) for part in below.removesuffix(b"/").split(b"/")] if below else []
        allowed: set[str] = set()
        for route in self._routes:
            parameters = route.match(parts)
            if parameters is None:
                continue
            if method in route.methods:
                return Match(route.target, parameters)
            allowed |= route.methods
        return MethodNotAllowed(tuple(sorted(allowed))) if allowed else None


def _decode(part: bytes) -> str:
    if b"%" in part:
        part = unquote_to_bytes(_SLASH.sub(rb"%25\1", part))
    try:
        text = part.decode()
    except UnicodeDecodeError:
        raise BadPath("the path is not UTF-8") from None
    if "\0" in text:
        raise BadPath("the path holds NUL")
    return text


def _parse(template: str) -> tuple[_Segment, ...]:
    segments = [_parse_segment(template, part) for part in template.strip("/").split("/")]
    for segment in segments[:-1]:
        if segment.rank is _Rank.CATCH_ALL or segment.optional:
            raise RouteError(f"route {template!r}: {{{segment.text}}} must be the last segment")
    names = [segment.text for segment in segments if segment.rank is not _Rank.LITERAL]
    if len(names) != len(set(names)):
        raise RouteError(f"route {template!r}: a parameter is there twice")
    return tuple(segments)


def _parse_segment(template: str, part: str) -> _Segment:
    if "{" not in part and "}" not in part:
        return _Segment(_Rank.LITERAL, part.lower())
    found = _PARAMETER.fullmatch(part)
    if found is None:
        raise RouteError(f"route {template!r}: this host does not know segments such as {part!r}")
    stars, name, optional = found.groups()
    return _Segment(_Rank.CATCH_ALL, name) if stars else _Segment(_Rank.PARAMETER, name, bool(optional))
