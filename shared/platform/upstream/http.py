"""The upstream over HTTP/1.1 with aiohttp: pooled connections, addresses checked where they are connected."""

import asyncio
import socket
from collections.abc import AsyncIterator

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
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

_NOT_ADDED = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")


class _CheckedResolver(AbstractResolver):
    """Drops addresses that may not be called. aiohttp connects to exactly what this returns."""

    def __init__(self) -> None:
        self._resolver = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        results = await self._resolver.resolve(host, port, family)
        public = [result for result in results if is_public(result["host"])]
        if not public:
            raise OSError(None, "the host's address is not public")
        return public

    async def close(self) -> None:
        await self._resolver.close()


class HttpUpstream:
    """`allow_private` lets calls go to any address: for development and for merchants inside the operator's network."""

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._session: aiohttp.ClientSession | None = None

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                resolver=ThreadedResolver() if self._allow_private else _CheckedResolver(),
                limit=CONNECTIONS_MAX,
                limit_per_host=CONNECTIONS_PER_HOST_MAX,
                ttl_dns_cache=DNS_CACHE_S,
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
        url = URL(request.url, encoded=True)
        self._check_literal(url)
        headers = dict(request.headers)
        if request.body is not None and request.content_length is not None:
            headers["Content-Length"] = str(request.content_length)
        timeout = aiohttp.ClientTimeout(
            total=CALL_S_MAX, sock_connect=request.timeout_s, sock_read=request.timeout_s, connect=request.timeout_s
        )
        try:
            response = await self._client().request(
                request.method, url, headers=headers, data=request.body, timeout=timeout, allow_redirects=False
            )
        except TimeoutError:
            raise UpstreamTimeout("no answer in time") from None
        except aiohttp.ClientConnectionError as error:
            raise UpstreamUnreachable(_reason(error)) from error
        except (aiohttp.ClientError, ValueError) as error:
            raise UpstreamUnreachable("the answer is not valid HTTP") from error
        return HttpUpstreamResponse(response)

    def _check_literal(self, url: URL) -> None:
        """An address in the URL never passes the resolver, so it is checked here."""
        host = url.host
        if host is None:
            raise UpstreamUnreachable("the upstream has no host")
        if self._allow_private:
            return
        try:
            public = is_public(host)
        except ValueError:
            return  # a name, or an odd spelling of an address, which the resolver turns into one
        if not public:
            raise UpstreamUnreachable("the host's address is not public")

    async def close(self) -> None:
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()
            await asyncio.sleep(0)  # let the transports close


class HttpUpstreamResponse:
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


def _broken(error: Exception) -> UpstreamError:
    if isinstance(error, TimeoutError):
        return UpstreamTimeout("the body stopped")
    return UpstreamUnreachable("the connection broke in the body")


def _reason(error: aiohttp.ClientConnectionError) -> str:
    """Why there is no connection, without the address, which is the merchant's business."""
    if isinstance(error, aiohttp.ClientConnectorError):
        if error.os_error.strerror == "the host's address is not public":
            return "the host's address is not public"
        return "no connection"
    return "the connection broke"
