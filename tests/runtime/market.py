"""What the tests call AMS with: one consumer's key for one service, and the merchant's API behind that service."""

from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import NamedTuple

from shared.bootstrap import Application
from shared.catalog.models import UpstreamConfig
from tests.support.market import MarketBuilder

LONG_ANSWER = bytes(range(256)) * 1024


class Ams(NamedTuple):
    """`key` is a clear API key for the service `echo`."""

    application: Application
    data: Path
    key: str


async def seed(application: Application, upstream: str) -> str:
    """One merchant whose service `echo` goes to `upstream`, and one consumer with a key for it: the clear key."""
    builder = MarketBuilder.of(application)
    await builder.merchant(id="mer_one", slug="one")
    await builder.service("echo", merchant_id="mer_one", upstream=UpstreamConfig(base_url=upstream))
    await builder.consumer(id="con_one")
    await builder.grant(consumer_id="con_one", service_id="svc_echo")
    _, clear = await builder.key(id="key_one", consumer_id="con_one", service_ids=("svc_echo",))
    return clear


class Echo(BaseHTTPRequestHandler):
    """Answers a PUT with 201 and what it was asked; a GET with a long body in chunks, without telling its length."""

    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = f"{self.command} {self.path} {self.headers['X-Own']} ".encode() + body
        self.send_response(201)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(answer)))
        self.send_header("X-Seen-Key", str("x-ams-key" in self.headers))
        self.end_headers()
        self.wfile.write(answer)

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for chunk in (LONG_ANSWER[:100_000], LONG_ANSWER[100_000:], b""):
            self.wfile.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""
