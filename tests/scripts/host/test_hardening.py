"""Clients that are broken, slow or up to no good."""

import contextlib
import socket
import time
from pathlib import Path

import pytest

from tests.scripts.host.conftest import WRITE_STALL_S
from tests.support.host.functions_host import (
    HTTP_APP,
    PATIENCE_S,
    Host,
    eventually,
    read_to_end,
    read_until,
    running_host,
)

OK = b"GET /api/whole?body=ok HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"


def status_of(raw: bytes) -> int:
    return int(raw.split(b" ", 2)[1])


def still_serves(host: Host) -> bool:
    return host.raw(OK).endswith(b"ok")


def test_headers_beyond_number_and_size_are_refused(host: Host) -> None:
    request = b"GET /api/whole HTTP/1.1\r\nHost: h\r\n%s\r\n"
    assert status_of(host.raw(request % b"".join(b"a%d: b\r\n" % i for i in range(10_000)))) == 431
    assert status_of(host.raw(request % (b"a: " + b"b" * 70_000 + b"\r\n"))) == 431
    assert status_of(host.raw(request % b"".join(b"a%d: b\r\n" % i for i in range(100)))) == 431
    fits = b"".join(b"a%d: %s\r\n" % (i, b"b" * 600) for i in range(98)) + b"Connection: close\r\n"
    assert status_of(host.raw(request % fits)) == 200


def test_one_header_that_never_ends_is_not_kept_in_memory(host: Host) -> None:
    with host.connect() as client:
        client.sendall(b"GET /api/whole HTTP/1.1\r\nHost: h\r\na: ")
        received = b""
        for _ in range(20):
            client.sendall(b"b" * 10_000)
        received = read_to_end(client)
    assert status_of(received) == 431


def test_long_targets_are_refused(host: Host) -> None:
    fits = b"/api/echo/" + b"a" * (8192 - 10)
    head = b" HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
    assert status_of(host.raw(b"GET " + fits + head)) == 200
    assert status_of(host.raw(b"GET " + fits + b"a" + head)) == 414


POST = b"POST /api/count HTTP/1.1\r\nHost: h\r\n"

MALFORMED = {
    "both framings": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "both framings, the other way round": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    "the same length twice": POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "a list of lengths": POST + b"Content-Length: 5, 5\r\n\r\nhello",
    "a signed length": POST + b"Content-Length: +5\r\n\r\nhello",
    "chunked is not the last coding": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "an unknown coding": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked in HTTP/1.0": b"POST /api/count HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a space before the colon": POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "a folded header": POST + b"X: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    "a bare carriage return": POST + b"X: a\rContent-Length: 5\r\n\r\nhello",
    "a bare line feed": b"GET /api/whole HTTP/1.1\nHost: h\n\n",
    "NUL in a header": POST + b"X: a\0b\r\nContent-Length: 0\r\n\r\n",
    "no host": b"GET /api/whole HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /api/whole HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "a host that would change the URL": b"GET /api/whole HTTP/1.1\r\nHost: a/b?c\r\n\r\n",
    "a host that is no URL": b"GET /api/whole HTTP/1.1\r\nHost: [::zz]\r\n\r\n",
    "a fragment": b"GET /api/whole#a HTTP/1.1\r\nHost: h\r\n\r\n",
    "a byte outside ASCII": b"GET /api/echo/\xff HTTP/1.1\r\nHost: h\r\n\r\n",
    "another target": b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
    "a tunnel": b"CONNECT example.com:443 HTTP/1.1\r\nHost: h\r\n\r\n",
    "no HTTP at all": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}


@pytest.mark.parametrize("request_bytes", MALFORMED.values(), ids=MALFORMED.keys())
def test_what_could_be_understood_in_two_ways_is_refused(host: Host, request_bytes: bytes) -> None:
    raw = host.raw(request_bytes + OK)
    assert status_of(raw) == 400
    assert raw.count(b"HTTP/1.1 ") == 1, "nothing that follows is taken for a request"
    assert b'"code":"request_malformed"' in raw


@pytest.mark.parametrize("chunk", [b"zz\r\nhello\r\n", b"5\r\nhello!!\r\n", b"-5\r\nhello\r\n", b"5;\nhello\r\n"])
def test_broken_chunks_are_refused(host: Host, chunk: bytes) -> None:
    raw = host.raw(POST + b"Transfer-Encoding: chunked\r\n\r\n" + chunk + b"0\r\n\r\n")
    assert status_of(raw) == 400


