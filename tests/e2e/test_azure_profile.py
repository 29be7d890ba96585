"""The whole way from consume to the summary on Azure's adapters: the real SDKs against the protocol peers."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import azure.functions as func
import pytest
from azure.storage.blob.aio import BlobServiceClient

import shared.bootstrap as bootstrap
from functions.events import aggregate_usage
from functions.http import consume, health
from scripts.seeding.documents import add_key, put_consumer, put_grant, put_merchant, put_service
from shared.access.keys.format import new_key
from shared.access.models import ApiKey, Consumer, Grant
from shared.bootstrap import Application
from shared.catalog.models import Merchant, Service
from shared.kernel.clock import utc_now
from shared.platform.documents.cosmos import CosmosDocuments
from shared.platform.events import EventBatch
from tests.emulators.azurite import run_azurite
from tests.emulators.cosmos import KEY, run_cosmos
from tests.emulators.event_hubs import HUB, EventHubsPeer

pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # as in tests/support/platform/events.py

SECONDS_MAX = 60


def _triggers() -> dict[str, Callable[..., Any]]:
    """By name, of an app of our own: the SDK lets the functions of one app be asked for once in a process."""
    app = func.FunctionApp()
    for module in (aggregate_usage, consume, health):
        app.register_functions(module.blueprint)
    return {function.get_function_name(): function.get_user_function() for function in app.get_functions()}


TRIGGERS = _triggers()


@pytest.fixture
async def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Application]:
    with run_azurite() as blobs:
        async with run_cosmos() as cosmos, EventHubsPeer() as hub:
            async with BlobServiceClient.from_connection_string(blobs) as account:
                for container in (bootstrap.CHECKPOINT_CONTAINER, bootstrap.BLOB_CONTAINER):
                    await account.create_container(container)
            for name, value in {
                "AMS_PROFILE": "azure",
                "AMS_DATA": str(tmp_path / "data"),
                "AMS_COSMOS_ENDPOINT": cosmos.endpoint,
                "AMS_COSMOS_KEY": KEY,
                "AMS_USAGE_HUB_CONNECTION_STRING": hub.connection_string,
                "AMS_USAGE_HUB_NAME": HUB,
                "AMS_BLOB_CONNECTION_STRING": blobs,
                "AMS_SECRET_KEY_PEPPER_V1": "a pepper for tests",
            }.items():
                monkeypatch.setenv(name, value)
            app = bootstrap.application()
            assert isinstance(app.ports.documents, CosmosDocuments)
            await app.ports.documents.ensure_containers()
            yield app
            await bootstrap.close()


async def _customer(app: Application) -> str:
    """One consumer with a key for one service; the clear key."""
    clear = new_key("live")
    hasher = await app.access.load_hasher()
    await put_merchant(app.catalog.store, Merchant(id="mer_1", slug="mer", name="Merchant", status="active"))
    await put_service(
        app.catalog.store,
        Service(id="svc_1", merchant_id="mer_1", slug="ocr", name="OCR", type="image", status="active"),
    )
    await put_consumer(app.access.store, Consumer(id="con_1", name="Consumer"))
    await put_grant(app.access.store, Grant(consumer_id="con_1", service_id="svc_1", status="approved"))
    await add_key(
        app.access.store,
        ApiKey(
            id="key_1",
            consumer_id="con_1",
            hash=hasher.hash(clear),
            prefix=clear[:13],
            last4=clear[-4:],
            name="key",
            service_ids=("svc_1",),
        ),
    )
    return clear


def _report(clear: str, events: list[dict[str, object]]) -> func.HttpRequest:
    headers = {"X-AMS-Key": clear, "Content-Type": "application/cloudevents-batch+json"}
    body = json.dumps(events).encode()
    return func.HttpRequest(method="POST", url="https://ams.example/api/consume", headers=headers, body=body)


def _event(id: str) -> dict[str, object]:
    return {
        "specversion": "1.0",
        "type": "ams.usage.v1",
        "source": "test",
        "id": id,
        "subject": "ocr",
        "data": {"executions": 2, "status_code": 200},
    }


async def test_reported_usage_is_counted_once_on_event_hubs_cosmos_and_blob(app: Application) -> None:
    clear = await _customer(app)
    ids = [f"{uuid.uuid4()}" for _ in range(150)]

    # given 150 events, the first 50 of them sent twice
    for part in (ids[:100], ids[100:], ids[:50]):
        response = await TRIGGERS["consume"](_report(clear, [_event(name) for name in part]))
        assert response.status_code == 202, response.get_body()

    # when the stream is consumed, every batch is delivered twice, and something unreadable is among them
    await app.ports.events.publish("con_1:0", [b"not an event"])
    stop = asyncio.Event()
    delivered = 0

    async def handler(batch: EventBatch) -> None:
        nonlocal delivered
        events = [func.EventHubEvent(body=event.body, partition_key=event.partition_key) for event in batch.events]
        await TRIGGERS["aggregate_usage"](events)
        await TRIGGERS["aggregate_usage"](events)
        delivered += len(events)
        if delivered == 201:
            stop.set()

    await asyncio.wait_for(app.ports.events.consume(aggregate_usage.CONSUMER_GROUP, handler, stop), SECONDS_MAX)

    # then each event is counted once, and the unreadable one is parked
    holder = await app.access.gate.identify(clear)
    now = utc_now().replace(minute=0, second=0, microsecond=0)
    start, end = now - timedelta(days=1), now + timedelta(days=1)
    (group,) = await app.metering.queries.summary(holder.consumer, "key_1", start, end, ["service"])
    assert (group.sums.requests, group.sums.executions, group.sums.status) == (150, 300, {"200": 150})
    (name,) = [name async for name in app.metering.parked.names()]
    parked = await app.metering.parked.get(name)
    assert parked is not None
    assert (parked.reason, parked.body) == ("unreadable", b"not an event")


async def test_ready_asks_every_service(app: Application) -> None:
    response = await TRIGGERS["health_ready"](func.HttpRequest(method="GET", url="https://ams.example/", body=b""))
    checks = json.loads(response.get_body())["checks"]
    assert {name: check["status"] for name, check in checks.items()} == dict.fromkeys(
        ("documents", "events", "blobs", "secrets", "spool"), "pass"
    )
