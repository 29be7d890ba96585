"""An HTTP/1.1 client that sends exactly what a test writes, and reads answers with the standard library."""

import json
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPResponse
from typing import Any

TIMEOUT_S = 30.0
EVENT = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
PROBLEM = "application/problem+json"

Header = tuple[str, str]


@dataclass(frozen=True)
class Answer:
    status: int
    headers: list[Header]
    body: bytes

    def all(self, name: str) -> list[str]:
        return [value for found, value in self.headers if found.lower() == name.lower()]

    def one(self, name: str) -> str | None:
        values = self.all(name)
        assert len(values) <= 1, values
        return values[0] if values else None

    @property
    def request_id(self) -> str:
        found = self.one("x-ams-request-id")
        assert found, self
        return found

    def json(self) -> Any:
        return json.loads(self.body)

    def problem(self, status: int, code: str) -> dict[str, Any]:
        """The one problem document of RFC 9457, as every refusal of AMS must be. Nothing of the inside shows."""
        assert (self.status, self.one("content-type")) == (status, PROBLEM), self
        document: dict[str, Any] = self.json()
        assert document["code"] == code, document
        assert document["status"] == status
        assert document["type"] == f"urn:ams:problem:{code}"
        assert document["title"]
        assert document["detail"]
        assert document["request_id"] == self.one("x-ams-request-id")
        assert b"Traceback" not in self.body
        assert b".py" not in self.body
        return document


class Client:
    """Calls one host. Every call has a connection of its own, unless made through `connect`."""

    def __init__(self, port: int) -> None:
        self.port = port

    @contextmanager
    def connect(self) -> Iterator["Connection"]:
        with socket.create_connection(("127.0.0.1", self.port), TIMEOUT_S) as taken:
            yield Connection(taken)

    def call(
        self,
        method: str,
        target: str,
        key: str | None = None,
        headers: Iterable[Header] = (),
        body: bytes | None = None,
    ) -> Answer:
        with self.connect() as connection:
            return connection.call(method, target, key, headers, body)

    def report(self, key: str, *events: dict[str, Any]) -> Answer:
        """One event as one, several as a batch."""
        document = events[0] if len(events) == 1 else events
        return self.post(key, json.dumps(document).encode(), EVENT if len(events) == 1 else BATCH)

    def post(self, key: str | None, body: bytes, content_type: str) -> Answer:
        return self.call("POST", "/api/consume", key, [("Content-Type", content_type)], body)


class Connection:
    def __init__(self, taken: socket.socket) -> None:
        self.socket = taken

    def call(
        self,
        method: str,
        target: str,
        key: str | None = None,
        headers: Iterable[Header] = (),
        body: bytes | None = None,
    ) -> Answer:
        own = [("X-AMS-Key", key)] if key else []
        framing = [] if body is None else [("Content-Length", str(len(body)))]
        self.send(head(method, target, [*own, *headers, *framing]) + (body or b""))
        return self.answer(method)

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def send_chunked(self, *chunks: bytes) -> None:
        for chunk in (*chunks, b""):
            self.send(b"%x\r\n%s\r\n" % (len(chunk), chunk))

    def response(self, method: str = "GET") -> HTTPResponse:
        """The next answer's head; its body is still to be read. To be closed by the caller."""
        response = HTTPResponse(self.socket, method=method)
        response.begin()
        return response

    def answer(self, method: str = "GET") -> Answer:
        with self.response(method) as response:
            return Answer(response.status, response.getheaders(), response.read())

    def reset(self) -> None:
        """Go away at once, as a client that is killed."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()


def head(method: str, target: str, headers: Iterable[Header], host: str = "ams.test") -> bytes:
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
