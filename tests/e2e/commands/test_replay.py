"""`scripts/ams replay-access-log` against a running AMS."""

import gzip
import json
import re
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.host.installation import Ams
from tests.support.paths import ROOT

REAL_LOG = ROOT.parent / "shared" / "data" / "access.log.gz"

LINES = [
    '203.0.113.7 - - [17/May/2015:10:05:03 +0000] "GET /a HTTP/1.1" 200 1000 "-" "curl/8"',
    '203.0.113.7 - alice [17/May/2015:12:05:43 +0200] "POST /b?token=secret HTTP/1.1" 201 20 "-" "curl/8"',
    '2001:db8::17 - - [17/May/2015:10:06:00 +0000] "GET /c HTTP/2.0" 304 - "-" "a \\"quoted\\" agent"',
    '2001:db8::17 - - [17/May/2015:10:06:00 +0000] "\\x16\\x03\\x01" 400 300 "-" "-"',
    'client.example - a b [17/May/2015:10:06:01 +0000] "GET /\\"d\\" HTTP/1.0" 404 4 "http://x/" "-" more 0.001',
    '198.51.100.1 - - [17/May/2015:10:06:02 +0000] "GET /e HTTP/1.1" 200 5',
]
MALFORMED = {
    "nonsense": "not in Combined Log Format",
    '203.0.113.7 - - [17/May/2015:10:05:03 +0000] "GET /a HTTP/1.1" 999 1 "-" "-"': "status 999",
    '203.0.113.7 - - [31/Feb/2015:10:05:03 +0000] "GET /a HTTP/1.1" 200 1 "-" "-"': "31/Feb",
    '203.0.113.7 - - [17/May/1969:10:05:03 +0000] "GET /a HTTP/1.1" 200 1 "-" "-"': "1969",
    '203.0.113.7 - - [17/May/2015:10:05:03 +0000] "GET /a HTTP/1.1" 200 -5 "-" "-"': "not in Combined",
    '203.0.113.7 - - [17/May/2015:10:05:03 +0000] "GET /a HTTP/1.1" 200 9999999999999 "-" "-"': "9999999999999 bytes",
}
STATUS = {"200": 2, "201": 1, "304": 1, "400": 1, "404": 1}
RESPONSE_BYTES = 1000 + 20 + 0 + 300 + 4 + 5


@dataclass(frozen=True)
class Printed:
    """What a run printed: the table's rows, and the lines on standard error."""

    code: int
    rows: dict[str, int]
    errors: str

    def status(self) -> dict[str, int]:
        return {name.removeprefix("status "): n for name, n in self.rows.items() if name.startswith("status ")}


Replay = Callable[..., Printed]


@pytest.fixture
def replay(ams: Ams) -> Replay:
    def run(log: Path, *options: str) -> Printed:
        return _printed(ams.run("replay-access-log", str(log), "--url", ams.url, *options))

    return run


def _printed(done: subprocess.CompletedProcess[str]) -> Printed:
    found = re.findall(r"│ (\S.*?) +│ +([\d,]+) │", done.stdout)
    return Printed(done.returncode, {name: int(number.replace(",", "")) for name, number in found}, done.stderr)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Six requests between malformed and blank lines."""
    lines = [*LINES[:2], *MALFORMED, "", *LINES[2:], ""]
    path = tmp_path / "access.log"
    path.write_text("\n".join(lines) + "\n")
    return path


def _keys(ams: Ams) -> list[str]:
    (state,) = (ams.data / "replay").iterdir()
    keys: list[str] = json.loads(state.read_text())["keys"]
    return keys


def _records(ams: Ams, key: str, days: list[datetime]) -> dict[str, dict]:
    """A key's raw events of these days, by id."""
    items = []
    for day in sorted({day.date() for day in days}):
        status, page = ams.call("GET", f"/api/v1/usage/events?date={day}&limit=1000", key)
        assert (status, page["next_cursor"]) == (200, None)
        items += page["items"]
    return {item["id"]: item for item in items}


