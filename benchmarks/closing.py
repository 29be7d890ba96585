"""How long the close of a month takes, and how much memory: 100,000 invoices of a few merchants.

    .venv/bin/python -m benchmarks.closing [--invoices 100000] [--merchants 10] [--records 12] [--documents]

The embedded store, with every invoice's records and counters, and one process that closes, as the timer does. All
records are read: their hash is on each invoice, and their sums are compared with the counters. Checked: every invoice
is there, numbers have no gap, and the total is what the records cost. With `--documents` PDF and CSV of every invoice
are made afterwards, as the timer does. Writes benchmarks/results/closing.json.
"""

import asyncio
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import track

from scripts.seeding.documents import put_merchant, put_service
from shared.access.models import Consumer, Grant
from shared.access.store import ACCESS
from shared.billing.charges import CHARGE
from shared.billing.prices.models import Plan
from shared.billing.prices.store import plan_document
from shared.billing.profiles.models import BillingProfile
from shared.billing.profiles.store import PROFILE
from shared.billing.store import BILLING
from shared.bootstrap import Application
from shared.catalog.models import Merchant, Service
from shared.kernel.clock import format_time, utc_now
from shared.kernel.periods import period
from shared.metering.counters import Counter, counter_key, encode_counter, sum_events
from shared.metering.counting.record_ids import record_id
from shared.metering.events import EVENT_TYPE, UsageData, UsageEvent, encode_event
from shared.metering.store import USAGE
from shared.platform.documents import Create, Operation, Upsert
from shared.settings import load_settings

MONTH = "2026-03"
AFTER = datetime(2026, 4, 2, 1, tzinfo=UTC)
DAYS_OF_USAGE = 4
AT_ONCE = 400
GOAL_S = 30 * 60
RESULTS = Path(__file__).with_name("results") / "closing.json"


def main(
    invoices: Annotated[int, typer.Option(min=10)] = 100_000,
    merchants: Annotated[int, typer.Option(min=1)] = 10,
    records: Annotated[int, typer.Option(min=1, help="Of each invoice.")] = 12,
    documents: Annotated[bool, typer.Option("--documents", help="File them as well.")] = False,
    to: Annotated[Path, typer.Option()] = RESULTS,
    close_only: Annotated[Path | None, typer.Option(hidden=True)] = None,
) -> None:
    """Seed, close in a process of its own, check, and print. Leave the machine alone meanwhile."""
    if close_only is not None:
        typer.echo(json.dumps(asyncio.run(_close(close_only, documents=documents))))
        return
    folder = Path(tempfile.mkdtemp(prefix="ams-bench-", dir="/var/tmp"))
    try:
        asyncio.run(_seed(folder, invoices, merchants, records))
        command = [sys.executable, "-m", "benchmarks.closing", "--close-only", str(folder)]
        command += ["--documents"] if documents else []
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        figures = json.loads(done.stdout.splitlines()[-1])
        asyncio.run(_check(folder, invoices, merchants, records))
    finally:
        shutil.rmtree(folder)
    report = {
        "invoices": invoices,
        "merchants": merchants,
        "records": invoices * records,
        **figures,
        "invoices_per_s": round(invoices / figures["seconds"], 1),
        "goal_s_for_100000": GOAL_S,
        "measured_at": format_time(utc_now()),
    }
    to.write_text(json.dumps(report, indent=2) + "\n")
    typer.echo(json.dumps(report, indent=2))


def _application(folder: Path, now: Callable[[], datetime] = utc_now) -> Application:
    settings = load_settings({"AMS_PROFILE": "local", "AMS_DATA": str(folder), "AMS_OIDC_ISSUERS": "[]"})
    return Application(settings, now)


async def _close(folder: Path, *, documents: bool) -> dict[str, float]:
    app = _application(folder, lambda: AFTER)
    closed, figures = await _timed(app.billing.closer.run(), "")
    filed: dict[str, float] = {}
    if documents:
        invoices, filed = await _timed(app.billing.filer.run(), "documents_")
        filed = {"documents_of": invoices, **filed}
    await app.close()
    return {"closes": closed, **figures, **filed}


