"""Does consume care how many keys there are? Single reports at a constant rate, keys chosen uniformly at random."""

import shutil
from pathlib import Path

from benchmarks import checks, market, open_loop
from benchmarks.open_loop import Constant
from benchmarks.reports import single_report
from benchmarks.results import Line, Result, at_most, median, ratios, spread
from benchmarks.scale import Scale
from benchmarks.systems import local_host

RATE = 300.0
FEW, MANY = 100, 100_000
GOAL = 1.2
WARM_UP_S = 2.0


def measure(scale: Scale) -> Result:
    """Raises BenchmarkFailed."""
    folder = scale.folder / "keys"
    folder.mkdir()
    sizes = {"few": min(FEW, scale.amount(MANY, 10)), "many": scale.amount(MANY, 10)}
    keys = {name: tuple(market.seed(folder / name, size)) for name, size in sizes.items()}
    runs: list[dict[str, float]] = []
    sent = 0
    with local_host(folder / "few", scale.workers) as few, local_host(folder / "many", scale.workers) as many:
        ports = {"few": few.port, "many": many.port}

        def run(name: str, number: int, seconds: float) -> open_loop.Latencies:
            load = Constant(ports[name], RATE, seconds, single_report(f"run{number}"), keys[name], f"{number}")
            latencies = open_loop.measure(load)
            checks.wait_until_counted(folder / name)  # what is still to be counted is not to disturb the other
            return latencies

        for number in range(scale.runs + 1):
            seconds = scale.seconds if number else min(WARM_UP_S, scale.seconds)
            pair = {name: run(name, number, seconds) for name in ports}
            sent += len(pair["few"].ms)
            if number:  # the first was to warm up
                runs.append({f"{name}_p50_ms": latencies.p50 for name, latencies in pair.items()})
    for name, size in sizes.items():
        _check(folder / name, size, sent)
    shutil.rmtree(folder)
    conditions = {
        "each run": f"{scale.seconds:g} s at {RATE:g} single reports/s from {open_loop.CONNECTIONS} connections",
        "keys": f"{sizes['few']:,} and {sizes['many']:,}, one per consumer, chosen uniformly at random",
        "worker processes": f"{scale.workers}",
        "checked": "after all runs: counters equal records equal acknowledged events, in both installations",
    }
    return Result("keys", scale.full, conditions, _lines(runs, sizes), runs)


def _check(data: Path, consumers: int, sent: int) -> None:
    found = checks.counted(data, market.consumer_ids(consumers))
    checks.check(found, at_least=sent, at_most=sent)


def _lines(runs: list[dict[str, float]], sizes: dict[str, int]) -> list[Line]:
    few, many = ([run[f"{name}_p50_ms"] for run in runs] for name in ("few", "many"))
    against = ratios(many, few)
    return [
        Line(
            f"consume p50 with {sizes['many']:,} keys against {sizes['few']:,}",
            spread(against, "×", 2),
            "within 20 %",
            at_most(median(against), GOAL),
        ),
        Line(f"consume p50 with {sizes['few']:,} keys", spread(few, "ms", 2)),
        Line(f"consume p50 with {sizes['many']:,} keys", spread(many, "ms", 2)),
    ]
