"""The contract of the spool port, on its embedded adapter with real files and a stream that fails when told to."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from shared.platform.events import EventsUnavailable
from shared.platform.spool import SpoolUnavailable, sqlite
from shared.platform.spool.sqlite import SqliteSpool


class Stream:
    """What was published, in order; `fails` publishes are refused first, and while `gate` is closed all wait."""

    def __init__(self) -> None:
        self.published: list[tuple[str, bytes]] = []
        self.calls = 0
        self.fails = 0
        self.error: Exception = EventsUnavailable("told to fail")
        self.gate = asyncio.Event()
        self.gate.set()
        self._changed = asyncio.Condition()

    async def publish(self, partition_key: str, events: Sequence[bytes]) -> None:
        await self.gate.wait()
        async with self._changed:
            self.calls += 1
            self._changed.notify_all()
            if self.fails:
                self.fails -= 1
                raise self.error
            self.published += [(partition_key, event) for event in events]

    async def until(self, reached: Callable[[], bool]) -> None:
        async with asyncio.timeout(60), self._changed:
            await self._changed.wait_for(reached)

    @property
    def events(self) -> list[bytes]:
        return [event for _, event in self.published]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "RETRY_FIRST_S", 0.005)
    monkeypatch.setattr(sqlite, "RETRY_MAX_S", 0.02)
    monkeypatch.setattr(sqlite, "ADOPT_EVERY_S", 0.02)
    monkeypatch.setattr(sqlite, "CLOSE_S", 0.2)


@pytest.fixture
def stream() -> Stream:
    return Stream()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def spooled(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.db"))


def opened(folder: Path) -> list[str]:
    """What this process holds open beneath the folder, deleted files too. All of its descriptors are no measure:
    what earlier tests left is closed whenever the collector comes to it."""
    targets = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed since, as that of the listing itself
            targets.append(str(descriptor.readlink()))
    return sorted(target for target in targets if target.startswith(f"{folder}/"))


async def append(spool: SqliteSpool, count: int, partition_key: str = "con_1:0") -> list[bytes]:
    events = [f"{partition_key} {number}".encode() for number in range(count)]
    for event in events:
        await spool.append(partition_key, event)
    return events


async def test_what_is_appended_is_published_with_its_key_and_the_same_bytes_in_order(folder, stream):
    spool = SqliteSpool(folder, stream.publish, 1000)
    bodies = [b"plain", b"\x00\xff\r\n", b"", b"x" * 60_000]
    for body in bodies:
        await spool.append("con_1:0", body)
    await stream.until(lambda: len(stream.published) == len(bodies))
    assert stream.published == [("con_1:0", body) for body in bodies]
    await spool.close()


async def test_concurrent_appends_are_all_published_once(folder, stream):
    spool = SqliteSpool(folder, stream.publish, 10_000)
    events = [f"{number}".encode() for number in range(2000)]
    await asyncio.gather(*(spool.append(f"con_{number % 3}:0", event) for number, event in enumerate(events)))
    await spool.close()
    assert sorted(stream.events) == sorted(events)


async def test_while_the_stream_is_down_events_wait_and_are_then_published_once(folder, stream):
    stream.fails = 3
    spool = SqliteSpool(folder, stream.publish, 1000)
    stream.gate.clear()
    events = await append(spool, 5)
    assert spool.waiting == 5
    stream.gate.set()
    await stream.until(lambda: len(stream.published) == 5)
    await spool.close()
    assert stream.events == events
    assert stream.calls == 4
    assert spool.waiting == 0


async def test_an_error_that_nobody_expected_does_not_stop_shipping(folder, stream):
    stream.fails, stream.error = 2, RuntimeError("a bug")
    spool = SqliteSpool(folder, stream.publish, 1000)
    events = await append(spool, 3)
    await stream.until(lambda: len(stream.published) == 3)
    await spool.close()
    assert stream.events == events


async def test_a_full_spool_says_so_and_takes_events_again_when_there_is_room(folder, stream):
    stream.gate.clear()
    spool = SqliteSpool(folder, stream.publish, 3)
    spool.check()
    await append(spool, 3)
    for refused in (spool.ready(), spool.append("con_1:0", b"one too many")):
        with pytest.raises(SpoolUnavailable, match="limit is 3"):
            await refused
    with pytest.raises(SpoolUnavailable):
        spool.check()
    stream.gate.set()
    await spool.close()
    assert len(stream.events) == 3
    other = SqliteSpool(folder, stream.publish, 3)
    await append(other, 1)
    await other.close()
    assert len(stream.events) == 4


async def test_closing_ships_what_waits_and_leaves_no_file(folder, stream):
    spool = SqliteSpool(folder, stream.publish, 1000)
    appends = [asyncio.create_task(spool.append("con_1:0", str(number).encode())) for number in range(50)]
    await asyncio.sleep(0)
    await spool.close()
    await asyncio.gather(*appends)
    assert len(stream.events) == 50
    assert list(folder.iterdir()) == []


async def test_closing_while_the_stream_is_down_is_bounded_and_loses_nothing(folder, stream):
    stream.gate.clear()
    spool = SqliteSpool(folder, stream.publish, 1000)
    events = await append(spool, 4)
    async with asyncio.timeout(60):
        await spool.close()
    assert stream.events == []
    stream.gate.set()
    following = SqliteSpool(folder, stream.publish, 1000)
    await following.ready()
    await stream.until(lambda: len(stream.published) == 4)
    await following.close()
    assert stream.events == events
    assert spooled(folder) == []


async def test_closing_a_spool_that_was_never_used_is_fine(folder, stream):
    spool = SqliteSpool(folder, stream.publish, 1000)
    await spool.close()
    await spool.close()
    assert not folder.exists()


@pytest.fixture
def appender(folder: Path) -> Iterator[Callable[[int], subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def start(count: int) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.support.platform.spool_appender", str(folder), str(count)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "appended\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


async def test_events_of_a_process_killed_right_after_appending_are_shipped_by_another(folder, stream, appender):
    process = await asyncio.to_thread(appender, 500)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    spool = SqliteSpool(folder, stream.publish, 1000)
    await spool.ready()
    await stream.until(lambda: len(stream.published) == 500)
    await spool.close()
    assert sorted(stream.events) == sorted(f"event {number}".encode() for number in range(500))
    assert spooled(folder) == []


async def test_the_spool_of_a_living_process_is_left_alone_until_it_dies(folder, stream, appender):
    process = await asyncio.to_thread(appender, 3)
    [theirs] = spooled(folder)
    spool = SqliteSpool(folder, stream.publish, 1000)
    await spool._adopt_orphans()
    assert stream.published == []
    assert theirs.exists()
    process.kill()
    process.wait()
    await spool._adopt_orphans()
    assert len(stream.published) == 3
    assert not theirs.exists()


async def test_an_orphan_is_kept_until_the_stream_has_all_of_it(folder, stream, appender):
    process = await asyncio.to_thread(appender, 3)
    process.kill()
    process.wait()
    stream.fails = 20
    spool = SqliteSpool(folder, stream.publish, 1000)
    for _ in range(20):
        await spool._adopt_orphans()
        assert len(spooled(folder)) == 1
    assert opened(folder) == []  # a retry keeps nothing open
    await spool._adopt_orphans()
    assert len(stream.published) == 3


async def test_a_damaged_orphan_does_not_hold_up_the_others(folder, stream, appender):
    process = await asyncio.to_thread(appender, 3)
    process.kill()
    process.wait()
    (folder / "000.db").write_bytes(b"this is no database" * 100)
    spool = SqliteSpool(folder, stream.publish, 1000)
    await spool._adopt_orphans()
    assert len(stream.published) == 3
    assert [path.name for path in spooled(folder)] == ["000.db"]


async def test_a_file_in_place_of_the_folder_is_a_failing_disk_and_shipping_goes_on_after_it(folder, stream):
    folder.write_text("in the way")
    spool = SqliteSpool(folder, stream.publish, 1000)
    with pytest.raises(SpoolUnavailable):
        await spool.append("con_1:0", b"refused")
    with pytest.raises(SpoolUnavailable):
        spool.check()
    folder.unlink()
    await spool.append("con_1:0", b"taken")
    spool.check()
    await stream.until(lambda: len(stream.published) == 1)
    await spool.close()
    assert stream.events == [b"taken"]


async def test_after_the_disk_came_back_the_spool_finds_out_by_itself(folder, stream):
    folder.write_text("in the way")
    spool = SqliteSpool(folder, stream.publish, 1000)
    with pytest.raises(SpoolUnavailable):
        await spool.append("con_1:0", b"refused")
    folder.unlink()
    async with asyncio.timeout(60):
        while True:  # nothing tells of the probe: ask until it has happened
            try:
                await spool.ready()
                break
            except SpoolUnavailable:
                await asyncio.sleep(0.005)
    await spool.close()
    assert stream.published == []


async def test_a_disk_that_keeps_failing_leaves_nothing_open(folder, stream):
    folder.mkdir()
    spool = SqliteSpool(folder, stream.publish, 1000)
    os.mkfifo(folder / "nothing")
    real = sqlite._SCHEMA
    try:
        sqlite._SCHEMA = ("CREATE nonsense",)
        for _ in range(10):
            with pytest.raises(SpoolUnavailable):
                sqlite._create(folder)
    finally:
        sqlite._SCHEMA = real
    assert opened(folder) == []
    assert [path.name for path in folder.iterdir()] == ["nothing"]
    await spool.close()


async def test_a_damaged_database_is_a_failing_disk(folder, stream):
    stream.gate.clear()
    spool = SqliteSpool(folder, stream.publish, 1000)
    await append(spool, 1)
    [path] = spooled(folder)
    for name in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
        name.write_bytes(b"\xff" * max(8192, name.stat().st_size))
    with pytest.raises(SpoolUnavailable):
        await append(spool, 3)
    with pytest.raises(SpoolUnavailable):
        spool.check()
    await spool.close()
