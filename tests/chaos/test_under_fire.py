"""Every acknowledged event is counted once, and no event twice, whatever dies meanwhile."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.chaos.faults import KILLS, OUTAGES
from tests.support.chaos.fire import Scale, under_fire
from tests.support.chaos.report import Report
from tests.support.paths import ROOT

RESULTS = ROOT / "benchmarks" / "results"

SHORT = Scale(
    events=6_000, calls=300, load_s=20, kill_pause_s=(0.3, 2.5), outage_pause_s=(0.2, 1.0), outage_s=(1.2, 3.0)
)
LONG = Scale(
    events=200_000, calls=10_000, load_s=480, kill_pause_s=(0.3, 5.0), outage_pause_s=(0.5, 10.0), outage_s=(1.2, 4.0)
)

Show = Callable[[str], None]


@pytest.mark.timeout(900)
async def test_nothing_is_lost_and_nothing_counts_twice(chaos_seed: int, tmp_path: Path, show: Show) -> None:
    report = await under_fire(SHORT, chaos_seed, tmp_path)
    show(report.to_markdown())
    _check(report, SHORT)


@pytest.mark.long
@pytest.mark.timeout(3600)
async def test_nothing_is_lost_of_200_000_events(chaos_seed: int, tmp_path: Path, show: Show) -> None:
    report = await under_fire(LONG, chaos_seed, tmp_path)
    show(report.to_markdown())
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / "chaos.json").write_text(report.to_json())
    (RESULTS / "chaos.md").write_text(report.to_markdown())
    _check(report, LONG)


def _check(report: Report, scale: Scale) -> None:
    assert not report.wrong, report.complaint()
    assert (report.lost, report.double) == (0, 0)
    # The run was what it says it is: it sent everything, met every kind of fault, and made duplicates on every way.
    assert report.reported == scale.events
    assert report.calls_acknowledged == scale.calls
    assert report.counted == report.acknowledged + report.counted_unacknowledged
    assert report.acknowledged > 0.9 * (scale.events + scale.calls)
    assert report.retried > 0
    assert report.duplicated > 0
    assert report.published > report.counted
    skipped = {"spool disk full"} if report.spool_disk != "mounted" else set()
    happened = {kind.removesuffix(" killed") for kind in report.faults}
    assert happened == {*KILLS, *OUTAGES} - skipped
