"""The records of an invoice as they are read back: all of them, none else, in one order."""

import random
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.access.models import Consumer
from shared.billing.usage import records as records_module
from shared.billing.usage.records import records
from shared.kernel.clock import format_time
from shared.metering.events import UsageEvent
from tests.support.billing.quantities import MARCH, at, hash_of, shown
from tests.support.embedded import IN_MEMORY, Embedded, open_embedded, raw, usage_event


async def read(embedded: Embedded, consumer: Consumer, *service_ids: str) -> list[UsageEvent]:
    wanted = service_ids or ("svc_maps",)
    return [event async for event in records(embedded.documents, consumer, wanted, MARCH.start, MARCH.end)]


async def put(embedded: Embedded, events: Sequence[UsageEvent], shards: int = 1) -> Consumer:
    consumer = Consumer(id="con_1", name="Consumer", shards=shards)
    await embedded.builder.put(consumer)
    embedded.time.moment = datetime(2026, 4, 10, tzinfo=UTC)
    outcome = await embedded.aggregator().apply(raw(*events))
    assert outcome.parked == 0
    return consumer


@pytest.mark.parametrize("shards", [1, 2, 5])
async def test_records_come_by_time_source_and_id_whatever_shard_has_them(embedded: Embedded, shards: int) -> None:
    events = [
        usage_event(f"{n}", source="ab"[n % 2], time=time, received_at=time, shard=n % shards, data={"requests": n})
        for n in range(60)
        for time in [format_time(datetime(2026, 3, 10, tzinfo=UTC) + timedelta(seconds=n // 7))]
    ]
    consumer = await put(embedded, random.sample(events, len(events)), shards)
    expected = sorted(events, key=lambda event: (event.time, event.source, event.id))
    assert [shown(event) for event in await read(embedded, consumer)] == [shown(event) for event in expected]


async def test_only_the_periods_records_of_the_services_are_read(embedded: Embedded) -> None:
    def event(time: str, service_id: str = "svc_maps") -> UsageEvent:
        return usage_event(f"{time} {service_id}", time=time, received_at=time, service_id=service_id)

    inside = [event("2026-03-01T00:00:00.000Z"), event("2026-03-31T23:59:59.999Z")]
    outside = [event("2026-02-28T23:59:59.999Z"), event("2026-04-01T00:00:00.000Z")]
    other = event("2026-03-10T10:00:00.000Z", "svc_geo")
    consumer = await put(embedded, [*outside, *inside, other])
    assert await read(embedded, consumer) == inside
    assert await read(embedded, consumer, "svc_maps", "svc_geo") == [inside[0], other, inside[1]]
    assert await read(embedded, Consumer(id="con_2", name="Other")) == []


async def test_the_hash_does_not_depend_on_pages_shards_or_arrival(
    embedded: Embedded, monkeypatch: pytest.MonkeyPatch
) -> None:
    def events(shards: int) -> list[UsageEvent]:
        moments = ["2026-03-10T10:00:00.000Z"] * 30 + [f"2026-03-{n % 28 + 1:02d}T10:00:00.000Z" for n in range(60)]
        return [
            usage_event(f"e{n}", time=time, received_at=time, shard=n % shards, data={"requests": n})
            for n, time in enumerate(moments)
        ]

    consumer = await put(embedded, events(1))
    one_shard = hash_of(await read(embedded, consumer))
    for page in (1, 7, 30):
        monkeypatch.setattr(records_module, "PAGE", page)
        assert hash_of(await read(embedded, consumer)) == one_shard
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
        other = await open_embedded(Path(folder))
        sharded = await put(other, events(4)[::-1], shards=4)
        assert hash_of(await read(other, sharded)) == one_shard == (one_shard[0], 90)
        await other.close()


async def test_a_duplicate_is_one_record(embedded: Embedded) -> None:
    event = at("2026-03-10T10:00:00.000Z", "1")
    consumer = await put(embedded, [event, event])
    await embedded.aggregator().apply(raw(event))
    assert await read(embedded, consumer) == [event]
