"""How a route gets a service: `Annotated[Grants, Depends(provided(AccessParts, lambda access: access.grants))]`.

The application is made with the parts of every noun; a route names the class of the parts that it needs, so what it
gets has a type that is checked, and nothing is made before the first request that needs it.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any, TypeVar

from fastapi import Depends, FastAPI, Request

P = TypeVar("P")
S = TypeVar("S")


class PartsApi(FastAPI):
    """A FastAPI application that knows the parts of every noun. Without any it can be described, but not called."""

    def __init__(self, parts: tuple[object, ...], now: Callable[[], datetime], **settings: Any) -> None:
        super().__init__(**settings)
        self.now = now
        self._parts = {type(one): one for one in parts}

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
    return _api_of(request).of(kind)


async def moment_of(request: Request) -> datetime:
    """The time, by the application's clock."""
    return _api_of(request).now()


Now = Annotated[datetime, Depends(moment_of)]


def _api_of(request: Request) -> PartsApi:
    api = request.app
    assert isinstance(api, PartsApi), "routes belong to the application that create_app makes"
    return api