def test_rubbish_behind_a_good_request_does_not_spoil_its_answer(host: Host) -> None:
    slow = b"POST /api/slow-reader HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nok"
    raw = host.raw(slow + b"rubbish\r\n\r\n")
    first, _, second = raw.partition(b"\r\n\r\n2")
    assert status_of(first) == 200
    assert status_of(second) == 400


def test_a_client_that_takes_its_time_with_the_headers_is_cut_off(impatient_host: Host) -> None:
    started = time.monotonic()
    with impatient_host.connect() as client:
        client.sendall(b"GET /api/whole HTTP/1.1\r\nHost: h\r\n")
        client.settimeout(0.05)
        answer = b""
        while not answer and time.monotonic() < started + PATIENCE_S:
            client.sendall(b"a: b\r\n")  # every byte comes in time, the end never does
            with contextlib.suppress(TimeoutError):
                answer = client.recv(1000)
    assert status_of(answer) == 408
    assert time.monotonic() - started > 0.4


def test_a_connection_that_says_nothing_is_closed(host: Host) -> None:
    with host.connect() as client:
        assert client.recv(1) == b""
    with host.connect() as client:
        client.sendall(OK.replace(b"Connection: close\r\n", b""))
        read_until(client, b"ok")
        client.sendall(b"\r\n")  # not the beginning of a request
        assert client.recv(1) == b""


@pytest.mark.parametrize("path", [b"count", b"echo/x"])
@pytest.mark.parametrize(
    "framing", [b"Content-Length: 10\r\n\r\nhello", b"Transfer-Encoding: chunked\r\n\r\n5\r\nhell"]
)
def test_a_body_that_stalls_is_given_up(impatient_host: Host, path: bytes, framing: bytes) -> None:
    raw = impatient_host.raw(b"POST /api/" + path + b" HTTP/1.1\r\nHost: h\r\n" + framing)
    assert status_of(raw) == 408


def test_a_slow_but_steady_body_is_taken(tmp_path: Path) -> None:
    """By a host that is more patient than that of the other tests: this client, too, may be held up for a while."""
    with running_host(tmp_path, HTTP_APP, limits={"body_stall_s": 2.0}) as host, host.connect() as client:
        client.sendall(POST + b"Content-Length: 20\r\nConnection: close\r\n\r\n")
        for _ in range(20):  # in all twice the stall timeout, which is not looked at all the time
            client.settimeout(0.2)
            with pytest.raises(TimeoutError):
                client.recv(1)
            client.sendall(b"x")
        client.settimeout(PATIENCE_S)
        assert read_to_end(client).endswith(b"\r\n\r\n20")


def test_a_client_is_not_blamed_for_a_slow_function(impatient_host: Host) -> None:
    status, _, body = impatient_host.request("POST", "/api/slow-reader", b"x" * 900_000)
    assert (status, body) == (200, b"900000")


def test_a_client_that_takes_no_answer_is_cut_off(impatient_host: Host) -> None:
    mark = impatient_host.data.parent / "unread"
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", impatient_host.port))
        client.sendall(b"GET /api/endless?mark=unread HTTP/1.1\r\nHost: h\r\n\r\n")
        unread_since = time.monotonic()
        eventually(mark.exists, "the stream is closed")
        assert time.monotonic() - unread_since >= WRITE_STALL_S, "no other limit is as long"


@pytest.mark.parametrize("idle", ["", "&idle"])
def test_a_stream_is_closed_when_the_client_goes_away(host: Host, idle: str) -> None:
    mark = host.data.parent / f"left{len(idle)}"
    with host.connect() as client:
        client.sendall(f"GET /api/endless?mark={mark.name}{idle} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
        client.recv(1000)
        assert not mark.exists()
    eventually(mark.exists, "the stream is closed")


def test_a_function_notices_that_the_client_went_away(host: Host) -> None:
    mark = host.data.parent / "gone"
    mark.unlink(missing_ok=True)
    with host.connect() as client:
        client.sendall(POST + b"Content-Length: 10\r\n\r\nhello")
    assert eventually(lambda: mark.exists() and mark.read_text(), "the function noticed") == "5"
    assert still_serves(host)


def test_too_many_waiting_requests_end_a_connection(host: Host) -> None:
    slow = b"POST /api/slow-reader HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nok"
    raw = host.raw(slow + b"GET /api/whole HTTP/1.1\r\nHost: h\r\n\r\n" * 60)
    assert raw.count(b"HTTP/1.1 200 ") <= 51
    assert raw.count(b"HTTP/1.1 400 ") == 1
    assert still_serves(host)
