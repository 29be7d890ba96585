"""Usage reports that are taken: what goes onto the stream, and what a receipt says."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from shared.access.models import Project
from shared.catalog.models import CallLimits
from shared.metering.consume.ingest import UsageReportReceipt, UsageReports
from shared.metering.consume.limits import RateLimiter
from shared.metering.consume.parsing import report_kind
from shared.metering.store import UsageQueries
from shared.platform.events import EventsUnavailable
from shared.platform.limits.memory import MemoryLimits
from tests.support.embedded import Embedded, api_key, drain

GOOD = {"specversion": "1.0", "id": "e1", "source": "tests", "type": "ams.usage.v1", "subject": "maps"}


@pytest.fixture
async def reports(embedded: Embedded) -> AsyncIterator[UsageReports]:
    limits = MemoryLimits(embedded.folder / "limits.bin", embedded.time.seconds)
    limiter = RateLimiter(limits, UsageQueries(embedded.documents), embedded.time)
    yield UsageReports(embedded.gate(), limiter, embedded.events, embedded.time)
    await limits.close()


async def take(embedded: Embedded, reports: UsageReports, *events: dict[str, Any]) -> UsageReportReceipt:
    holder = await embedded.gate().identify(embedded.key)
    return await reports.take(holder, json.dumps(events).encode(), batch=True)


def event(id: str = "e1", **changes: Any) -> dict[str, Any]:
    return {**GOOD, "id": id, **changes}


async def test_ams_adds_what_the_client_cannot_be_trusted_with(embedded, reports):
    await embedded.builder.put(Project(id="prj_1", consumer_id="con_1", name="Project"))
    await embedded.builder.put(api_key(embedded.key, project_id="prj_1"))
    await take(embedded, reports, event(time="2026-03-15T15:30:00+05:30", data={"requests": 3}))
    [taken] = await drain(embedded.events)
    assert (taken.consumer_id, taken.api_key_id, taken.project_id) == ("con_1", "key_1", "prj_1")
    assert (taken.service_id, taken.merchant_id, taken.subject) == ("svc_maps", "mer_1", "maps")
    assert (taken.time, taken.received_at) == ("2026-03-15T10:00:00.000Z", "2026-03-15T10:07:30.000Z")
    assert (taken.id, taken.source, taken.data.requests, taken.shard) == ("e1", "tests", 3, 0)


async def test_without_a_time_it_happened_when_it_arrived(embedded, reports):
    await take(embedded, reports, event())
    [taken] = await drain(embedded.events)
    assert taken.time == taken.received_at == "2026-03-15T10:07:30.000Z"
    assert taken.data.requests == 1


@pytest.mark.parametrize("time", ["2026-02-08T10:07:30Z", "2026-03-15T10:12:30Z"])
async def test_the_edges_of_the_window_are_inside(embedded, reports, time):
    assert (await take(embedded, reports, event(time=time))).accepted == 1


async def test_the_largest_sound_event_is_taken(embedded, reports):
    data = {
        "requests": 1_000_000,
        "request_bytes": 10**12,
        "quantity": "999999999999999.999999999",
        "feature": "f" * 128,
        "image": "i" * 512,
        "metadata": {"a": "x" * 4000},
    }
    longest = event("é" * 128, source="s" * 128, data=data)
    assert (await take(embedded, reports, longest)).accepted == 1
    [taken] = await drain(embedded.events)
    assert json.loads(bytes(taken.data.metadata)) == data["metadata"]


async def test_metadata_may_be_nested_64_levels_deep_and_is_counted(embedded, reports):
    value: Any = []
    for _ in range(62):
        value = [value]
    await take(embedded, reports, event(data={"metadata": {"a": value}}))
    [taken] = await drain(embedded.events)
    assert json.loads(bytes(taken.data.metadata)) == {"a": value}


async def test_a_thousand_events_are_taken_at_once(embedded, reports):
    assert (await take(embedded, reports, *(event(str(number)) for number in range(1000)))).accepted == 1000
    assert len(await drain(embedded.events)) == 1000


async def test_the_same_id_twice_in_a_batch_is_taken_once(embedded, reports):
    receipt = await take(embedded, reports, event("a"), event("a"), event("b"))
    assert (receipt.accepted, receipt.duplicates, receipt.rejected) == (2, 1, [])
    assert [taken.id for taken in await drain(embedded.events)] == ["a", "b"]


async def test_the_same_id_of_two_sources_is_two_events(embedded, reports):
    receipt = await take(embedded, reports, event("a"), event("a", source="other"))
    assert (receipt.accepted, receipt.duplicates) == (2, 0)


async def test_a_refused_first_does_not_make_its_corrected_second_a_duplicate(embedded, reports):
    receipt = await take(embedded, reports, event("a", subject="nothing"), event("a"))
    assert (receipt.accepted, receipt.duplicates, len(receipt.rejected)) == (1, 0, 1)


async def test_of_duplicate_json_keys_the_last_holds_as_everywhere_in_python(embedded, reports):
    body = json.dumps(event()).encode()[:-1] + b', "data": {"requests": 1, "requests": 2}}'
    await reports.take(await embedded.gate().identify(embedded.key), body, batch=False)
    [taken] = await drain(embedded.events)
    assert taken.data.requests == 2


async def test_a_report_costs_one_call_for_each_service_and_its_requests_of_the_quota(embedded, reports):
    await embedded.builder.service(limits=CallLimits(per_minute=1, quota_per_month=5))
    receipt = await take(embedded, reports, event("a", data={"requests": 3}), event("b"), event("c"), event("d"))
    assert receipt.accepted == 3
    assert [(rejected.id, rejected.problem.code) for rejected in receipt.rejected] == [("d", "quota_exceeded")]
    receipt = await take(embedded, reports, event("e"))
    assert [rejected.problem.code for rejected in receipt.rejected] == ["rate_limited"]


async def test_a_duplicate_in_a_batch_costs_no_quota(embedded, reports):
    await embedded.builder.service(limits=CallLimits(quota_per_month=2))
    assert (await take(embedded, reports, event("a"), event("a"), event("a"), event("b"))).rejected == []


async def test_a_service_at_its_limit_does_not_hold_up_another(embedded, reports):
    await embedded.builder.service(limits=CallLimits(quota_per_month=1))
    await embedded.builder.service(id="svc_two", slug="two")
    await embedded.builder.grant(consumer_id="con_1", service_id="svc_two", status="approved")
    await embedded.builder.put(api_key(embedded.key, service_ids=("svc_maps", "svc_two")))
    receipt = await take(embedded, reports, event("a"), event("b"), event("c", subject="two"))
    assert [rejected.id for rejected in receipt.rejected] == ["b"]
    assert [taken.id for taken in await drain(embedded.events)] == ["a", "c"]


async def test_a_giant_consumer_is_spread_and_each_id_keeps_its_shard(embedded, reports):
    await embedded.builder.consumer(id="con_1", name="Giant", shards=4)
    for _ in range(2):
        await take(embedded, reports, *(event(str(number)) for number in range(50)))
    taken = await drain(embedded.events)
    assert {one.shard for one in taken} == {0, 1, 2, 3}
    assert len({(one.id, one.shard) for one in taken}) == 50


async def test_a_report_is_not_acknowledged_when_the_stream_did_not_take_it(embedded, reports):
    await embedded.events.close()
    with pytest.raises(EventsUnavailable):
        await take(embedded, reports, event())


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [
        ("application/cloudevents+json", "event"),
        ("Application/CloudEvents-Batch+JSON; charset=utf-8", "batch"),
        ("application/json", None),
        ("", None),
        (None, None),
        ("application/cloudevents", None),
    ],
)
def test_the_content_type_tells_a_report_from_a_call(content_type, kind):
    assert report_kind(content_type) == kind
