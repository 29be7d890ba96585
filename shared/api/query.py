"""Query parameters that an operation does not have are refused: without a word, a filter that is misspelt would let the
answer be about everything (`/admin/usage?consumer=…` as the whole platform's total)."""

from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from shared.identity.guard import Allowed
from shared.kernel.errors import FieldError, Problem


class QueryParameters(NamedTuple):
    """Which query parameters an operation has, those of its dependencies and its guard included."""

    single: frozenset[str]
    repeatable: frozenset[str]


_known: dict[int, tuple[APIRoute, QueryParameters]] = {}
"""By the route's identity; routes cannot be hashed. Each is kept, so that no other gets its identity."""


def query_parameters(route: APIRoute) -> QueryParameters:
    known = _known.get(id(route))
    if known is None:
        known = _known[id(route)] = (route, _declared(route))
    return known[1]


async def only_known_query(request: Request) -> None:
    """Refuse query parameters that the operation does not have: raises Problem 400 `request_invalid`, naming each
    parameter that is unknown, or given twice and no list.

    Where a route has a guard, that raises it, once it let the caller pass: whoever may not is told nothing else.
    """
    if not request.query_params:
        return
    route: APIRoute = request.scope["route"]
    parameters = query_parameters(route)
    given = [name for name, _ in request.query_params.multi_items()]
    errors = [error for name in dict.fromkeys(given) if (error := _fault(name, given.count(name), parameters))]
    if errors:
        detail = "; ".join(f"`{error.field}` {error.rule}" for error in errors)
        problem = Problem(400, "request_invalid", f"{detail}.", errors=errors)
        if not any(isinstance(inner.call, Allowed) for inner in route.dependant.dependencies):
            raise problem
        request.state.query_problem = problem


def _fault(name: str, times: int, parameters: QueryParameters) -> FieldError | None:
    if name in parameters.repeatable:
        return None
    if name not in parameters.single:
        return FieldError(name, "is not a query parameter of this operation")
    return FieldError(name, "must be given only once") if times > 1 else None


def _declared(route: APIRoute) -> QueryParameters:
    fields = dict(_fields(route.dependant))
    repeatable = frozenset(name for name, annotation in fields.items() if _is_list(annotation))
    return QueryParameters(frozenset(fields) - repeatable, repeatable)


def _fields(dependant: Dependant) -> Iterator[tuple[str, Any]]:
    for field in dependant.query_params:
        yield field.alias, field.field_info.annotation
    for inner in dependant.dependencies:
        yield from _fields(inner)


def _is_list(annotation: Any) -> bool:
    origin = get_origin(annotation)
    if origin in (Annotated, Union, UnionType):
        return any(_is_list(each) for each in get_args(annotation))
    return (origin or annotation) in (list, tuple, set, frozenset)
