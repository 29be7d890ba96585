"""How long a person waits for their dashboard: usage views over a month of counters, by the whole API in process.

A consumer with 50 keys, each of which uses 10 services; a merchant's service that 1,000 keys of 100 consumers use.
Every counter has a bucket for 12 quarters of each day. What is asked is what a dashboard shows, in turns.
"""

import asyncio
import os
import shutil
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, cast

import httpx

from benchmarks.results import Line, Result, at_most, spread
from benchmarks.scale import BenchmarkFailed, Scale
from scripts.seeding.documents import add_key, put_consumer, put_grant, put_merchant, put_service
from shared.access.models import ApiKey, Consumer, Grant
from shared.bootstrap import Application
from shared.catalog.models import Merchant, Service
from shared.identity.models import Account, Role, SignedIn
from shared.identity.permissions import Relation
from shared.kernel.clock import format_time, utc_now
from shared.metering.counters import Bucket, Counter, encode_counter
from shared.metering.store import USAGE
from shared.platform.documents import Operation, Upsert
from shared.settings import load_settings

DAYS = 30
SERVICES, KEYS = 10, 50
SUBSCRIBERS, KEYS_PER_SUBSCRIBER = 100, 10
QUARTERS = tuple(f"{hour:02d}:15" for hour in range(6, 18))
REQUESTS, ROUNDS = 7, 20
GOAL_MS = 300.0
PEPPER = "AMS_SECRET_PSEUDONYM_PEPPER"


class Trusting:
    """Whoever calls is everything to everything: sign-in is not what is measured."""

    async def authenticate(self, headers: Mapping[str, str]) -> SignedIn:
        account = Account(id="acc_bench", consumer_id="con_big", name="Bench", created_at=utc_now())
        return SignedIn(account, "ses_bench", 0)

    async def relations(
        self, signed: SignedIn, path: Mapping[str, str], query: Mapping[str, str]
    ) -> frozenset[tuple[Role, Relation]]:
        return frozenset({("admin", "any"), ("merchant", "own"), ("consumer", "own")})


def measure(scale: Scale) -> Result:
    """Raises BenchmarkFailed."""
    os.environ.setdefault(PEPPER, "the pepper of the benchmark")
    folder = scale.folder / "dashboard"
    folder.mkdir()
    runs = asyncio.run(_measure(folder, scale))
    shutil.rmtree(folder)
    conditions = {
        "each run": f"{len(_questions('x', 'x'))} views in turns, {ROUNDS} times, one after the other",
        "counters": f"{DAYS} days: {KEYS} keys x {SERVICES} services of one consumer, and"
        f" {SUBSCRIBERS * KEYS_PER_SUBSCRIBER:,} keys of one service, {len(QUARTERS)} quarter hours a day each",
        "time": "from the request to the whole JSON, FastAPI included, network and sign-in not",
        "checked": "the total of every view that sums everything",
    }
    slowest = max((name for name in runs[0] if name != "derive_s"), key=lambda name: runs[0][name])
    views = [[value for name, value in run.items() if name != "derive_s"] for run in runs]
    p95, middle = [max(values) for values in views], [statistics.median(values) for values in views]
    lines = [
        Line(
            "usage dashboard, p95 of the slowest view",
            spread(p95, "ms"),
            f"≤ {GOAL_MS:g} ms",
            at_most(statistics.median(p95), GOAL_MS),
        ),
        Line("which is", slowest),
        Line("usage dashboard, median of the views' p95", spread(middle, "ms")),
        Line("deriving a month of roll-ups from nothing", spread([run["derive_s"] for run in runs], "s", 1)),
    ]
    return Result("dashboard", scale.full, conditions, lines, runs)


async def _measure(folder: Path, scale: Scale) -> list[dict[str, float]]:
    app = Application(load_settings({"AMS_PROFILE": "local", "AMS_DATA": str(folder), "AMS_OIDC_ISSUERS": "[]"}))
    app.identity.__dict__["authority"] = Trusting()
    try:
        keys = await _seed(app, scale)
        started = time.perf_counter()
        await app.metering.rollups.run()
        derive_s = time.perf_counter() - started
        pseudonym = await app.access.pseudonyms.of("mer_1", "con_1")
        questions = _questions(pseudonym, "key_1")
        expected = {
            "consumer": keys["mine"] * SERVICES * DAYS * len(QUARTERS) * REQUESTS,
            "merchant": keys["theirs"] * DAYS * len(QUARTERS) * REQUESTS,
        }
        transport = httpx.ASGITransport(cast("Any", app.api))
        async with httpx.AsyncClient(transport=transport, base_url="http://bench") as client:
            runs = []
            for _ in range(scale.runs):
                run = await _ask_all(client, questions, expected, scale.amount(ROUNDS, 2))
                runs.append({**run, "derive_s": derive_s})
            return runs
    finally:
        await app.close()


