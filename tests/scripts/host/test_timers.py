"""Timers keep six-field schedules in UTC, one run at a time."""

import asyncio
import json
import subprocess
import sys
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from scripts.host.functions.indexing import index_module
from scripts.host.functions.timers import Timer, TimerBusy
from tests.support.host.functions_host import eventually, running_host
from tests.support.paths import ROOT

APP = """
import asyncio
import azure.functions as func
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
runs, running, release = [], asyncio.Event(), asyncio.Event()

@app.timer_trigger(arg_name="timer", schedule="{schedule}", run_on_startup=False)
async def tick(timer: func.TimerRequest, context: func.Context) -> None:
    runs.append(timer.past_due)
    running.set()
    await release.wait()
"""
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Timer]:
    """A timer and, as `timer.app`, the module of its function."""
    monkeypatch.syspath_prepend(tmp_path)

    def run(schedule: str = "0 0 * * * *", **options: object) -> Timer:
        name = f"app_{uuid.uuid4().hex}"
        (tmp_path / f"{name}.py").write_text(APP.format(schedule=schedule))
        (function,) = index_module(name)
        timer = Timer(function, tmp_path / "timers", **options)
        timer.app = sys.modules[name]
        return timer

    return run


@pytest.mark.parametrize(
    ("schedule", "after", "due"),
    [
        ("0 30 2 * * *", NOON, datetime(2026, 11, 22, 2, 30, tzinfo=UTC)),
        ("*/15 * * * * *", NOON, NOON + timedelta(seconds=15)),
        ("5 0 0 1 * *", NOON, datetime(2026, 12, 1, 0, 0, 5, tzinfo=UTC)),
        ("0 0 9 * * 1-5", NOON, datetime(2026, 11, 23, 9, tzinfo=UTC)),
        # A Friday the 13th, where cron would take every Friday and every 13th.
        ("0 0 0 13 * 5", NOON, datetime(2027, 8, 13, tzinfo=UTC)),
    ],
)
def test_schedules_have_seconds_first_and_are_in_utc(
    make: Callable[..., Timer], schedule: str, after: datetime, due: datetime
) -> None:
    assert make(schedule).next_after(after) == due


def test_a_schedule_can_come_from_a_setting(make: Callable[..., Timer], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMS_TEST_SCHEDULE", "0 0 3 * * *")
    assert make("%AMS_TEST_SCHEDULE%").next_after(NOON) == NOON + timedelta(hours=15)


async def test_a_timer_does_not_run_at_the_first_start(make: Callable[..., Timer]) -> None:
    timer, stop = make(), asyncio.Event()
    task = asyncio.create_task(timer.run(stop))
    await asyncio.sleep(0)
    stop.set()
    await task
    assert timer.app.runs == []


async def test_one_run_that_was_missed_is_made_up_for_once(make: Callable[..., Timer]) -> None:
    clock = [NOON - timedelta(days=3)]
    timer, stop = make(now=lambda: clock[0]), asyncio.Event()
    stop.set()
    await timer.run(stop)  # it was up three days ago
    clock[0] = NOON
    timer.app.release.set()
    await timer.run(stop)
    await timer.run(stop)
    assert timer.app.runs == [True], "72 occurrences were missed; one run, marked as past due, makes up for them"


async def test_a_timer_never_overlaps_itself(make: Callable[..., Timer]) -> None:
    timer = make()
    first = asyncio.create_task(timer.fire())
    await timer.app.running.wait()
    with pytest.raises(TimerBusy):
        await timer.fire()
    timer.app.release.set()
    await first
    await timer.fire()
    assert timer.app.runs == [False, False]


async def test_a_run_under_way_is_finished_before_the_timer_stops(make: Callable[..., Timer]) -> None:
    timer, stop = make("* * * * * *"), asyncio.Event()
    task = asyncio.create_task(timer.run(stop))
    await timer.app.running.wait()
    stop.set()
    timer.app.release.set()
    await task
    assert timer.app.runs == [False]


FILE_APP = """
from pathlib import Path
import azure.functions as func
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
HERE = Path(__file__).parent

@app.timer_trigger(arg_name="timer", schedule="* * * * * *", run_on_startup=False, use_monitor=False)
def every_second(timer: func.TimerRequest) -> None:
    with (HERE / "seconds").open("a") as file:
        file.write(".")
    if len((HERE / "seconds").read_text()) == 1:
        raise RuntimeError("the first run fails")

@app.timer_trigger(arg_name="timer", schedule="0 0 3 1 1 *", run_on_startup=False)
async def yearly(timer: func.TimerRequest) -> None:
    (HERE / "yearly").write_text(str(timer.past_due))
"""


def test_the_host_runs_timers_also_after_a_failure(tmp_path: Path) -> None:
    with running_host(tmp_path, FILE_APP) as host:
        seconds = tmp_path / "seconds"
        eventually(lambda: seconds.exists() and len(seconds.read_text()) >= 2, "the timer has run twice")
        assert host.stop() == 0
    assert "timer every_second failed" in host.messages()
    assert not (tmp_path / "yearly").exists()


def fire(root: Path, name: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "scripts.host", "--root", root, "--data", root / "data", "fire", name]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_a_timer_can_be_fired_now(tmp_path: Path) -> None:
    (tmp_path / "function_app.py").write_text(FILE_APP)
    (tmp_path / "host.json").write_text("{}")
    done = fire(tmp_path, "yearly")
    assert (done.returncode, done.stdout) == (0, "yearly has run\n")
    assert (tmp_path / "yearly").read_text() == "False"
    status = json.loads((tmp_path / "data" / "timers" / "yearly.json").read_text())
    assert status["next"].endswith("-01-01T03:00:00.000Z")
    unknown = fire(tmp_path, "nope")
    assert unknown.returncode == 1
    assert unknown.stderr.endswith("there is no timer 'nope'; there are: every_second, yearly\n")
    assert fire(tmp_path, "every_second").returncode == 1, "what the timer raises is not hidden"
