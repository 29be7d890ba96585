"""The contract of the limits port, on its embedded adapter."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.platform.limits import Demand, Limits, memory
from shared.platform.limits.memory import MemoryLimits

START = 1_200_000  # the beginning of a minute


class Clock:
    def __init__(self) -> None:
        self.now = float(START)

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def limits(tmp_path: Path, clock: Clock) -> AsyncIterator[MemoryLimits]:
    made = MemoryLimits(tmp_path / "limits.bin", clock)
    yield made
    await made.close()


def minute(limit: int, cell: str = "a") -> Demand:
    return Demand(cell, "minute", limit, 60)


def month(limit: int, cell: str = "a", start: int = START) -> Demand:
    return Demand(cell, "month", limit, 1_000_000, start)


async def allowed(limits: Limits, demand: Demand, calls: int, cost: int = 1) -> int:
    return sum([(await limits.take([demand], cost)).allowed for _ in range(calls)])


async def test_exactly_the_limit_is_allowed_in_a_window(limits):
    assert await allowed(limits, minute(5), 5) == 5
    assert await allowed(limits, minute(5), 3) == 0


async def test_remaining_counts_down_to_zero(limits):
    assert [(await limits.take([minute(3)])).remaining for _ in range(4)] == [2, 1, 0, 0]


async def test_a_refused_call_uses_nothing_up(limits, clock):
    await allowed(limits, minute(10), 10)
    await allowed(limits, minute(10), 1000)
    clock.now += 60 + 30  # half of the next window: half of the ten still weigh
    assert await allowed(limits, minute(10), 100) == 5


async def test_a_peek_says_what_a_call_would_be_told_and_counts_nothing(limits, clock):
    demands = [minute(3), month(10)]
    for used in range(4):
        before = await limits.peek(demands)
        for _ in range(5):
            assert await limits.peek(demands) == before
        taken = await limits.take(demands)
        assert (before.allowed, before.demand) == (taken.allowed, taken.demand)
        assert before.allowed == (used < 3)
    assert not (await limits.peek([month(10)], 8)).allowed
    await limits.peek([month(5, "nobody")])
    assert not await limits.is_known(month(5, "nobody"))


@pytest.mark.parametrize(("into_next", "room"), [(0, 0), (6, 1), (30, 5), (59, 9), (60, 10), (600, 10)])
async def test_the_window_slides(limits, clock, into_next, room):
    await allowed(limits, minute(10), 10)
    clock.now = START + 60 + into_next
    assert await allowed(limits, minute(10), 100) == room


async def test_calls_at_the_end_of_a_window_do_not_double_at_its_edge(limits, clock):
    clock.now = START + 59.9
    assert await allowed(limits, minute(10), 20) == 10
    clock.now = START + 60.1
    assert await allowed(limits, minute(10), 20) == 0


async def test_a_clock_that_goes_back_over_an_edge_does_not_stop_calls(limits, clock):
    clock.now = START + 60.0
    await allowed(limits, minute(10), 10)
    clock.now = START + 59.0
    assert (await limits.take([minute(10)])).allowed


async def test_a_fixed_window_does_not_slide(limits, clock):
    assert await allowed(limits, month(5), 6) == 5
    clock.now = START + 999_999
    assert await allowed(limits, month(5), 1) == 0
    assert await allowed(limits, month(5, start=START + 1_000_000), 6) == 5


async def test_a_fixed_window_tells_when_it_ends(limits, clock):
    clock.now = START + 999_000
    assert (await limits.take([month(5)])).reset_s == 1000


@pytest.mark.parametrize("cost", [2, 5])
async def test_a_call_may_cost_more_than_one(limits, cost):
    assert await allowed(limits, month(10), 10, cost) == 10 // cost


async def test_a_cost_that_does_not_fit_leaves_the_rest_for_smaller_ones(limits):
    await limits.take([month(10)], 8)
    assert not (await limits.take([month(10)], 3)).allowed
    assert (await limits.take([month(10)], 2)).allowed


async def test_several_demands_are_counted_all_or_none(limits):
    wide, tight = month(100), minute(3, "b")
    assert [(await limits.take([wide, tight])).allowed for _ in range(5)] == [True] * 3 + [False] * 2
    assert (await limits.take([wide])).remaining == 96  # three calls and this one


async def test_the_decision_names_the_tightest_demand_or_the_one_that_refused(limits):
    wide, tight = month(100), minute(2, "b")
    assert (await limits.take([wide, tight])).demand == tight
    await limits.take([wide, tight])
    assert (await limits.take([wide, tight])).demand == tight


async def test_cells_and_windows_do_not_touch_each_other(limits):
    await allowed(limits, minute(5), 5)
    assert await allowed(limits, minute(5, "b"), 5) == 5
    assert await allowed(limits, Demand("a", "hour", 5, 3600), 5) == 5


async def test_a_window_is_known_once_it_was_counted_in(limits):
    assert not await limits.is_known(month(5))
    await limits.take([month(5)])
    assert await limits.is_known(month(5))
    assert not await limits.is_known(month(5, start=START + 1_000_000))


async def test_a_seed_starts_a_window_that_is_not_known(limits):
    await limits.seed(month(5), 4)
    assert await limits.is_known(month(5))
    assert await allowed(limits, month(5), 3) == 1


async def test_a_seed_leaves_a_known_window_as_it_is(limits):
    await limits.take([month(5)])
    await limits.seed(month(5), 5)
    assert await allowed(limits, month(5), 9) == 4


async def test_a_window_seeded_with_nothing_is_known(limits):
    await limits.seed(month(5), 0)
    assert await limits.is_known(month(5))


@settings(deadline=None, max_examples=60)
@given(
    limit=st.integers(1, 50),
    steps=st.lists(st.tuples(st.floats(0, 90), st.integers(1, 20)), min_size=1, max_size=8),
)
def test_after_the_told_wait_a_call_fits(tmp_path_factory, limit, steps):
    async def run() -> None:
        clock = Clock()
        limits = MemoryLimits(tmp_path_factory.mktemp("limits") / "limits.bin", clock)
        for pause_s, calls in steps:
            clock.now += pause_s
            for _ in range(calls):
                decision = await limits.take([minute(limit)])
            if not decision.allowed:
                clock.now += decision.reset_s + 0.001  # floats: a thousandth of a second of grace
                assert (await limits.take([minute(limit)])).allowed
        await limits.close()

    asyncio.run(run())


async def test_two_instances_on_one_file_share_counts(tmp_path, clock):
    one, other = (MemoryLimits(tmp_path / "limits.bin", clock) for _ in range(2))
    await allowed(one, minute(10), 4)
    assert await allowed(other, minute(10), 10) == 6
    await one.close()
    await other.close()


async def test_counts_outlive_the_instance(tmp_path, clock):
    for expected in (3, 0):
        limits = MemoryLimits(tmp_path / "limits.bin", clock)
        assert await allowed(limits, minute(3), 5) == expected
        await limits.close()


def test_two_processes_never_exceed_the_limit_together(tmp_path):
    command = [
        sys.executable,
        "-m",
        "tests.support.platform.limits_taker",
        str(tmp_path / "limits.bin"),
        "3000",
        "2000",
    ]
    takers = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for taker in takers:
        assert taker.stdin is not None
        taker.stdin.write("go\n")
        taker.stdin.flush()
    taken = [int(taker.communicate(timeout=60)[0]) for taker in takers]
    assert sum(taken) == 3000
    assert min(taken) > 0


async def test_when_a_run_of_slots_is_full_the_window_that_ended_first_gives_way(tmp_path, clock, monkeypatch):
    monkeypatch.setattr(memory, "SLOTS", memory.PROBES)  # every cell probes the same slots
    limits = MemoryLimits(tmp_path / "limits.bin", clock)
    stale = minute(5, "stale")
    await allowed(limits, stale, 5)
    clock.now += 3 * 60
    keepers = [Demand(f"day{i}", "day", 5, 86_400) for i in range(memory.PROBES - 1)]
    for keeper in keepers:
        await allowed(limits, keeper, 5)
    await limits.take([minute(5, "new")])
    assert [await limits.is_known(keeper) for keeper in keepers] == [True] * len(keepers)
    assert await limits.is_known(minute(5, "new"))
    assert not await limits.is_known(stale)
    await limits.close()
