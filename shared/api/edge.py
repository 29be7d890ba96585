"""What holds for every request of the API: an id, a bound on the body, headers that keep browsers and caches safe."""

from collections.abc import Mapping

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.kernel.ids import new_id
from shared.kernel.telemetry import current_request_id

BODY_BYTES_MAX = 3 * 1024 * 1024
"""Of any request; the largest is an OpenAPI document of 2 MiB. Routes that take less say so themselves."""

REQUEST_ID = "X-AMS-Request-Id"
_CAREFUL: Mapping[str, str] = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
"""Unless the route says otherwise, as the public catalogue does."""


class Edge:
    """Gives every request an id, bounds its body, and sets safe headers: the outermost middleware. A route finds the id
    as `request.state.request_id`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = new_id("req")
        scope.setdefault("state", {})["request_id"] = request_id
        token = current_request_id.set(request_id)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers[REQUEST_ID] = request_id
                for name, value in _CAREFUL.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._app(scope, _bounded(receive), send_with_headers)
        finally:
            current_request_id.reset(token)


def _bounded(receive: Receive) -> Receive:
    length = 0

    async def read() -> Message:
        nonlocal length
        message = await receive()
        length += len(message.get("body", b""))
        if length > BODY_BYTES_MAX:
            # What FastAPI lets through while it reads a body.
            raise HTTPException(413, f"A request's body is at most {BODY_BYTES_MAX} bytes.")
        return message

    return read
