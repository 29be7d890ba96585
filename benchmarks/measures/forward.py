"""A call through AMS against the same call to the upstream directly, at a constant rate, in turns."""

import shutil
from typing import Any

from benchmarks import checks, market, open_loop
from benchmarks.open_loop import Constant, Latencies, Request
from benchmarks.results import Line, Result, at_most, median, spread
from benchmarks.scale import Scale
from benchmarks.systems import local_host, upstream

RATE = 300.0
CONSUMERS = market.consumer_ids(1)
GOAL_P50_MS, GOAL_P99_MS = 1.0, 5.0
WARM_UP_S = 1.0


def measure(scale: Scale) -> Result:
    """Raises BenchmarkFailed."""
    folder = scale.folder / "forward"
    folder.mkdir()
    data = folder / "ams"
    runs, called = [], 0
    with upstream() as port:
        keys = market.seed(data, 1, upstream=f"http://127.0.0.1:{port}")
        with local_host(data, scale.workers, AMS_UPSTREAM_ALLOW_PRIVATE="true") as ams:
            direct = Constant(port, RATE, scale.seconds, Request("GET /items/1"))
            through = Constant(
                ams.port, RATE, scale.seconds, Request(f"GET /api/consume/{market.SERVICE}/items/1"), tuple(keys)
            )
            for load in (_shortened(direct), _shortened(through)):
                warm_up = open_loop.measure(load)
            called += len(warm_up.ms)
            for _ in range(scale.runs):
                pair = {"direct": open_loop.measure(direct), "ams": open_loop.measure(through)}
                called += len(pair["ams"].ms)
                runs.append({name: _figures(latencies) for name, latencies in pair.items()})
            # Not the stream's end: what the spool has not shipped is not on the stream yet.
            checks.wait_for(lambda: checks.counted(data, CONSUMERS).events >= called, f"{called} calls counted")
        checks.check(checks.counted(data, CONSUMERS), at_least=called, at_most=called)
    shutil.rmtree(folder)
    conditions = {
        "each run": f"{scale.seconds:g} s at {RATE:g} requests/s from {open_loop.CONNECTIONS} connections, latency from"
        " when a request was due",
        "upstream": "an asyncio server on loopback that answers 1 KiB",
        "worker processes": f"{scale.workers}",
        "added": "percentile through AMS minus percentile of the direct calls before it",
        "checked": "after all runs: every call is counted once",
    }
    return Result("forward", scale.full, conditions, _lines(runs), runs)


def _shortened(load: Constant) -> Constant:
    return Constant(load.port, load.rate, min(WARM_UP_S, load.seconds), load.request, load.keys)


def _figures(latencies: Latencies) -> dict[str, float]:
    return {"p50_ms": latencies.p50, "p99_ms": latencies.p99}


def _lines(runs: list[dict[str, Any]]) -> list[Line]:
    lines = []
    for name, goal in (("p50", GOAL_P50_MS), ("p99", GOAL_P99_MS)):
        added = [run["ams"][f"{name}_ms"] - run["direct"][f"{name}_ms"] for run in runs]
        lines.append(
            Line(
                f"forwarded call, added latency, {RATE:g} requests/s, {name}",
                spread(added, "ms", 2),
                f"≤ {goal:g} ms",
                at_most(median(added), goal),
            )
        )
    for target in ("direct", "ams"):
        values = [spread([run[target][f"{name}_ms"] for run in runs], "ms", 2) for name in ("p50", "p99")]
        lines.append(Line(f"the same call, {target}: p50, p99", ", ".join(values)))
    return lines
