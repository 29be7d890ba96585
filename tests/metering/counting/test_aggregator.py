"""Aggregation: every event is counted exactly once, whatever comes twice, late, shuffled or from two processes."""

import asyncio
import contextlib
import random
import tempfile
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.kernel.clock import format_time
from shared.metering.counters import MONTH_BUCKET, Bucket, counter_key, encode_counter, sum_events, with_months
from shared.metering.events import UsageEvent
from shared.metering.store import USAGE
from shared.platform.documents import BODY_BYTES_MAX, OPERATIONS_PER_TRANSACTION_MAX, DocumentsUnavailable
from shared.platform.documents.sqlite import SqliteDocuments
from tests.support.embedded import (
    IN_MEMORY,
    NOW,
    RETENTION_DAYS,
    Embedded,
    FailingDocuments,
    api_key,
    open_embedded,
    raw,
    requests_counted,
    stored_counters,
    stored_records,
    usage_event,
)


async def assert_counted_once(embedded: Embedded, events: list[UsageEvent], shard: int = 0) -> None:
    """The store holds exactly one record of each of `events`, and counters that are their sums."""
    distinct = {(event.source, event.id): event for event in events}
    records = await stored_records(embedded.documents, shard=shard)
    assert sorted((r.source, r.id) for r in records) == sorted(distinct)
    expected: dict[str, dict[str, Bucket]] = {}
    for key, buckets in with_months(sum_events((counter_key(e), e) for e in distinct.values())).items():
        expected[key.id] = buckets
    counters = await stored_counters(embedded.documents, shard=shard)
    assert {name: counter.buckets for name, counter in counters.items()} == expected


async def test_an_event_becomes_a_record_a_day_counter_and_a_month_counter(embedded):
    event = usage_event(data={"requests": 3, "status_code": 200})
    outcome = await embedded.aggregator().apply(raw(event))
    assert (outcome.counted, outcome.duplicates, outcome.parked) == (1, 0, 0)
    assert await stored_records(embedded.documents) == [event]
    counters = await stored_counters(embedded.documents)
    assert set(counters) == {"d:key_1:2026-03-15:svc_maps", "m:key_1:2026-03:svc_maps"}
    assert counters["d:key_1:2026-03-15:svc_maps"].buckets["10:00"].requests == 3
    assert counters["m:key_1:2026-03:svc_maps"].buckets[MONTH_BUCKET].status == {"200": 3}


async def test_an_empty_batch_is_fine(embedded):
    assert (await embedded.aggregator().apply([])).counted == 0


async def test_the_same_batch_twice_counts_once(embedded):
    events = [usage_event(str(number)) for number in range(150)]
    aggregator = embedded.aggregator()
    assert (await aggregator.apply(raw(*events))).counted == 150
    outcome = await aggregator.apply(raw(*events))
    assert (outcome.counted, outcome.duplicates) == (0, 150)
    await assert_counted_once(embedded, events)


async def test_a_new_process_knows_what_another_counted(embedded):
    events = [usage_event(str(number)) for number in range(10)]
    await embedded.aggregator().apply(raw(*events))
    assert (await embedded.aggregator().apply(raw(*events))).duplicates == 10
    await assert_counted_once(embedded, events)


async def test_overlapping_batches_count_the_overlap_once(embedded):
    events = [usage_event(str(number)) for number in range(300)]
    aggregator = embedded.aggregator()
    await aggregator.apply(raw(*events[:200]))
    outcome = await aggregator.apply(raw(*events[100:]))
    assert (outcome.counted, outcome.duplicates) == (100, 100)
    await assert_counted_once(embedded, events)


async def test_duplicates_inside_a_batch_count_once(embedded):
    events = [usage_event(str(number % 7)) for number in range(50)]
    outcome = await embedded.aggregator().apply(raw(*events))
    assert (outcome.counted, outcome.duplicates) == (7, 43)
    await assert_counted_once(embedded, events)


async def test_of_two_events_with_one_id_the_first_counts(embedded):
    await embedded.aggregator().apply(
        raw(usage_event("a", data={"requests": 1}), usage_event("a", data={"requests": 9}))
    )
    assert await requests_counted(embedded.documents) == 1


async def test_one_id_at_two_times_counts_once(embedded):
    """A client that retries without a time gets another one: the id decides."""
    aggregator = embedded.aggregator()
    await aggregator.apply(raw(usage_event("a")))
    await aggregator.apply(raw(usage_event("a", time="2026-03-14T10:00:00.000Z")))
    assert await requests_counted(embedded.documents) == 1


async def test_one_id_from_two_sources_counts_twice(embedded):
    await embedded.aggregator().apply(raw(usage_event("a"), usage_event("a", source="other")))
    assert await requests_counted(embedded.documents) == 2


