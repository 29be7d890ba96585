"""What the Event Hubs adapter promises beyond the contract: how it batches, and what it makes of a bad broker."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from types import TracebackType

import pytest
from azure.core.credentials import AccessToken
from azure.eventhub import EventData
from azure.eventhub._pyamqp.message import Message
from azure.eventhub.aio import EventHubProducerClient, PartitionContext
from azure.eventhub.aio._eventprocessor.in_memory_checkpoint_store import InMemoryCheckpointStore
from azure.eventhub.amqp import AmqpAnnotatedMessage

from shared.platform.events import EVENT_BYTES_MAX, EventBatch, EventsUnavailable, Lag, eventhubs, eventhubs_clients
from shared.platform.events.eventhubs import EventHubs
from shared.platform.events.eventhubs_clients import AzureHub, EmulatedHub
from shared.platform.events.eventhubs_consumer import Arrivals, BatchReader
from tests.emulators.event_hubs import HUB, EventHubsPeer, mute_listener
from tests.emulators.event_hubs_amqp import Fault
from tests.support.platform.events import (
    LEAKED_BY_THE_SDK,
    SECONDS_MAX,
    HubBroker,
    Seen,
    consuming,
    handled,
    hub_broker,
)

pytestmark = LEAKED_BY_THE_SDK

KEY = "con_1"


@pytest.fixture
async def broker(azurite: str) -> AsyncIterator[HubBroker]:
    async with hub_broker(azurite) as broker:
        yield broker


@pytest.fixture
def peer(broker: HubBroker) -> EventHubsPeer:
    return broker.peer


@pytest.fixture
async def events(broker: HubBroker) -> AsyncIterator[EventHubs]:
    events = broker.open()
    yield events
    await events.close()


def stored(peer: EventHubsPeer) -> list[bytes]:
    return [event.body for log in peer.logs for event in log]


async def test_publishes_that_arrive_during_a_send_share_the_next_one(events: EventHubs, peer: EventHubsPeer) -> None:
    peer.gate.clear()
    first = asyncio.create_task(events.publish(KEY, [b"0"]))
    await asyncio.wait_for(peer.arrived.acquire(), SECONDS_MAX)
    others = [asyncio.create_task(events.publish(KEY, [str(n).encode()])) for n in range(1, 51)]
    await asyncio.sleep(0)  # all of them have started
    peer.gate.set()
    await asyncio.gather(first, *others)
    assert peer.sends == [1, 50]
    assert stored(peer) == [str(number).encode() for number in range(51)]


async def test_more_than_fits_into_one_send_is_split_in_order(azurite: str) -> None:
    async with hub_broker(azurite, EventHubsPeer(message_bytes_max=256 * 1024)) as broker:
        events = broker.open()
        bodies = [str(number).encode().ljust(EVENT_BYTES_MAX, b".") for number in range(10)]
        await events.publish(KEY, bodies)
        assert sum(broker.peer.sends) == 10
        assert max(broker.peer.sends) == 3  # four are 256 KiB, and their envelope comes on top
        assert stored(broker.peer) == bodies
        await events.close()


async def test_keys_are_sent_concurrently_over_a_bounded_number_of_links(
    events: EventHubs, peer: EventHubsPeer
) -> None:
    peer.gate.clear()
    publishing = [asyncio.create_task(events.publish(f"con_{number}", [b"1"])) for number in range(30)]
    for _ in range(eventhubs.SENDS_MAX):
        await asyncio.wait_for(peer.arrived.acquire(), SECONDS_MAX)
    peer.gate.set()
    await asyncio.gather(*publishing)
    assert len(peer.sends) == 30
    assert peer.senders_attached == eventhubs.SENDS_MAX


async def test_a_connection_lost_before_the_events_are_stored_is_no_success(
    events: EventHubs, peer: EventHubsPeer
) -> None:
    peer.faults.append(Fault.LOSE)
    await events.publish(KEY, [b"1"])  # the SDK connects and sends again
    assert stored(peer) == [b"1"]


async def test_a_lost_confirmation_may_duplicate_but_never_loses(events: EventHubs, peer: EventHubsPeer) -> None:
    peer.faults.append(Fault.FORGET_TO_CONFIRM)
    await events.publish(KEY, [b"1"])
    await events.publish(KEY, [b"2"])
    assert stored(peer) == [b"1", b"1", b"2"]


async def test_a_broker_that_drops_every_connection_is_unavailable(events: EventHubs, peer: EventHubsPeer) -> None:
    peer.faults.extend([Fault.LOSE] * 1000)
    with pytest.raises(EventsUnavailable):
        await events.publish(KEY, [b"1"])
    assert stored(peer) == []
    peer.faults.clear()
    await events.publish(KEY, [b"2"])
    assert stored(peer) == [b"2"]


async def test_a_refused_send_is_reported_and_the_next_one_works(events: EventHubs, peer: EventHubsPeer) -> None:
    peer.faults.extend([Fault.REJECT] * 10)
    with pytest.raises(EventsUnavailable, match="refused by the test"):
        await events.publish(KEY, [b"1"])
    peer.faults.clear()
    await events.publish(KEY, [b"2"])
    assert stored(peer) == [b"2"]


async def test_publishes_end_in_time_when_the_broker_never_confirms(
    broker: HubBroker, peer: EventHubsPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(eventhubs, "SENDS_MAX", 1)
    events = broker.open()
    await events.publish(KEY, [b"warm"])
    monkeypatch.setattr(eventhubs, "PUBLISH_SECONDS_MAX", 0.5)
    peer.gate.clear()
    started = time.monotonic()
    # The first is sent, the second waits behind it for the key, and the others wait for a link.
    keys = [KEY, KEY, *(f"con_{number}" for number in range(2, 60))]
    answers = await asyncio.gather(*(events.publish(key, [b"lost"]) for key in keys), return_exceptions=True)
    assert {type(answer) for answer in answers} == {EventsUnavailable}
    assert time.monotonic() - started < 0.5 * len(keys) / 2
    monkeypatch.undo()
    peer.gate.set()
    await events.publish(KEY, [b"after"])
    assert stored(peer)[-1] == b"after"
    assert peer.senders_attached == 2  # what becomes of the first link's last send is not known
    await events.close()


async def test_close_waits_for_the_confirmation(events: EventHubs, peer: EventHubsPeer) -> None:
    peer.gate.clear()
    publishing = asyncio.create_task(events.publish(KEY, [b"1"]))
    await asyncio.wait_for(peer.arrived.acquire(), SECONDS_MAX)
    closing = asyncio.create_task(events.close())
    ended, _ = await asyncio.wait({closing}, timeout=0.2)
    assert not ended
    peer.gate.set()
    await asyncio.gather(closing, publishing)


async def test_a_peer_that_never_answers_is_unavailable_in_time(azurite: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eventhubs, "PUBLISH_SECONDS_MAX", 0.3)
    monkeypatch.setattr(eventhubs, "ASK_SECONDS_MAX", 0.3)
    monkeypatch.setattr(eventhubs, "CLOSE_SECONDS_MAX", 0.3)
    async with mute_listener() as connection_string:
        events = EventHubs(EmulatedHub(connection_string, HUB, azurite, "checkpoints"))
        with pytest.raises(EventsUnavailable):
            await events.publish(KEY, [b"1"])
        with pytest.raises(EventsUnavailable):
            await events.ready()
        with pytest.raises(EventsUnavailable):
            await events.lag("aggregate")
        await events.close()


async def test_a_consumer_outlives_an_outage_of_the_broker(
    broker: HubBroker, events: EventHubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(eventhubs_clients, "BALANCE_SECONDS", 0.5)
    seen = Seen()
    async with consuming(events, seen):
        await events.publish(KEY, [b"before"])
        await seen.until(1)
        async with broker.outage():
            pass
        await events.publish(KEY, [b"after"])
        await seen.until_body(b"after")  # "before" may come a second time
    assert list(dict.fromkeys(seen.bodies)) == [b"before", b"after"]
    assert await events.lag("aggregate") == Lag(0, 0.0)


async def test_a_partition_started_anew_waits_for_the_batch_in_hand() -> None:
    """As when the SDK lost its connection while the handler was at work, and opened another."""
    calls: list[str] = []
    release = asyncio.Event()

    async def slow(batch: EventBatch) -> None:
        calls.append(f"begin {batch.events[0].offset}")
        await release.wait()
        calls.append(f"end {batch.events[0].offset}")

    context = PartitionContext("namespace", HUB, "aggregate", "0", InMemoryCheckpointStore())
    reader = BatchReader(slow, asyncio.Event())
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(reader.take(context, [received(0)]))
        tasks.create_task(reader.take(context, [received(1)]))
        await asyncio.sleep(0)  # both have started
        await asyncio.sleep(0)  # and would be in the handler, if they could
        assert calls == ["begin 0"]
        release.set()
    assert calls == ["begin 0", "end 0", "begin 1", "end 1"]


def received(number: int) -> EventData:
    annotations = {b"x-opt-offset": str(number).encode(), b"x-opt-sequence-number": number, b"x-opt-enqueued-time": 1}
    return EventData._from_message(Message(message_annotations=annotations, data=[b"body"]))


async def test_a_body_that_is_not_bytes_does_not_stop_the_partition(events: EventHubs, peer: EventHubsPeer) -> None:
    foreign = EventHubProducerClient.from_connection_string(peer.connection_string, eventhub_name=HUB)
    async with foreign:
        await foreign.send_batch([AmqpAnnotatedMessage(value_body=7)], partition_id="0")
        await foreign.send_batch([AmqpAnnotatedMessage(data_body=[b"two ", b"sections"])], partition_id="0")
    assert await handled(events, 2) == [b"7", b"two sections"]


async def test_lag_counts_only_what_the_hub_still_keeps(events: EventHubs, peer: EventHubsPeer) -> None:
    await events.publish(KEY, [b"1", b"2", b"3", b"4", b"5"])
    partition = next(number for number, log in enumerate(peer.logs) if log)
    peer.first_kept[partition] = 2
    assert (await events.lag("aggregate")).events == 3
    peer.first_kept[partition] = 5
    assert await events.lag("aggregate") == Lag(0, 0.0)


async def test_ready_says_when_the_hub_is_away(broker: HubBroker, events: EventHubs) -> None:
    async with broker.outage():
        with pytest.raises(EventsUnavailable):
            await events.ready()
        with pytest.raises(EventsUnavailable):
            await events.lag("aggregate")
    await events.ready()


def test_arrivals_remember_when_the_oldest_waiting_event_was_the_newest() -> None:
    start = datetime(2026, 11, 21, tzinfo=UTC)
    arrivals = Arrivals()
    assert arrivals.oldest(-1, -1, start) is None
    for number in range(5):  # one event a second, and nobody consumes
        assert arrivals.oldest(-1, number, start + timedelta(seconds=number)) == start
    assert arrivals.oldest(2, 5, start + timedelta(seconds=5)) == start + timedelta(seconds=3)
    assert arrivals.oldest(5, 5, start + timedelta(seconds=5)) is None


def test_arrivals_stay_bounded_and_keep_the_oldest() -> None:
    start = datetime(2026, 11, 21, tzinfo=UTC)
    arrivals = Arrivals()
    for number in range(5000):
        assert arrivals.oldest(-1, number, start + timedelta(seconds=number)) == start
    assert len(arrivals._seen) <= 1001


class _Credential:
    async def get_token(self, *scopes: str, **_: object) -> AccessToken:
        raise AssertionError("nothing may connect in this test")

    async def close(self) -> None: ...

    async def __aenter__(self) -> "_Credential":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


async def test_clients_for_azure_are_made_without_connecting() -> None:
    hub = AzureHub("ams.servicebus.windows.net", HUB, _Credential(), "https://ams.blob.core.windows.net", "checkpoints")
    async with hub.checkpoints() as checkpoints, hub.consumer("aggregate", checkpoints) as consumer:
        assert consumer.eventhub_name == HUB
    async with hub.producer() as producer:
        assert producer.eventhub_name == HUB
    assert hub.namespace == "ams.servicebus.windows.net"
