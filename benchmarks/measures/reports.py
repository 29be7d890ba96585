"""Whether consume waits for reports: single usage reports at a constant rate, with and without reports being made.

A processor that is busy answers later, whatever it is busy with, and the load's own threads wait for it too. So there
is a third run, beside a program that only computes, with the same (lack of) priority: what reports cost beyond that,
by locks, caches and the disk, is the ratio to it.

What makes them is what the host starts for it, `shared.bootstrap.background_process`, one after the other for all of
a run: two months of counters by key and hour, as PDF and as CSV in turns.
"""

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks import checks, market, open_loop
from benchmarks.open_loop import Constant
from benchmarks.reports import single_report
from benchmarks.results import Line, Result, at_most, median, ratios, spread
from benchmarks.scale import BenchmarkFailed, Scale
from benchmarks.systems import ROOT, local_host
from shared.kernel.clock import format_time, utc_now
from shared.kernel.ids import new_id
from shared.metering.counters import Bucket, Counter, encode_counter
from shared.metering.store import USAGE
from shared.platform.documents import Container, Create, Operation, Query, Upsert, Where
from shared.platform.documents.sqlite import SqliteDocuments
from shared.reports.models import Contents, Report
from shared.reports.store import REPORTS, report_document

RATE = 300.0
CONSUMER, CONSUMERS = "con", market.consumer_ids(1)
DAYS, KEYS, REPORTS_QUEUED = 60, 20, 1_000
GOAL_RATIO = 1.5
WARM_UP_S = 1.0
COMPUTING = """
from shared.bootstrap.background_process import lower_priority
lower_priority()
while True:
    sum(range(100_000))
"""
STOP_S = 30.0


def measure(scale: Scale) -> Result:
    """Raises BenchmarkFailed."""
    folder = scale.folder / "reports"
    folder.mkdir()
    data = folder / "ams"
    keys = tuple(market.seed(data, 1))
    asyncio.run(_seed(data, scale.amount(DAYS, 2), scale.amount(KEYS, 2)))
    runs: list[dict[str, Any]] = []
    sent = 0
    with local_host(data, scale.workers) as ams:

        def load(name: str, seconds: float) -> open_loop.Latencies:
            return open_loop.measure(Constant(ams.port, RATE, seconds, single_report(name), keys, name))

        sent += len(load("warm", min(WARM_UP_S, scale.seconds)).ms)
        for number in range(scale.runs):
            without = load(f"without{number}", scale.seconds)
            with _reports_being_made(data, scale.amount(REPORTS_QUEUED, 50)):
                beside = load(f"beside{number}", scale.seconds)
            made = asyncio.run(_clear(data))
            with _running([sys.executable, "-c", COMPUTING], {}):
                control = load(f"control{number}", scale.seconds)
            found = {"without": without, "beside": beside, "control": control}
            sent += sum(len(each.ms) for each in found.values())
            figures = {f"{name}_p50_ms": each.p50 for name, each in found.items()}
            figures |= {f"{name}_p99_ms": each.p99 for name, each in found.items()}
            runs.append({**figures, "reports_made": made})
        checks.wait_until_counted(data)
    if any(run["reports_made"] < 1 for run in runs) and scale.full:
        raise BenchmarkFailed("no report was made beside consume")
    shutil.rmtree(folder)
    conditions = {
        "each run": f"{scale.seconds:g} s at {RATE:g} events/s, one a request: without reports, beside them, beside a"
        " program that only computes",
        "reports": f"{KEYS} keys and {DAYS} days by key and hour, PDF and CSV in turns, all through the run",
        "worker processes": f"{scale.workers}, and the one that makes reports",
        "checked": f"every event was acknowledged ({sent} in all); reports were being made when the run ended",
    }
    return Result("reports", scale.full, conditions, _lines(runs), runs)


