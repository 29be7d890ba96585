"""uvicorn's HTTP/1.1 protocol with what it lacks: bounded headers and targets, deadlines, and honest refusals.

Deadlines cost no timer per request: a connection only notes when its patience ends, and the server looks at all of
them ten times a second (`sweep`).
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from enum import Enum, auto
from math import inf
from typing import Any, NoReturn

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from scripts.host.http.exchange import Exchange
from scripts.host.http.messages import refusal
from scripts.host.http.request_head import check_head, malformed, origin_form, peer_text
from scripts.host.options import HostLimits
from shared.kernel.errors import Problem

ExchangeHandler = Callable[[Exchange], Awaitable[None]]


class _Phase(Enum):
    IDLE = auto()
    HEADERS = auto()
    BODY = auto()
    BUSY = auto()
    """The request is complete, its answer is not."""
    LINGER = auto()
    """Refused: what still comes is thrown away, so that the client gets to read the refusal."""


class HostProtocol(HttpToolsProtocol):
    """Speaks HTTP/1.1 on a connection: gives requests to `handler` one after the other, as `Exchange`s."""

    def __init__(self, handler: ExchangeHandler, limits: HostLimits, **uvicorn: Any) -> None:
        super().__init__(**uvicorn)
        self._handler = handler
        self._limits = limits
        self._phase = _Phase.IDLE
        self._peer = ""
        self._deadline = inf
        self._write_deadline = inf
        self._in_headers = False
        self._header_bytes = 0
        self._fed_bytes = 0
        self._discarded_bytes = 0
        self._problem: Problem | None = None  # what a parser callback found wrong
        self._last_word: Problem | None = None  # sent when the requests before it are answered
        self._active: Exchange | None = None
        self._queue: deque[Exchange] = deque()
        self._patience = {
            _Phase.IDLE: limits.keep_alive_s,
            _Phase.HEADERS: limits.header_read_s,
            _Phase.BODY: limits.body_stall_s,
            _Phase.BUSY: inf,
            _Phase.LINGER: limits.linger_s,
        }

    # Connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]  # a TCP transport, as uvicorn says itself
        self._peer = peer_text(self.client)
        self._enter(_Phase.IDLE)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        # uvicorn tells the last request only; the one that is being answered may be an earlier, pipelined one.
        if self._active is not None and not self._active.response_complete:
            self._active.gone()
        self._queue.clear()

    def shutdown(self) -> None:
        """Answer what has been received, then close."""
        if self._active is None or self._active.response_complete:
            self.transport.close()
        else:
            (self._queue[-1] if self._queue else self._active).keep_alive = False

    def pause_writing(self) -> None:
        super().pause_writing()
        self._write_deadline = time.monotonic() + self._limits.write_stall_s

    def resume_writing(self) -> None:
        self._write_deadline = inf
        super().resume_writing()

    # Parsing

    def data_received(self, data: bytes) -> None:
        if self._phase is _Phase.LINGER or self._last_word is not None:
            return
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as offer:
                # An offer to speak something else, which a server may ignore: what follows is HTTP as before.
                data = data[offer.args[0] :]
                if data:
                    continue
            except httptools.HttpParserError:
                self._refuse(self._problem or malformed("The request is not valid HTTP/1.1."))
                return
            break
        if self._in_headers:
            self._fed_bytes += len(data)
            if self._fed_bytes > self._limits.header_bytes_max + self._limits.target_bytes_max:
                self._refuse(self._headers_too_large())
                return
        self._note_phase()

    def on_message_begin(self) -> None:
        self.url = b""
        self.expect_100_continue = False
        self.headers = []
        self._in_headers = True
        self._header_bytes = self._fed_bytes = 0

    def on_url(self, url: bytes) -> None:
        self.url += url
        if len(self.url) > self._limits.target_bytes_max:
            self._fail(
                Problem(414, "target_too_long", f"Path and query may have {self._limits.target_bytes_max} bytes.")
            )

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        self.headers.append((name, value))
        self._header_bytes += len(name) + len(value)
        if len(self.headers) > self._limits.header_count_max or self._header_bytes > self._limits.header_bytes_max:
            self._fail(self._headers_too_large())
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True

    def on_headers_complete(self) -> None:
        if self._phase is _Phase.LINGER:
            self._fail(malformed("The connection is closing."))
        version = self.parser.get_http_version()
        try:
            host = check_head(version, self.url, self.headers)
        except Problem as problem:
            self._fail(problem)
        exchange = Exchange(
            self.parser.get_method().decode("ascii"),
            origin_form(self.url),
            host,
            self._peer,
            self.headers,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=version != "1.0" and self.parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        if version == "1.0":
            exchange.scope["http_version"] = version
        self._in_headers = False
        self._discarded_bytes = 0
        self.cycle = exchange
        if self._active is None or self._active.response_complete:
            self._start(exchange)
        else:
            if len(self._queue) >= self._limits.pipeline_requests_max:
                self._fail(malformed("Too many requests wait on this connection."))
            self.flow.pause_reading()
            self._queue.append(exchange)

    def on_body(self, body: bytes) -> None:
        exchange: Exchange = self.cycle  # type: ignore[assignment]  # made above
        if exchange.response_complete:
            self._discarded_bytes += len(body)
            if self._discarded_bytes > self._limits.discard_bytes_max:
                self._linger()
            return
        exchange.body += body
        if len(exchange.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        exchange.message_event.set()

    def on_message_complete(self) -> None:
        self.cycle.more_body = False
        self.cycle.message_event.set()

    # Answers

    def _start(self, exchange: Exchange) -> None:
        self._active = exchange
        self._start_asgi_task(exchange, self._handler)  # type: ignore[arg-type]  # an Exchange takes a handler for an app

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        assert self._active is not None
        if self.transport.is_closing():
            return
        if not self._active.keep_alive:
            self._close_after(self._active)
            return
        self.flow.resume_reading()
        if self._queue:
            self._start(self._queue.popleft())
        elif self._last_word is not None:
            self._send_refusal(self._last_word)
        else:
            self._note_phase()

    def _close_after(self, exchange: Exchange) -> None:
        if exchange.more_body:
            self._linger()
        else:
            self.transport.close()

    # Deadlines

    def _note_phase(self) -> None:
        """Called after every step; the deadline starts with a phase, and again with each part of a body."""
        if self._in_headers:
            phase = _Phase.HEADERS
        elif self._active is None:
            phase = _Phase.IDLE
        elif self.cycle.more_body:
            phase = _Phase.BODY
        else:
            phase = _Phase.IDLE if self._active.response_complete else _Phase.BUSY
        if self._phase is not phase or phase is _Phase.BODY:
            self._enter(phase)

    def _enter(self, phase: _Phase) -> None:
        self._phase = phase
        self._deadline = time.monotonic() + self._patience[phase]

    def check_deadline(self, now: float) -> None:
        if now >= self._write_deadline:
            self.transport.abort()
        elif self._phase is _Phase.BODY and self.flow.read_paused:
            self._enter(_Phase.BODY)  # the function is slow here, not the client
        elif now >= self._deadline:
            if self._phase in (_Phase.HEADERS, _Phase.BODY):
                self._refuse(Problem(408, "request_timeout", "The request came too slowly."))
            elif self._phase is _Phase.IDLE:
                self.transport.close()
            else:
                self.transport.abort()

    # Refusals

    def _fail(self, problem: Problem) -> NoReturn:
        """End parsing from inside a parser callback."""
        self._problem = problem
        raise ValueError(problem.code)

    def _refuse(self, problem: Problem) -> None:
        """Nothing that follows on this connection can be understood or waited for. Earlier requests are answered."""
        if self._phase is _Phase.LINGER:
            return
        active = self._active
        broken: Exchange | None = None if self._in_headers else self.cycle  # type: ignore[assignment]  # made above
        if active is None or active.response_complete:
            if broken is not None and broken.more_body:
                self._linger()  # its answer was sent already; only the rest of its body is at fault
            else:
                self._send_refusal(problem)
        elif broken is active:
            active.gone()
            if active.response_started:
                self.transport.close()  # it must not look complete
            else:
                self._send_refusal(problem)
        else:
            if broken is not None and broken in self._queue:
                self._queue.remove(broken)
            self._last_word = problem
            self._phase, self._deadline = _Phase.BUSY, inf

    def _send_refusal(self, problem: Problem) -> None:
        self.transport.write(refusal(problem, self.server_state.default_headers))
        self._linger()

    def _linger(self) -> None:
        if not self.transport.is_closing():
            self._enter(_Phase.LINGER)
            self.flow.resume_reading()
            self.transport.write_eof()

    def _headers_too_large(self) -> Problem:
        limits = self._limits
        detail = f"A request may have {limits.header_count_max} headers of {limits.header_bytes_max} bytes in all."
        return Problem(431, "headers_too_large", detail)


def sweep(connections: Iterable[Any]) -> None:
    """Enforce the deadlines of all connections of a server."""
    now = time.monotonic()
    for connection in tuple(connections):
        connection.check_deadline(now)
