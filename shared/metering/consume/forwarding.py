"""Forwarded calls: consumer → AMS → the merchant's upstream and back, one usage event for every admitted call.

The order of durable steps: the event is in the spool before the last byte of the answer leaves, so a consumer who has
the whole answer has been counted. A call that breaks off half-way is counted with the bytes that moved.
"""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from urllib.parse import unquote
from zlib import crc32

import msgspec

from shared.access.gate.service import NOT_READY_DETAIL, Admission
from shared.catalog.models import Upstream as UpstreamSettings
from shared.kernel.clock import format_time, utc_now
from shared.kernel.errors import Problem
from shared.kernel.telemetry import EVENTS_ACCEPTED, UPSTREAM_SECONDS
from shared.metering.consume.headers import to_consumer, to_upstream, traceparent
from shared.metering.events import CONSUME_SOURCE, EVENT_TYPE, UsageData, UsageEvent, encode_event, partition_of
from shared.platform.events import Events, EventsUnavailable
from shared.platform.secrets import SecretMissing, Secrets
from shared.platform.spool import Spool, SpoolUnavailable
from shared.platform.upstream import (
    Upstream,
    UpstreamError,
    UpstreamRequest,
    UpstreamResponse,
    UpstreamTimeout,
)

WHOLE_BYTES_MAX = 64 * 1024
"""Answers of a known length up to this are read whole, which saves the streaming machinery."""

PATH_CHARACTERS_MAX = 256
CLIENT_CLOSED_REQUEST = 499
"""The status that is recorded when the consumer went away; nginx's number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call to forward. `path` and `query` are as the consumer wrote them, percent-encoded, without `/` and `?` in
    front. `content_length` None means that the length is not known; `has_body` False that there is no body."""

    request_id: str
    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: AsyncIterator[bytes]
    has_body: bool
    content_length: int | None
    trace_id: str
    trace_flags: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The upstream's answer: `body` whole, or `chunks` to be iterated or closed."""

    status: int
    headers: dict[str, str]
    body: bytes | None
    chunks: AsyncIterator[bytes] | None


class BodyTooLarge(Exception):
    """The consumer's body is over the service's limit."""


@dataclass(slots=True)
class _Meter:
    """What is counted while a call runs."""

    started_at: datetime
    started: float = field(default_factory=time.perf_counter)
    request_bytes: int = 0
    response_bytes: int = 0
    response_time_ms: float | None = None
    status: int = 502
    recorded: bool = False
    body_error: Exception | None = None


