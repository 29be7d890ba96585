"""From 202 to the summary: batches of 10 from ten keys, 1,000 events a second, and ten readers that keep looking."""

import shutil
import statistics

from benchmarks import checks, market, visibility
from benchmarks.open_loop import Request
from benchmarks.reports import batch_report
from benchmarks.results import Line, Result, at_most, median, spread
from benchmarks.scale import Scale
from benchmarks.systems import local_host

KEYS, EVENTS, EVENTS_PER_S = 10, 10, 1_000
GOAL_P99_S = 3.0
RUN_TIMES = 3
"""This one runs three times as long as the others: what is looked for is rare."""


def measure(scale: Scale) -> Result:
    """Raises BenchmarkFailed."""
    folder = scale.folder / "visible"
    folder.mkdir()
    data = folder / "ams"
    keys = market.seed(data, KEYS)
    runs, acknowledged = [], 0
    with local_host(data, scale.workers) as ams:
        for number in range(scale.runs):
            stream = visibility.Stream(
                ams.port,
                tuple(keys),
                EVENTS_PER_S / EVENTS / KEYS,
                EVENTS,
                scale.seconds * RUN_TIMES,
                batch_report(EVENTS, f"run{number}"),
                Request("GET /api/v1/usage/summary"),
                acknowledged // KEYS,
            )
            seen = visibility.measure(stream)
            acknowledged += seen.acknowledged
            delays = sorted(seen.delays_s)
            p99 = delays[min(len(delays) - 1, int(len(delays) * 0.99))]
            runs.append({"p50_s": statistics.median(delays), "p99_s": p99, "max_s": delays[-1]})
    found = checks.counted(data, market.consumer_ids(KEYS))
    checks.check(found, at_least=acknowledged, at_most=acknowledged)
    shutil.rmtree(folder)
    conditions = {
        "each run": f"{scale.seconds * RUN_TIMES:g} s, {KEYS} keys in turns, batches of {EVENTS}",
        "readers": f"every key's summary every {visibility.LOOK_S:g} s, so a delay is up to that much too long",
        "worker processes": f"{scale.workers}",
        "checked": "every acknowledged event became visible; counters equal records equal acknowledged events",
    }
    return Result("visible", scale.full, conditions, _lines(runs), runs)


def _lines(runs: list[dict[str, float]]) -> list[Line]:
    what = f"acknowledged → visible in the summary at {EVENTS_PER_S:,} events/s"
    p99 = [run["p99_s"] for run in runs]
    return [
        Line(f"{what}, p99", spread(p99, "s", 2), f"≤ {GOAL_P99_S:g} s", at_most(median(p99), GOAL_P99_S)),
        Line(f"{what}, p50", spread([run["p50_s"] for run in runs], "s", 2)),
        Line(f"{what}, longest", spread([run["max_s"] for run in runs], "s", 2)),
    ]
