"""One chaos run, from an empty data folder to the report."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp

from tests.support.chaos import verify
from tests.support.chaos.faults import Faults, Pause, SpoolDisk
from tests.support.chaos.ledger import QUARTERS_BACK, plan
from tests.support.chaos.load import Load
from tests.support.chaos.market import market
from tests.support.chaos.processes import Host, Merchant
from tests.support.chaos.report import Report, describe

WORKERS = 2
SETTLE_S = 240.0
"""For everything outstanding to be acknowledged, and then counted, once the faults have ended."""

SLOWNESS_MAX = 4
"""By how much a slow machine may take longer for the load and the faults."""


@dataclass(frozen=True)
class Scale:
    """`events` usage reports and `calls` forwarded calls over at least `load_s` seconds of faults."""

    events: int
    calls: int
    load_s: float
    kill_pause_s: Pause
    outage_pause_s: Pause
    outage_s: Pause


async def under_fire(scale: Scale, seed: int, folder: Path) -> Report:
    """The plan and the order of faults come from `seed`; what meets what is up to the machine."""
    started_at, started = datetime.now(UTC), time.monotonic()
    ledger = plan(scale.events, scale.calls, random.Random(f"{seed}:plan"), started_at)
    async with _installation(folder, scale, seed) as (host, faults, keys):
        load = Load(host.url, keys, ledger, scale.load_s, random.Random(f"{seed}:load"))
        await _storm(load, faults, scale.load_s)
        stormed_s = time.monotonic() - started
        # From nothing, as after a power cut: whatever only lived in a process is gone.
        host.power_cut()
        host.start()
        await host.ready()
        summaries = await _drained(host, keys)
        assert host.stop() == 0, host.tail()
        stored = await verify.read(host.data)
        verdict = verify.judge(ledger, stored)
        verdict.wrong += verify.summaries_wrong(summaries, stored) + ledger.unexpected
        return describe(
            seed=seed,
            started_at=started_at,
            stormed_s=stormed_s,
            took_s=time.monotonic() - started,
            ledger=ledger,
            stored=stored,
            verdict=verdict,
            faults=faults,
            host_starts=host.starts,
        )


@contextlib.asynccontextmanager
async def _installation(folder: Path, scale: Scale, seed: int) -> AsyncIterator[tuple[Host, Faults, dict[str, str]]]:
    """A seeded host and an upstream, both running; nothing of them is left afterwards."""
    host, merchant = Host(folder, WORKERS), Merchant()
    disk = SpoolDisk(host.data / "spool")
    rng = random.Random(f"{seed}:faults")
    faults = Faults(host, merchant, disk, rng, scale.kill_pause_s, scale.outage_pause_s, scale.outage_s)
    try:
        keys = await asyncio.to_thread(host.seed, market(merchant.port))
        merchant.start()
        host.start()
        await host.ready()
        yield host, faults, keys
    finally:
        host.power_cut()
        merchant.kill()
        disk.close()


async def _storm(load: Load, faults: Faults, load_s: float) -> None:
    """The load, under faults until all that is planned was sent once; then until all is acknowledged."""
    async with asyncio.timeout(load_s * SLOWNESS_MAX + SETTLE_S), asyncio.TaskGroup() as tasks:
        keeper = tasks.create_task(faults.host.keep_running())
        async with asyncio.TaskGroup() as storm:
            kills = storm.create_task(faults.kills(load.planned_out))
            outages = storm.create_task(faults.outages(load.planned_out))
            working = storm.create_task(load.run())
            await asyncio.wait([kills, outages])
            async with asyncio.timeout(SETTLE_S):
                await working
        keeper.cancel()


async def _drained(host: Host, keys: dict[str, str]) -> dict[str, Any]:
    """Wait until everything is counted, then ask for every key's summary."""
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    start = end - timedelta(minutes=15 * QUARTERS_BACK, hours=2)
    query = {"from": start.isoformat(), "to": end.isoformat(), "group_by": "service,hour"}
    async with aiohttp.ClientSession(host.url) as session:

        async def lag() -> float:
            async with session.get("/api/metrics") as response:
                lines = (await response.text()).splitlines()
            return float(next(line.split()[1] for line in lines if line.startswith("ams_stream_lag_events ")))

        await verify.wait_until_counted(lag, host.data, SETTLE_S)
        summaries = {}
        for key_id, key in keys.items():
            async with session.get("/api/v1/usage/summary", params=query, headers={"X-AMS-Key": key}) as response:
                assert response.status == 200, await response.text()
                summaries[key_id] = await response.json()
        return summaries