class Forwarder:
    def __init__(
        self,
        upstream: Upstream,
        spool: Spool,
        events: Events,
        secrets: Secrets,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._upstream = upstream
        self._spool = spool
        self._events = events
        self._secrets = secrets
        self._now = now

    async def check(self, admission: Admission, call: Call) -> None:
        """What can be known before anything is counted. Raises Problem 400 `path_invalid`, 413 `request_too_large`,
        503 `usage_backlog` when the call could not be recorded."""
        check_path(call.path)
        bytes_max = _upstream(admission).request_bytes_max
        if call.content_length is not None and call.content_length > bytes_max:
            raise _too_large(bytes_max)
        try:
            self._spool.check()
        except SpoolUnavailable:
            try:
                await self._events.ready()  # then `record` can do without the spool
            except EventsUnavailable:
                raise backlog() from None

    async def forward(self, admission: Admission, call: Call) -> Answer:
        """A call that `check` let pass. Raises Problem 502 `merchant_misconfigured`, `upstream_unreachable`,
        `upstream_response_too_large`, 504 `upstream_timeout`, 413 `request_too_large` for a body that turns out to be,
        503 `usage_backlog` when the call could not be recorded after all."""
        headers = await self._headers(admission, call)
        return await _Exchange(self, admission, call, _Meter(self._now())).run(headers)

    async def _headers(self, admission: Admission, call: Call) -> dict[str, str]:
        upstream = _upstream(admission)
        headers = to_upstream(call.headers)
        headers["X-AMS-Request-Id"] = call.request_id
        headers["traceparent"] = traceparent(call.trace_id, call.trace_flags)
        if upstream.auth_header is not None and upstream.auth_secret is not None:
            headers = {name: value for name, value in headers.items() if name.lower() != upstream.auth_header.lower()}
            try:
                headers[upstream.auth_header] = await self._secrets.get(upstream.auth_secret)
            except (SecretMissing, ValueError):
                raise Problem(502, "merchant_misconfigured", NOT_READY_DETAIL) from None
        return headers

    async def send(self, admission: Admission, call: Call, headers: dict[str, str], meter: _Meter) -> UpstreamResponse:
        upstream = _upstream(admission)
        target = f"{upstream.base_url}/{call.path}" if call.path else upstream.base_url
        if call.query:
            target = f"{target}?{call.query}"
        body = _counted(call.body, meter, upstream.request_bytes_max) if call.has_body else None
        request = UpstreamRequest(call.method, target, headers, body, call.content_length, upstream.timeout_s)
        return await self._upstream.send(request)

    async def record(self, admission: Admission, call: Call, meter: _Meter) -> None:
        """Make the call's one event safe. Raises Problem 503 when neither spool nor stream takes it."""
        if meter.recorded:
            return
        meter.recorded = True
        key, consumer = admission.holder.key, admission.holder.consumer
        shard = crc32(call.request_id.encode()) % consumer.shards if consumer.shards > 1 else 0
        data = UsageData(
            requests=1,
            request_bytes=meter.request_bytes,
            response_bytes=meter.response_bytes,
            response_time_ms=meter.response_time_ms,
            status_code=meter.status,
            metadata=msgspec.Raw(msgspec.json.encode({"method": call.method, "path": call.path[:PATH_CHARACTERS_MAX]})),
        )
        event = encode_event(
            UsageEvent(
                id=call.request_id,
                source=CONSUME_SOURCE,
                type=EVENT_TYPE,
                subject=admission.service.slug,
                time=format_time(meter.started_at),
                consumer_id=consumer.id,
                api_key_id=key.id,
                service_id=admission.service.id,
                merchant_id=admission.merchant.id,
                received_at=format_time(self._now()),
                data=data,
                project_id=key.project_id,
                shard=shard,
                specversion="1.0",
            )
        )
        partition = partition_of(consumer.id, shard)
        try:
            await self._spool.append(partition, event)
        except SpoolUnavailable:
            try:
                await self._events.publish(partition, [event])
            except EventsUnavailable:
                raise backlog() from None
        EVENTS_ACCEPTED.labels("forward").inc()


class _Exchange:
    """One call and its answer."""

    def __init__(self, forwarder: Forwarder, admission: Admission, call: Call, meter: _Meter) -> None:
        self._forwarder = forwarder
        self._admission = admission
        self._call = call
        self._meter = meter
        self._request_bytes_max = _upstream(admission).request_bytes_max
        self._response_bytes_max = _upstream(admission).response_bytes_max

    async def run(self, headers: dict[str, str]) -> Answer:
        meter = self._meter
        try:
            response = await self._forwarder.send(self._admission, self._call, headers, meter)
        except UpstreamError as error:
            raise await self._failed(error) from None
        meter.response_time_ms = round((time.perf_counter() - meter.started) * 1000, 3)
        UPSTREAM_SECONDS.observe(meter.response_time_ms / 1000)
        meter.status = response.status
        length = response.content_length
        bodiless = self._call.method == "HEAD" or response.status in (204, 304)
        if not bodiless and length is not None and length > self._response_bytes_max:
            response.close()
            meter.status = 502
            await self._record()
            raise Problem(502, "upstream_response_too_large", "The upstream's answer is over the service's limit.")
        answered = to_consumer(response.headers)
        if length is not None and response.status != 204:
            answered["content-length"] = str(length)
        if bodiless or (length is not None and length <= WHOLE_BYTES_MAX):
            return await self._whole(response, answered)
        return Answer(response.status, answered, None, _Chunks(self._stream(response), partial(self._end, response)))

    async def _whole(self, response: UpstreamResponse, headers: dict[str, str]) -> Answer:
        try:
            body = await response.read()
        except UpstreamError as error:
            raise await self._failed(error) from None
        finally:
            response.close()
        self._meter.response_bytes = len(body)
        await self._record()
        return Answer(response.status, headers, body, None)

    async def _stream(self, response: UpstreamResponse) -> AsyncGenerator[bytes, None]:
        """The answer as it comes; only what ends it waits until the event is safe: the last chunk of a known length,
        or else the end itself, which the host sends when this is exhausted."""
        meter = self._meter
        try:
            async for chunk in response.chunks():
                if meter.response_bytes + len(chunk) > self._response_bytes_max:
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
        if isinstance(self._meter.body_error, BodyTooLarge):
            return _too_large(self._request_bytes_max)  # AMS's own refusal: not counted
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
        await self._forwarder.record(self._admission, self._call, self._meter)


class _Chunks:
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


async def _counted(body: AsyncIterator[bytes], meter: _Meter, bytes_max: int) -> AsyncIterator[bytes]:
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


def check_path(path: str) -> None:
    """Raises Problem 400 for a path that an upstream might take to climb out of its base URL."""
    decoded = unquote(unquote(path)).replace("\\", "/")
    # Not only `..`: some servers cut path parameters first, so that `..;x` climbs too.
    segments = (segment.partition(";")[0] for segment in decoded.split("/"))
    if path.startswith("/") or any(segment in (".", "..") for segment in segments) or "\0" in decoded:
        raise Problem(400, "path_invalid", "The path must not hold `.` or `..` segments, start with `//`, or hold NUL.")


def _upstream(admission: Admission) -> UpstreamSettings:
    upstream = admission.service.upstream
    assert upstream is not None, "the gate admits no call to a service without one"
    return upstream


def _too_large(bytes_max: int) -> Problem:
    return Problem(413, "request_too_large", f"The service takes request bodies of at most {bytes_max} bytes.")


def backlog() -> Problem:
    return Problem(
        503, "usage_backlog", "Usage cannot be recorded right now. Try again shortly.", headers={"Retry-After": "1"}
    )