@pytest.mark.parametrize("id", ["a/b?c#d", "é" * 128, " ", "..", "a" * 1000, "é" * 1000])
async def test_whatever_an_id_looks_like_it_counts_once(embedded, id):
    aggregator = embedded.aggregator()
    for _ in range(2):
        await aggregator.apply(raw(usage_event(id), usage_event(id + "x")))
    await assert_counted_once(embedded, [usage_event(id), usage_event(id + "x")])


async def test_late_and_disordered_events_are_counted_where_they_happened(embedded):
    times = [NOW - timedelta(minutes=7 * number, days=number % 30) for number in range(90)]
    random.Random(1).shuffle(times)
    events = [usage_event(str(number), time=format_time(time)) for number, time in enumerate(times)]
    aggregator = embedded.aggregator()
    for start in range(0, 90, 20):
        await aggregator.apply(raw(*events[start : start + 20]))
    await assert_counted_once(embedded, events)


@pytest.mark.parametrize("features", [1, 33, 34, 50, 99, 100, 101, 300])
async def test_a_batch_may_touch_any_number_of_counters(embedded, features):
    documents = FailingDocuments(embedded.documents)
    events = [
        usage_event(f"{f}-{n}", data={"feature": f"f{f}", "requests": n}) for f in range(features) for n in (1, 2)
    ]
    await embedded.aggregator(documents).apply(raw(*events))
    assert max(documents.operations) <= OPERATIONS_PER_TRANSACTION_MAX
    await assert_counted_once(embedded, events)


async def test_a_transaction_is_filled_before_the_next_begins(embedded):
    documents = FailingDocuments(embedded.documents)
    await embedded.aggregator(documents).apply(raw(*(usage_event(str(number)) for number in range(196))))
    assert documents.operations == [100, 100]  # 98 records with a day and a month


async def test_large_events_are_spread_over_transactions(embedded):
    text = "x" * 15_000
    events = [usage_event(f"{number}-{text}"[:15_000]) for number in range(80)]
    await embedded.aggregator().apply(raw(*events))
    assert len(await stored_records(embedded.documents)) == 80


async def test_counters_that_grew_large_do_not_stop_their_partition(embedded):
    """A counter with every status in every quarter is over half a megabyte: a few of them fill a transaction."""
    features = [f"f{number}" for number in range(8)]
    await embedded.aggregator().apply(raw(*(usage_event(f"first {f}", data={"feature": f}) for f in features)))
    every_status = {str(code): 10**9 for code in range(100, 600)}
    for name, counter in (await stored_counters(embedded.documents)).items():
        if name.startswith("d:"):
            for minute in range(0, 600, 15):
                counter.buckets[f"{minute // 60:02d}:{minute % 60:02d}"] = Bucket(status=dict(every_status))
            body = encode_counter(counter)
            assert 8 * len(body) > BODY_BYTES_MAX
            await embedded.documents.upsert(USAGE, "con_1:0", name, body)
    events = [usage_event(f"second {f}", data={"feature": f}) for f in features]
    assert (await embedded.aggregator().apply(raw(*events))).counted == 8
    after = await stored_counters(embedded.documents)
    assert [after[counter_key(event).id].buckets["10:00"].events for event in events] == [2] * 8


async def test_each_consumer_and_shard_has_a_partition_of_its_own(embedded):
    await embedded.builder.consumer(id="con_2", name="Second", shards=3)
    await embedded.put_key(id="key_2", consumer_id="con_2")
    second = {"consumer_id": "con_2", "api_key_id": "key_2"}
    shards = [usage_event(f"s{number}", shard=number % 3, **second) for number in range(30)]
    await embedded.aggregator().apply(raw(usage_event("a"), *shards))
    assert await requests_counted(embedded.documents) == 1
    for shard in range(3):
        assert len(await stored_records(embedded.documents, "con_2", shard)) == 10


async def test_a_key_that_changed_its_project_goes_on_in_its_counter(embedded):
    aggregator = embedded.aggregator()
    await aggregator.apply(raw(usage_event("a"), usage_event("b", project_id="prj_1")))
    await aggregator.apply(raw(usage_event("c", project_id="prj_2")))
    assert await requests_counted(embedded.documents) == 3


@pytest.mark.parametrize("status", ["disabled", "revoked"])
async def test_usage_of_a_key_that_was_revoked_since_still_counts(embedded, status):
    await embedded.builder.put(api_key(embedded.key, status=status))
    assert (await embedded.aggregator().apply(raw(usage_event()))).counted == 1


