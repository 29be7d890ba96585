"""The merchant's API of a chaos run, a process of its own: `python -m tests.support.chaos.upstream PORT`.

`/merchant/whole/N/…` answers N bytes of a known length, `/merchant/streamed/N/…` N bytes in chunks, slowly.
"""

import asyncio
import sys
from contextlib import suppress

from aiohttp import web

CHUNK = b"x" * 16_384
PAUSE_S = 0.002
"""Between chunks, so that an answer takes long enough to be interrupted."""


async def answer(request: web.Request) -> web.StreamResponse:
    await request.read()
    size = int(request.match_info["size"])
    if request.match_info["kind"] == "whole":
        return web.Response(body=b"x" * size)
    response = web.StreamResponse()
    with suppress(ConnectionResetError):  # AMS died or broke off, as it does in these tests
        await response.prepare(request)
        for start in range(0, size, len(CHUNK)):
            await response.write(CHUNK[: size - start])
            await asyncio.sleep(PAUSE_S)
        await response.write_eof()
    return response


def main() -> None:
    app = web.Application(client_max_size=2**20)
    app.router.add_route("*", "/merchant/{kind:whole|streamed}/{size:[0-9]+}/{rest}", answer)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)


if __name__ == "__main__":
    main()
