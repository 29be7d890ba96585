"""`scripts/bench`: run the benchmarks, print the table, write benchmarks/results/."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from benchmarks import machine, results
from benchmarks.measures import (
    aggregation,
    dashboard,
    forward,
    ingest,
    keys,
    reports,
    request_units,
    revocation,
    visible,
)
from benchmarks.scale import FULL_RUNS, FULL_SECONDS, BenchmarkFailed, Scale
from shared.kernel.clock import format_time, utc_now

MEASURES: dict[str, Callable[[Scale], results.Result]] = {
    "single": ingest.single.measure,
    "batch": ingest.batch.measure,
    "aggregation": aggregation.measure,
    "forward": forward.measure,
    "visible": visible.measure,
    "keys": keys.measure,
    "dashboard": dashboard.measure,
    "request-units": request_units.measure,
    "revocation": revocation.measure,
    "reports": reports.measure,
}
RESULTS = Path(__file__).with_name("results")


def main(
    only: Annotated[list[str] | None, typer.Option(help=f"One of {', '.join(MEASURES)}; may be repeated.")] = None,
    runs: Annotated[int, typer.Option(min=1, help="Paired runs.")] = FULL_RUNS,
    seconds: Annotated[float, typer.Option(min=0.1, help="Of one run; amounts of data follow.")] = FULL_SECONDS,
    workers: Annotated[int, typer.Option(min=1, help="Worker processes of every system.")] = 1,
    folder: Annotated[Path, typer.Option(help="Where the data goes, on the disk to be measured; not a tmpfs.")] = Path(
        "/var/tmp"
    ),
    to: Annotated[Path, typer.Option(help="Where the results go.")] = RESULTS,
) -> None:
    """Measure, and check that what was measured did its work. Leave the machine alone meanwhile."""
    unknown = set(only or ()) - MEASURES.keys()
    if unknown:
        raise typer.BadParameter(f"there is no benchmark {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory(prefix="ams-bench-", dir=folder) as scratch:
        place = Path(scratch)
        place.chmod(0o755)  # PostgreSQL runs as its own user and must pass through
        described = machine.describe(place, min(machine.FSYNC_S, seconds))
        scale = Scale(runs, seconds, workers, place)
        for name in only or MEASURES:
            typer.echo(f"{name} ...", err=True)
            try:
                result = MEASURES[name](scale)
            except BenchmarkFailed as failed:
                typer.echo(f"{name} failed: {failed}", err=True)
                raise typer.Exit(1) from None
            now = format_time(utc_now())
            results.write(msgspec.structs.replace(result, machine=described, measured_at=now), to)
    typer.echo(results.write_table(to, tuple(MEASURES)))


if __name__ == "__main__":
    typer.run(main)
