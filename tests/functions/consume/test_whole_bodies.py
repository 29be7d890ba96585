"""Consume where the host hands over and takes back whole bodies, as Azure Functions does: the triggers are called as
its worker calls them, over the embedded stores and a real upstream."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import azure.functions as func
import pytest

from functions.http import consume as triggers
from shared import bootstrap
from shared.catalog.models import Service
from shared.metering.consume.service import read_report
from tests.emulators.upstream import UpstreamPeer, answer, raw, replying
from tests.support.host.client import BATCH, EVENT
from tests.support.host.hosting import PEPPER, Customer, Operator
from tests.support.host.usage_reports import event

MIB = 1024 * 1024
Trigger = Callable[[func.HttpRequest], Awaitable[func.HttpResponse]]


def user_function(builder: Any) -> Trigger:
    found: Trigger = builder._function.get_user_function()
    return found


@pytest.fixture
def offered(tmp_path: Path, upstream: UpstreamPeer) -> Iterator[tuple[Service, Customer]]:
    with Operator(tmp_path) as operator:
        service = operator.service(f"{upstream.url}/base")
        yield service, operator.customer(service)


@pytest.fixture
async def application(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[bootstrap.Application]:
    for name, value in {
        "DATA": str(tmp_path),
        "SECRET_KEY_PEPPER_V1": PEPPER,
        "UPSTREAM_ALLOW_PRIVATE": "true",
    }.items():
        monkeypatch.setenv(f"AMS_{name}", value)
    yield bootstrap.application()
    await bootstrap.close()


def request(
    customer: Customer, target: str, body: bytes = b"", content_type: str = "", method: str = "POST", **headers: str
) -> func.HttpRequest:
    own = {"X-AMS-Key": customer.clear, "Content-Type": content_type, **headers}
    return func.HttpRequest(method, f"https://ams.example/api/consume{target}", headers=own, body=body)


async def call(customer: Customer, target: str, body: bytes = b"", method: str = "GET") -> func.HttpResponse:
    return await user_function(triggers.consume_path)(request(customer, target, body, "text/plain", method))


async def report(customer: Customer, body: bytes, content_type: str) -> func.HttpResponse:
    return await user_function(triggers.consume)(request(customer, "", body, content_type))


async def stream_data(application: bootstrap.Application, count: int) -> list[dict[str, Any]]:
    """The data of the `count` events that are on the stream, in order."""
    found: list[dict[str, Any]] = []
    stop = asyncio.Event()

    async def take(batch: Any) -> None:
        found.extend(json.loads(event.body) for event in batch.events)
        if len(found) >= count:
            stop.set()

    async with asyncio.timeout(60):
        await application.ports.events.consume("a-test", take, stop)
    assert len(found) == count, found
    return [each["data"] for each in found]


async def test_reports_are_taken_and_refused(
    application: bootstrap.Application, offered: tuple[Service, Customer]
) -> None:
    service, customer = offered
    taken = await report(customer, json.dumps([event(service), event(service)]).encode(), BATCH)
    assert (taken.status_code, json.loads(taken.get_body())["accepted"]) == (202, 2)
    padded = json.dumps(event(service)).encode().ljust(MIB + 1)
    refused = await report(customer, padded, EVENT)
    assert (refused.status_code, json.loads(refused.get_body())["code"]) == (413, "body_too_large")
    assert (await report(customer, padded[:MIB], EVENT)).status_code == 202
    assert len(await stream_data(application, 3)) == 3


async def test_a_call_is_forwarded_and_recorded(
    application: bootstrap.Application, offered: tuple[Service, Customer], upstream: UpstreamPeer
) -> None:
    service, customer = offered
    given = await call(customer, f"/{service.slug}/a//b%2Fc?x=1", b"12345", "PUT")
    assert given.status_code == 200
    arrived = upstream.of(given.headers["X-AMS-Request-Id"])
    assert (arrived.method, arrived.target, bytes(arrived.body)) == ("PUT", "/base/a//b%2Fc?x=1", b"12345")
    assert (arrived.one("content-length"), arrived.one("transfer-encoding")) == ("5", None)
    (data,) = await stream_data(application, 1)
    assert (data["request_bytes"], data["response_bytes"]) == (5, len(given.get_body()))


async def test_a_long_answer_comes_whole(
    application: bootstrap.Application, offered: tuple[Service, Customer], upstream: UpstreamPeer
) -> None:
    service, customer = offered
    upstream.behaviours["/base/long"] = replying(answer(200, b"x" * MIB, "Content-Type: text/csv"))
    given = await call(customer, f"/{service.slug}/long")
    assert (given.status_code, given.headers["content-type"], len(given.get_body())) == (200, "text/csv", MIB)
    assert (await stream_data(application, 1))[0]["response_bytes"] == MIB


async def test_a_long_answer_that_breaks_off_is_a_502_since_nothing_was_sent_yet(
    application: bootstrap.Application, offered: tuple[Service, Customer], upstream: UpstreamPeer
) -> None:
    service, customer = offered
    half = raw("HTTP/1.1 200 OK", f"Content-Length: {2 * MIB}") + b"x" * MIB
    upstream.behaviours["/base/half"] = replying(half)
    given = await call(customer, f"/{service.slug}/half")
    document = json.loads(given.get_body())
    assert (given.status_code, document["code"]) == (502, "upstream_unreachable")
    assert given.headers["X-AMS-Answered-By"] == "ams"
    assert len(await stream_data(application, 1)) == 1


async def test_a_report_that_trickles_in_ends_after_its_time() -> None:
    """However patient the host is with each byte."""

    async def trickle() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.sleep(0.005)

    async with asyncio.timeout(60):
        with pytest.raises(TimeoutError):
            await read_report(trickle(), None, seconds_max=0.05)
