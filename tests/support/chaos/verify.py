"""After the storm: do records, counters and summaries say exactly what the ledger says?

Records and counters are read through the documents port, decoded as plain JSON and summed by the tests' own arithmetic,
so that a mistake of the product's is not repeated here.
"""

import asyncio
import json
import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from shared.metering.counting.reconciliation import Reconciler
from shared.platform.blobs.files import FileBlobs
from shared.platform.documents import CONTAINERS, Documents, Query, Where
from shared.platform.documents.sqlite import SqliteDocuments
from tests.support.chaos.ledger import (
    DeliveryAttempt,
    Event,
    Ledger,
    Place,
    Sums,
    differences,
    place_of,
    quarter_of,
    rolled_up,
)
from tests.support.chaos.market import API, PARTITIONS, SERVICES

USAGE = CONTAINERS["usage"]
PAGE = 1_000
CALL_SOURCE = "ams/consume"

Record = dict[str, Any]


@dataclass
class StoredUsage:
    """What AMS has on disk when it stands still. `rows` is how many documents there are whatever their partition."""

    records: list[Record] = field(default_factory=list)
    days: list[Record] = field(default_factory=list)
    months: list[Record] = field(default_factory=list)
    rows: int = 0
    published: int = 0
    parked: list[str] = field(default_factory=list)
    spooled: int = 0
    reconciled: list[str] = field(default_factory=list)


async def read(data: Path) -> StoredUsage:
    """Everything of a data folder whose host is not running."""
    stored = StoredUsage()
    documents = SqliteDocuments(data / "documents.db")
    try:
        for partition in PARTITIONS:
            stored.records += await _all(documents, partition, "r:")
            stored.days += await _all(documents, partition, "d:")
            stored.months += await _all(documents, partition, "m:")
        stored.reconciled = await _reconcile(documents, {str(record["time"])[:10] for record in stored.records})
    finally:
        await documents.close()
    stored.rows = _one(data / "documents.db", "SELECT count(*) FROM usage")
    stored.published = _one(data / "events.db", "SELECT coalesce(sum(events), 0) FROM entries")
    stored.parked = [name async for name in FileBlobs(data / "blobs").list("")]
    stored.spooled = waiting_in_spool(data)
    return stored


async def _all(documents: Documents, partition: str, prefix: str) -> list[Record]:
    query = Query(partition, (Where("id", "starts_with", prefix),), limit=PAGE)
    found: list[Record] = []
    cursor: str | None = None
    while True:
        page = await documents.query(USAGE, query, cursor)
        found += [json.loads(document.body) for document in page.items]
        cursor = page.cursor
        if cursor is None:
            return found


async def _reconcile(documents: Documents, days: Iterable[str]) -> list[str]:
    """AMS's own recount must agree with this one."""
    reconciler = Reconciler(documents)
    reports = [await reconciler.reconcile(date.fromisoformat(day), final=False) for day in sorted(days)]
    return [f"reconciliation: {difference}" for report in reports for difference in report.differences]


def waiting_in_spool(data: Path) -> int:
    """Events that no stream has confirmed, in the spools of all processes, dead or alive."""
    total = 0
    for path in (data / "spool").glob("*.db"):
        try:
            total += _one(path, "SELECT count(*) FROM waiting")
        except sqlite3.OperationalError:
            if path.exists():  # else its events were shipped meanwhile
                raise
    return total


def _one(path: Path, sql: str) -> int:
    with closing(sqlite3.connect(f"file:{path}?mode=rw", uri=True, timeout=30)) as db:
        return int(db.execute(sql).fetchone()[0])


@dataclass
class Verdict:
    """`lost` are acknowledged and not counted, `double` counted more than once. `wrong` says everything that is not as
    it must be, those two included."""

    counted: int
    lost: int
    double: int
    counted_unacknowledged: int
    wrong: list[str]


def judge(ledger: Ledger, stored: StoredUsage) -> Verdict:
    """Compare what is stored with what the ledger says."""
    reports = [record for record in stored.records if record["source"] != CALL_SOURCE]
    calls = [record for record in stored.records if record["source"] == CALL_SOURCE]
    events = {event.identity: event for event in ledger.events}
    attempts = {attempt.path: attempt for attempt in ledger.attempts}
    wrong = [line for record in reports for line in _wrong_report(record, events)]
    wrong += [line for record in calls for line in _wrong_call(record, attempts)]

    times_counted = Counter((record["consumerid"], record["source"], record["id"]) for record in reports)
    times_called = Counter(record["data"]["metadata"]["path"] for record in calls)
    lost = [f"event {event.identity}" for event in ledger.acknowledged if event.identity not in times_counted]
    lost += [f"call {a.path}" for a in ledger.attempts if a.acknowledged and a.path not in times_called]
    double = [f"{who}: {times} times" for who, times in {**times_counted, **times_called}.items() if times > 1]
    wrong += [f"lost: {line}" for line in lost] + [f"double: {line}" for line in double]

    records = _records_by_place(stored.records)
    days = _counters_by_place(stored.days)
    excess = sum(sums.events for sums in days.values()) - len(stored.records)
    wrong += differences("counter against records", days, records)
    wrong += differences("counter against ledger", days, _expected(ledger, set(times_counted), calls))
    wrong += differences("month", _months_by_place(stored.months), rolled_up(days, 7))
    wrong += _wrong_state(stored)
    return Verdict(
        counted=len(stored.records),
        lost=len(lost),
        double=len(double) + max(0, excess),
        counted_unacknowledged=_unacknowledged(events, attempts, times_counted, times_called),
        wrong=wrong,
    )


