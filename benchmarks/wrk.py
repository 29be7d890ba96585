"""As much load as goes: wrk with report.lua."""

import itertools
import subprocess
from pathlib import Path

import msgspec

from benchmarks.market import SERVICE
from benchmarks.scale import BenchmarkFailed

SCRIPT = Path(__file__).with_name("report.lua")
TIMEOUT_S = 10
_runs = itertools.count(1)


class Load(msgspec.Struct, frozen=True):
    """What wrk saw, in requests. `sent` counts also those in flight at the end and wrk's own trial of the script."""

    seconds: float
    answered: int
    sent: int
    refused: int
    broken: int
    p50_ms: float
    p99_ms: float

    @property
    def per_second(self) -> float:
        return self.answered / self.seconds


def run(port: int, path: str, events: int, keys: Path, connections: int, seconds: float) -> Load:
    """Post reports of `events` events each for `seconds`. Raises BenchmarkFailed when one was not answered 202.

    `keys` is a file with one API key a line; they take turns. Ids are unique over all runs of this process.
    """
    url = f"http://127.0.0.1:{port}"
    command = [
        "wrk",
        "--threads",
        "1",
        "--connections",
        str(connections),
        "--duration",
        f"{max(1, round(seconds))}s",
        "--timeout",
        f"{TIMEOUT_S}s",
        "--script",
        str(SCRIPT),
        url,
        "--",
        path,
        str(events),
        str(keys),
        SERVICE,
        f"run{next(_runs)}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    _, found, result = done.stdout.partition("\nRESULT ")
    if not found:
        raise BenchmarkFailed(f"wrk: {done.stdout} {done.stderr}")
    load = msgspec.json.decode(result.splitlines()[0], type=Load)
    if load.refused or load.broken or not load.answered:
        raise BenchmarkFailed(f"wrk: {load.refused} refused, {load.broken} broken of {load.answered} answered")
    return load
