"""Reconciliation: counters are recounted from records, every day is looked at twice, and differences are found."""

import logging
from datetime import date, timedelta

import pytest

from shared.kernel.telemetry import RECONCILE_DIFFERENCES
from shared.metering.counters import decode_counter, encode_counter
from shared.metering.counting.reconciliation import Reconciler
from shared.metering.counting.record_ids import record_id
from shared.metering.store import USAGE
from tests.support.embedded import NOW, Embedded, raw, usage_event

YESTERDAY = date(2026, 3, 14)
COUNTER = "d:key_1:2026-03-14:svc_maps"


def reconciler(embedded: Embedded) -> Reconciler:
    return Reconciler(embedded.documents, embedded.time)


async def count_yesterday(embedded: Embedded, events: int = 3) -> None:
    times = [f"2026-03-14T10:{10 * number:02d}:00.000Z" for number in range(events)]
    await embedded.aggregator().apply(raw(*(usage_event(f"e{n}", time=time) for n, time in enumerate(times))))


async def test_given_equal_counters_there_is_no_difference(embedded):
    await count_yesterday(embedded)
    report = await reconciler(embedded).reconcile(YESTERDAY, final=False)
    assert (report.day, report.partitions, report.records, report.differences) == ("2026-03-14", 1, 3, ())


async def test_a_day_without_usage_is_reconciled_too(embedded):
    report = await reconciler(embedded).reconcile(YESTERDAY, final=False)
    assert (report.partitions, report.records, report.differences) == (0, 0, ())


async def test_a_tampered_counter_is_found_alerted_and_kept(embedded, caplog):
    await count_yesterday(embedded)
    document = await embedded.documents.get(USAGE, "con_1:0", COUNTER)
    counter = decode_counter(document.body)
    counter.buckets["10:15"].requests += 1
    await embedded.documents.upsert(USAGE, "con_1:0", COUNTER, encode_counter(counter))
    before = RECONCILE_DIFFERENCES._value.get()
    with caplog.at_level(logging.ERROR):
        report = await reconciler(embedded).reconcile(YESTERDAY, final=True)
    [difference] = report.differences
    assert (difference.partition, difference.counter_id, difference.bucket) == ("con_1:0", COUNTER, "10:15")
    assert (difference.counted.requests, difference.recounted.requests) == (2, 1)
    assert RECONCILE_DIFFERENCES._value.get() == before + 1
    alerts = [record for record in caplog.records if record.name == "shared.metering.counting.reconciliation"]
    assert [record.counter_id for record in alerts] == [COUNTER]
    assert await reconciler(embedded).report(YESTERDAY) == report


async def test_a_deleted_record_is_found(embedded):
    await count_yesterday(embedded)
    await embedded.documents.delete(USAGE, "con_1:0", record_id("tests", "e1"))
    report = await reconciler(embedded).reconcile(YESTERDAY, final=False)
    assert report.records == 2
    [difference] = report.differences
    assert (difference.counted.events, difference.recounted.events) == (2, 1)


async def test_a_deleted_counter_is_found_although_nothing_else_tells_of_the_day(embedded):
    await count_yesterday(embedded)
    await embedded.documents.delete(USAGE, "con_1:0", COUNTER)
    report = await reconciler(embedded).reconcile(YESTERDAY, final=False)
    assert sum(difference.recounted.events for difference in report.differences) == 3
    assert sum(difference.counted.events for difference in report.differences) == 0


async def test_every_partition_is_looked_at(embedded):
    await embedded.builder.consumer(id="con_2", name="Second", shards=2)
    await embedded.put_key(id="key_2", consumer_id="con_2")
    time = "2026-03-14T10:00:00.000Z"
    shards = [usage_event(f"s{n}", time=time, consumer_id="con_2", api_key_id="key_2", shard=n) for n in range(2)]
    await embedded.aggregator().apply(raw(usage_event("a", time=time), *shards))
    await embedded.documents.delete(USAGE, "con_2:1", record_id("tests", "s1"))
    report = await reconciler(embedded).reconcile(YESTERDAY, final=False)
    assert (report.partitions, report.records) == (3, 2)
    assert [difference.partition for difference in report.differences] == ["con_2:1"]


async def test_a_key_that_changed_its_project_makes_no_difference(embedded):
    time = "2026-03-14T10:00:00.000Z"
    await embedded.aggregator().apply(raw(usage_event("a", time=time), usage_event("b", time=time, project_id="prj_1")))
    assert (await reconciler(embedded).reconcile(YESTERDAY, final=False)).differences == ()


async def test_the_first_run_catches_up_every_day_still_open_oldest_first(embedded):
    reports = await reconciler(embedded).run()
    days = [report.day for report in reports]
    assert days == sorted(days)
    assert (days[0], days[-1], len(days)) == (str(YESTERDAY - timedelta(days=36)), str(YESTERDAY), 37)
    assert [report.final for report in reports] == [True, True] + [False] * 35


async def test_running_twice_does_nothing_more(embedded):
    await reconciler(embedded).run()
    assert await reconciler(embedded).run() == []


async def test_a_day_later_yesterday_and_the_day_that_closed_are_due(embedded):
    await reconciler(embedded).run()
    embedded.time.passes(days=1)
    assert [(report.day, report.final) for report in await reconciler(embedded).run()] == [
        (str(NOW.date() - timedelta(days=35)), True),
        (str(NOW.date()), False),
    ]


async def test_days_that_the_timer_missed_are_caught_up(embedded):
    await reconciler(embedded).run()
    embedded.time.passes(days=5)
    reports = await reconciler(embedded).run()
    assert {report.day for report in reports if not report.final} == {
        str(YESTERDAY + timedelta(days=number)) for number in range(1, 6)
    }


@pytest.mark.parametrize(("minutes", "due"), [(59, False), (60, True)])
async def test_a_day_is_left_alone_for_an_hour_after_it_ended(embedded, minutes, due):
    await reconciler(embedded).run()
    embedded.time.moment = (NOW + timedelta(days=1)).replace(hour=0, minute=0, second=0) + timedelta(minutes=minutes)
    days = [report.day for report in await reconciler(embedded).run()]
    assert (str(NOW.date()) in days) == due


async def test_the_final_look_sees_what_came_late(embedded):
    await reconciler(embedded).run()
    await count_yesterday(embedded)
    embedded.time.passes(days=36)
    finals = {report.day: report for report in await reconciler(embedded).run() if report.final}
    assert finals[str(YESTERDAY)].records == 3