def test_every_request_of_a_log_is_counted_and_malformed_lines_are_told(replay: Replay, log: Path) -> None:
    printed = replay(log)

    assert printed.code == 0, printed.errors
    assert printed.rows["requests"] == len(LINES)
    assert printed.rows["response bytes"] == RESPONSE_BYTES
    assert printed.status() == STATUS
    assert printed.rows["of them duplicates, known already"] == 0
    assert printed.rows["lines malformed"] == len(MALFORMED)
    # The first five are told with their numbers in the file, the others are only counted.
    for number, reason in list(enumerate(MALFORMED.values(), start=3))[:5]:
        assert re.search(rf"line {number}: .*{re.escape(reason)}", printed.errors), printed.errors
    assert "line 8:" not in printed.errors


def test_it_finds_ams_at_the_port_that_ams_was_moved_to(ams: Ams, log: Path) -> None:
    printed = _printed(ams.run("replay-access-log", str(log)))
    assert (printed.code, printed.rows.get("requests")) == (0, len(LINES)), printed.errors


def test_each_client_has_a_consumer_of_its_own_and_its_events_say_what_was_asked(
    ams: Ams, replay: Replay, log: Path
) -> None:
    before = datetime.now(UTC)
    assert replay(log).code == 0
    days = [before - timedelta(minutes=1), before, datetime.now(UTC)]  # the oldest line is a minute before the newest

    records = [_records(ams, key, days) for key in _keys(ams)]

    assert [sorted(found) for found in records] == [
        ["line-1", "line-2"],
        ["line-10", "line-11"],
        ["line-12"],
        ["line-13"],
    ]
    assert [{item["consumerid"] for item in found.values()} for found in records] == [
        {f"con_replay_{number}"} for number in range(4)
    ]
    data = {item["id"]: item["data"] for found in records for item in found.values()}
    # A query may hold secrets, so it is not kept.
    assert data["line-2"] == {"status_code": 201, "response_bytes": 20, "metadata": {"method": "POST", "path": "/b"}}
    assert data["line-10"] == {"status_code": 304, "metadata": {"method": "GET", "path": "/c"}}
    assert data["line-11"] == {"status_code": 400, "response_bytes": 300}
    assert data["line-12"]["metadata"] == {"method": "GET", "path": '/\\"d\\"'}


def test_times_are_shifted_together_so_that_the_newest_is_now(ams: Ams, replay: Replay, log: Path) -> None:
    before = datetime.now(UTC)
    assert replay(log).code == 0
    after = datetime.now(UTC)

    days = [before - timedelta(days=1), before, after]
    records = [item for key in _keys(ams) for item in _records(ams, key, days).values()]
    times = {item["id"]: datetime.fromisoformat(item["time"]) for item in records}

    newest = max(times.values())
    assert before - timedelta(milliseconds=1) <= newest <= after
    # 12:05:43 +0200 is 10:05:43 UTC, and the newest line is of 10:06:02.
    assert [(newest - times[line]).seconds for line in ("line-1", "line-2", "line-10")] == [59, 19, 2]


def test_a_second_replay_changes_nothing(ams: Ams, replay: Replay, log: Path) -> None:
    first = replay(log)
    packed = log.with_name("other-name.gz")
    packed.write_bytes(gzip.compress(log.read_bytes()))

    again = replay(packed)  # the same log, whatever the file is called
    ams.wait_until_counted()
    third = replay(log)

    for printed in (again, third):
        assert printed.code == 0, printed.errors
        assert printed.rows == {**first.rows, "of them duplicates, known already": len(LINES)}


def test_addresses_over_the_limit_share_one_key_and_the_limit_stays(ams: Ams, replay: Replay, log: Path) -> None:
    first = replay(log, "--consumers", "2")
    other = replay(log, "--consumers", "3")
    again = replay(log)

    assert (first.code, first.rows["API keys"], first.rows["requests"]) == (0, 3, len(LINES))
    assert other.code == 2
    assert "--consumers 2" in other.errors
    assert (again.code, again.rows["API keys"], again.rows["requests"]) == (0, 3, len(LINES))


def test_kept_times_of_long_ago_are_rejected_and_said_so(replay: Replay, log: Path) -> None:
    printed = replay(log, "--keep-times")

    assert printed.code == 1
    assert printed.rows["rejected, event_too_old"] == len(LINES)
    assert printed.rows["requests"] == 0
    assert "35 days" in printed.errors


