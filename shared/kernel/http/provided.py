"""How a route gets a service: `Annotated[Grants, Depends(provided(AccessParts, lambda access: access.grants))]`.

The application is made with the parts of every noun; a route names the class of the parts that it needs, so what it
gets has a type that is checked, and nothing is made before the first request that needs it.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, TypeVar

from fastapi import Depends, FastAPI, Request
from starlette.types import Receive, Scope, Send

_API = "ams.api"
P = TypeVar("P")
S = TypeVar("S")


class PartsApi:
    """An ASGI application that has its routes of `routes`, and the parts of every noun for them."""

    def __init__(self, routes: FastAPI, parts: tuple[object, ...], now: Callable[[], datetime]) -> None:
        self.now = now
        self._routes = routes
        self._parts = {type(one): one for one in parts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[_API] = self
        await self._routes(scope, receive, send)

    def of(self, kind: type[P]) -> P:
        """The parts of this class. Raises LookupError when the application was made without them."""
        found = self._parts.get(kind)
        if not isinstance(found, kind):
            raise LookupError(f"the API was made without {kind.__name__}")
        return found


def provided(kind: type[P], choose: Callable[[P], S]) -> Callable[[Request], Awaitable[S]]:
    """A dependency of a route: what `choose` takes of the noun's parts. It is asynchronous, because parts are made on
    the event loop, never in a thread."""

    async def dependency(request: Request) -> S:
        return choose(parts_of(request, kind))

    return dependency


def parts_of(request: Request, kind: type[P]) -> P:
    """The parts of a noun, for the few dependencies that do more than choose one. Raises LookupError."""
    return api_of(request.scope).of(kind)


async def moment_of(request: Request) -> datetime:
    """The time, by the application's clock."""
    return api_of(request.scope).now()


Now = Annotated[datetime, Depends(moment_of)]


def api_of(scope: Scope) -> PartsApi:
    """The application that a request came to."""
    api = scope.get(_API)
    assert isinstance(api, PartsApi), "routes are called by way of the application that create_app makes"
    return api
