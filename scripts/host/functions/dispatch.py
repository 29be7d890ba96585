"""From an HTTP exchange to a function and back."""

from collections.abc import AsyncIterator, Iterable
from urllib.parse import parse_qsl

import azure.functions as func

from functions.http.streaming import StreamedRequest, StreamedResponse
from scripts.host.functions.indexing import IndexedFunction, IndexingError
from scripts.host.functions.invocation import invoke
from scripts.host.functions.routing import ALL_METHODS, BadPath, Match, MethodNotAllowed, RouteError, Router
from scripts.host.http.exchange import Exchange
from scripts.host.http.messages import header_map, too_large
from scripts.host.http.static import StaticSite
from shared.kernel.errors import Problem

_TEXT = "text/plain; charset=utf-8"
_FORWARDED = "x-forwarded-for"


class Dispatcher:
    """Calls the function of a request's route. What no function covers are the portal's files."""

    def __init__(
        self, functions: Iterable[IndexedFunction], route_prefix: str, site: StaticSite | None, body_bytes_max: int
    ) -> None:
        """Raises IndexingError for a route that cannot be served."""
        self._router = _router(route_prefix, [f for f in functions if f.kind == "httpTrigger"])
        self._site = site
        self._body_bytes_max = body_bytes_max

    async def __call__(self, exchange: Exchange) -> None:
        if exchange.flow.write_paused:  # a client that pipelines requests and reads no answers
            await exchange.flow.drain()
        path, _, query = exchange.target.partition(b"?")
        match = self._match(exchange, path)
        if match is None:
            await self._serve_file(exchange, path)
            return
        function = match.target
        headers = header_map(exchange.headers)
        # As Azure's front end does: what the client claims stands to the left of who it is.
        claimed = headers.get(_FORWARDED)
        headers[_FORWARDED] = f"{claimed}, {exchange.peer}" if claimed else exchange.peer
        url = f"http://{exchange.host}{exchange.target.decode('ascii')}"
        params = _params(query) if query else {}
        request: func.HttpRequest
        if function.streams_body:
            request = StreamedRequest(
                method=exchange.method,
                url=url,
                headers=headers,
                params=params,
                route_params=match.parameters,
                chunks=_Chunks(exchange),
            )
        else:
            body = await self._whole_body(exchange, headers.get("content-length"))
            request = func.HttpRequest(
                exchange.method, url, headers=headers, params=params, route_params=match.parameters, body=body
            )
        await _send(exchange, await invoke(function, request, headers))

    def _match(self, exchange: Exchange, path: bytes) -> Match[IndexedFunction] | None:
        """Find the function of a path; None when the portal is to answer. Raises Problem."""
        try:
            found = self._router.find(exchange.method, path)
        except BadPath as error:
            raise Problem(400, "path_invalid", f"Bad path: {error}.") from None
        if isinstance(found, Match):
            return found
        if isinstance(found, MethodNotAllowed):
            allow = ", ".join(found.allowed)
            raise Problem(405, "method_not_allowed", f"This path takes {allow}.", headers={"Allow": allow})
        if self._router.covers(path) or self._site is None:
            raise Problem(404, "not_found", "There is nothing at this path.")
        return None

    async def _serve_file(self, exchange: Exchange, path: bytes) -> None:
        assert self._site is not None, "only a site leaves paths unmatched"
        await self._site.serve(exchange, path)

    async def _whole_body(self, exchange: Exchange, content_length: str | None) -> bytes:
        if not exchange.more_body and not exchange.body:
            return b""
        try:
            if content_length is not None and int(content_length) > self._body_bytes_max:
                raise too_large(self._body_bytes_max)
            return await exchange.read_all(self._body_bytes_max)
        except Problem:
            exchange.keep_alive = False  # the rest of the body is not worth reading
            raise


def _router(prefix: str, functions: list[IndexedFunction]) -> Router[IndexedFunction]:
    routes = []
    for function in functions:
        methods = [str(getattr(method, "value", method)).upper() for method in function.trigger.methods or ()]  # type: ignore[attr-defined]  # an HttpTrigger
        template = str(function.trigger.route)  # type: ignore[attr-defined]  # an HttpTrigger
        try:
            Router(prefix, [(template, methods, function)])
        except RouteError as error:
            raise IndexingError(f"function {function.name}: {error}") from None
        routes.append((template, methods or ALL_METHODS, function))
    return Router(prefix, routes)


def _params(query: bytes) -> dict[str, str]:
    """Read a query; repeated names are joined with a comma, as the Functions host does."""
    params: dict[str, str] = {}
    for name, value in parse_qsl(query.decode("ascii"), keep_blank_values=True):
        params[name] = f"{params[name]},{value}" if name in params else value
    return params


class _Chunks:
    """The body of a streamed request. Not a generator: this is cheaper, and needs no closing."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        chunk = await self._exchange.read()
        if not chunk:
            raise StopAsyncIteration
        return chunk


async def _send(exchange: Exchange, response: object) -> None:
    # The usual class first, by identity: these are abstract base classes, whose isinstance() is slow.
    if type(response) is func.HttpResponse:
        _send_whole(exchange, response)
    elif isinstance(response, StreamedResponse):
        await exchange.stream(response.status_code, list(response.headers), response.chunks)
    elif isinstance(response, func.HttpResponse):
        _send_whole(exchange, response)
    elif isinstance(response, str):
        exchange.respond(200, [("content-type", _TEXT)], response.encode())
    elif response is None:
        exchange.respond(204, (), b"")
    else:
        raise TypeError(f"an HTTP function returned {type(response).__name__}")


def _send_whole(exchange: Exchange, response: func.HttpResponse) -> None:
    headers = list(response.headers)
    if response.status_code not in (204, 304) and not any(name.lower() == "content-type" for name, _ in headers):
        # The worker's default.
        text = response.mimetype.startswith("text/")
        kind = f"{response.mimetype}; charset={response.charset}" if text else response.mimetype
        headers.append(("content-type", kind))
    exchange.respond(response.status_code, headers, response.get_body())
