"""The gateway follows the services, also when it fails, and when a process is killed in between."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.audit.journal import Journal
from shared.catalog.models import Service
from shared.catalog.tasks import SyncGateway
from shared.catalog.upstreams.gateway import GatewaySync
from shared.kernel.errors import Unavailable
from shared.platform.gateways import GatewayService
from tests.support.api.harness import Api
from tests.support.api.services_market import ServicesMarket, open_services


class RecordingGateway:
    """A gateway in this process. `failures` are the next calls that it does not answer."""

    def __init__(self) -> None:
        self.offers: dict[str, GatewayService] = {}
        self.calls: list[str] = []
        self.failures = 0
        self.slow: asyncio.Event | None = None
        self.hangs, self.withdrew = asyncio.Event(), asyncio.Event()

    async def publish(self, offer: GatewayService) -> None:
        slow, self.slow = self.slow, None
        if slow is not None:
            self.hangs.set()
            await slow.wait()
        self._fail("publish")
        self.offers[offer.service_id] = offer

    async def withdraw(self, service_id: str) -> None:
        self._fail("withdraw")
        self.offers.pop(service_id, None)
        self.withdrew.set()

    async def close(self) -> None:
        return None

    def _fail(self, call: str) -> None:
        self.calls.append(call)
        if self.failures:
            self.failures -= 1
            raise Unavailable("told to fail")


@pytest.fixture
def gateway(api: Api) -> RecordingGateway:
    made = RecordingGateway()
    api.app.ports.__dict__["gateway"] = made  # before anything has asked for the profile's own
    return made


@pytest.fixture
async def market(api: Api, gateway: RecordingGateway) -> ServicesMarket:
    return await open_services(api)


async def test_the_gateway_hears_of_every_change_that_it_shows(
    market: ServicesMarket, gateway: RecordingGateway
) -> None:
    service_id = await market.pending()
    await market.api.drain()
    assert gateway.calls == []
    await market.decide(service_id, "approve")
    await market.api.drain()
    assert gateway.offers[service_id] == GatewayService(
        service_id=service_id, slug="weather", name="Weather", description="Forecasts for **everywhere**.", openapi=None
    )

    await market.edit(service_id, name="Proposed")
    await market.api.drain()
    assert gateway.calls == ["publish"]
    await market.decide(service_id, "approve")
    await market.api.drain()
    assert gateway.offers[service_id].name == "Proposed"

    for verb, is_there in (("disable", False), ("restore", True)):
        await market.decide(service_id, verb, reason="why")
        await market.api.drain()
        assert (service_id in gateway.offers) is is_there
    await market.ask(service_id, "retire")
    await market.api.drain()
    assert gateway.offers == {}


async def test_the_gateway_gets_the_approved_document(market: ServicesMarket, gateway: RecordingGateway) -> None:
    service_id = await market.drafted()
    text = json.dumps({"openapi": "3.1.0", "info": {"title": "W", "version": "1"}, "paths": {}})
    path = f"/api/v1/services/{service_id}/openapi"
    await market.mia.put(path, content=text.encode(), headers=await market.etag(service_id))
    await market.ask(service_id, "submit")
    await market.decide(service_id, "approve")
    await market.api.drain()
    document = json.loads(gateway.offers[service_id].openapi or "")
    assert document["servers"] == [{"url": "/api/consume/weather"}]


async def test_an_image_is_no_concern_of_the_gateway(market: ServicesMarket, gateway: RecordingGateway) -> None:
    service_id = await market.active(type="image", upstream=None)
    await market.api.drain()
    assert service_id not in gateway.offers


async def test_a_gateway_that_fails_is_told_later(market: ServicesMarket, gateway: RecordingGateway) -> None:
    service_id = await market.pending()
    gateway.failures = 1
    await market.decide(service_id, "approve")
    await market.api.drain()
    assert gateway.offers == {}
    assert await deliver(market, minutes=1) == 1
    assert service_id in gateway.offers
    assert await deliver(market, minutes=60) == 0


async def test_a_kill_right_after_the_commit_loses_nothing(
    market: ServicesMarket, gateway: RecordingGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    service_id = await market.pending()

    async def die(*_: Any) -> None:
        return None

    monkeypatch.setattr(market.api.app.audit.journal, "_do_inline", die)  # as if the process ended there
    await market.decide(service_id, "approve")
    await market.api.drain()
    assert (gateway.offers, await market.actions()) == ({}, ["service.create", "service.submit"])
    await deliver(market, minutes=2)
    assert service_id in gateway.offers
    assert (await market.actions())[-1] == "service.approve"
    assert any("is approved" in str(mail["Subject"]) for mail in market.api.mails())


async def test_a_slow_task_does_not_undo_a_later_one(market: ServicesMarket, gateway: RecordingGateway) -> None:
    service_id = await market.pending()
    held_up = gateway.slow = asyncio.Event()
    await market.decide(service_id, "approve")  # its task has read "active", and hangs
    await gateway.hangs.wait()
    await market.decide(service_id, "disable", reason="abuse")
    await gateway.withdrew.wait()
    held_up.set()
    await market.api.drain()
    assert gateway.offers == {}


async def test_a_service_of_an_inactive_merchant_is_withdrawn(
    market: ServicesMarket, gateway: RecordingGateway
) -> None:
    service_id = await market.active()
    await market.api.drain()
    assert service_id in gateway.offers
    await market.merchant("mer_1", market.mia, status="suspended")
    sync: GatewaySync = market.api.app.catalog.gateway_sync
    await sync.on_sync("job_1", SyncGateway(service_id=service_id))
    await sync.on_sync("job_2", SyncGateway(service_id="svc_never"))
    assert gateway.offers == {}


async def deliver(market: ServicesMarket, *, minutes: int) -> int:
    """What the timer does, so much later."""
    app = market.api.app
    later = datetime.now(UTC) + timedelta(minutes=minutes)
    timer = Journal(app.ports.documents, app.audit.log.append, lambda: later)
    timer._handlers |= app.audit.journal._handlers
    return await timer.deliver_due()


def test_the_kind_of_task_is_one_that_the_application_knows(api: Api) -> None:
    assert SyncGateway.kind in api.app.audit.journal.kinds
    assert Service.model_fields["listing"].default is None
