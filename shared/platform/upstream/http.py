"""The upstream over HTTP/1.1 with aiohttp: pooled connections, addresses checked where they are connected."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator

import aiohttp
from aiohttp.abc import AbstractResolver
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from shared.platform.upstream import (
    CALL_S_MAX,
    UpstreamError,
    UpstreamRequest,
    UpstreamTimeout,
    UpstreamUnreachable,
    is_public,
)

CONNECTIONS_MAX = 1_000
CONNECTIONS_PER_HOST_MAX = 250
DNS_CACHE_S = 10
KEEP_ALIVE_S = 30.0
CHUNK_BYTES = 64 * 1024
RESPONSE_HEADER_BYTES_MAX = 16 * 1024
NOT_PUBLIC = "the host's address is not public"

_CONTROLS = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_NOT_ADDED = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")


def _checked_socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """A socket for exactly this address. However the URL or the resolver spelled it: it is connected to as it is here,
    so it cannot be exchanged between check and use."""
    family, kind, protocol, _, (host, *_) = address
    try:
        public = is_public(str(host))
    except ValueError:
        public = False
    if not public:
        raise OSError(None, NOT_PUBLIC)
    return socket.socket(family, kind, protocol)


class HttpUpstream:
    """`allow_private` lets calls go to any address: for development and for merchants inside the operator's network.
    `resolver` turns names into addresses; the system's by default. What it says is used for `dns_cache_s` seconds."""

    def __init__(
        self, *, allow_private: bool, resolver: AbstractResolver | None = None, dns_cache_s: int = DNS_CACHE_S
    ) -> None:
        self._allow_private = allow_private
        self._resolver = resolver or ThreadedResolver()
        self._dns_cache_s = dns_cache_s
        self._session: aiohttp.ClientSession | None = None

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                resolver=self._resolver,
                socket_factory=None if self._allow_private else _checked_socket,
                limit=CONNECTIONS_MAX,
                limit_per_host=CONNECTIONS_PER_HOST_MAX,
                ttl_dns_cache=self._dns_cache_s,
                keepalive_timeout=KEEP_ALIVE_S,
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=_NOT_ADDED,
                auto_decompress=False,
                max_line_size=RESPONSE_HEADER_BYTES_MAX,
                max_field_size=RESPONSE_HEADER_BYTES_MAX,
                trust_env=False,
            )
        return self._session

    async def send(self, request: UpstreamRequest) -> "HttpUpstreamResponse":
        headers = {name: _as_sent(value) for name, value in request.headers.items()}
        if request.body is not None and request.content_length is not None:
            headers["Content-Length"] = str(request.content_length)
        timeout = aiohttp.ClientTimeout(
            total=CALL_S_MAX, sock_connect=request.timeout_s, sock_read=request.timeout_s, connect=request.timeout_s
        )
        try:
            url = URL(request.url, encoded=True)
            response = await self._client().request(
                request.method, url, headers=headers, data=request.body, timeout=timeout, allow_redirects=False
            )
        except TimeoutError:
            raise UpstreamTimeout("no answer in time") from None
        except aiohttp.ClientConnectionError as error:
            raise UpstreamUnreachable(_reason(error)) from error
        except ValueError as error:  # aiohttp's InvalidURL is one
            raise UpstreamUnreachable("the URL is not valid") from error
        except aiohttp.ClientError as error:
            raise UpstreamUnreachable("the answer is not valid HTTP") from error
        if not _can_be_passed_on(response):
            response.close()
            raise UpstreamUnreachable("the answer is not valid HTTP")
        return HttpUpstreamResponse(response)

    async def close(self) -> None:
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()
            await asyncio.sleep(0)  # let the transports close


class HttpUpstreamResponse:
    """A response as aiohttp gives it, with failures as errors of the port."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in response.raw_headers]
        self.content_length = response.content_length

    async def read(self) -> bytes:
        try:
            return await self._response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _broken(error) from error

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._response.content.iter_chunked(CHUNK_BYTES):
                yield chunk
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _broken(error) from error

    def close(self) -> None:
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


def _can_be_passed_on(response: aiohttp.ClientResponse) -> bool:
    """aiohttp's parser takes some answers that no server may send on."""
    controls = any(_CONTROLS.search(value) for _, value in response.raw_headers)
    return 200 <= response.status <= 599 and not controls


def _as_sent(value: str) -> str:
    """aiohttp writes headers as UTF-8; here their bytes come as Latin-1, and most often were UTF-8."""
    if value.isascii():
        return value
    try:
        return value.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return value


def _broken(error: Exception) -> UpstreamError:
    if isinstance(error, TimeoutError):
        return UpstreamTimeout("the body stopped")
    return UpstreamUnreachable("the connection broke in the body")


def _reason(error: aiohttp.ClientConnectionError) -> str:
    """Why there is no connection, without the address, which is the merchant's business."""
    if isinstance(error, aiohttp.ClientConnectorError):
        if error.os_error.strerror == NOT_PUBLIC:
            return NOT_PUBLIC
        return "no connection"
    return "the connection broke"
