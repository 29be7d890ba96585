"""What a close reads back of events that were really counted, against a count by hand."""

import asyncio
import random
import tempfile
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.access.models import Consumer
from shared.billing.charges import Charge
from shared.billing.usage.month import MonthReader, MonthUsage
from shared.billing.usage.sums import quantity_of
from shared.kernel.clock import format_time, parse_time
from shared.kernel.periods import Period, midnight, period
from shared.metering.events import UsageEvent
from tests.support.billing.quantities import MARCH, SUMS, at, charge, from_records, used
from tests.support.embedded import IN_MEMORY, Embedded, open_embedded, raw, usage_event

SERVICES = ("svc_maps", "svc_geo")
SHARDS = 3
ZONES = ("UTC", "America/New_York", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe")
"""Offsets of whole, half and quarter hours; New York's clocks change on 8 March, by an hour, Lord Howe's in April."""


def oracle(of: Charge, events: Iterable[UsageEvent], service_id: str, zone: str, first: date, last: date) -> Fraction:
    """Event by event, by the words of docs/billing-records.md; `last` is exclusive."""
    total = Fraction(0)
    for event in events:
        data, day = event.data, parse_time(event.time).astimezone(ZoneInfo(zone)).date()
        if event.service_id != service_id or not first <= day < last or of.feature not in (None, data.feature):
            continue
        if data.status_code is not None and data.status_code >= 400 and data.status_code not in of.client_errors:
            continue
        total += {
            "requests": Fraction(data.requests),
            "executions": Fraction(data.executions),
            "request_mb": Fraction(data.request_bytes, 10**6),
            "response_mb": Fraction(data.response_bytes, 10**6),
            "data_mb": Fraction(data.request_bytes + data.response_bytes, 10**6),
            "active_minutes": Fraction(data.duration_ms, 60_000),
            "quantity": Fraction(data.quantity or 0),
        }[of.metric or ""]
    return total


def near(exact: Fraction, found: Decimal) -> bool:
    """Thirds of a minute do not end; all else is exact."""
    return abs(Fraction(exact) - Fraction(found)) <= Fraction(1, 10**40)


DATA = st.fixed_dictionaries(
    {
        "requests": st.integers(0, 50),
        "request_bytes": st.integers(0, 10**9),
        "response_bytes": st.integers(0, 10**7),
        "executions": st.integers(0, 3),
        "duration_ms": st.integers(0, 200_000),
    },
    optional={
        "status_code": st.sampled_from([200, 302, 400, 404, 429, 500, 503]),
        "feature": st.sampled_from(["tiles", "routes"]),
        "version": st.sampled_from(["1", "2"]),
        "quantity": st.decimals("0", "999999.999", places=9).map(lambda value: f"{value:f}"),
    },
)
EDGES = st.builds(
    lambda day, zone, ms: midnight(day, ZoneInfo(zone)) + timedelta(milliseconds=ms),
    st.dates(date(2026, 2, 27), date(2026, 4, 3)),
    st.sampled_from(ZONES),
    st.sampled_from([-900_001, -1, 0, 1, 899_999, 7_200_000]),
)
EVENTS = st.lists(st.tuples(EDGES, DATA, st.sampled_from(SERVICES), st.sampled_from(["key_1", "key_2"])), max_size=40)
CHARGES = st.builds(
    lambda metric, errors, feature: charge(
        metric, client_errors=errors, **({} if feature is None and metric == "quantity" else {"feature": feature})
    ),
    st.sampled_from(SUMS),
    st.lists(st.sampled_from([400, 403, 404, 429]), unique=True).map(tuple),
    st.sampled_from([None, "tiles", "routes"]),
)


async def read_back(events: Sequence[UsageEvent], of: Period, charges: Sequence[Charge]) -> MonthUsage:
    """What a close reads of `con_1`, after events came twice, in disorder and late."""
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
        embedded = await open_embedded(Path(folder))
        embedded.time.moment = datetime(2026, 4, 10, tzinfo=UTC)
        await embedded.put_key(id="key_2")
        consumer = Consumer(id="con_1", name="Consumer", shards=SHARDS)
        await embedded.builder.put(consumer)
        await embedded.aggregator().apply(raw(*events))
        await embedded.aggregator().apply(raw(*random.sample(events, len(events))))
        usage = await MonthReader(embedded.documents).read(
            consumer, of, [used(of, *charges, service_id=service) for service in SERVICES], records=True
        )
        await embedded.close()
    return usage


@settings(max_examples=25, deadline=None)
@given(EVENTS, st.sampled_from(ZONES), st.lists(CHARGES, min_size=1, max_size=4), st.data())
def test_counters_records_and_a_count_by_hand_agree(
    drawn: list[Any], zone: str, charges: list[Charge], data: st.DataObject
) -> None:
    of = period("2026-03", zone)
    events = [
        usage_event(
            str(n),
            time=format_time(time),
            received_at=format_time(time),
            service_id=service,
            api_key_id=key,
            shard=n % SHARDS,
            data=fields,
        )
        for n, (time, fields, service, key) in enumerate(drawn)
    ]
    usage = asyncio.run(read_back(events, of, charges))
    records = from_records((e for e in events if of.start <= parse_time(e.time) < of.end), of)
    assert usage.sums.fingerprint() == records.fingerprint() == usage.fingerprint

    first, last = date(2026, 3, 1), date(2026, 4, 1)
    cut = data.draw(st.dates(date(2026, 3, 2), date(2026, 3, 31)), label="where the plan changes")
    for service in SERVICES:
        for each in charges:
            for a, b in ((first, last), (first, cut), (cut, last)):
                start, end = midnight(a, ZoneInfo(zone)), midnight(b, ZoneInfo(zone))
                found = quantity_of(each, usage.sums, service, start, end)
                assert found == quantity_of(each, records, service, start, end)
                assert near(oracle(each, events, service, zone, a, b), found)


async def test_an_event_that_comes_late_is_read_although_its_day_was_settled_long_ago(embedded: Embedded) -> None:
    """Roll-ups of a settled day wait for their next settling; a close does not."""
    consumer = Consumer(id="con_1", name="Consumer")
    reader, plans = MonthReader(embedded.documents), [used(MARCH, charge("requests"))]
    embedded.time.moment = datetime(2026, 4, 1, tzinfo=UTC)
    await embedded.aggregator().apply(raw(at("2026-03-02T10:00:00.000Z", "1")))
    before = await reader.fingerprint(consumer, MARCH, plans)
    late = usage_event("2", time="2026-03-02T10:00:00.000Z", received_at="2026-03-31T23:00:00.000Z")
    await embedded.aggregator().apply(raw(late))
    usage = await reader.read(consumer, MARCH, plans, records=True)
    assert usage.quantity(charge("requests"), "svc_maps", MARCH.start, MARCH.end) == 2
    assert await reader.fingerprint(consumer, MARCH, plans) == usage.fingerprint != before


async def test_usage_of_services_without_a_plan_is_not_the_invoices(embedded: Embedded) -> None:
    """It is on the same days, with the same key; an invoice's fingerprint does not change with it."""
    consumer = Consumer(id="con_1", name="Consumer")
    reader, plans = MonthReader(embedded.documents), [used(MARCH, charge("requests"))]
    time = "2026-03-10T10:00:00.000Z"
    await embedded.aggregator().apply(raw(at(time, "1")))
    before = await reader.read(consumer, MARCH, plans, records=True)
    await embedded.aggregator().apply(raw(usage_event("2", time=time, received_at=time, service_id="svc_geo")))
    after = await reader.read(consumer, MARCH, plans, records=True)
    assert after.fingerprint == before.fingerprint != ""
    assert after.proof("EUR", ("svc_maps",)) == before.proof("EUR", ("svc_maps",))
