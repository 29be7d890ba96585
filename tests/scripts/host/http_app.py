"""The function app of the HTTP tests; copied to be a function_app.py."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import azure.functions as func

from functions.http.streaming import StreamedResponse, body_chunks, streams_body

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
HERE = Path(__file__).parent
ANY = ["GET", "HEAD", "POST", "PUT", "DELETE"]


@app.route("echo/{*path}", methods=ANY)
async def echo(req: func.HttpRequest) -> func.HttpResponse:
    """What the function was given, in response headers; the body as it came."""
    seen = {
        "x-method": req.method,
        "x-url": req.url,
        "x-path": repr(req.route_params["path"]),
        "x-params": repr(dict(req.params)),
        "x-seen": "|".join(f"{k}={v}" for k, v in req.headers.items()),
    }
    return func.HttpResponse(req.get_body(), headers=seen)


@app.route("stream", methods=ANY)
@streams_body
async def stream(req: func.HttpRequest) -> func.HttpResponse:
    """The body back, chunk by chunk."""
    length = req.headers.get("content-length")
    headers = {"content-type": "application/octet-stream"} | ({"content-length": length} if length else {})
    return StreamedResponse(status_code=200, headers=headers, chunks=body_chunks(req))


@app.route("count", methods=["POST"])
@streams_body
async def count(req: func.HttpRequest) -> func.HttpResponse:
    size = 0
    try:
        async for chunk in body_chunks(req):
            size += len(chunk)
    except ConnectionError:
        (HERE / "gone").write_text(str(size))
        raise
    return func.HttpResponse(str(size))


@app.route("slow-reader", methods=["POST"])
@streams_body
async def slow_reader(req: func.HttpRequest) -> func.HttpResponse:
    """Takes a while before it reads: longer than the body's stall timeout."""
    await asyncio.sleep(0.8)
    return func.HttpResponse(str(sum([len(chunk) async for chunk in body_chunks(req)])))


@app.route("endless", methods=["GET"])
async def endless(req: func.HttpRequest) -> func.HttpResponse:
    """Never stops by itself; `idle` sends one chunk and then waits for ever."""

    async def chunks() -> AsyncIterator[bytes]:
        try:
            yield b"x" * 65536
            if "idle" in req.params:
                await asyncio.Event().wait()
            while True:
                yield b"x" * 65536
        finally:
            (HERE / req.params["mark"]).write_text("closed")

    return StreamedResponse(status_code=200, headers={}, chunks=chunks())


@app.route("sized", methods=ANY)
async def sized(req: func.HttpRequest) -> func.HttpResponse:
    """Says `length`, sends `sends` bytes."""

    async def chunks() -> AsyncIterator[bytes]:
        yield b"x" * int(req.params["sends"])

    headers = {"content-length": req.params["length"]}
    return StreamedResponse(status_code=200, headers=headers, chunks=chunks())


@app.route("whole", methods=ANY)
async def whole(req: func.HttpRequest) -> func.HttpResponse:
    headers = {name[2:]: value for name, value in req.params.items() if name.startswith("h-")}
    return func.HttpResponse(
        req.params.get("body", ""), status_code=int(req.params.get("status", "200")), headers=headers
    )


@app.route("thread", methods=["GET"])
def thread(req: func.HttpRequest, context: func.Context) -> str:
    return f"{threading.current_thread().name} {context.function_name} {context.trace_context.trace_parent}"


@app.route("fails", methods=["GET"])
async def fails(req: func.HttpRequest) -> func.HttpResponse:
    raise RuntimeError("a secret reason")


@app.route("breaks", methods=["GET"])
async def breaks(req: func.HttpRequest) -> func.HttpResponse:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"half"
        raise RuntimeError("a secret reason")

    return StreamedResponse(status_code=200, headers={}, chunks=chunks())


@app.route("refuses", methods=["POST"])
async def refuses(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(b"no", status_code=403)


@app.route("refuses-unread", methods=["POST"])
@streams_body
async def refuses_unread(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(b"no", status_code=403)


@app.route("nothing", methods=["GET"])
async def nothing(req: func.HttpRequest) -> func.HttpResponse:
    return None  # type: ignore[return-value]  # what the host does with it is under test
