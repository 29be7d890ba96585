"""The benchmarks work: each runs for a moment and finds its own counts right. None of this is about speed."""

import contextlib
import http.client
import json
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from benchmarks import checks, postgres, wrk
from benchmarks.__main__ import MEASURES
from benchmarks.baseline import server
from benchmarks.market import consumer_ids, seed
from benchmarks.measures import aggregation
from benchmarks.reports import batch_report
from benchmarks.results import at_most, ratios, spread
from benchmarks.scale import BenchmarkFailed
from tests.support.host.installation import Ams
from tests.support.paths import ROOT


@pytest.mark.parametrize("name", MEASURES)
def test_a_benchmark_runs_checks_its_counts_and_writes_its_results(name: str, tmp_path: Path) -> None:
    # Not with its data in tmp_path: PostgreSQL's own user may not enter that.
    command = [
        sys.executable,
        "-m",
        "benchmarks",
        "--only",
        name,
        "--runs",
        "1",
        "--seconds",
        "0.1",
        "--to",
        str(tmp_path),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / f"{name}.json").read_text())
    assert not result["full"]
    assert len(result["runs"]) == 1
    assert result["machine"]["Python"]
    table = (tmp_path / "README.md").read_text()
    assert table in done.stdout
    for line in result["lines"]:
        assert f"| {line['what']} (short run: says only that it works) | {line['measured']} |" in table


def test_counts_that_do_not_add_up_fail_a_benchmark(tmp_path: Path) -> None:
    data = tmp_path / "ams"
    seed(data, aggregation.CONSUMERS)
    aggregation.count_more(data, 200, "random", expected=200)
    found = checks.counted(data, consumer_ids(aggregation.CONSUMERS))
    assert found == checks.Counted(events=200, records=200)
    with pytest.raises(BenchmarkFailed, match="acknowledged 201"):
        checks.check(found, at_least=201, at_most=300)
    with pytest.raises(BenchmarkFailed, match="sent 199"):
        checks.check(found, at_least=100, at_most=199)
    with contextlib.closing(sqlite3.connect(data / "documents.db", isolation_level=None)) as db:
        db.execute("DELETE FROM usage WHERE rowid IN (SELECT rowid FROM usage WHERE id LIKE 'r:%' LIMIT 1)")
    with pytest.raises(BenchmarkFailed, match="299 records"):
        aggregation.count_more(data, 100, "ordered", expected=300)


def test_a_refused_request_fails_a_benchmark(ams: Ams, tmp_path: Path) -> None:
    keys = tmp_path / "keys.txt"
    keys.write_text("ams_live_nobody\n")
    with pytest.raises(BenchmarkFailed, match="refused"):
        wrk.run(ams.port, "/api/consume", 1, keys, connections=1, seconds=1)


def test_the_baseline_counts_a_repeated_event_once() -> None:
    """Else the comparison would not be fair."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)  # for PostgreSQL's own user
        with postgres.running(folder / "postgres") as dsn:
            server.create_tables(dsn, ["a-key"])
            with server.baseline(dsn, 1, folder) as running:
                body = batch_report(7, "same").body_template % {"id": "again"}
                statuses = [_post(running.port, "/events/batch", key, body) for key in ("a-key", "a-key", "another")]
            assert statuses == [202, 202, 401]
            assert server.counted(dsn) == checks.Counted(events=7, records=7)


def _post(port: int, path: str, key: str, body: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    with contextlib.closing(connection):
        connection.request("POST", path, body, {"X-AMS-Key": key, "Content-Type": "application/json"})
        return connection.getresponse().status


def test_ratios_are_taken_pair_by_pair_and_shown_with_their_spread() -> None:
    found = ratios([10.0, 30.0, 60.0], [10.0, 10.0, 30.0])
    assert found == [1.0, 3.0, 2.0]
    assert spread(found, "×", 1) == "2.0 (1.0-3.0) ×"
    assert at_most(2.0, 2.0) == "met"
    assert at_most(2.1, 2.0) == "missed"