async def _timed(work: Awaitable[int], name: str) -> tuple[int, dict[str, float]]:
    """What it returned, how long it took, and the process's peak of memory until then."""
    cpu, started = time.process_time(), time.perf_counter()
    done = await work
    return done, {
        f"{name}seconds": round(time.perf_counter() - started, 1),
        f"{name}cpu_s": round(time.process_time() - cpu, 1),
        f"{name}peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }


async def _seed(folder: Path, invoices: int, merchants: int, records: int) -> None:
    app = _application(folder)
    try:
        for number in range(merchants):
            await _put_merchant(app, number)
        left = iter(range(invoices))
        for _ in track(range(0, invoices, AT_ONCE), description="consumers"):
            await asyncio.gather(*(_put_consumer(app, n, n % merchants, records) for n in islice(left, AT_ONCE)))
    finally:
        await app.close()


async def _put_merchant(app: Application, number: int) -> None:
    merchant_id, service_id = f"mer_{number}", f"svc_{number}"
    start = period(MONTH, "UTC").start
    await put_merchant(
        app.catalog.store, Merchant(id=merchant_id, slug=f"m-{number}", name=f"M {number}", status="active")
    )
    service = Service(id=service_id, merchant_id=merchant_id, slug=f"s-{number}", name="Service", status="active")
    await put_service(app.catalog.store, service)
    profile = BillingProfile(merchant_id=merchant_id, number_prefix=f"M{number % 100}", billing_from=start)
    await app.ports.documents.upsert(BILLING, merchant_id, PROFILE, profile.to_json())
    charge = {"id": "calls", "name": "Calls", "metric": "requests", "model": "per_unit", "unit_price": "0.01"}
    plan = Plan(
        service_id=service_id,
        merchant_id=merchant_id,
        number=1,
        name="Standard",
        currency="EUR",
        charges=(CHARGE.validate_python(charge),),
        effective_from=start,
        created_at=start,
        created_by="bench",
    )
    await app.ports.documents.upsert(BILLING, merchant_id, plan_document(service_id, 1), plan.to_json())


async def _put_consumer(app: Application, number: int, merchant: int, records: int) -> None:
    consumer_id = f"con_{number}"
    grant = Grant(
        consumer_id=consumer_id,
        service_id=f"svc_{merchant}",
        merchant_id=f"mer_{merchant}",
        status="approved",
        pseudonym=f"cus_{number:08d}",
        decided_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    made: list[Operation] = [
        Upsert("consumer", Consumer(id=consumer_id, name=f"Consumer {number}").to_json()),
        Upsert(f"grant:{grant.service_id}", grant.to_json()),
    ]
    await app.ports.documents.transact(ACCESS, consumer_id, made)
    events = [_event(number, merchant, n) for n in range(records)]
    operations: list[Operation] = [Create(record_id(event.source, event.id), encode_event(event)) for event in events]
    for key, buckets in sum_events((counter_key(event), event) for event in events).items():
        counter = Counter.empty(key)
        counter.buckets = buckets
        operations.append(Create(key.id, encode_counter(counter)))
    await app.ports.documents.transact(USAGE, f"{consumer_id}:0", operations)


def _event(number: int, merchant: int, n: int) -> UsageEvent:
    moment = datetime(2026, 3, 3 + n % DAYS_OF_USAGE, 8, tzinfo=UTC) + timedelta(minutes=7 * n)
    return UsageEvent(
        id=f"e{n}",
        source="bench",
        type=EVENT_TYPE,
        subject="s",
        time=format_time(moment),
        consumer_id=f"con_{number}",
        api_key_id=f"key_{number}",
        service_id=f"svc_{merchant}",
        merchant_id=f"mer_{merchant}",
        received_at=format_time(moment),
        specversion="1.0",
        data=UsageData(requests=3, response_bytes=1_000, status_code=200),
    )


async def _check(folder: Path, invoices: int, merchants: int, records: int) -> None:
    app = _application(folder)
    found, total = 0, Decimal(0)
    try:
        for merchant in range(merchants):
            numbers, cursor = [], None
            while True:
                page = await app.billing.invoice_store.merchant_invoices(f"mer_{merchant}", (), 1_000, cursor)
                numbers += [int(stored.value.number[-6:]) for stored in page.items]
                total += sum((stored.value.total for stored in page.items), Decimal(0))
                cursor = page.cursor
                if cursor is None:
                    break
            assert sorted(numbers) == list(range(1, len(numbers) + 1)), "a number is missing, or there twice"
            found += len(numbers)
    finally:
        await app.close()
    assert found == invoices, f"{found} invoices, not {invoices}"
    assert total == Decimal("0.03") * records * invoices, f"the total is {total}"


if __name__ == "__main__":
    typer.run(main)
