"""The cache of the gate: a hard time to live, shared reads, no resurrection, a bound."""

import asyncio

import pytest

from shared.kernel.cache import FreshCache
from tests.support.clock import Clock
from tests.support.embedded import NOW


class Source:
    """Counts reads; a gated one waits until it is let go."""

    def __init__(self, *, gated: bool = False) -> None:
        self.reads: list[str] = []
        self.started = asyncio.Event()
        self.go = asyncio.Event()
        self.error: Exception | None = None
        if not gated:
            self.go.set()

    async def load(self, key: str) -> str:
        self.reads.append(key)
        number = len(self.reads)
        self.started.set()
        await self.go.wait()
        if self.error is not None:
            raise self.error
        return f"{key}{number}"


def new_cache(time: Clock, ttl_s: float = 1.0, capacity: int = 10) -> FreshCache[str, str]:
    return FreshCache(ttl_s, capacity, time.seconds)


async def test_a_value_is_used_up_to_its_time_to_live_and_not_at_it():
    time, source = Clock(NOW), Source()
    cache = new_cache(time)
    assert await cache.get("a", source.load) == "a1"
    time.passes(seconds=0.999)
    assert await cache.get("a", source.load) == "a1"
    time.passes(seconds=0.001)
    assert cache.peek("a") is None
    assert await cache.get("a", source.load) == "a2"


async def test_age_counts_from_before_the_read_not_from_its_end():
    time, source = Clock(NOW), Source(gated=True)
    cache = new_cache(time)
    reading = asyncio.create_task(cache.get("a", source.load))
    await source.started.wait()
    time.passes(seconds=0.9)
    source.go.set()
    await reading
    time.passes(seconds=0.1)
    assert await cache.get("a", source.load) == "a2"


async def test_given_no_time_to_live_every_get_reads():
    source = Source()
    cache = new_cache(Clock(NOW), ttl_s=0)
    assert [await cache.get("a", source.load) for _ in range(2)] == ["a1", "a2"]


async def test_concurrent_misses_share_one_read():
    source = Source(gated=True)
    cache = new_cache(Clock(NOW))
    gets = [asyncio.create_task(cache.get("a", source.load)) for _ in range(10)]
    await source.started.wait()
    source.go.set()
    assert await asyncio.gather(*gets) == ["a1"] * 10
    assert source.reads == ["a"]


async def test_a_failing_read_reaches_all_who_share_it_and_is_not_kept():
    source = Source(gated=True)
    source.error = RuntimeError("no answer")
    cache = new_cache(Clock(NOW))
    gets = [asyncio.create_task(cache.get("a", source.load)) for _ in range(3)]
    await source.started.wait()
    source.go.set()
    outcomes = await asyncio.gather(*gets, return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["no answer"] * 3
    source.error = None
    assert await cache.get("a", source.load) == "a2"


async def test_a_read_under_way_cannot_resurrect_what_was_cleared():
    source = Source(gated=True)
    cache = new_cache(Clock(NOW))
    reading = asyncio.create_task(cache.get("a", source.load))
    await source.started.wait()
    cache.clear()
    source.go.set()
    assert await reading == "a1"
    assert cache.peek("a") is None
    assert await cache.get("a", source.load) == "a2"


async def test_whoever_comes_after_clear_does_not_share_the_read_from_before():
    source = Source(gated=True)
    cache = new_cache(Clock(NOW))
    before = asyncio.create_task(cache.get("a", source.load))
    await source.started.wait()
    cache.clear()
    source.started.clear()
    after = asyncio.create_task(cache.get("a", source.load))
    await source.started.wait()
    source.go.set()
    assert await asyncio.gather(before, after) == ["a1", "a2"]
    assert cache.peek("a") == "a2"


async def test_given_the_reader_is_cancelled_those_who_share_read_again():
    source = Source(gated=True)
    cache = new_cache(Clock(NOW))
    reader = asyncio.create_task(cache.get("a", source.load))
    await source.started.wait()
    sharers = [asyncio.create_task(cache.get("a", source.load)) for _ in range(3)]
    await asyncio.sleep(0)
    reader.cancel()
    source.go.set()
    assert await asyncio.gather(*sharers) == ["a2"] * 3
    with pytest.raises(asyncio.CancelledError):
        await reader


async def test_given_a_sharer_is_cancelled_the_reader_goes_on():
    source = Source(gated=True)
    cache = new_cache(Clock(NOW))
    reader = asyncio.create_task(cache.get("a", source.load))
    await source.started.wait()
    sharer = asyncio.create_task(cache.get("a", source.load))
    await asyncio.sleep(0)
    sharer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sharer
    source.go.set()
    assert await reader == "a1"


async def test_at_capacity_the_entry_read_longest_ago_gives_way():
    source = Source()
    cache = new_cache(Clock(NOW), capacity=3)
    for key in ("a", "b", "c"):
        await cache.get(key, source.load)
    cache.put("a", "again")  # read anew: now the youngest
    await cache.get("d", source.load)
    assert [cache.peek(key) for key in ("a", "b", "c", "d")] == ["again", None, "c3", "d4"]


async def test_an_entry_that_is_read_again_does_not_push_another_out():
    source, time = Source(), Clock(NOW)
    cache = new_cache(time, capacity=2)
    await cache.get("a", source.load)
    await cache.get("b", source.load)
    cache.put("b", "again")
    assert cache.peek("a") == "a1"
