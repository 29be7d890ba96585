"""The operations of the API, and the action by which each asks the permission table."""

import inspect
from collections.abc import Iterator
from typing import Any, NamedTuple

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from shared.identity.guard import Allowed


class ApiOperation(NamedTuple):
    """An operation of the API: `path` has its parameters in braces; `action` is None where nobody asks who calls.
    `threads` names what FastAPI would run in a thread, because it is not a coroutine function. `tagged`: the endpoint
    takes the response, to set its `ETag`."""

    method: str
    path: str
    action: str | None
    threads: tuple[str, ...] = ()
    tagged: bool = False


def operations(app: FastAPI) -> Iterator[ApiOperation]:
    """List every method of every route that FastAPI describes or serves by itself."""
    for route in iter_route_contexts(app.routes):
        dependant = getattr(route, "dependant", None)
        if dependant is None:  # the description's own route
            continue
        actions = [d.call.action for d in dependant.dependencies if isinstance(d.call, Allowed)]
        threads = tuple(sorted(set(_threads(dependant))))
        for method in sorted(route.methods or ()):
            tagged = dependant.response_param_name is not None
            yield ApiOperation(method, route.path_format or "", actions[0] if actions else None, threads, tagged)


def _threads(dependant: Any) -> Iterator[str]:
    call = dependant.call
    if not (inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(getattr(call, "__call__", None))):  # noqa: B004 - an object with such a method is meant
        yield getattr(call, "__name__", repr(call))
    for inner in dependant.dependencies:
        yield from _threads(inner)