def _wrong_state(stored: StoredUsage) -> list[str]:
    wrong = list(stored.reconciled)
    known = len(stored.records) + len(stored.days) + len(stored.months)
    if stored.rows != known:
        wrong.append(f"{stored.rows} usage documents, of which {known} in the partitions of the market")
    if stored.parked:
        wrong.append(f"parked: {stored.parked[:5]}")
    if stored.spooled:
        wrong.append(f"{stored.spooled} events are still in the spool")
    if stored.published < len(stored.records):
        wrong.append(f"{stored.published} events on the stream, {len(stored.records)} counted")
    return wrong


def _wrong_report(record: Record, events: dict[tuple[str, str, str], Event]) -> list[str]:
    event = events.get((record["consumerid"], record["source"], record["id"]))
    if event is None or not event.sends:
        return [f"counted and never sent: {record}"]
    told = (event.key.id, SERVICES[event.service], event.time, event.data)
    kept = (record["apikeyid"], record["serviceid"], record["time"], record["data"])
    return [] if kept == told else [f"counted as {kept}, sent as {told}"]


def _wrong_call(record: Record, attempts: dict[str, DeliveryAttempt]) -> list[str]:
    data = record["data"]
    attempt = attempts.get(data["metadata"]["path"])
    if attempt is None or (record["apikeyid"], record["serviceid"]) != (attempt.key.id, SERVICES[API]):
        return [f"call counted and never made: {record}"]
    moved = (data.get("request_bytes", 0), data.get("response_bytes", 0))
    if not attempt.acknowledged:
        within = moved[0] <= attempt.sent_bytes and moved[1] <= attempt.answer_bytes_max
        return [] if within else [f"{attempt} counted with {moved} bytes"]
    if record["id"] != attempt.request_id or data["status_code"] != attempt.status:
        return [f"{attempt} counted as {record}"]
    # A refused connection takes no body, a broken one some of it.
    answered = attempt.status == 200
    right = moved == (attempt.sent_bytes, attempt.received_bytes) if answered else moved[0] <= attempt.sent_bytes
    return [] if right else [f"{attempt} counted with {moved} bytes"]


def _unacknowledged(
    events: dict[tuple[str, str, str], Event],
    attempts: dict[str, DeliveryAttempt],
    times_counted: Iterable[tuple[str, str, str]],
    times_called: Iterable[str],
) -> int:
    reports = sum(1 for who in times_counted if who in events and not events[who].acknowledged)
    return reports + sum(1 for path in times_called if path in attempts and not attempts[path].acknowledged)


def _records_by_place(records: Iterable[Record]) -> dict[Place, Sums]:
    sums: dict[Place, Sums] = {}
    for record in records:
        place = (record["consumerid"], record["apikeyid"], record["serviceid"], quarter_of(record["time"]))
        sums.setdefault(place, Sums()).add(record["data"])
    return sums


def _counters_by_place(counters: Iterable[Record]) -> dict[Place, Sums]:
    sums: dict[Place, Sums] = {}
    for counter in counters:
        for name, bucket in counter["buckets"].items():
            place = (
                counter["consumer_id"],
                counter["api_key_id"],
                counter["service_id"],
                f"{counter['period']}T{name}",
            )
            sums.setdefault(place, Sums()).add_bucket(bucket)
    return sums


def _months_by_place(counters: Iterable[Record]) -> dict[Place, Sums]:
    sums: dict[Place, Sums] = {}
    for counter in counters:
        place = (counter["consumer_id"], counter["api_key_id"], counter["service_id"], counter["period"])
        for bucket in counter["buckets"].values():
            sums.setdefault(place, Sums()).add_bucket(bucket)
    return sums


def _expected(ledger: Ledger, counted: set[tuple[str, str, str]], calls: Iterable[Record]) -> dict[Place, Sums]:
    """What the ledger expects: every acknowledged event, and of the others those that have a record. When a call was
    made and what a broken one moved, only its record knows."""
    sums = _records_by_place(calls)
    for event in ledger.events:
        if event.acknowledged or event.identity in counted:
            sums.setdefault(place_of(event), Sums()).add(event.data)
    return sums


def summaries_wrong(summaries: dict[str, Record], stored: StoredUsage) -> list[str]:
    """`summaries` are the answers of `/usage/summary` by key id, grouped by service and hour."""
    counters = rolled_up(_counters_by_place(stored.days), 13)
    found: dict[Place, Sums] = {}
    wrong = []
    for key, summary in summaries.items():
        consumers = {place[0] for place in counters if place[1] == key}
        total = Sums()
        for item in summary["items"]:
            for consumer in consumers:
                found.setdefault((consumer, key, item["service"], item["start"][:13]), Sums()).add_bucket(item)
            total.add_bucket(item)
        answered = Sums()
        answered.add_bucket(summary["total"])
        if answered != total:
            wrong.append(f"summary of {key}: a total of {answered}, its items sum up to {total}")
    return wrong + list(differences("summary", found, counters))


async def wait_until_counted(lag: Callable[[], Awaitable[float]], data: Path, seconds: float) -> None:
    """Until nothing waits in a spool or on the stream. In this order: what leaves the spool arrives on the stream."""
    async with asyncio.timeout(seconds):
        while await asyncio.to_thread(waiting_in_spool, data) or await lag():  # noqa: ASYNC110 - in other processes
            await asyncio.sleep(0.1)
