"""Counting: the aggregate_usage function, fed through the events port, in one process, as fast as it goes.

Ids in order (what most clients send) and random UUIDs (the worst case for the store's index), into a store that is new
and into one that holds records of a million events already.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks import checks, market
from benchmarks.results import Line, Result, at_least, median, spread
from benchmarks.scale import BenchmarkFailed, Scale
from benchmarks.systems import ROOT

CONSUMERS = 50
EVENTS, STORED_EVENTS = 200_000, 1_000_000
IDS = ("ordered", "random")
GOAL_PER_CORE_S = 40_000


def measure(scale: Scale) -> Result:
    """Raises BenchmarkFailed."""
    events, stored = scale.amount(EVENTS, 100), scale.amount(STORED_EVENTS, 100)
    folder = scale.folder / "aggregation"
    folder.mkdir()
    template = folder / "new"
    market.seed(template, CONSUMERS)
    large = {ids: _copied(template, folder / f"large-{ids}") for ids in IDS}
    held = dict.fromkeys(IDS, stored)
    for ids, data in large.items():
        count_more(data, stored, ids, expected=stored)
    runs = []
    for number in range(scale.runs):
        run: dict[str, Any] = {}
        for ids in IDS:
            fresh = _copied(template, folder / f"{ids}-{number}")
            run[f"{ids}, new store"] = count_more(fresh, events, ids, expected=events)
            shutil.rmtree(fresh)
            held[ids] += events
            run[f"{ids}, large store"] = count_more(large[ids], events, ids, expected=held[ids])
        runs.append(run)
    shutil.rmtree(folder)
    conditions = {
        "each run": f"{events:,} events in batches of 100 from {CONSUMERS} consumers, published before, then counted by"
        " one process",
        "per core": "events by second of processor time of the whole process, its SQLite threads included",
        "large store": f"holds {stored:,} records before the first run",
        "checked": "after every run: counters equal records equal published events",
    }
    return Result("aggregation", scale.full, conditions, _lines(runs), runs)


def _lines(runs: list[dict[str, Any]]) -> list[Line]:
    lines = []
    for variant in runs[0]:
        per_core = [run[variant]["per_core_s"] for run in runs]
        wall = [run[variant]["per_s"] for run in runs]
        lines += [
            Line(
                f"aggregation, exactly once, SQLite: {variant}",
                spread(per_core, "events/s per core"),
                f"≥ {GOAL_PER_CORE_S:,} events/s per core",
                at_least(median(per_core), GOAL_PER_CORE_S),
            ),
            Line(f"aggregation: {variant}, by the clock", spread(wall, "events/s")),
        ]
    return lines


def _copied(template: Path, to: Path) -> Path:
    shutil.copytree(template, to)
    return to


def count_more(data: Path, events: int, ids: str, *, expected: int) -> dict[str, float]:
    """Publish and count `events` more in a process of their own. `expected` is what the store holds afterwards."""
    command = [sys.executable, "-m", "benchmarks.aggregator", str(data), str(events), str(CONSUMERS), ids]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchmarkFailed(f"aggregator: {done.stderr}")
    checks.check(checks.counted(data, market.consumer_ids(CONSUMERS)), at_least=expected, at_most=expected)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures
