"""Poison: an event that cannot be counted is put aside with its bytes and reason, and holds up nobody."""

from datetime import timedelta

import pytest

from shared.kernel.clock import format_time
from shared.metering.counting.aggregator import RawEvent
from shared.metering.counting.event_check import EVENT_BYTES_MAX
from shared.metering.counting.parked import Parked, ParkedEvent
from shared.metering.events import ACCEPTED_FUTURE, ACCEPTED_PAST, encode_event
from shared.platform.blobs import BlobsUnavailable
from tests.support.embedded import (
    NOW,
    RETENTION_DAYS,
    Embedded,
    raw,
    requests_counted,
    stored_records,
    usage_event,
)


async def parked_of(embedded: Embedded) -> list[ParkedEvent]:
    parked = embedded.parked()
    found = [await parked.get(name) async for name in parked.names()]
    return [one for one in found if one is not None]


def at(**delta: float) -> str:
    return format_time(NOW + timedelta(**delta))


SOUND = encode_event(usage_event("poison"))
POISON = {
    "nothing": (b"", "unreadable"),
    "no JSON": (b"\x00\xff\x00", "unreadable"),
    "half an event": (SOUND[:-10], "unreadable"),
    "two events": (SOUND * 2, "unreadable"),
    "an array": (b"[" + SOUND + b"]", "unreadable"),
    "an unknown field": (SOUND.replace(b'"subject"', b'"object"'), "unreadable"),
    "negative requests": (encode_event(usage_event("poison", data={"requests": -1})), "unreadable"),
    "an id that is not UTF-8": (SOUND.replace(b'"poison"', b'"\xff"'), "unreadable"),
    "metadata that is not UTF-8": (
        SOUND.replace(b'"data":{', b'"data":{"metadata":{"a":"\xff"},').replace(b",}", b"}"),
        "unreadable",
    ),
    "100,000 brackets": (b"[" * 100_000, "unreadable"),
    "metadata of 100,000 brackets": (
        SOUND.replace(b'"data":{', b'"data":{"metadata":{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"},").replace(
            b",}", b"}"
        ),
        "unreadable",
    ),
    "a malformed service": (encode_event(usage_event("poison", service_id="a/b")), "unreadable"),
    "an empty merchant": (encode_event(usage_event("poison", merchant_id="")), "unreadable"),
    "a malformed project": (encode_event(usage_event("poison", project_id="a#b")), "unreadable"),
    "a service with a line end": (encode_event(usage_event("poison", service_id="svc\n")), "unreadable"),
    "no time": (encode_event(usage_event("poison", time="")), "unreadable"),
    "a time without milliseconds": (encode_event(usage_event("poison", time="2026-03-15T10:00:00Z")), "unreadable"),
    "a time with an offset": (encode_event(usage_event("poison", time="2026-03-15T10:00:00+00:0")), "unreadable"),
    "the 31st of February": (encode_event(usage_event("poison", time="2026-02-31T10:00:00.000Z")), "unreadable"),
    "a week date": (encode_event(usage_event("poison", time="2026-W11-7T10:00:00.000Z")), "unreadable"),
    "a time without colons": (encode_event(usage_event("poison", time="2026-03-15T100955.00000Z")), "unreadable"),
    "a bad time of arrival": (encode_event(usage_event("poison", received_at="2026-03-15")), "unreadable"),
    "an unknown key": (encode_event(usage_event("poison", api_key_id="key_9")), "key_unknown"),
    "a key of another consumer": (encode_event(usage_event("poison", consumer_id="con_9")), "key_unknown"),
    "a key with a slash": (encode_event(usage_event("poison", api_key_id="a/b")), "key_unknown"),
    "no consumer": (encode_event(usage_event("poison", consumer_id="")), "key_unknown"),
    "a consumer of 5,000 characters": (encode_event(usage_event("poison", consumer_id="c" * 5000)), "key_unknown"),
    "over 35 days before arrival": (
        encode_event(usage_event("poison", time=format_time(NOW - ACCEPTED_PAST - timedelta(milliseconds=1)))),
        "time_out_of_window",
    ),
    "over 5 minutes after arrival": (
        encode_event(usage_event("poison", time=format_time(NOW + ACCEPTED_FUTURE + timedelta(milliseconds=1)))),
        "time_out_of_window",
    ),
    "the year 3000": (encode_event(usage_event("poison", time="3000-01-01T00:00:00.000Z")), "time_out_of_window"),
    "so old that its record may be gone": (
        encode_event(usage_event("poison", time=at(days=-366), received_at=at(days=-366))),
        "too_late",
    ),
    "too many bytes": (encode_event(usage_event("p" * EVENT_BYTES_MAX)), "too_large"),
}


