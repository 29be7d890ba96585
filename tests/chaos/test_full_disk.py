"""A disk without a free byte under the spool: what was taken is shipped once, and then there is room again."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path

import pytest

from shared.platform.events import EventsUnavailable
from shared.platform.spool import SpoolUnavailable
from shared.platform.spool.sqlite import SqliteSpool
from tests.support.chaos.faults import SpoolDisk

DISK_BYTES = 2 * 2**20
EVENTS_MAX = 100_000
WAIT_S = 60.0


class Stream:
    """The events port as far as a spool sees it. Counts what it has confirmed."""

    def __init__(self) -> None:
        self.is_up = False
        self.confirmed: Counter[bytes] = Counter()

    async def publish(self, partition_key: str, events: Sequence[bytes]) -> None:
        if not self.is_up:
            raise EventsUnavailable("down")
        self.confirmed.update(events)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SpoolDisk]:
    disk = SpoolDisk(tmp_path / "spool", DISK_BYTES)
    if not disk.is_mounted:
        pytest.skip(f"no disk to fill: {disk.why_not}")
    yield disk
    disk.close()


@pytest.fixture
def stream() -> Stream:
    return Stream()


@pytest.fixture
async def spool(disk: SpoolDisk, stream: Stream) -> AsyncIterator[SqliteSpool]:
    spool = SqliteSpool(disk.folder, stream.publish, EVENTS_MAX)
    yield spool
    await spool.close()


async def test_a_spool_that_filled_its_disk_ships_everything_once_and_works_again(
    spool: SqliteSpool, stream: Stream
) -> None:
    taken = await _append_until_refused(spool)
    assert taken, "the disk holds some"

    stream.is_up = True
    await _until(lambda: spool.waiting == 0)
    assert stream.confirmed == Counter(taken)

    await _append_again(spool, b"after")
    await _until(lambda: stream.confirmed[b"after"] == 1)
    assert stream.confirmed == Counter([*taken, b"after"])


async def test_a_spool_on_a_disk_that_others_filled_refuses_and_recovers(
    disk: SpoolDisk, spool: SqliteSpool, stream: Stream
) -> None:
    await spool.append("key", b"before")
    with disk.full():
        taken = await _append_until_refused(spool)
    await _append_again(spool, b"after")

    stream.is_up = True
    await _until(lambda: spool.waiting == 0)
    assert stream.confirmed == Counter([b"before", *taken, b"after"])


async def _append_until_refused(spool: SqliteSpool) -> list[bytes]:
    """What the spool took, until it said that its disk is full."""
    taken: list[bytes] = []
    while True:
        event = b"%d " % len(taken) + b"x" * 1000
        try:
            await spool.append("key", event)
        except SpoolUnavailable as refusal:
            if "full" not in str(refusal):
                raise
            return taken
        taken.append(event)


async def _append_again(spool: SqliteSpool, event: bytes) -> None:
    """As a consumer's call would, that is tried again until it is taken."""
    async with asyncio.timeout(WAIT_S):
        while True:
            with contextlib.suppress(SpoolUnavailable):
                return await spool.append("key", event)
            await asyncio.sleep(0.02)


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not condition():  # noqa: ASYNC110 - the spool's own task makes it true
            await asyncio.sleep(0.02)
