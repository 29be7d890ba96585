"""One HTTP request and its response on a connection."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import aclosing
from typing import Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from scripts.host.http.messages import (
    FRAMING,
    ResponseError,
    begin_head,
    internal_error,
    parse_length,
    problem_message,
    too_large,
    wire_name,
    wire_value,
)
from shared.kernel.errors import Problem

FAIR_BYTES = 256 * 1024
"""What one response may send before others get their turn."""

_BODILESS = frozenset({204, 304})
_access = logging.getLogger("scripts.host.access")
_logger = logging.getLogger(__name__)

Headers = Iterable[tuple[str, str]]


class Exchange(RequestResponseCycle):
    """uvicorn's request cycle, for functions: whole or streamed bodies both ways, without ASGI messages in between.

    `target` is the request line's, byte for byte; `peer` who is at the other end of the connection, empty when nobody
    knows; `headers` have lower-case names. `disconnected` is true when the
    client is gone; what is written then goes nowhere.
    """

    def __init__(
        self, method: str, target: bytes, host: str, peer: str, headers: list[tuple[bytes, bytes]], **cycle: Any
    ) -> None:
        super().__init__(scope={"method": method}, **cycle)  # type: ignore[typeddict-item]  # only ASGI needs the rest
        self.method = method
        self.target = target
        self.host = host
        self.peer = peer
        self.headers = headers
        self.status = 0
        """Of the response, once it was begun."""

        self._task: asyncio.Task[Any] | None = None
        """Set while a stream waits for its next chunk."""

    async def run_asgi(self, app: Callable[["Exchange"], Awaitable[None]]) -> None:  # type: ignore[override]  # the protocol of this class passes a handler
        self._began = asyncio.get_running_loop().time()
        try:
            await app(self)
        except Problem as problem:
            self._break_off(problem)
        except ConnectionError as error:  # of the client, or of whoever the answer came from: nobody's mistake here
            if not self.disconnected:
                _logger.warning("%s %s broke off: %s", self.method, self._path(), error)
            self._break_off(error)
        except Exception as error:
            if not self.disconnected:
                _logger.exception("%s %s failed", self.method, self._path())
            self._break_off(error)
        except BaseException:
            self.transport.abort()
            raise
        finally:
            self.on_response = _nothing
            if _access.isEnabledFor(logging.DEBUG):
                self._log()

    def _break_off(self, error: Exception) -> None:
        if self.response_started or self.disconnected:
            # Closing early tells the client that the body is cut short: there is no last chunk, or too few bytes.
            self.transport.close()
            return
        problem = error if isinstance(error, Problem) else internal_error()
        self.refuse(problem)

    def refuse(self, problem: Problem) -> None:
        headers, body = problem_message(problem)
        self.respond(problem.status, headers.items(), body)

    def gone(self) -> None:
        """The client went away: wake whoever reads its body or streams to it."""
        self.disconnected = True
        self.message_event.set()
        if self._task is not None:
            self._task.cancel()

    # Reading

    async def read(self) -> bytes:
        """Read the next bytes of the body, empty at its end. Raises ConnectionError when the client went away."""
        if not self.body and self.more_body:
            self._continue()
            while not self.body and self.more_body and not self.disconnected:
                self.flow.resume_reading()
                self.message_event.clear()
                await self.message_event.wait()
        if self.disconnected and self.more_body:
            raise ConnectionResetError("the client closed the connection")
        if not self.body:
            return b""
        body = bytes(self.body)
        self.body.clear()
        return body

    def _continue(self) -> None:
        if self.waiting_for_100_continue and not self.transport.is_closing():
            self.waiting_for_100_continue = False
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    async def read_all(self, bytes_max: int) -> bytes:
        """Read the whole body. Raises Problem 413 over `bytes_max`, and ConnectionError."""
        chunk = await self.read()
        if not self.more_body and not self.body:
            if len(chunk) > bytes_max:
                raise too_large(bytes_max)
            return chunk
        chunks, size = [chunk], len(chunk)
        while chunk:
            if size > bytes_max:
                raise too_large(bytes_max)
            chunk = await self.read()
            chunks.append(chunk)
            size += len(chunk)
        return b"".join(chunks)

    # Writing

    def respond(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a whole response in one write. Raises ResponseError, with nothing sent."""
        head, length = self._head(status, headers)
        silent = self.method == "HEAD" or status in _BODILESS
        if length is None and not (status in _BODILESS or (silent and not body)):
            length = len(body)
        if length is not None and length != len(body) and not silent:
            raise ResponseError(f"content-length {length} for a body of {len(body)} bytes")
        if status != 204 and length is not None:
            head.append(b"content-length: %d\r\n" % length)
        head.append(b"\r\n")
        if not silent:
            head.append(body)
        if self.disconnected:
            return
        self.response_started = True
        self.transport.write(b"".join(head))
        self._complete()

    async def stream(self, status: int, headers: Headers, chunks: AsyncIterator[bytes]) -> None:
        """Send a response chunk by chunk, at the client's pace. `chunks` is closed in any case.

        Raises ResponseError, before anything is sent for bad headers, and later for a body that is not as long as the
        content-length says.
        """
        async with _closing(chunks):
            if self.more_body:
                self._continue()  # the chunks may come from the request's body, and nothing else can follow the head
            head, length = self._head(status, headers)
            silent = self.method == "HEAD" or status in _BODILESS
            chunked = length is None and not silent and self.http_1_1
            if length is not None and status != 204:
                head.append(b"content-length: %d\r\n" % length)
            elif chunked:
                head.append(b"transfer-encoding: chunked\r\n")
            elif not silent:
                self.keep_alive = False  # HTTP/1.0: the body ends with the connection
            head.append(b"\r\n")
            if self.disconnected:
                return
            self.response_started = True
            self.transport.write(b"".join(head))
            if not silent and not await self._send_chunks(chunks, chunked, length):
                return
            if chunked:
                self.transport.write(b"0\r\n\r\n")
        self._complete()

    async def _send_chunks(self, chunks: AsyncIterator[bytes], chunked: bool, length: int | None) -> bool:
        """Send the chunks; False when the client went away."""
        sent = unyielding_bytes = 0
        while True:
            if self.flow.write_paused:
                await self.flow.drain()
            elif unyielding_bytes > FAIR_BYTES or self.transport.is_closing():
                # Chunks that are there without waiting would keep the loop from everything else, also from noticing
                # that the client is gone.
                await asyncio.sleep(0)
                unyielding_bytes = 0
            chunk = None if self.disconnected else await self._next(chunks)
            if chunk is None:
                break
            if not chunk:
                continue
            sent += len(chunk)
            unyielding_bytes += len(chunk)
            if length is not None and sent > length:
                raise ResponseError(f"more than the {length} bytes of its content-length")
            self.transport.writelines([b"%x\r\n" % len(chunk), chunk, b"\r\n"] if chunked else [chunk])
        if self.disconnected:
            return False
        if length is not None and sent < length:
            raise ResponseError(f"{sent} of the {length} bytes of its content-length")
        return True

    async def _next(self, chunks: AsyncIterator[bytes]) -> bytes | None:
        """Wait for the next chunk; None at the end and when the client goes away, which interrupts the wait."""
        self._task = task = asyncio.current_task()
        try:
            return await anext(chunks, None)
        except asyncio.CancelledError:
            if self.disconnected and task is not None and task.uncancel() == 0:
                return None
            raise
        finally:
            self._task = None

    @property
    def http_1_1(self) -> bool:
        return self.scope.get("http_version") != "1.0"

    def _head(self, status: int, headers: Headers) -> tuple[list[bytes], int | None]:
        """Status line and headers without the framing, and the content-length that the function gave."""
        if not 200 <= status <= 599:
            raise ResponseError(f"status {status}")
        self.status = status
        head = begin_head(status, self.default_headers)
        length: int | None = None
        for name_text, text in headers:
            name = wire_name(name_text)
            if name in FRAMING:
                if name == b"content-length":
                    length = parse_length(text)
                continue
            head += (name, b": ", wire_value(name_text, text), b"\r\n")
        if self.waiting_for_100_continue:
            # The client may send its body or not: what comes next on this connection could be either.
            self.keep_alive = self.waiting_for_100_continue = False
        if not self.keep_alive:
            head.append(b"connection: close\r\n")
        return head, length

    def _complete(self) -> None:
        self.response_complete = True
        self.message_event.set()
        self.on_response()

    def _log(self) -> None:
        """Log the exchange, without the query, which may hold what nobody is to read in a log."""
        seconds = asyncio.get_running_loop().time() - self._began
        extra = {"status": self.status, "duration_ms": round(seconds * 1000, 3), "disconnected": self.disconnected}
        _access.debug("%s %s", self.method, self._path(), extra=extra)

    def _path(self) -> str:
        return self.target.partition(b"?")[0].decode("latin-1")


def _closing(chunks: AsyncIterator[bytes]) -> Any:
    """Not every iterator can be closed; a generator can, and must be."""
    return aclosing(chunks) if hasattr(chunks, "aclose") else _Open()


class _Open:
    async def __aenter__(self) -> None: ...

    async def __aexit__(self, *_: object) -> None: ...


def _nothing() -> None: ...
