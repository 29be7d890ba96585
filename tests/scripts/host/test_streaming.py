"""Large bodies pass through in bounded memory."""

import hashlib
import socket
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.support.host.functions_host import Host, eventually

SIZE = 200_000_000
CHUNK = bytes(range(256)) * 256
MEMORY_GROWTH_MAX = 40_000_000


def peak_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmHWM")


def parts(size: int) -> Iterator[bytes]:
    sent = 0
    while sent < size:
        part = CHUNK[: size - sent]
        sent += len(part)
        yield part


@pytest.mark.parametrize("framing", ["chunked", "content-length"])
def test_200_mb_are_echoed_in_bounded_memory(host: Host, framing: str) -> None:
    (worker,) = eventually(lambda: host.children("worker"), "a worker runs")
    host.request("POST", "/api/stream", b"warm")
    before = peak_bytes(worker)
    expected, received = hashlib.sha256(), hashlib.sha256()
    connection = HTTPConnection("127.0.0.1", host.port, timeout=60)
    connection.putrequest("POST", "/api/stream")
    is_chunked = framing == "chunked"
    connection.putheader("Transfer-Encoding", "chunked") if is_chunked else connection.putheader(
        "Content-Length", str(SIZE)
    )
    connection.endheaders()

    def send() -> None:
        for part in parts(SIZE):
            expected.update(part)
            connection.send(b"%x\r\n%s\r\n" % (len(part), part) if is_chunked else part)
        if is_chunked:
            connection.send(b"0\r\n\r\n")

    sender = threading.Thread(target=send)
    sender.start()
    # What http.client does between request and response; it would otherwise insist on the whole request first.
    with connection.response_class(connection.sock, method="POST") as response:
        response.begin()
        assert response.getheader("Content-Length") == (None if is_chunked else str(SIZE))
        while chunk := response.read(1 << 20):
            received.update(chunk)
    sender.join()
    connection.close()
    assert received.digest() == expected.digest()
    assert peak_bytes(worker) - before < MEMORY_GROWTH_MAX


def test_a_client_that_sends_faster_than_the_function_reads_is_held_back(host: Host) -> None:
    """The function echoes, and this client takes nothing back: after buffers are full, nothing more may be taken."""
    (worker,) = eventually(lambda: host.children("worker"), "a worker runs")
    host.request("POST", "/api/stream", b"warm")
    before = peak_bytes(worker)
    sent = 0
    with host.connect() as client:
        client.sendall(b"POST /api/stream HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % SIZE)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        client.settimeout(0.3)
        try:
            for part in parts(SIZE):
                client.sendall(part)
                sent += len(part)
        except TimeoutError:
            pass
    assert sent < SIZE / 4
    assert peak_bytes(worker) - before < MEMORY_GROWTH_MAX
