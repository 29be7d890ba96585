"""How long single reads and lists of the management API take at a constant rate, with a large market in the store.

    .venv/bin/python -m benchmarks.management [--seconds 60] [--rate 100] [--services 50000] [--keys 100000]

The real local host with two workers, real tokens of an issuer on loopback, 50,000 services of 3,000 merchants, 100,000
keys of 50,000 consumers, and a month of day counters for a part of them. Latency counts from when a request was due
(open loop), so what had to wait counts its waiting. Writes benchmarks/results/management.json.
"""

import asyncio
import json
import os
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Iterable, Iterator
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.progress import track

from scripts.seeding.documents import put_merchant
from shared.access.keys.format import PREFIX_CHARACTERS, KeyHasher, new_key
from shared.access.models import ApiKey, Consumer, Grant
from shared.access.store import ACCESS, KEY_HASHES
from shared.bootstrap import Application
from shared.catalog.models import Merchant, Service
from shared.catalog.store import SERVICES, SLUGS
from shared.identity.store import ACCOUNT_DOCUMENT, ACCOUNTS
from shared.kernel.clock import format_time, utc_now
from shared.metering.counters import Bucket, Counter, encode_counter
from shared.metering.store import USAGE
from shared.platform.documents import Operation, Upsert
from shared.settings import load_settings
from tests.emulators.issuer import Issuer
from tests.support.host.installation import Ams

PEPPER = "the pepper of the benchmark"
MERCHANTS_OF_SERVICES = 3_000
WITH_COUNTERS = 2_000
DAYS = 30
AT_ONCE = 400
SINGLE_P95_MS, LIST_P90_MS = 50.0, 100.0
RESULTS = Path(__file__).with_name("results") / "management.json"


def main(
    seconds: Annotated[float, typer.Option(min=1)] = 60.0,
    rate: Annotated[float, typer.Option(min=1, help="Requests a second.")] = 100.0,
    services: Annotated[int, typer.Option(min=100)] = 50_000,
    keys: Annotated[int, typer.Option(min=100)] = 100_000,
    to: Annotated[Path, typer.Option()] = RESULTS,
) -> None:
    """Build the market, ask, and print the latencies. Leave the machine alone meanwhile."""
    with tempfile.TemporaryDirectory(prefix="ams-bench-", dir="/var/tmp") as folder, Issuer() as issuer:
        ams = Ams(
            Path(folder) / "data",
            2,
            AMS_OIDC_ISSUERS=json.dumps([issuer.setting]),
            AMS_ADMINS="admin@example.com",
            AMS_SECRET_KEY_PEPPER_V1=PEPPER,
            AMS_SECRET_PSEUDONYM_PEPPER=PEPPER,
        )
        started = time.perf_counter()
        asyncio.run(_seed(ams.data, services, keys))
        seeded_s = time.perf_counter() - started
        ams.start()
        try:
            report = asyncio.run(_ask(ams, issuer, rate, seconds))
        finally:
            ams.close()
    report |= {"services": services, "keys": keys, "rate": rate, "seconds": seconds, "seeded_s": round(seeded_s, 1)}
    report["measured_at"] = format_time(utc_now())
    to.write_text(json.dumps(report, indent=2) + "\n")
    typer.echo(json.dumps(report, indent=2))


