"""`python -m benchmarks.upstream PORT`: a merchant's API that costs next to nothing, 1 KiB for every request."""

import asyncio
import sys
from typing import cast

import uvloop

BODY = b'{"items":["' + b"x" * 1_000 + b'"]}' + b" " * 11
RESPONSE = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " + str(len(BODY)).encode() + b"\r\n\r\n"
) + BODY


class _Answerer(asyncio.Protocol):
    """For requests without a body."""

    def __init__(self) -> None:
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        *requests, self._received = (self._received + data).split(b"\r\n\r\n")
        self._transport.write(RESPONSE * len(requests))


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(_Answerer, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
