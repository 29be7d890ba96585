"""From a decision to the last call that it let through: what is taken away over the API, on two workers.

It is the test of the promise (tests/support/journeys/revocation.py) with its figures kept: four lanes, five decisions
each, a run.
"""

import math
import shutil
import statistics
from contextlib import closing
from typing import Any

from benchmarks.results import Line, Result, at_most
from benchmarks.scale import BenchmarkFailed, Scale
from tests.emulators.upstream import UpstreamPeer
from tests.support.journeys.people import Market
from tests.support.journeys.revocation import Bench
from tests.support.journeys.signing_in import Provider

LANES = 4
GOAL_S = 2.0


def measure(scale: Scale) -> Result:
    """Raises BenchmarkFailed."""
    folder = scale.folder / "revocation"
    folder.mkdir()
    runs = _run(scale)
    shutil.rmtree(folder)
    late = sorted(seconds for run in runs for times in run.values() for seconds in times)
    conditions = {
        "each run": f"{LANES} of each at about the same time: {', '.join(runs[0])}",
        "decisions": f"{len(late)} over the management API, all through one worker",
        "time": "from the answer to the decision until the last request began that either worker still let through",
        "worker processes": "2, whatever was asked for",
        "checked": "every connection of both workers is refused at the end of a run, with the code that says why",
    }
    return Result("revocation", scale.full, conditions, _lines(late), runs)


def _run(scale: Scale) -> list[dict[str, Any]]:
    folder = scale.folder / "revocation"
    provider = Provider(folder / "provider")
    provider.start()
    market = Market(folder / "ams", provider)
    try:
        market.ams.start()
        with UpstreamPeer() as upstream, closing(Bench(market, upstream.url, LANES)) as bench:
            return [_by_what(bench.round()) for _ in range(scale.runs)]
    except AssertionError as failed:
        raise BenchmarkFailed(str(failed)) from failed
    finally:
        market.close()
        provider.close()


def _by_what(measured: list[tuple[str, float]]) -> dict[str, Any]:
    by_what: dict[str, list[float]] = {}
    for what, seconds in measured:
        by_what.setdefault(what, []).append(round(seconds, 3))
    return by_what


def _lines(late: list[float]) -> list[Line]:
    what = f"decision → refused by both workers, {len(late)} decisions"
    p99 = late[math.ceil(len(late) * 0.99) - 1]
    return [
        Line(f"{what}, longest", f"{late[-1]:.2f} s", f"≤ {GOAL_S:g} s", at_most(late[-1], GOAL_S)),
        Line(f"{what}, p99", f"{p99:.2f} s"),
        Line(f"{what}, p50", f"{statistics.median(late):.2f} s"),
    ]
