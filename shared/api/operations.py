"""The operations of the API, and the action by which each asks the permission table."""

from collections.abc import Iterator
from typing import NamedTuple

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from shared.identity.guard import Allowed


class ApiOperation(NamedTuple):
    """`path` has its parameters in braces; `action` is None where nobody asks who calls."""

    method: str
    path: str
    action: str | None


def operations(app: FastAPI) -> Iterator[ApiOperation]:
    """Every method of every route that FastAPI describes or serves by itself."""
    for route in iter_route_contexts(app.routes):
        dependant = getattr(route, "dependant", None)
        if dependant is None:  # the description's own route
            continue
        actions = [d.call.action for d in dependant.dependencies if isinstance(d.call, Allowed)]
        for method in sorted(route.methods or ()):
            yield ApiOperation(method, route.path_format or "", actions[0] if actions else None)