async def test_a_record_expires_after_the_retention_and_its_counters_do_not(embedded):
    clock = [NOW.timestamp()]
    documents = SqliteDocuments(embedded.folder / "documents.db", lambda: clock[0])
    await embedded.aggregator(documents).apply(raw(usage_event()))
    clock[0] += RETENTION_DAYS * 86_400 - 1
    assert len(await stored_records(documents)) == 1
    clock[0] += 1
    assert await stored_records(documents) == []
    assert await requests_counted(documents) == 1
    await documents.close()


@pytest.mark.parametrize("failure", ["fail_before", "fail_after"])
@pytest.mark.parametrize("times", [1, 3])
async def test_a_batch_that_failed_is_counted_once_by_its_retries(embedded, failure, times):
    documents = FailingDocuments(embedded.documents)
    aggregator = embedded.aggregator(documents)
    events = [usage_event(str(number), data={"feature": f"f{number % 60}"}) for number in range(120)]
    await aggregator.apply(raw(*events[:10]))
    setattr(documents, failure, times)
    for _ in range(times):
        with pytest.raises(DocumentsUnavailable):
            await aggregator.apply(raw(*events))
    await aggregator.apply(raw(*events))
    await assert_counted_once(embedded, events)


async def test_after_a_lost_answer_the_next_batch_is_counted_on_top(embedded):
    documents = FailingDocuments(embedded.documents)
    aggregator = embedded.aggregator(documents)
    await aggregator.apply(raw(usage_event("a")))
    documents.fail_after = 1
    with pytest.raises(DocumentsUnavailable):
        await aggregator.apply(raw(usage_event("b")))
    await aggregator.apply(raw(usage_event("c")))  # its cached counter is older than the store's
    await assert_counted_once(embedded, [usage_event(letter) for letter in "abc"])


async def test_a_store_that_is_down_changes_nothing(embedded):
    documents = FailingDocuments(embedded.documents)
    documents.fail_before = 1
    with pytest.raises(DocumentsUnavailable):
        await embedded.aggregator(documents).apply(raw(usage_event()))
    assert await stored_records(embedded.documents) == []
    assert await stored_counters(embedded.documents) == {}


async def test_two_processes_apply_shuffled_overlapping_batches_at_once(embedded):
    """Each has its own store object on the one file, and its own cache of counters."""
    events = [
        usage_event(str(number), data={"requests": number % 5, "feature": f"f{number % 7}"}) for number in range(200)
    ]
    stores = [SqliteDocuments(embedded.folder / "documents.db") for _ in range(2)]

    async def work(seed: int) -> int:
        aggregator, order = embedded.aggregator(stores[seed]), random.Random(seed)
        counted = 0
        for _ in range(6):
            counted += (await aggregator.apply(raw(*order.sample(events, 60)))).counted
        return counted + (await aggregator.apply(raw(*order.sample(events, len(events))))).counted

    counted = await asyncio.gather(work(0), work(1))
    assert sum(counted) == len(events)
    await assert_counted_once(embedded, events)
    for store in stores:
        await store.close()


BATCHES = st.lists(
    st.lists(
        st.builds(
            lambda number, source, day, feature, requests: usage_event(
                f"e{number}",
                source=source,
                time=f"2026-03-{day}T09:00:00.000Z",
                data={"requests": requests, "feature": feature},
            ),
            st.integers(0, 15),
            st.sampled_from(["s", "t"]),
            st.sampled_from(["14", "15"]),
            st.sampled_from([None, "f", "g"]),
            st.integers(0, 5),
        ),
        max_size=12,
    ),
    max_size=6,
)


@settings(deadline=None, max_examples=25)
@given(BATCHES, st.lists(st.sampled_from(["", "fail_before", "fail_after"]), min_size=6, max_size=6), st.randoms())
def test_any_sequence_of_batches_with_failures_equals_counting_by_hand(batches, failures, order):
    """Two processes take turns; a batch that fails is tried again by either. By hand: the first event of each id."""

    async def run() -> None:
        with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
            embedded = await open_embedded(Path(folder))
            documents = FailingDocuments(embedded.documents)
            aggregators = [embedded.aggregator(documents), embedded.aggregator(documents)]
            by_hand: dict[tuple[str, str], UsageEvent] = {}
            for batch, failure in zip(batches, failures, strict=False):
                for event in batch:
                    by_hand.setdefault((event.source, event.id), event)
                if failure and batch:
                    setattr(documents, failure, 1)
                    with contextlib.suppress(DocumentsUnavailable):
                        await order.choice(aggregators).apply(raw(*batch))
                    documents.fail_before = documents.fail_after = 0
                await order.choice(aggregators).apply(raw(*batch))
            await assert_counted_once(embedded, list(by_hand.values()))
            for record in await stored_records(embedded.documents):
                assert record == by_hand[record.source, record.id]
            await embedded.close()

    asyncio.run(run())
