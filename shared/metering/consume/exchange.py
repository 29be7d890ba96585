"""One forwarded call: the request to the merchant's upstream, and its answer back, whole or as a stream.

The order of durable steps: the event is recorded before the last byte of the answer leaves, so a consumer who has the
whole answer has been counted. A call that breaks off half-way is counted with the bytes that moved.
"""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from functools import partial

from shared.access.gate.service import Admission
from shared.kernel.errors import Problem
from shared.kernel.telemetry import UPSTREAM_SECONDS
from shared.metering.consume.call import (
    CLIENT_CLOSED_REQUEST,
    BodyTooLarge,
    Call,
    CallMeter,
    ForwardedAnswer,
    request_too_large,
    upstream_of,
)
from shared.metering.consume.headers import to_consumer
from shared.metering.consume.recorder import CallRecorder
from shared.platform.upstream import Upstream, UpstreamError, UpstreamRequest, UpstreamResponse, UpstreamTimeout

WHOLE_BYTES_MAX = 64 * 1024
"""Answers of a known length up to this are read whole, which saves the streaming machinery."""


class UpstreamExchange:
    """One call and its answer. Whatever becomes of it, its event is recorded once; a body that AMS itself refuses is
    not counted."""

    def __init__(
        self, http: Upstream, recorder: CallRecorder, admission: Admission, call: Call, meter: CallMeter
    ) -> None:
        self._http = http
        self._recorder = recorder
        self._admission = admission
        self._call = call
        self._meter = meter
        self._upstream = upstream_of(admission)

    async def run(self, headers: dict[str, str]) -> ForwardedAnswer:
        """Send the call with these headers. Raises as `Forwarder.forward` does."""
        meter = self._meter
        try:
            response = await self._http.send(self._request(headers))
        except UpstreamError as error:
            raise await self._failed(error) from None
        meter.response_time_ms = round((time.perf_counter() - meter.started) * 1000, 3)
        UPSTREAM_SECONDS.observe(meter.response_time_ms / 1000)
        meter.status = response.status
        length = response.content_length
        bodiless = self._call.method == "HEAD" or response.status in (204, 304)
        if not bodiless and length is not None and length > self._upstream.response_bytes_max:
            response.close()
            meter.status = 502
            await self._record()
            raise Problem(502, "upstream_response_too_large", "The upstream's answer is over the service's limit.")
        answered = to_consumer(response.headers)
        if length is not None and response.status != 204:
            answered["content-length"] = str(length)
        if bodiless or (length is not None and length <= WHOLE_BYTES_MAX):
            return await self._whole(response, answered)
        stream = CountedStream(self._stream(response), partial(self._end, response))
        return ForwardedAnswer(response.status, answered, None, stream)

    def _request(self, headers: dict[str, str]) -> UpstreamRequest:
        call, upstream = self._call, self._upstream
        target = f"{upstream.base_url}/{call.path}" if call.path else upstream.base_url
        if call.query:
            target = f"{target}?{call.query}"
        body = _counted(call.body, self._meter, upstream.request_bytes_max) if call.has_body else None
        return UpstreamRequest(
            call.method,
            target,
            headers=headers,
            body=body,
            content_length=call.content_length,
            timeout_s=upstream.timeout_s,
        )

    async def _whole(self, response: UpstreamResponse, headers: dict[str, str]) -> ForwardedAnswer:
        try:
            body = await response.read()
        except UpstreamError as error:
            raise await self._failed(error) from None
        finally:
            response.close()
        self._meter.response_bytes = len(body)
        await self._record()
        return ForwardedAnswer(response.status, headers, body, None)

    async def _stream(self, response: UpstreamResponse) -> AsyncGenerator[bytes, None]:
        """The answer as it comes; only what ends it waits until the event is safe: the last chunk of a known length,
        or else the end itself, which the host sends when this is exhausted."""
        meter = self._meter
        try:
            async for chunk in response.chunks():
                if meter.response_bytes + len(chunk) > self._upstream.response_bytes_max:
                    raise ConnectionAbortedError("the upstream's answer is over the service's limit")
                # Counted before it is handed over: a consumer who leaves here may or may not have it.
                meter.response_bytes += len(chunk)
                if meter.response_bytes == response.content_length:
                    await self._record()
                yield chunk
            await self._record()
        except UpstreamError as error:
            # The status line is long gone: break the connection, so that nobody takes half an answer for a whole one.
            raise ConnectionAbortedError(str(error)) from None
        finally:
            await self._end(response)

    async def _end(self, response: UpstreamResponse) -> None:
        response.close()
        await self._record()

    async def _failed(self, error: UpstreamError) -> Exception:
        """What to raise in place of an upstream's error, once the call is recorded."""
        if isinstance(self._meter.body_error, BodyTooLarge):
            return request_too_large(self._upstream.request_bytes_max)  # AMS's own refusal: not counted
        if self._meter.body_error is not None:
            self._meter.status = CLIENT_CLOSED_REQUEST
            await self._record()
            return self._meter.body_error
        late = isinstance(error, UpstreamTimeout)
        self._meter.status = 504 if late else 502
        await self._record()
        if late:
            return Problem(504, "upstream_timeout", f"The merchant's API was too slow: {error}.")
        return Problem(502, "upstream_unreachable", f"The merchant's API could not be reached: {error}.")

    async def _record(self) -> None:
        await self._recorder.record(self._admission, self._call, self._meter)


class CountedStream:
    """A streamed answer that is counted when it is closed, also before anybody asked for its first chunk: a generator
    that was never started does nothing when it is closed."""

    def __init__(self, chunks: AsyncGenerator[bytes, None], end: Callable[[], Awaitable[None]]) -> None:
        self._chunks = chunks
        self._end = end

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        return await anext(self._chunks)

    async def aclose(self) -> None:
        await self._chunks.aclose()
        await self._end()


async def _counted(body: AsyncIterator[bytes], meter: CallMeter, bytes_max: int) -> AsyncIterator[bytes]:
    """The consumer's body on its way. Why it ended early is kept in the meter: the HTTP client only tells of a broken
    pipe."""
    try:
        async for chunk in body:
            meter.request_bytes += len(chunk)
            if meter.request_bytes > bytes_max:
                raise BodyTooLarge
            yield chunk
    except (BodyTooLarge, ConnectionError, TimeoutError) as error:
        meter.body_error = error
        raise
