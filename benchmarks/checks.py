"""Counting afterwards: what was acknowledged is counted once, nothing twice. Reads the stores of an installation."""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from benchmarks.scale import BenchmarkFailed
from functions.events.aggregate_usage import CONSUMER_GROUP
from shared.access.models import Consumer
from shared.metering.counting.record_ids import RECORD_PREFIX
from shared.metering.store import UsageQueries
from shared.platform.documents.sqlite import SqliteDocuments
from shared.platform.events.log import EventLog

LOOK_S, REST_S, PATIENCE_S = 0.1, 0.5, 60.0
AGGREGATED_PER_S_LEAST = 2_000
"""Slower than this is taken for standing still."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Counted:
    """What an installation holds: events that its counters sum up, and usage records."""

    events: int
    records: int


@contextlib.asynccontextmanager
async def _log(data: Path) -> AsyncIterator[EventLog]:
    events = EventLog(data / "events.db")
    try:
        yield events
    finally:
        await events.close()


def lag_events(data: Path) -> int:
    """Events on the stream that are not yet counted."""

    async def measure() -> int:
        async with _log(data) as events:
            return (await events.lag(CONSUMER_GROUP)).events

    return asyncio.run(measure())


def wait_until_counted(data: Path) -> None:
    """Until the stream is consumed. Raises BenchmarkFailed when that takes much too long."""
    deadline = time.monotonic() + PATIENCE_S + lag_events(data) / AGGREGATED_PER_S_LEAST
    while lag := lag_events(data):
        if time.monotonic() > deadline:
            raise BenchmarkFailed(f"{lag} events are still not counted")
        time.sleep(LOOK_S)


def at_rest(look: Callable[[], T]) -> T:
    """What `look` finds, once it finds the same twice: a load that stopped leaves requests that are still answered.

    Raises BenchmarkFailed when it keeps changing.
    """
    deadline = time.monotonic() + PATIENCE_S
    found = look()
    while True:
        time.sleep(REST_S)
        again = look()
        if again == found:
            return found
        if time.monotonic() > deadline:
            raise BenchmarkFailed(f"does not come to rest: {found}, {again}")
        found = again


def counted(data: Path, consumers: Sequence[str]) -> Counted:
    """What the counters of these consumers sum up for yesterday and today, as the summary endpoint would."""

    async def count() -> int:
        documents = SqliteDocuments(data / "documents.db")
        try:
            queries = UsageQueries(documents)
            today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
            total = 0
            for id in consumers:  # noqa: A001 - the field's own word
                consumer = Consumer(id=id, name=id)
                key_id = id.replace("con", "key", 1)
                start, end = today - timedelta(days=1), today + timedelta(days=1)
                total += sum(group.sums.events for group in await queries.summary(consumer, key_id, start, end, ()))
            return total
        finally:
            await documents.close()

    return Counted(asyncio.run(count()), _records(data))


def _records(data: Path) -> int:
    """Straight from the table: paging through millions of records would take longer than measuring."""
    with contextlib.closing(sqlite3.connect(data / "documents.db")) as db:
        after = RECORD_PREFIX[:-1] + chr(ord(RECORD_PREFIX[-1]) + 1)
        row = db.execute("SELECT count(*) FROM usage WHERE id >= ? AND id < ?", (RECORD_PREFIX, after)).fetchone()
    return int(row[0])


def check(found: Counted, *, at_least: int, at_most: int) -> None:
    """Raises BenchmarkFailed unless counters equal records and are between what was acknowledged and what was sent.

    Both bounds are the same where every request was answered; a load that stops with requests in flight leaves some
    that are durable and were never acknowledged.
    """
    if found.events != found.records:
        raise BenchmarkFailed(f"counters sum up {found.events} events, but there are {found.records} records")
    if not at_least <= found.events <= at_most:
        raise BenchmarkFailed(f"{found.events} events were counted; acknowledged {at_least}, sent {at_most}")


def wait_for(reached: Callable[[], bool], what: str, seconds: float = PATIENCE_S) -> None:
    """Raises BenchmarkFailed when `reached` does not come true in time."""
    deadline = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > deadline:
            raise BenchmarkFailed(f"not reached within {seconds:g} s: {what}")
        time.sleep(LOOK_S)
