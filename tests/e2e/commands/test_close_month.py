"""From an access log to invoices that anybody can recompute: replay, close, look, verify; also when it is killed."""

import random
import shutil
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import pytest

from shared.kernel.clock import utc_now
from tests.support.host.installation import Ams
from tests.support.paths import ROOT

CLIENTS, REQUESTS, KILLS, AT_WORK_S_MAX, POLL_S = 12, 600, 8, 0.2, 0.002
NOW = utc_now()
"""When all of the log happened: so it is within one month, and that one is known, also at midnight."""

MONTH = f"{NOW:%Y-%m}"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Requests of some clients; every fifth is a 404, every seventh a 500."""
    path = tmp_path / "access.log"
    with path.open("w") as file:
        for n in range(REQUESTS):
            status = 500 if n % 7 == 0 else 404 if n % 5 == 0 else 200
            client = f"192.0.2.{n * n % CLIENTS}"
            file.write(
                f'{client} - - [{NOW:%d/%b/%Y:%H:%M:%S} +0000] "GET /{n} HTTP/1.1" {status} {n * 1000} "-" "-"\n'
            )
    return path


def expected_total(log: Path) -> Decimal:
    """0.01 a request and 0.05 a MB, without 5xx, each rounded once for each client."""
    requests: dict[str, int] = {}
    sent: dict[str, int] = {}
    for row in log.read_text().splitlines():
        cells = row.split()
        client, status, size = cells[0], int(cells[8]), int(cells[9])
        if status < 500:
            requests[client] = requests.get(client, 0) + 1
            sent[client] = sent.get(client, 0) + size
    cent = Decimal("0.01")
    lines = [number * cent for number in requests.values()]
    lines += [(Decimal(size) / 1_000_000 * 5 / 100).quantize(cent, ROUND_HALF_UP) for size in sent.values()]
    return sum(lines, Decimal(0))


def _replay(ams: Ams, log: Path) -> None:
    done = ams.run("replay-access-log", str(log), "--url", ams.url, "--keep-times")
    assert done.returncode == 0, done.stderr


def _total(printed: str) -> Decimal:
    [line] = [line for line in printed.splitlines() if line.endswith("EUR in total")]
    return Decimal(line.split(", ")[1].split()[0].replace(",", ""))


def _verify(ams: Ams, invoice: Path, *records: Path) -> subprocess.CompletedProcess[str]:
    options = [option for path in records for option in ("--records", str(path))]
    return ams.run("verify-invoice", str(invoice), *options)


def test_a_log_becomes_invoices_that_verify(ams: Ams, log: Path, tmp_path: Path) -> None:
    _replay(ams, log)
    done = ams.run("close-month", "--month", MONTH, "--export", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert _total(done.stdout) == expected_total(log)
    invoices = sorted((tmp_path / "out").glob("*.pdf"))
    assert len(invoices) >= 3
    for invoice in invoices[:3]:
        records = invoice.with_name(f"{invoice.stem}.records-{MONTH}.csv")
        for file in (invoice, invoice.with_suffix(".json")):
            right = _verify(ams, file, records)
            assert (right.returncode, right.stderr) == (0, "")
            assert f"{invoice.stem} is right" in right.stdout
    again = ams.run("close-month", "--month", MONTH)
    assert (again.returncode, _total(again.stdout)) == (0, expected_total(log))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--month", "2026-13"], "--month: must be a month"),
        (["--month", "2062-11"], "--month: 2062-11 has not begun"),
        (["--month", MONTH, "--merchant", "mer_nobody"], "mer_nobody has no billing profile"),
        (["--month", MONTH, "--export", "/dev/null/there"], "--export: "),
    ],
)
def test_what_cannot_be_closed_is_named(ams: Ams, options: list[str], said: str) -> None:
    done = ams.run("close-month", *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_digit_that_was_changed_is_found(ams: Ams, log: Path, tmp_path: Path) -> None:
    _replay(ams, log)
    ams.run("close-month", "--month", MONTH, "--export", str(tmp_path))
    invoice = min(tmp_path.glob("*.json"))
    records = invoice.with_name(f"{invoice.stem}.records-{MONTH}.csv")
    text = invoice.read_text()
    for number, (old, new) in enumerate(
        [
            ('"unit_price": "0.01"', '"unit_price": "0.02"'),
            ('"amount_due": "', '"amount_due": "1'),
            ('"count": ', '"count": 1'),
        ]
    ):
        forged = tmp_path / f"forged-{number}.json"
        assert old in text
        forged.write_text(text.replace(old, new))
        found = _verify(ams, forged, records)
        assert found.returncode == 1, f"{old} → {new}"
        assert "the invoice says" in found.stderr
    forged_records = tmp_path / "forged.csv"
    forged_records.write_text(records.read_text().replace(",200,1,", ",200,2,", 1))
    assert "SHA-256" in _verify(ams, invoice, forged_records).stderr
    assert _verify(ams, records, records).returncode == 2
    assert "not an invoice" in _verify(ams, records, records).stderr


def test_killed_again_and_again_it_bills_the_same(ams: Ams, log: Path, tmp_path: Path) -> None:
    _replay(ams, log)
    ams.stop()
    untouched = [tmp_path / f"untouched-{when}" for when in ("before", "after")]
    for data in untouched:
        shutil.copytree(ams.data, data)
    command = ams.command("close-month", "--month", MONTH, "--export")

    def whole(data: Path) -> dict[str, bytes]:
        to, environment = tmp_path / f"{data.name}-closed", {**ams.environment, "AMS_DATA": str(data)}
        subprocess.run([*command, str(to)], cwd=ROOT, env=environment, check=True, capture_output=True)
        return _files(to)

    expected = [whole(untouched[0])]
    chance = random.Random(MONTH)
    at_work = 0
    for _ in range(KILLS):
        untouched_yet = _progress(ams.data, tmp_path / "killed")
        process = subprocess.Popen(
            [*command, str(tmp_path / "killed")],
            cwd=ROOT,
            env=ams.environment,
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while process.poll() is None and _progress(ams.data, tmp_path / "killed") == untouched_yet:
            time.sleep(POLL_S)
        time.sleep(chance.uniform(0, AT_WORK_S_MAX))
        process.send_signal(signal.SIGKILL)
        at_work += process.wait() == -signal.SIGKILL
    assert at_work, "each came too late: all was done"
    done = subprocess.run([*command, str(tmp_path / "killed")], cwd=ROOT, env=ams.environment, capture_output=True)
    assert done.returncode == 0, done.stderr
    expected.append(whole(untouched[1]))  # an invoice bears its day: a midnight may have come meanwhile
    again = _files(tmp_path / "killed")
    assert len(again) >= 9
    assert set(again) in map(set, expected)
    for name, content in again.items():
        assert content in [files.get(name) for files in expected], name


def _progress(data: Path, exported: Path) -> object:
    """What changes while a month is closed: close and invoices, then their files, then what is exported."""
    with closing(sqlite3.connect(f"file:{data / 'documents.db'}?mode=ro", uri=True, timeout=30)) as documents:
        stored = documents.execute("SELECT count(*), max(etag) FROM billing").fetchone()
    files = [path for path in (data / "blobs").rglob("*") if path.is_file()]
    written = [(path.name, path.stat().st_mtime_ns) for path in exported.glob("*")]
    return stored, len(files), written


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}