def _lines(runs: list[dict[str, Any]]) -> list[Line]:
    lines = []
    for name, than in (("control", "beside a program that only computes"), ("without", "without")):
        found = ratios([run["beside_p99_ms"] for run in runs], [run[f"{name}_p99_ms"] for run in runs])
        what = f"consume at {RATE:g} events/s, p99 beside reports / {than}"
        lines.append(Line(what, spread(found, "", 2), f"≤ {GOAL_RATIO:g}", at_most(median(found), GOAL_RATIO)))
    named = {"without": "without reports", "beside": "beside reports", "control": "beside a program that only computes"}
    for name, what in named.items():
        values = [spread([run[f"{name}_{figure}_ms"] for run in runs], "ms", 2) for figure in ("p50", "p99")]
        lines.append(Line(f"consume {what}: p50, p99", ", ".join(values)))
    lines.append(Line("reports made in a run beside it", spread([run["reports_made"] for run in runs])))
    return lines


@contextlib.contextmanager
def _reports_being_made(data: Path, count: int) -> Iterator[None]:
    """From before the block until after it. Raises BenchmarkFailed when they ran out."""
    asyncio.run(_ask(data, count))
    with _running([sys.executable, "-m", "shared.bootstrap.background_process", "reports"], {"AMS_DATA": str(data)}):
        checks.wait_for(lambda: asyncio.run(_begun(data)) > 0, "a report is being made")
        yield


@contextlib.contextmanager
def _running(command: list[str], settings: dict[str, str]) -> Iterator[None]:
    """A process through all of the block. Raises BenchmarkFailed when it ended by itself."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AMS_")}
    process = subprocess.Popen(command, cwd=ROOT, env={**inherited, **settings})
    try:
        yield
        if process.poll() is not None:
            raise BenchmarkFailed(f"{' '.join(command)} ended with {process.returncode}")
    finally:
        process.terminate()
        process.wait(STOP_S)


async def _ask(data: Path, count: int) -> None:
    now = utc_now().replace(minute=0, second=0, microsecond=0)

    def writes() -> Iterator[Operation]:
        for number in range(count):
            report = Report(
                id=new_id("rep"),
                owner_kind="consumer",
                owner_id=CONSUMER,
                contents=Contents(name="Bench", by=("api_key", "hour"), format="csv" if number % 2 else "pdf"),
                start=now - timedelta(days=DAYS),
                end=now,
                due=format_time(now),
                created_at=now,
                created_by="acc",
            )
            yield Create(report_document(report.id), report.to_json())

    await _write(data, REPORTS, CONSUMER, writes())


async def _begun(data: Path) -> int:
    async with contextlib.AsyncExitStack() as stack:
        documents = SqliteDocuments(data / "documents.db")
        stack.push_async_callback(documents.close)
        where = (Where("kind", "=", "report"), Where("status", "in", ("running", "done")))
        return len((await documents.query(REPORTS, Query(CONSUMER, where))).items)


async def _clear(data: Path) -> int:
    """Take the reports away; how many were done."""
    documents = SqliteDocuments(data / "documents.db")
    done = 0
    while True:
        page = await documents.query(REPORTS, Query(CONSUMER, (Where("id", "starts_with", "report:"),)))
        for document in page.items:
            done += Report.model_validate_json(document.body).status == "done"
            await documents.delete(REPORTS, CONSUMER, document.id)
        if not page.items:
            await documents.close()
            return done


async def _seed(data: Path, days: int, keys: int) -> None:
    """Counters as the aggregator writes them: a service, twelve quarter hours of each day."""
    now = utc_now()

    def counters() -> Iterator[Operation]:
        for key in range(keys):
            for number in range(1, days):
                day = now - timedelta(days=number)
                counter = Counter(
                    api_key_id=f"key_{key}",
                    period=f"{day:%Y-%m-%d}",
                    service_id="svc_ocr",
                    merchant_id="mer_bench",
                    consumer_id=CONSUMER,
                )
                counter.buckets = {
                    f"{hour:02d}:15": Bucket(7, 7, 512, 20480, timed=7, response_us=300_000, status={"200": 7})
                    for hour in range(6, 18)
                }
                counter.touch(format_time(day))
                yield Upsert(counter.key.id, encode_counter(counter))

    await _write(data, USAGE, f"{CONSUMER}:0", counters())


async def _write(data: Path, container: Container, partition: str, operations: Iterator[Operation]) -> None:
    documents = SqliteDocuments(data / "documents.db")
    while chunk := list(islice(operations, 100)):
        await documents.transact(container, partition, chunk)
    await documents.close()
