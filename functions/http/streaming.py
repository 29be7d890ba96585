"""Streaming between a host that can (the local host) and one that cannot (Azure Functions without the HTTP extension).

A trigger marked with `streams_body` gets a `StreamedRequest` from the local host, whose body is read chunk by chunk and
was not buffered before; Azure passes a plain `HttpRequest` with the whole body. Either is read with `body_chunks`. A
`StreamedResponse` goes out chunk by chunk on the local host; on Azure, `complete` turns it into a plain response first.
"""

from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

import azure.functions as func

Trigger = TypeVar("Trigger", bound=Callable[..., Any])


class StreamedRequest(func.HttpRequest):
    """A request whose body is read as it comes; the local host makes it. `chunks` can be iterated once; `get_body` is
    empty.

    The iterator raises ConnectionError when the client goes away before the end of its body.
    """

    def __init__(
        self,
        *,
        method: str,
        url: str,
        headers: dict[str, str],
        params: dict[str, str],
        route_params: dict[str, str],
        chunks: AsyncIterator[bytes],
    ) -> None:
        super().__init__(method=method, url=url, headers=headers, params=params, route_params=route_params, body=b"")
        self.chunks = chunks


class StreamedResponse(func.HttpResponse):
    """A response whose body is sent as it is made: `chunks` is iterated to its end, or closed with `aclose()` when the
    client goes away."""

    def __init__(self, *, status_code: int, headers: dict[str, str], chunks: AsyncIterator[bytes]) -> None:
        super().__init__(b"", status_code=status_code, headers=headers)
        self.chunks = chunks


def streams_body(trigger: Trigger) -> Trigger:
    """Mark a trigger function that reads its request body as a stream."""
    trigger.streams_body = True  # type: ignore[attr-defined]  # read back by the local host with getattr
    return trigger


def body_chunks(request: func.HttpRequest) -> AsyncIterator[bytes]:
    """Iterate over the request's body, as a stream or in one chunk."""
    return request.chunks if isinstance(request, StreamedRequest) else _whole(request.get_body())


async def _whole(body: bytes) -> AsyncIterator[bytes]:
    if body:
        yield body


async def complete(request: func.HttpRequest, response: StreamedResponse) -> func.HttpResponse:
    """Make the response in the form that the host of `request` can send."""
    if isinstance(request, StreamedRequest):
        return response
    body = b"".join([chunk async for chunk in response.chunks])
    return func.HttpResponse(body, status_code=response.status_code, headers=dict(response.headers))
