"""What every adapter of the events port promises."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.platform.events import EVENT_BYTES_MAX, EventBatch, Events, EventsUnavailable, EventTooLarge, Lag
from tests.support.platform.events import (
    LEAKED_BY_THE_SDK,
    SECONDS_MAX,
    Broker,
    LogBroker,
    Seen,
    consuming,
    handled,
    hub_broker,
)

KEY = "con_1"


@pytest.fixture(params=["log", pytest.param("eventhubs", marks=LEAKED_BY_THE_SDK)])
async def broker(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Broker]:
    if request.param == "log":
        yield LogBroker(tmp_path / "events.sqlite3")
        return
    async with hub_broker(request.getfixturevalue("azurite")) as broker:
        yield broker


@pytest.fixture
async def events(broker: Broker) -> AsyncIterator[Events]:
    async with contextlib.aclosing(_Closing(broker.open())) as opened:
        yield opened.events


class _Closing:
    def __init__(self, events: Events) -> None:
        self.events = events

    async def aclose(self) -> None:
        await self.events.close()


async def test_delivers_exactly_the_published_bytes(events: Events) -> None:
    bodies = [b"", b"\x00\xff\r\n", "₹ über".encode(), b"x" * 300, b"y" * EVENT_BYTES_MAX]
    await events.publish(KEY, bodies)
    assert await handled(events, len(bodies)) == bodies


async def test_events_carry_key_time_and_rising_sequence_numbers(events: Events) -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)  # brokers keep milliseconds
    await events.publish(KEY, [b"1", b"2"])
    await events.publish(KEY, [b"3"])
    after = datetime.now(UTC)
    seen = Seen()
    async with consuming(events, seen):
        await seen.until(3)
    numbers = [event.sequence_number for event in seen.events]
    assert numbers == sorted(set(numbers))
    assert len({event.offset for event in seen.events}) == 3
    assert {event.partition_key for event in seen.events} == {KEY}
    assert all(before <= event.enqueued_at <= after for event in seen.events)


async def test_what_publish_returned_for_outlives_the_adapter(broker: Broker) -> None:
    first = broker.open()
    await first.publish(KEY, [b"1", b"2"])
    await first.close()
    second = broker.open()
    assert await handled(second, 2) == [b"1", b"2"]
    await second.close()


async def test_a_key_keeps_its_order_and_its_partition_among_concurrent_publishes(events: Events) -> None:
    keys, publishes = [f"con_{number}" for number in range(20)], 15

    async def publish_in_order(key: str) -> None:
        for number in range(publishes):
            await events.publish(key, [f"{key}/{2 * number}".encode(), f"{key}/{2 * number + 1}".encode()])

    await asyncio.gather(*(publish_in_order(key) for key in keys))
    seen = Seen()
    async with consuming(events, seen):
        await seen.until(len(keys) * publishes * 2)

    for key in keys:
        assert [body for body in seen.bodies if body.startswith(f"{key}/".encode())] == [
            f"{key}/{number}".encode() for number in range(publishes * 2)
        ]
        assert len({batch.partition for batch in seen.batches for e in batch.events if e.partition_key == key}) == 1
    assert len({batch.partition for batch in seen.batches}) > 1


async def test_concurrent_publishes_of_one_key_are_each_delivered_once(events: Events) -> None:
    bodies = [str(number).encode() for number in range(200)]
    await asyncio.gather(*(events.publish(KEY, [body]) for body in bodies))
    assert sorted(await handled(events, len(bodies))) == sorted(bodies)


async def test_a_publisher_that_gives_up_does_not_take_others_along(events: Events) -> None:
    patient = [asyncio.create_task(events.publish(KEY, [f"patient {n}".encode()])) for n in range(5)]
    hasty = asyncio.create_task(events.publish(KEY, [b"hasty"]))
    await asyncio.sleep(0)  # all of them have started
    hasty.cancel()
    await asyncio.gather(*patient)
    delivered = await handled(events, 5)
    assert [body for body in delivered if body != b"hasty"] == [f"patient {n}".encode() for n in range(5)]


async def test_a_reopened_adapter_goes_on_behind_the_checkpoint(broker: Broker) -> None:
    first = broker.open()
    await first.publish(KEY, [b"1", b"2", b"3"])
    assert await handled(first, 3) == [b"1", b"2", b"3"]
    await first.close()
    second = broker.open()
    await second.publish(KEY, [b"4", b"5"])
    assert await handled(second, 2) == [b"4", b"5"]
    await second.close()


async def test_a_batch_whose_handler_raises_comes_again_and_nothing_is_skipped(events: Events) -> None:
    await events.publish(KEY, [b"1", b"2", b"3"])
    given: list[EventBatch] = []
    seen = Seen()

    async def fail_twice(batch: EventBatch) -> None:
        given.append(batch)
        if len(given) <= 2:
            raise RuntimeError("the store is away")
        await seen(batch)

    async with consuming(events, fail_twice, batch_events_max=2):
        await seen.until(3)
    assert given[0] == given[1] == given[2]
    assert seen.bodies == [b"1", b"2", b"3"]


async def test_a_batch_whose_handler_raised_until_the_stop_is_not_checkpointed(broker: Broker) -> None:
    events = broker.open()
    await events.publish(KEY, [b"1"])
    failed = asyncio.Event()

    async def fail(_: EventBatch) -> None:
        failed.set()
        raise RuntimeError("the store is away")

    async with consuming(events, fail):
        await asyncio.wait_for(failed.wait(), SECONDS_MAX)
    await events.close()
    reopened = broker.open()
    assert await handled(reopened, 1) == [b"1"]
    await reopened.close()


async def test_groups_are_independent(events: Events) -> None:
    await events.publish(KEY, [b"1", b"2"])
    assert await handled(events, 2, "aggregate") == [b"1", b"2"]
    assert await handled(events, 2, "archive") == [b"1", b"2"]
    await events.publish(KEY, [b"3"])
    both = await asyncio.gather(handled(events, 1, "aggregate"), handled(events, 1, "archive"))
    assert both == [[b"3"], [b"3"]]


async def test_stop_lets_the_batch_in_hand_finish_and_checkpoints_it(events: Events) -> None:
    await events.publish(KEY, [b"in hand"])
    taken, release = asyncio.Event(), asyncio.Event()
    seen = Seen()

    async def slow(batch: EventBatch) -> None:
        taken.set()
        await release.wait()
        await seen(batch)

    async with consuming(events, slow) as stop:
        await asyncio.wait_for(taken.wait(), SECONDS_MAX)
        stop.set()
        await events.publish(KEY, [b"after the stop"])
        assert not seen.batches
        release.set()
    assert seen.bodies == [b"in hand"]
    assert await handled(events, 1) == [b"after the stop"]


async def test_consume_returns_when_there_is_nothing_to_do(events: Events) -> None:
    seen = Seen()
    async with consuming(events, seen):
        pass
    assert not seen.batches


async def test_events_published_while_consuming_arrive(events: Events) -> None:
    seen = Seen()
    async with consuming(events, seen):
        for number in range(1, 4):
            await events.publish(KEY, [str(number).encode()])
            await seen.until(number)
    assert seen.bodies == [b"1", b"2", b"3"]


async def test_batch_events_max_is_respected(events: Events) -> None:
    bodies = [str(number).encode() for number in range(10)]
    await events.publish(KEY, bodies)
    seen = Seen()
    async with consuming(events, seen, batch_events_max=3):
        await seen.until(10)
    assert max(len(batch.events) for batch in seen.batches) <= 3
    assert seen.bodies == bodies


async def test_lag_counts_what_waits_and_goes_to_zero(events: Events) -> None:
    assert await events.lag("aggregate") == Lag(0, 0.0)
    published_from = datetime.now(UTC)
    for number in range(6):
        await events.publish(f"con_{number}", [b"one", b"two"])
    lag = await events.lag("aggregate")
    assert lag.events == 12
    assert 0 <= lag.seconds <= (datetime.now(UTC) - published_from).total_seconds() + 0.001  # brokers keep ms
    await handled(events, 12)
    assert await events.lag("aggregate") == Lag(0, 0.0)
    assert (await events.lag("archive")).events == 12


async def test_an_event_over_the_limit_is_refused_before_anything_is_sent(events: Events) -> None:
    with pytest.raises(EventTooLarge):
        await events.publish(KEY, [b"fits", b"x" * (EVENT_BYTES_MAX + 1)])
    await events.publish(KEY, [b"next"])
    assert await handled(events, 1) == [b"next"]


async def test_publishing_nothing_is_a_no_op_even_during_an_outage(broker: Broker, events: Events) -> None:
    await events.publish(KEY, [])
    async with broker.outage():
        await events.publish(KEY, [])
    assert await events.lag("aggregate") == Lag(0, 0.0)


async def test_an_outage_is_reported_and_survived(broker: Broker, events: Events) -> None:
    await events.ready()
    await events.publish(KEY, [b"before"])
    async with broker.outage():
        with pytest.raises(EventsUnavailable):
            await events.publish(KEY, [b"during"])
        with pytest.raises(EventsUnavailable):
            await events.ready()
    await events.ready()
    await events.publish(KEY, [b"after"])
    delivered = await handled(events, 2)
    assert [body for body in delivered if body != b"during"] == [b"before", b"after"]


async def test_a_closed_adapter_refuses(events: Events) -> None:
    await events.publish(KEY, [b"1"])
    await events.close()
    with pytest.raises(EventsUnavailable):
        await events.publish(KEY, [b"2"])
    with pytest.raises(EventsUnavailable):
        await events.ready()


async def test_close_finishes_publishes_under_way(broker: Broker) -> None:
    events = broker.open()
    publishing = [asyncio.create_task(events.publish(KEY, [str(number).encode()])) for number in range(10)]
    await asyncio.sleep(0)  # all of them have started
    await events.close()
    await asyncio.gather(*publishing)
    reopened = broker.open()
    assert await handled(reopened, 10) == [str(number).encode() for number in range(10)]
    await reopened.close()