async def _seed(data: Path, services: int, keys: int) -> None:
    os.environ["AMS_SECRET_KEY_PEPPER_V1"] = os.environ["AMS_SECRET_PSEUDONYM_PEPPER"] = PEPPER
    app = Application(load_settings({"AMS_PROFILE": "local", "AMS_DATA": str(data), "AMS_OIDC_ISSUERS": "[]"}))
    try:
        merchants = [_merchant(number) for number in range(MERCHANTS_OF_SERVICES)]
        await _all((put_merchant(app.catalog.store, merchant) for merchant in merchants), len(merchants), "merchants")
        await _all((_put_service(app, number) for number in range(services)), services, "services")
        hasher = await app.access.load_hasher()
        await _all((_put_consumer(app, hasher, n, services) for n in range(keys // 2)), keys // 2, "consumers")
        await _all((_put_counters(app, n, services) for n in range(WITH_COUNTERS)), WITH_COUNTERS, "counters")
        await app.metering.rollups.run()
    finally:
        await app.close()


async def _all(work: Iterable[Awaitable[None]], total: int, what: str) -> None:
    left: Iterator[Awaitable[None]] = iter(work)
    for _ in track(range(0, total, AT_ONCE), description=what):
        await asyncio.gather(*islice(left, AT_ONCE))


def _merchant(number: int) -> Merchant:
    return Merchant(id=f"mer_{number}", slug=f"mer-{number}", name=f"Merchant {number}", status="active")


async def _put_service(app: Application, number: int) -> None:
    words = ("weather", "maps", "speech", "vision", "payments", "mail", "search", "routes", "prices", "tax")
    word = words[number % len(words)]
    service = Service(
        id=f"svc_{number}",
        merchant_id=f"mer_{number % MERCHANTS_OF_SERVICES}",
        slug=f"{word}-{number}",
        name=f"{word.title()} {number}",
        description=f"The **{word}** of number {number}.",
        status="active",
        category=word,
        tags=(word, f"tag{number % 50}"),
        listing=format_time(utc_now()),
        created_at=utc_now(),
    )
    owner = json.dumps({"service_id": service.id}).encode()
    await app.ports.documents.upsert(SLUGS, service.slug, service.slug, owner)
    await app.ports.documents.upsert(SERVICES, service.id, service.id, service.to_json())


async def _put_consumer(app: Application, hasher: KeyHasher, number: int, services: int) -> None:
    consumer_id, service = f"con_{number}", number % services
    made: list[Operation] = [Upsert("consumer", Consumer(id=consumer_id, name=f"Consumer {number}").to_json())]
    grant = Grant(
        consumer_id=consumer_id,
        service_id=f"svc_{service}",
        merchant_id=f"mer_{service % MERCHANTS_OF_SERVICES}",
        status="approved",
        pseudonym=f"cus_{number}",
    )
    made.append(Upsert(f"grant:{grant.service_id}", grant.to_json()))
    for n in range(2):
        clear = new_key("live")
        key = ApiKey(
            id=f"key_{number}_{n}",
            consumer_id=consumer_id,
            hash=hasher.hash(clear),
            prefix=clear[:PREFIX_CHARACTERS],
            last4=clear[-4:],
            name="key",
            service_ids=(grant.service_id,),
            created_at=utc_now(),
        )
        made.append(Upsert(f"key:{key.id}", key.to_json()))
        owner = json.dumps({"consumer_id": consumer_id, "key_id": key.id}).encode()
        await app.ports.documents.upsert(KEY_HASHES, key.hash, key.hash, owner)
    await app.ports.documents.transact(ACCESS, consumer_id, made)


async def _put_counters(app: Application, number: int, services: int) -> None:
    service, now = number % services, utc_now()
    made: list[Operation] = []
    for n in range(2):
        for day in range(DAYS):
            counter = Counter(
                api_key_id=f"key_{number}_{n}",
                period=str((now - timedelta(days=day)).date()),
                service_id=f"svc_{service}",
                merchant_id=f"mer_{service % MERCHANTS_OF_SERVICES}",
                consumer_id=f"con_{number}",
                buckets={f"{hour:02d}:15": Bucket(requests=7, events=7, status={"200": 7}) for hour in range(6, 18)},
            )
            made.append(Upsert(counter.key.id, encode_counter(counter)))
    await app.ports.documents.transact(USAGE, f"con_{number}:0", made)


async def _ask(ams: Ams, issuer: Issuer, rate: float, seconds: float) -> dict[str, Any]:
    people = {name: _headers(issuer, name) for name in ("admin", "merchant", "consumer")}
    limits = httpx.Limits(max_connections=64)
    async with httpx.AsyncClient(base_url=f"{ams.url}/api/v1", timeout=60, limits=limits) as client:
        accounts = {name: (await client.get("/me", headers=headers)).json() for name, headers in people.items()}
        await _adopt(ams.data, accounts)
        asked = _questions(people)
        for path, headers, _ in asked.values():
            await _answered(client, path, headers)  # the search index is built by the first who searches
        latencies = await _load(client, asked, rate, seconds)
    return _report(asked, latencies)


def _headers(issuer: Issuer, name: str) -> dict[str, str]:
    claims: dict[str, Any] = {"email": f"{name}@example.com", "email_verified": True, "name": name}
    return {"Authorization": f"Bearer {issuer.token(name, **claims)}"}


async def _adopt(data: Path, accounts: dict[str, dict[str, Any]]) -> None:
    """The signed-in merchant runs merchant 1, the signed-in consumer is consumer 1."""
    app = Application(load_settings({"AMS_PROFILE": "local", "AMS_DATA": str(data), "AMS_OIDC_ISSUERS": "[]"}))
    try:
        for name, change in (("merchant", {"merchant_ids": ("mer_1",)}), ("consumer", {"consumer_id": "con_1"})):
            stored = await app.identity.store.account(accounts[name]["id"])
            assert stored is not None, "the first request makes the account"
            after = stored.value.model_copy(update=change)
            await app.ports.documents.upsert(ACCOUNTS, after.id, ACCOUNT_DOCUMENT, after.to_json())
    finally:
        await app.close()
    await asyncio.sleep(2)  # what the workers remember of accounts is over


def _questions(people: dict[str, dict[str, str]]) -> dict[str, tuple[str, dict[str, str], str]]:
    """By name: path, who asks, and whether it is a single read, a list or a dashboard."""
    admin, merchant, consumer = people["admin"], people["merchant"], people["consumer"]
    return {
        "own account": ("/me", consumer, "single"),
        "consumer": ("/consumers/con_1", consumer, "single"),
        "key": ("/consumers/con_1/keys/key_1_0", consumer, "single"),
        "grant": ("/consumers/con_1/grants/svc_1", consumer, "single"),
        "service": ("/services/svc_1", merchant, "single"),
        "merchant": ("/merchants/mer_1", merchant, "single"),
        "catalogue detail": ("/catalog/services/maps-1", {}, "single"),
        "settings": ("/admin/settings", admin, "single"),
        "catalogue, two words": ("/catalog/services?q=maps+12", {}, "list"),
        "catalogue, category and facets": ("/catalog/services?category=weather&facets=true", {}, "list"),
        "catalogue, newest": ("/catalog/services?sort=newest", {}, "list"),
        "keys": ("/consumers/con_1/keys", consumer, "list"),
        "grants": ("/consumers/con_1/grants", consumer, "list"),
        "a merchant's services": ("/merchants/mer_1/services", merchant, "list"),
        "subscribers": ("/merchants/mer_1/subscribers", merchant, "list"),
        "services, all": ("/admin/services?status=active", admin, "list"),
        "merchants, all": ("/admin/merchants", admin, "list"),
        "consumers, all": ("/admin/consumers", admin, "list"),
        "access requests": ("/admin/access-requests", admin, "list"),
        "audit log": ("/admin/audit", admin, "list"),
        "usage by day": ("/consumers/con_1/usage?group_by=day", consumer, "dashboard"),
        "usage by key": ("/consumers/con_1/usage?group_by=api_key", consumer, "dashboard"),
        "a merchant's usage by day": ("/merchants/mer_1/usage?group_by=day", merchant, "dashboard"),
        "platform usage by day": ("/admin/usage?group_by=day", admin, "dashboard"),
    }


async def _answered(client: httpx.AsyncClient, path: str, headers: dict[str, str]) -> None:
    answer = await client.get(path, headers=headers)
    if answer.status_code != 200:
        raise typer.BadParameter(f"{path}: {answer.status_code} {answer.text[:300]}")


async def _load(
    client: httpx.AsyncClient, asked: dict[str, tuple[str, dict[str, str], str]], rate: float, seconds: float
) -> dict[str, list[float]]:
    """Milliseconds from when each request was due, by name; they take turns."""
    names, found = list(asked), defaultdict[str, list[float]](list)
    start = time.perf_counter() + 0.5

    async def one(number: int) -> None:
        due = start + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        name = names[number % len(names)]
        path, headers, _ = asked[name]
        await _answered(client, path, headers)
        found[name].append((time.perf_counter() - due) * 1000)

    await asyncio.gather(*(one(number) for number in range(int(rate * seconds))))
    return found


def _report(asked: dict[str, tuple[str, dict[str, str], str]], latencies: dict[str, list[float]]) -> dict[str, Any]:
    kinds = defaultdict[str, list[float]](list)
    for name, ms in latencies.items():
        kinds[asked[name][2]] += ms
    return {
        "goals": {"single p95 ms": SINGLE_P95_MS, "list p90 ms": LIST_P90_MS, "dashboard p95 ms": 300},
        "kinds": {kind: _percentiles(ms) for kind, ms in kinds.items()},
        "operations": {name: _percentiles(ms) for name, ms in latencies.items()},
    }


def _percentiles(ms: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(ms, n=100, method="inclusive")
    return {"requests": len(ms), **{f"p{n}_ms": round(cuts[n - 1], 1) for n in (50, 90, 95, 99)}}


if __name__ == "__main__":
    typer.run(main)
