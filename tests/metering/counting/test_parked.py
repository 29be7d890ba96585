"""The parked store: kept until replayed, replayed without loss, counted once."""

from typing import Any

import pytest

from shared.metering.counting.aggregator import RawEvent
from shared.metering.counting.parked import PREFIX, REPLAYING, Parked
from shared.metering.events import encode_event
from shared.platform.blobs import BlobsUnavailable
from shared.platform.events import EventsUnavailable
from tests.support.embedded import Embedded, drain, raw, requests_counted, usage_event

UNKNOWN = usage_event("late", api_key_id="key_2")


async def names(embedded: Embedded) -> list[str]:
    return [name async for name in embedded.parked().names()]


async def park_one(embedded: Embedded) -> str:
    await embedded.aggregator().apply([RawEvent(encode_event(UNKNOWN), "con_1:0")])
    [name] = await names(embedded)
    return name


async def replay_and_count(embedded: Embedded, name: str) -> None:
    """What the operator and then the stream's consumer do."""
    assert await embedded.parked().replay(name)
    for event in await drain(embedded.events):
        await embedded.aggregator().apply(raw(event))


async def test_the_same_bytes_are_parked_under_one_name(embedded):
    for reason in ("unreadable", "key_unknown"):
        await embedded.parked().park(b"bytes", None, reason, "why")
    [name] = await names(embedded)
    assert name.startswith(PREFIX)
    parked = await embedded.parked().get(name)
    assert (parked.body, parked.reason) == (b"bytes", "key_unknown")


async def test_different_bytes_are_parked_under_different_names(embedded):
    for body in (b"a", b"b"):
        await embedded.parked().park(body, None, "unreadable", "why")
    assert len(await names(embedded)) == 2


async def test_after_a_fix_a_replayed_event_is_counted_once_and_gone_from_here(embedded):
    name = await park_one(embedded)
    await embedded.put_key(id="key_2")
    await replay_and_count(embedded, name)
    assert await requests_counted(embedded.documents) == 1
    assert await names(embedded) == []
    await embedded.aggregator().apply(raw(UNKNOWN))
    assert await requests_counted(embedded.documents) == 1


async def test_an_event_that_is_still_bad_comes_back(embedded):
    name = await park_one(embedded)
    await replay_and_count(embedded, name)
    assert await names(embedded) == [name]
    assert await requests_counted(embedded.documents) == 0


async def test_replaying_what_is_not_there_is_false(embedded):
    assert not await embedded.parked().replay(f"{PREFIX}nothing.json")
    assert await embedded.parked().get(f"{PREFIX}nothing.json") is None


async def test_the_replayed_bytes_are_those_that_were_parked(embedded):
    await embedded.parked().replay(await park_one(embedded))
    assert [encode_event(event) for event in await drain(embedded.events)] == [encode_event(UNKNOWN)]


async def test_given_the_stream_is_down_a_replay_keeps_the_event(embedded):
    name = await park_one(embedded)
    await embedded.events.close()
    with pytest.raises(EventsUnavailable):
        await embedded.parked().replay(name)
    [kept] = await names(embedded)
    assert (await embedded.parked().get(kept)).body == encode_event(UNKNOWN)


class Killed(BaseException):
    """The process ends here."""


class MortalBlobs:
    """The real store; the process dies before its call number `dies_at`."""

    def __init__(self, blobs: Any, dies_at: int) -> None:
        self._blobs = blobs
        self._left = dies_at

    def __getattr__(self, name: str) -> Any:
        async def call(*args: Any, **options: Any) -> Any:
            self._left -= 1
            if self._left == 0:
                raise Killed
            return await getattr(self._blobs, name)(*args, **options)

        return call


@pytest.mark.parametrize("dies_at", [1, 2, 3, 4])
async def test_killed_between_any_two_steps_a_replay_can_be_repeated_and_counts_once(embedded, dies_at):
    name = await park_one(embedded)
    await embedded.put_key(id="key_2")
    with pytest.raises(Killed):
        await Parked(MortalBlobs(embedded.blobs, dies_at), embedded.events, embedded.time).replay(name)
    left = await names(embedded)
    assert left, "the event must not be lost"
    for one in left:  # both names, when it died between them: the first replay ends the second
        if await embedded.parked().get(one) is not None:
            await replay_and_count(embedded, one)
    assert await names(embedded) == []
    assert await requests_counted(embedded.documents) == 1


async def test_what_a_killed_replay_left_is_listed(embedded):
    name = await park_one(embedded)
    with pytest.raises(Killed):
        await Parked(MortalBlobs(embedded.blobs, 4), embedded.events, embedded.time).replay(name)
    assert await names(embedded) == [name.replace(PREFIX, REPLAYING)]


async def test_given_the_blobs_fail_parking_raises(embedded):
    (embedded.folder / "blobs" / "incoming").rmdir()
    with pytest.raises(BlobsUnavailable):
        await embedded.parked().park(b"bytes", None, "unreadable", "why")
