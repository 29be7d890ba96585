"""Requests that are too large, too many or too slow: refused in bounded time and memory, nothing of them counted."""

import json
import time
from select import select
from typing import Any

from shared.catalog.models import Service
from tests.support.host.client import EVENT, TIMEOUT_S, Client, Connection, head
from tests.support.host.hosting import Customer, Host, eventually
from tests.support.host.limits import BODY_STALL_S, HEADER_READ_S, LATE_S
from tests.support.host.usage_reports import event

MIB = 1024 * 1024


def padded(size: int, service: Service) -> bytes:
    text = json.dumps(event(service)).encode()
    return text + b" " * (size - len(text))


def post_chunked(client: Client, key: str, body: bytes) -> Any:
    with client.connect() as connection:
        connection.send(head("POST", "/api/consume", report_headers(key, ("Transfer-Encoding", "chunked"))))
        connection.send_chunked(*(body[start : start + 65_536] for start in range(0, len(body), 65_536)))
        return connection.answer()


def report_headers(key: str, *more: tuple[str, str]) -> list[tuple[str, str]]:
    return [("X-AMS-Key", key), ("Content-Type", EVENT), *more]


def test_one_mebibyte_is_taken_and_a_byte_more_refused(host: Host, customer: Customer, service: Service) -> None:
    host.client.post(customer.clear, padded(MIB + 1, service), EVENT).problem(413, "body_too_large")
    post_chunked(host.client, customer.clear, padded(MIB + 1, service)).problem(413, "body_too_large")
    assert host.settled(customer)["events"] == 0
    assert host.client.post(customer.clear, padded(MIB, service), EVENT).status == 202
    assert post_chunked(host.client, customer.clear, padded(MIB, service)).status == 202
    assert host.settled(customer)["events"] == 2


def test_a_body_that_never_ends_is_refused_while_it_comes(host: Host, customer: Customer, service: Service) -> None:
    with host.client.connect() as connection:
        connection.send(head("POST", "/api/consume", report_headers(customer.clear, ("Transfer-Encoding", "chunked"))))
        sent = send_until_refused(connection)
        connection.answer().problem(413, "body_too_large")
    assert sent < 32 * MIB


def send_until_refused(connection: Connection) -> int:
    """Bytes that were taken before an answer came."""
    chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    sent, rest = 0, b""
    while sent < 256 * MIB and not select([connection.socket], [], [], 0.01)[0]:
        rest = rest or chunk
        # However long it takes until more is taken, or there is an answer.
        _, writable, _ = select([connection.socket], [connection.socket], [], TIMEOUT_S)
        if writable:
            taken = connection.socket.send(rest)
            sent, rest = sent + taken, rest[taken:]
    return sent


def test_a_length_that_is_announced_too_long_is_refused_before_it_comes(host: Host, customer: Customer) -> None:
    with host.client.connect() as connection:
        connection.send(head("POST", "/api/consume", report_headers(customer.clear, ("Content-Length", str(10**12)))))
        connection.answer().problem(413, "body_too_large")


def test_10000_headers_are_refused(host: Host, customer: Customer) -> None:
    headers = [("X-AMS-Key", customer.clear), *((f"X-Header-{number}", "value") for number in range(10_000))]
    with host.client.connect() as connection:
        connection.send(head("POST", "/api/consume", headers))
        connection.answer().problem(431, "headers_too_large")


def test_slow_headers_are_refused(host: Host) -> None:
    started = time.monotonic()
    with host.client.connect() as connection:
        connection.send(b"POST /api/consume HTTP/1.1\r\nHost: ams.test\r\nX-Slow: ")
        connection.answer().problem(408, "request_timeout")
        assert HEADER_READ_S - 0.5 < time.monotonic() - started < HEADER_READ_S + LATE_S


def test_a_slow_body_is_refused_and_nothing_of_it_counted(host: Host, customer: Customer, service: Service) -> None:
    body = json.dumps(event(service)).encode()
    with host.client.connect() as connection:
        started = time.monotonic()
        headers = report_headers(customer.clear, ("Content-Length", str(len(body) + 1)))
        connection.send(head("POST", "/api/consume", headers) + body)
        connection.answer().problem(408, "request_timeout")
        assert BODY_STALL_S - 0.5 < time.monotonic() - started < BODY_STALL_S + LATE_S
    assert host.settled(customer)["events"] == 0


def test_a_client_that_goes_away_in_its_body_is_not_counted(host: Host, customer: Customer, service: Service) -> None:
    body = json.dumps(event(service)).encode()
    before = host.metric("ams_consume_requests_total", outcome="client_closed_request")
    with host.client.connect() as connection:
        headers = report_headers(customer.clear, ("Content-Length", str(len(body) + 1)))
        connection.send(head("POST", "/api/consume", headers) + body)
        connection.reset()
    eventually(
        lambda: host.metric("ams_consume_requests_total", outcome="client_closed_request"), lambda now: now > before
    )
    assert host.settled(customer)["events"] == 0
