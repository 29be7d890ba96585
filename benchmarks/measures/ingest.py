"""Usage reports as fast as they go, durable before 202: AMS, the empty handler, the baseline, in turns.

Two variants of AMS: with aggregation running in the background, as in production, and without it, which says what
taking in costs by itself. Only one of the systems has work at any time; the next one starts when AMS has counted all.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import checks, market, postgres, wrk
from benchmarks.baseline import server
from benchmarks.results import Line, Result, at_least, median, ratios, spread
from benchmarks.scale import BenchmarkFailed, Scale
from benchmarks.systems import local_host

CONSUMERS = 50
TUNING_S = 2.0


@dataclass
class Target:
    """Something to send reports to. `settle` waits until its work is done and checks its counts."""

    port: int
    path: str
    settle: Callable[[int, int], dict[str, float]]
    connections: int = 0
    acknowledged: int = 0
    sent: int = 0
    runs: list[dict[str, float]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Goals:
    """`of_empty` is a share of the empty handler's requests, `of_baseline` a multiple of the baseline's."""

    events_per_s: float | None
    of_empty: float | None
    of_baseline: float


class Ingest:
    """One benchmark: reports of `events` events each, tried with these numbers of connections."""

    def __init__(self, name: str, events: int, connections: tuple[int, ...], goals: Goals) -> None:
        self._name = name
        self._events = events
        self._connections = connections
        self._goals = goals

    def measure(self, scale: Scale) -> Result:
        """Raises BenchmarkFailed."""
        with self._targets(scale) as (targets, keys):
            self._tune(targets, keys, scale)
            for _ in range(scale.runs):
                for target in targets.values():
                    target.runs.append(self._run(target, keys, target.connections, scale.seconds))
        return self._result(targets, scale)

    @contextmanager
    def _targets(self, scale: Scale) -> Iterator[tuple[dict[str, Target], Path]]:
        folder = scale.folder / self._name
        folder.mkdir()
        full, alone, keys_file = folder / "ams", folder / "alone", folder / "keys.txt"
        keys = market.seed(full, CONSUMERS)
        shutil.copytree(full, alone)
        keys_file.write_text("".join(f"{key}\n" for key in keys))
        empty = local_host(folder / "empty", scale.workers, "benchmarks.apps.empty")
        with (
            local_host(full, scale.workers) as ams,
            local_host(alone, scale.workers, "benchmarks.apps.ingest_only") as ingest_only,
            empty,
            postgres.running(folder / "postgres") as dsn,
        ):
            server.create_tables(dsn, keys)
            with server.baseline(dsn, scale.workers, folder) as baseline:
                suffix = "/batch" if self._events > 1 else ""
                targets = {
                    "ams": Target(ams.port, "/api/consume", _ams_settled(full)),
                    "empty": Target(empty.port, "/api/consume", lambda acknowledged, sent: {}),
                    "baseline": Target(baseline.port, f"/events{suffix}", _baseline_settled(dsn)),
                    "ams_alone": Target(ingest_only.port, "/api/consume", _stream_settled(alone)),
                }
                yield targets, keys_file
        shutil.rmtree(folder)

    def _tune(self, targets: dict[str, Target], keys: Path, scale: Scale) -> None:
        """Each system is measured with the number of connections that suits it best."""
        for target in targets.values():
            target.connections = self._connections[0]
            if scale.seconds < TUNING_S:
                continue
            tried = {
                connections: self._run(target, keys, connections, TUNING_S)["events_per_s"]
                for connections in self._connections
            }
            target.connections = max(tried, key=tried.__getitem__)

    def _run(self, target: Target, keys: Path, connections: int, seconds: float) -> dict[str, float]:
        load = wrk.run(target.port, target.path, self._events, keys, connections, seconds)
        target.acknowledged += load.answered * self._events
        target.sent += load.sent * self._events
        settled = target.settle(target.acknowledged, target.sent)
        return {
            "events_per_s": load.per_second * self._events,
            "p50_ms": load.p50_ms,
            "p99_ms": load.p99_ms,
            **settled,
        }

    def _result(self, targets: dict[str, Target], scale: Scale) -> Result:
        rates = {name: [run["events_per_s"] for run in target.runs] for name, target in targets.items()}
        to_empty, to_baseline = ratios(rates["ams"], rates["empty"]), ratios(rates["ams"], rates["baseline"])
        goals, what = self._goals, "single reports" if self._events == 1 else f"batches of {self._events}"
        lines = [
            Line(
                f"{what}, durable before 202, aggregation running",
                spread(rates["ams"], "events/s"),
                "" if goals.events_per_s is None else f"≥ {goals.events_per_s:,.0f} events/s",
                "stated" if goals.events_per_s is None else at_least(median(rates["ams"]), goals.events_per_s),
            ),
            Line(
                f"{what}: share of the empty handler",
                spread([100 * ratio for ratio in to_empty], "%"),
                "" if goals.of_empty is None else f"≥ {goals.of_empty:.0%}",
                "stated" if goals.of_empty is None else at_least(median(to_empty), goals.of_empty),
            ),
            Line(
                f"{what}: against the baseline",
                spread(to_baseline, "×", 1),
                f"≥ {goals.of_baseline:g} ×",
                at_least(median(to_baseline), goals.of_baseline),
            ),
            *(
                Line(f"{what}, {label}", spread(rates[name], "events/s"))
                for name, label in (
                    ("ams_alone", "aggregation not running"),
                    ("empty", "empty handler"),
                    ("baseline", "baseline"),
                )
            ),
        ]
        runs = [{name: target.runs[number] for name, target in targets.items()} for number in range(scale.runs)]
        return Result(self._name, scale.full, self._conditions(targets, scale), lines, runs)

    def _conditions(self, targets: dict[str, Target], scale: Scale) -> dict[str, str]:
        p50 = {name: median([run["p50_ms"] for run in target.runs]) for name, target in targets.items()}
        backlog = median([run["counted_later"] for run in targets["ams"].runs])
        return {
            "each run": f"{scale.seconds:g} s of wrk with one thread, {CONSUMERS} consumers with one key each",
            "worker processes": f"{scale.workers} for each system; AMS also has its background process",
            "connections": ", ".join(f"{name} {target.connections}" for name, target in targets.items()),
            "latency p50": ", ".join(f"{name} {value:.1f} ms" for name, value in p50.items()),
            "counted after the run's end": f"{backlog:,.0f} events, which the aggregation was behind",
            "baseline": f"{server.POOL_PER_WORKER} connections to PostgreSQL for each worker, over a Unix socket",
            "checked": "after every run: nothing refused; counters equal records; all acknowledged events counted",
        }


def _ams_settled(data: Path) -> Callable[[int, int], dict[str, float]]:
    def counted() -> checks.Counted:
        checks.wait_until_counted(data)
        return checks.counted(data, market.consumer_ids(CONSUMERS))

    def settle(acknowledged: int, sent: int) -> dict[str, float]:
        behind = checks.lag_events(data)
        found = checks.at_rest(counted)
        checks.check(found, at_least=acknowledged, at_most=sent)
        return {"counted_later": float(behind)}

    return settle


def _stream_settled(data: Path) -> Callable[[int, int], dict[str, float]]:
    def settle(acknowledged: int, sent: int) -> dict[str, float]:
        waiting = checks.at_rest(lambda: checks.lag_events(data))
        if not acknowledged <= waiting <= sent:
            raise BenchmarkFailed(f"{waiting} events are on the stream; acknowledged {acknowledged}, sent {sent}")
        return {}

    return settle


def _baseline_settled(dsn: str) -> Callable[[int, int], dict[str, float]]:
    def settle(acknowledged: int, sent: int) -> dict[str, float]:
        found = checks.at_rest(lambda: server.counted(dsn))
        server.write_out(dsn)
        checks.check(found, at_least=acknowledged, at_most=sent)
        return {}

    return settle


single = Ingest("single", 1, (64, 16, 32, 128, 256), Goals(None, 0.4, 3))
batch = Ingest("batch", 100, (16, 4, 8, 32, 64), Goals(50_000, None, 10))