def _questions(pseudonym: str, key_id: str) -> dict[str, tuple[str, dict[str, str]]]:
    """By name: whose, and what. The first part of the name says whose total it is, if it is one."""
    now = utc_now()
    day = {"from": f"{now - timedelta(days=DAYS - 1):%Y-%m-%d}", "to": f"{now + timedelta(days=1):%Y-%m-%d}"}
    kolkata = {"time_zone": "Asia/Kolkata", "from": f"{now - timedelta(days=DAYS):%Y-%m-%d}", "to": day["to"]}
    mine, theirs = "consumers/con_big/usage", "merchants/mer_1/usage"
    return {
        "consumer: by service": (mine, {**day, "group_by": "service"}),
        "consumer: by day": (mine, {**day, "group_by": "day"}),
        "consumer: by day in India": (mine, {**kolkata, "group_by": "day"}),
        "consumer: by service and day in India": (mine, {**kolkata, "group_by": "service,day"}),
        "consumer: by key": (mine, {**day, "group_by": "api_key"}),
        "consumer: by key in India": (mine, {**kolkata, "group_by": "api_key"}),
        "one key by day": (mine, {**day, "api_key": key_id, "group_by": "day"}),
        "top keys": (f"{mine}/top", {**day, "by": "api_key"}),
        "trend": (f"{mine}/trend", {"from": f"{now - timedelta(days=14):%Y-%m-%d}", "to": f"{now:%Y-%m-%d}"}),
        "a day": (f"{mine}/days/{now - timedelta(days=5):%Y-%m-%d}", {}),
        "today": (f"{mine}/days/{now:%Y-%m-%d}", {}),
        "merchant: by day": (theirs, {**day, "group_by": "day"}),
        "merchant: by day in India": (theirs, {**kolkata, "group_by": "day"}),
        "merchant: by consumer": (theirs, {**day, "group_by": "consumer"}),
        "merchant: by key": (theirs, {**day, "group_by": "api_key"}),
        "top consumers": (f"{theirs}/top", day),
        "top consumers in India": (f"{theirs}/top", kolkata),
        "distribution": (f"{theirs}/distribution", kolkata),
        "spikes": (f"{theirs}/spikes", kolkata),
        "months": (f"{theirs}/months", {}),
        "one consumer by day": (theirs, {**day, "group_by": "day", "pseudonym": pseudonym}),
    }


async def _ask_all(
    client: httpx.AsyncClient, questions: dict[str, tuple[str, dict[str, str]]], expected: dict[str, int], rounds: int
) -> dict[str, float]:
    """p95 in milliseconds by view."""
    times: dict[str, list[float]] = {name: [] for name in questions}
    for _ in range(rounds):
        for name, (path, params) in questions.items():
            started = time.perf_counter()
            answer = await client.get(f"/api/v1/{path}", params=params)
            times[name].append((time.perf_counter() - started) * 1000)
            if answer.status_code != 200:
                raise BenchmarkFailed(f"{name}: {answer.status_code} {answer.text[:200]}")
            whose, _, what = name.partition(": ")
            if what and answer.json()["total"]["requests"] != expected[whose]:
                raise BenchmarkFailed(f"{name}: {answer.json()['total']['requests']}, not {expected[whose]}")
    return {name: _p95(values) for name, values in times.items()}


def _p95(values: Sequence[float]) -> float:
    return sorted(values)[max(0, round(len(values) * 0.95) - 1)]


async def _seed(app: Application, scale: Scale) -> dict[str, int]:
    """How many keys there are; their counters were written as the aggregator does."""
    keys, subscribers = scale.amount(KEYS, 2), scale.amount(SUBSCRIBERS, 2)
    await put_merchant(app.catalog.store, Merchant(id="mer_1", slug="bench", name="Bench", status="active"))
    await put_service(app.catalog.store, Service(id="svc_busy", merchant_id="mer_1", slug="busy", name="Busy"))
    await _seed_consumer(app, "con_big", keys, [(f"svc_{n}", "mer_2") for n in range(SERVICES)])
    for number in range(subscribers):
        await _seed_consumer(app, f"con_{number}", KEYS_PER_SUBSCRIBER, [("svc_busy", "mer_1")])
    return {"mine": keys, "theirs": subscribers * KEYS_PER_SUBSCRIBER}


async def _seed_consumer(app: Application, consumer_id: str, keys: int, services: Sequence[tuple[str, str]]) -> None:
    await put_consumer(app.access.store, Consumer(id=consumer_id, name=consumer_id))
    for service_id, merchant_id in services:
        pseudonym = await app.access.pseudonyms.of(merchant_id, consumer_id)
        await put_grant(
            app.access.store,
            Grant(consumer_id=consumer_id, service_id=service_id, merchant_id=merchant_id, pseudonym=pseudonym),
        )
    for n in range(keys):
        key_id = f"key_{n}" if consumer_id == "con_big" else f"key_{consumer_id}_{n}"
        await add_key(
            app.access.store,
            ApiKey(
                id=key_id,
                consumer_id=consumer_id,
                hash=f"{key_id}-hash",
                prefix="ams_live_abcd",
                last4="wxyz",
                name=key_id,
            ),
        )
        counters = _counters(consumer_id, key_id, services)
        while chunk := list(islice(counters, 100)):
            await app.ports.documents.transact(USAGE, f"{consumer_id}:0", chunk)


def _counters(consumer_id: str, key_id: str, services: Sequence[tuple[str, str]]) -> Iterator[Operation]:
    now = utc_now()
    stamp = format_time(now - timedelta(minutes=5))
    for number in range(DAYS):
        day: datetime = now - timedelta(days=number)
        for service_id, merchant_id in services:
            counter = Counter(
                api_key_id=key_id,
                period=f"{day:%Y-%m-%d}",
                service_id=service_id,
                merchant_id=merchant_id,
                consumer_id=consumer_id,
            )
            counter.buckets = {
                name: Bucket(
                    REQUESTS,
                    REQUESTS,
                    512,
                    20480,
                    timed=REQUESTS,
                    response_us=300_000,
                    status={"200": REQUESTS - 1, "404": 1},
                    latency={"4": 3, "5": 2, "8": 2},
                )
                for name in QUARTERS
            }
            counter.touch(stamp)
            yield Upsert(counter.key.id, encode_counter(counter))
