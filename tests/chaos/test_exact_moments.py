"""Processes that die between two durable steps, each time at the very moment."""

import asyncio
import random
import signal
from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shared.bootstrap import Application
from shared.metering.consume.ingest import UsageReports
from shared.platform.events.log import EventLog
from shared.settings import load_settings
from tests.support.chaos import verify
from tests.support.chaos.dying import GROUP, SPOOLED
from tests.support.chaos.ledger import Event, Ledger, plan
from tests.support.chaos.market import market
from tests.support.chaos.processes import SETTINGS, Host
from tests.support.ports import free_port

DYING = "tests.support.chaos.dying"
EVENTS = 400
SHIPPED_S = 60.0


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A data folder with a market; no process runs on it but those that a test runs."""
    return Host(tmp_path, workers=1)


@pytest.fixture
async def keys(host: Host) -> dict[str, str]:
    return await asyncio.to_thread(host.seed, market(free_port()))


@pytest.fixture
async def app(host: Host, keys: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Application]:
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    app = Application(load_settings({**SETTINGS, "AMS_DATA": str(host.data)}))
    yield app
    await app.close()


async def test_a_death_between_count_and_checkpoint_counts_nothing_twice(
    app: Application, host: Host, keys: dict[str, str], chaos_seed: int
) -> None:
    ledger = await _acknowledged(app, keys, chaos_seed)
    assert await _lag(host) == EVENTS

    # The first batch of this process is the batch that the one before had counted already.
    for _ in range(3):
        assert host.run(DYING, "aggregate", "1").returncode == -signal.SIGKILL
        stored = await verify.read(host.data)
        assert 0 < len(stored.records) < EVENTS
        assert await _lag(host) == EVENTS, "the checkpoint must not have moved"
    for batches in (2, 3, 4):
        assert host.run(DYING, "aggregate", str(batches)).returncode == -signal.SIGKILL
    assert host.run(DYING, "aggregate").returncode == 0

    assert await _lag(host) == 0
    verdict = verify.judge(ledger, await verify.read(host.data))
    assert not verdict.wrong, verdict.wrong[:10]
    assert (verdict.counted, verdict.lost, verdict.double) == (EVENTS, 0, 0)


async def test_a_death_between_shipment_and_deletion_ships_again_and_counts_once(
    host: Host, keys: dict[str, str]
) -> None:
    assert host.run(DYING, "ship", "1").returncode == -signal.SIGKILL
    assert verify.waiting_in_spool(host.data) == SPOOLED, "nothing is deleted yet"

    adopted = host.run(DYING, "ship")
    assert adopted.returncode == 0, adopted.stderr
    counted = host.run(DYING, "aggregate")
    assert counted.returncode == 0, counted.stderr

    stored = await verify.read(host.data)
    assert stored.published > SPOOLED, "what was on the stream was shipped again"
    assert stored.spooled == 0
    assert sorted(record["id"] for record in stored.records) == sorted(f"req_{number}" for number in range(SPOOLED))
    assert sum(bucket["events"] for day in stored.days for bucket in day["buckets"].values()) == SPOOLED
    assert not stored.reconciled


async def test_what_a_dead_worker_left_is_shipped_although_nobody_calls(host: Host, keys: dict[str, str]) -> None:
    assert host.run(DYING, "ship", "1").returncode == -signal.SIGKILL
    try:
        host.start()
        async with asyncio.timeout(SHIPPED_S):
            while verify.waiting_in_spool(host.data):  # noqa: ASYNC110 - looked up on the disk
                await asyncio.sleep(0.05)
        assert host.stop() == 0, host.tail()
    finally:
        host.power_cut()
    assert SPOOLED < (await verify.read(host.data)).published <= 2 * SPOOLED


async def _acknowledged(app: Application, keys: dict[str, str], seed: int) -> Ledger:
    """A ledger of events that AMS has acknowledged and nobody has counted."""
    ledger = plan(EVENTS, 0, random.Random(seed), datetime.now(UTC))
    by_key: defaultdict[str, list[Event]] = defaultdict(list)
    for event in ledger.events:
        by_key[event.key.id].append(event)
    reports = UsageReports(app.access.gate, app.metering.limiter, app.ports.events)
    for key_id, events in by_key.items():
        holder = await app.metering.consume.identify({"x-ams-key": keys[key_id]})
        ledger.sending(events)
        body = b"[" + b",".join(event.encode() for event in events) + b"]"
        receipt = await reports.take(holder, body, batch=True)
        assert receipt.accepted == len(events)
        ledger.acknowledge(events)
    return ledger


async def _lag(host: Host) -> int:
    log = EventLog(host.data / "events.db")
    try:
        return (await log.lag(GROUP)).events
    finally:
        await log.close()