def test_kept_times_within_the_window_are_kept(ams: Ams, replay: Replay, tmp_path: Path) -> None:
    moment = datetime.now(UTC).replace(microsecond=0) - timedelta(days=3)
    log = tmp_path / "recent.log"
    log.write_text(f'::1 - - [{moment:%d/%b/%Y:%H:%M:%S} +0000] "GET / HTTP/1.1" 200 7 "-" "-"\n')

    printed = replay(log, "--keep-times")

    assert (printed.code, printed.rows["requests"]) == (0, 1), printed.errors
    (key,) = _keys(ams)
    assert datetime.fromisoformat(_records(ams, key, [moment])["line-1"]["time"]) == moment


def test_the_keys_are_kept_for_their_owner_only(ams: Ams, replay: Replay, log: Path) -> None:
    printed = replay(log)

    (state,) = (ams.data / "replay").iterdir()
    assert state.stat().st_mode & 0o777 == 0o600
    for key in _keys(ams):
        assert key not in printed.errors
        assert key not in ams.log.read_text()


def test_a_log_that_cannot_be_used_is_one_line(replay: Replay, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.gz"
    damaged.write_bytes(gzip.compress(LINES[0].encode() * 100)[:-9])
    empty = tmp_path / "empty.log"
    empty.touch()

    for path, reason in ((damaged, "damaged"), (empty, "no line"), (tmp_path / "absent", "No such file")):
        printed = replay(path)
        assert printed.code == 2
        assert reason in printed.errors
        assert len(printed.errors.splitlines()) == 1, printed.errors


def test_keys_that_ams_does_not_know_are_explained(ams: Ams, replay: Replay, log: Path) -> None:
    assert replay(log).code == 0
    (state,) = (ams.data / "replay").iterdir()
    ams.stop()
    for file in ams.data.glob("documents.*"):
        file.unlink()
    ams.start()

    printed = replay(log)

    assert printed.code == 1
    assert f"remove {state}" in printed.errors
    assert not any(key in printed.errors for key in _keys(ams))


@pytest.mark.timeout(400)
def test_a_replay_outlives_a_killed_host_and_a_killed_replay_is_repeated(ams: Ams, tmp_path: Path) -> None:
    lines = 60_000
    log = tmp_path / "long.log"
    with log.open("w") as file:
        for n in range(lines):
            second = f"{n // 3600 % 24:02d}:{n // 60 % 60:02d}:{n % 60:02d}"
            file.write(f'10.0.{n % 7}.1 - - [17/May/2015:{second} +0000] "GET /{n} HTTP/1.1" 200 {n} "-" "-"\n')

    with _started(ams, log) as killed:
        ams.wait_until("ams_usage_events_accepted_total", lambda events: events > 0)
        assert killed.poll() is None, "it was done before it could be killed"
    ams.wait_until_counted()
    with _started(ams, log) as repeated:
        ams.wait_until("ams_usage_events_duplicate_total", lambda events: events > 0)
        ams.kill()
        assert repeated.poll() is None, "it was done before the host was killed"
        ams.start()
        output, errors = repeated.communicate(timeout=240)

    printed = _printed(subprocess.CompletedProcess([], repeated.returncode, output, errors))
    assert printed.code == 0, errors
    assert "trying again" in errors
    assert (printed.rows["requests"], printed.rows["accepted"]) == (lines, lines)
    assert printed.rows["response bytes"] == sum(range(lines))


@contextmanager
def _started(ams: Ams, log: Path) -> Iterator[subprocess.Popen[str]]:
    """A replay that runs meanwhile, and is killed at the end unless it is done."""
    command = ams.command("replay-access-log", str(log), "--url", ams.url)
    with subprocess.Popen(
        command, cwd=ROOT, env=ams.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.skipif(
    not REAL_LOG.exists(), reason="the real log is not beside the project (../shared/data/access.log.gz)"
)
def test_the_real_log_gives_its_published_sums_once_and_twice(ams: Ams, replay: Replay) -> None:
    expected = Counter({"200": 9126, "206": 45, "301": 164, "304": 445, "403": 2, "404": 213, "416": 2, "500": 3})

    for duplicates in (0, 10_000):
        printed = replay(REAL_LOG)
        ams.wait_until_counted()

        assert printed.code == 0, printed.errors
        assert printed.rows["requests"] == 10_000
        assert printed.rows["response bytes"] == 2_747_282_740
        assert printed.status() == expected
        assert printed.rows["lines malformed"] == 0
        assert printed.rows["of them duplicates, known already"] == duplicates
