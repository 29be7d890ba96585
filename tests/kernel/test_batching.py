"""Natural batching: who shares a flush, and what a failed or cancelled one means."""

import asyncio

import pytest

from shared.kernel.batching import Batcher


class Sink:
    """Keeps what was flushed; a flush waits while the gate is closed, and fails when told to."""

    def __init__(self) -> None:
        self.flushes: list[list[int]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.started = asyncio.Event()
        self.error: Exception | None = None

    async def flush(self, items: list[int]) -> None:
        self.flushes.append(items)
        self.started.set()
        await self.gate.wait()
        if self.error is not None:
            raise self.error


async def held(sink: Sink, coalescer: Batcher[int]) -> asyncio.Task[None]:
    """A first flush that waits at the gate."""
    sink.gate.clear()
    first = asyncio.create_task(coalescer.add(0))
    await sink.started.wait()
    return first


async def test_what_arrives_during_a_flush_shares_the_next_in_order():
    sink = Sink()
    coalescer = Batcher(sink.flush)
    first = await held(sink, coalescer)
    rest = [asyncio.create_task(coalescer.add(number)) for number in range(1, 6)]
    await asyncio.sleep(0)
    sink.gate.set()
    await asyncio.gather(first, *rest)
    assert sink.flushes == [[0], [1, 2, 3, 4, 5]]


async def test_an_add_returns_only_after_its_flush():
    sink = Sink()
    first = await held(sink, coalescer := Batcher(sink.flush))
    assert not first.done()
    sink.gate.set()
    await first
    await coalescer.add(1)
    assert sink.flushes == [[0], [1]]


async def test_an_error_reaches_everyone_of_its_flush_and_nobody_else():
    sink = Sink()
    coalescer = Batcher(sink.flush)
    first = await held(sink, coalescer)
    rest = [asyncio.create_task(coalescer.add(number)) for number in (1, 2)]
    await asyncio.sleep(0)
    sink.error = RuntimeError("disk")
    sink.gate.set()
    outcomes = await asyncio.gather(first, *rest, return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["disk"] * 3
    sink.error = None
    await coalescer.add(3)
    assert sink.flushes[-1] == [3]


async def test_a_cancelled_caller_neither_stops_the_flush_nor_its_neighbours():
    sink = Sink()
    coalescer = Batcher(sink.flush)
    first = await held(sink, coalescer)
    other = asyncio.create_task(coalescer.add(1))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    sink.gate.set()
    await other
    assert sink.flushes == [[0], [1]]


async def test_an_error_for_a_caller_who_left_warns_nobody():
    sink = Sink()
    coalescer = Batcher(sink.flush)
    first = await held(sink, coalescer)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    sink.error = RuntimeError("nobody waits")
    sink.gate.set()
    await coalescer.drain()


async def test_drain_waits_for_everything_that_was_added():
    sink = Sink()
    coalescer = Batcher(sink.flush)
    adds = [await held(sink, coalescer), asyncio.create_task(coalescer.add(1))]
    await asyncio.sleep(0)
    draining = asyncio.create_task(coalescer.drain())
    await asyncio.sleep(0)
    assert not draining.done()
    sink.gate.set()
    await draining
    assert sink.flushes == [[0], [1]]
    await asyncio.gather(*adds)
    await coalescer.drain()  # nothing waits: returns at once