@pytest.mark.parametrize("name", POISON)
async def test_poison_is_parked_with_its_bytes_and_reason_and_its_neighbours_are_counted(embedded, name):
    body, reason = POISON[name]
    batch = raw(usage_event("before"), body, usage_event("after"))
    outcome = await embedded.aggregator().apply(batch)
    assert (outcome.counted, outcome.parked) == (2, 1)
    assert sorted(record.id for record in await stored_records(embedded.documents)) == ["after", "before"]
    [parked] = await parked_of(embedded)
    assert (parked.body, parked.reason) == (body, reason)
    assert parked.detail


async def test_the_key_of_the_stream_is_parked_too(embedded):
    await embedded.aggregator().apply([RawEvent(b"poison", "con_1:0")])
    [parked] = await parked_of(embedded)
    assert parked.partition_key == "con_1:0"
    assert parked.parked_at == format_time(NOW)


async def test_a_batch_of_poison_alone_counts_nothing_and_raises_nothing(embedded):
    outcome = await embedded.aggregator().apply(raw(*(body for body, _ in POISON.values())))
    assert (outcome.counted, outcome.parked) == (0, len(POISON))
    assert len(await parked_of(embedded)) == len({body for body, _ in POISON.values()})


async def test_poison_that_comes_again_is_parked_once(embedded):
    for _ in range(3):
        await embedded.aggregator().apply(raw(b"poison", usage_event("good")))
    assert len(await parked_of(embedded)) == 1
    assert await requests_counted(embedded.documents) == 1


@pytest.mark.parametrize("time", [NOW - ACCEPTED_PAST, NOW + ACCEPTED_FUTURE, NOW + timedelta(hours=-12)])
async def test_an_event_at_the_edge_of_its_window_is_counted(embedded, time):
    assert (await embedded.aggregator().apply(raw(usage_event(time=format_time(time))))).counted == 1


async def test_an_event_that_waited_as_long_as_records_allow_is_counted(embedded):
    waited = timedelta(days=RETENTION_DAYS) - ACCEPTED_PAST - ACCEPTED_FUTURE
    received = format_time(NOW - waited)
    assert (await embedded.aggregator().apply(raw(usage_event(time=received, received_at=received)))).counted == 1


async def test_when_the_event_cannot_be_parked_the_batch_is_not_taken(embedded):
    (embedded.folder / "blobs" / "incoming").rmdir()
    batch = raw(usage_event("good"), b"poison")
    aggregator = embedded.aggregator()
    with pytest.raises(BlobsUnavailable):
        await aggregator.apply(batch)
    (embedded.folder / "blobs" / "incoming").mkdir()
    await aggregator.apply(batch)
    assert len(await parked_of(embedded)) == 1
    assert await requests_counted(embedded.documents) == 1


async def test_a_key_that_was_unknown_is_counted_once_it_exists(embedded):
    event = usage_event(api_key_id="key_2")
    aggregator = embedded.aggregator()
    assert (await aggregator.apply(raw(event))).parked == 1
    await embedded.put_key(id="key_2")
    assert (await aggregator.apply(raw(event))).counted == 1


async def test_parking_needs_no_stream(embedded):
    parked = Parked(embedded.blobs, embedded.events, embedded.time)
    await embedded.events.close()
    await parked.park(b"poison", None, "unreadable", "why")
    assert len(await parked_of(embedded)) == 1
