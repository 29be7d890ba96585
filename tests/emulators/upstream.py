"""A merchant's API on raw sockets: it shows what arrived byte for byte, and misbehaves as a test asks.

It runs in a thread of its own, so that one peer serves many tests. What it does is chosen by the request's path; a path
that no test has spoken for echoes the request as JSON.
"""

import asyncio
import json
import socket
import struct
import threading
from collections.abc import Awaitable, Callable, Iterable
from typing import Self

HOST = "127.0.0.1"
KEPT_BODY_BYTES = 1024 * 1024
LINE_BYTES_MAX = 256 * 1024


class Request:
    """One request as it arrived. `received` counts body bytes without the transfer coding, `body` holds the first."""

    def __init__(
        self, connection: int, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        self.connection = connection
        self.method, self.target, self.version = lines[0].split(" ")
        self.headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines[1:])]
        self.received = 0
        self.body = bytearray()
        self.complete = False
        self._reader = reader
        self._writer = writer

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    def all(self, name: str) -> list[str]:
        """Every value of a header, line by line."""
        return [value for found, value in self.headers if found.lower() == name.lower()]

    def one(self, name: str) -> str | None:
        """A header that is there once or not at all."""
        values = self.all(name)
        assert len(values) <= 1, values
        return values[0] if values else None

    async def read(self) -> None:
        """The body to its end. Raises asyncio.IncompleteReadError when it breaks off."""
        if "chunked" in (self.one("transfer-encoding") or ""):
            while size := int(await self._reader.readline(), 16):
                await self._take(size)
                await self._reader.readexactly(2)
            await self._reader.readexactly(2)
        else:
            await self._take(int(self.one("content-length") or 0))
        self.complete = True

    async def _take(self, size: int) -> None:
        while size:
            part = await self._reader.read(min(size, 256 * 1024))
            if not part:
                raise asyncio.IncompleteReadError(b"", size)
            size -= len(part)
            self.received += len(part)
            self.body += part[: max(0, KEPT_BODY_BYTES - len(self.body))]

    async def read_some(self) -> bytes:
        """Raw bytes as they come, empty at the end of the connection."""
        return await self._reader.read(64 * 1024)

    async def send(self, *parts: bytes) -> None:
        """Raises ConnectionError when the other side is gone."""
        for part in parts:
            self._writer.write(part)
            await self._writer.drain()

    async def pause(self) -> None:
        """A moment in which others get their turn."""
        await asyncio.sleep(0.005)

    def close(self) -> None:
        self._writer.close()

    def reset(self) -> None:
        """End the connection with RST instead of FIN."""
        taken = self._writer.get_extra_info("socket")
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    async def closed(self) -> None:
        """Until the other side closes the connection."""
        while await self.read_some():
            pass


Behaviour = Callable[[Request], Awaitable[None]]


async def echo(request: Request) -> None:
    await request.read()
    shown = {"method": request.method, "target": request.target, "headers": request.headers, "bytes": request.received}
    whole = answer(200, json.dumps(shown).encode(), "Content-Type: application/json")
    await request.send(whole.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if request.method == "HEAD" else whole)


def answer(status: int, body: bytes = b"", *headers: str) -> bytes:
    """A whole answer with its Content-Length."""
    return raw(f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", *headers) + body


def raw(*lines: str) -> bytes:
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode("latin-1")


def replying(*parts: bytes) -> Behaviour:
    """Take the request, send exactly these bytes, and close."""

    async def reply(request: Request) -> None:
        await request.read()
        await request.send(*parts)
        request.close()

    return reply


class UpstreamPeer:
    """`requests` are all that arrived, in order; `behaviours` maps a path to what happens there."""

    def __init__(self, host: str = HOST, port: int = 0) -> None:
        self.host = host
        self.requests: list[Request] = []
        self.behaviours: dict[str, Behaviour] = {}
        self.port = port
        self._connections = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="upstream")

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def with_header(self, name: str, value: str) -> Iterable[Request]:
        return [request for request in self.requests if value in request.all(name)]

    def of(self, request_id: str) -> Request:
        """The one request with this X-AMS-Request-Id."""
        (found,) = self.with_header("x-ams-request-id", request_id)
        return found

    def at(self, path: str) -> list[Request]:
        return [request for request in self.requests if request.path == path]

    def __enter__(self) -> Self:
        listener = socket.create_server((self.host, self.port), backlog=256)
        self.port = listener.getsockname()[1]
        self._listener = listener
        self._stop = asyncio.Event()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._accept, sock=self._listener, limit=LINE_BYTES_MAX)
        await self._stop.wait()
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        task = asyncio.ensure_future(self._converse(self._connections, reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _converse(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                request = Request(number, head, reader, writer)
                self.requests.append(request)
                await self.behaviours.get(request.path, echo)(request)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # how every conversation ends
        finally:
            writer.close()
