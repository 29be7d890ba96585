"""One run of a replay: read the summaries, report the batches, wait until the summaries hold what was taken."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from rich.progress import Progress

from scripts.replay.client import UsageClient
from scripts.replay.events import Batch, Survey, batches
from scripts.replay.keys import Replay
from shared.kernel.clock import utc_now
from shared.metering.store import SUMMARY_DAYS_MAX

CALLS_AT_ONCE_MAX = 8
SETTLE_S = 60.0
SETTLE_POLL_S = 0.2


@dataclass(slots=True)
class Tally:
    """What AMS answered to the batches: events taken by key, events refused by code with one detail of each."""

    accepted: Counter[int] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    details: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReplayOutcome:
    """What came of a replay: `before` and `after` are each key's sums around the run, by slot; `settled`: all that was
    taken is counted."""

    tally: Tally
    before: dict[int, dict[str, Any]]
    after: dict[int, dict[str, Any]]
    settled: bool

    @property
    def duplicates(self) -> int:
        """Events that were taken in this run and had been counted before it. Known once the summaries are settled."""
        return sum(
            max(0, accepted - (self.after[slot]["events"] - self.before[slot]["events"]))
            for slot, accepted in self.tally.accepted.items()
        )

    def sum(self, name: str) -> int:
        """Sum up the usage of all keys, as AMS says now."""
        return sum(total[name] for total in self.after.values())

    def by_status(self) -> Counter[str]:
        """Count requests by HTTP status, over all keys."""
        return sum((Counter(total["status"]) for total in self.after.values()), Counter())


async def send(client: UsageClient, replay: Replay, source: Iterator[Batch], advance: Callable[[int], None]) -> Tally:
    """Report every batch, a few at a time. Raises AmsError, LogUnreadable."""
    tally = Tally()

    async def sender() -> None:
        for batch in source:  # shared by all senders: each takes the next one
            receipt = await client.report(replay.keys[batch.slot], batch.events)
            tally.accepted[batch.slot] += receipt.accepted
            for rejection in receipt.rejected:
                tally.rejected[rejection.code] += 1
                tally.details.setdefault(rejection.code, rejection.detail)
            advance(len(batch.events))

    await _in_parallel([sender for _ in range(CALLS_AT_ONCE_MAX)])
    return tally


async def read_totals(client: UsageClient, keys: Sequence[str], slots: Iterable[int]) -> dict[int, dict[str, Any]]:
    """Read the sums of the keys of these slots, over as long a time as a summary may span. Raises AmsError."""
    now = utc_now()
    quarter = now.replace(minute=now.minute // 15 * 15, second=0, microsecond=0)
    end = quarter + timedelta(minutes=30)  # clocks may differ
    totals: dict[int, dict[str, Any]] = {}
    shared = iter(slots)

    async def reader() -> None:
        for slot in shared:
            totals[slot] = await client.totals(keys[slot], end - timedelta(days=SUMMARY_DAYS_MAX), end)

    await _in_parallel([reader for _ in range(CALLS_AT_ONCE_MAX)])
    return totals


async def _in_parallel(workers: Sequence[Callable[[], Coroutine[None, None, None]]]) -> None:
    """Run all; when one fails, the others are cancelled and its error is raised as itself."""
    try:
        async with asyncio.TaskGroup() as tasks:
            for worker in workers:
                tasks.create_task(worker())
    except ExceptionGroup as group:
        raise group.exceptions[0] from None


async def settle(
    client: UsageClient, keys: Sequence[str], accepted: Counter[int], show: Callable[[int], None]
) -> tuple[dict[int, dict[str, Any]], bool]:
    """Wait until every key's summary holds what was taken for it, for at most SETTLE_S seconds."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + SETTLE_S
    totals: dict[int, dict[str, Any]] = {}
    waiting: Sequence[int] = range(len(keys))
    while True:
        totals |= await read_totals(client, keys, waiting)
        waiting = [slot for slot in waiting if totals[slot]["events"] < accepted[slot]]
        show(sum(min(total["events"], accepted[slot]) for slot, total in totals.items()))
        if not waiting or loop.time() >= deadline:
            return totals, not waiting
        await asyncio.sleep(SETTLE_POLL_S)


async def replay_log(
    path: Path, url: str, survey: Survey, replay: Replay, *, keep_times: bool, progress: Progress
) -> ReplayOutcome:
    """Replay a log, and wait until all is counted. Raises AmsError, LogUnreadable."""
    assert survey.newest is not None, "a log without events is not replayed"
    shift = timedelta(0) if keep_times else replay.first_run_at - survey.newest

    def notice(text: str) -> None:
        progress.console.print(text, markup=False, highlight=False, soft_wrap=True)

    async with UsageClient(url, connections_max=CALLS_AT_ONCE_MAX, notice=notice) as client:
        before = await read_totals(client, replay.keys, range(len(replay.keys)))
        sending = progress.add_task("reported", total=survey.events)
        source = batches(path, survey, replay, shift)
        tally = await send(client, replay, source, lambda events: progress.advance(sending, events))
        counting = progress.add_task("counted", total=tally.accepted.total())
        after, settled = await settle(
            client, replay.keys, tally.accepted, lambda events: progress.update(counting, completed=events)
        )
    return ReplayOutcome(tally, before, after, settled)
