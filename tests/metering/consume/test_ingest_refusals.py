"""What is wrong with a usage event: each refusal names field and rule, and a batch keeps its good neighbours."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from shared.kernel.errors import Problem
from shared.metering.consume.ingest import UsageReportReceipt, UsageReports
from shared.metering.consume.limits import RateLimiter
from shared.metering.events import METADATA_LEVELS_MAX
from shared.metering.store import UsageQueries
from shared.platform.limits.memory import MemoryLimits
from tests.support.embedded import Embedded, drain

GOOD = {"specversion": "1.0", "id": "e1", "source": "tests", "type": "ams.usage.v1", "subject": "maps"}


@pytest.fixture
async def reports(embedded: Embedded) -> AsyncIterator[UsageReports]:
    limits = MemoryLimits(embedded.folder / "limits.bin", embedded.time.seconds)
    limiter = RateLimiter(limits, UsageQueries(embedded.documents), embedded.time)
    yield UsageReports(embedded.gate(), limiter, embedded.events, embedded.time)
    await limits.close()


async def take(embedded: Embedded, reports: UsageReports, body: bytes, *, batch: bool) -> UsageReportReceipt:
    return await reports.take(await embedded.gate().identify(embedded.key), body, batch=batch)


def with_data(raw_data: str) -> str:
    """A good event's JSON with `data` as written."""
    return json.dumps(GOOD)[:-1] + f', "data": {raw_data}}}'


def changed(**changes: Any) -> str:
    return json.dumps({**GOOD, **changes})


def without(name: str) -> str:
    return json.dumps({key: value for key, value in GOOD.items() if key != name})


def nested(levels: int) -> str:
    """Metadata of that many levels, the object itself included."""
    return '{"metadata": {"a": ' + "[" * (levels - 1) + "]" * (levels - 1) + "}}"


BAD = {
    "negative requests": (with_data('{"requests": -1}'), "data.requests", "must be `int` >= 0"),
    "text for a number": (with_data('{"requests": "1"}'), "data.requests", "must be `int`, got `str`"),
    "a fraction for an integer": (with_data('{"requests": 1.5}'), "data.requests", "must be `int`"),
    "null for a number": (with_data('{"requests": null}'), "data.requests", "must be `int`"),
    "true for a number": (with_data('{"requests": true}'), "data.requests", "must be `int`, got `bool`"),
    "too many requests": (with_data('{"requests": 1000001}'), "data.requests", "must be `int` <= 1000000"),
    "400 digits": (with_data('{"requests": ' + "9" * 400 + "}"), "data.requests", "must be `int` <= 1000000"),
    "1e999 for an integer": (with_data('{"requests": 1e999}'), "data.requests", "must be a number that"),
    "1e999 for a float": (with_data('{"response_time_ms": 1e999}'), "data.response_time_ms", "must be a number that"),
    "a negative duration": (with_data('{"duration_ms": -1}'), "data.duration_ms", "must be `int` >= 0"),
    "negative bytes": (with_data('{"response_bytes": -1}'), "data.response_bytes", "must be `int` >= 0"),
    "a status of 600": (with_data('{"status_code": 600}'), "data.status_code", "must be `int` <= 599"),
    "a negative quantity": (with_data('{"quantity": "-1", "feature": "f"}'), "data.quantity", "must be `str` matching"),
    "an exponent in a quantity": (with_data('{"quantity": "1e9", "feature": "f"}'), "data.quantity", "must be `str`"),
    "NaN as a quantity": (with_data('{"quantity": "NaN", "feature": "f"}'), "data.quantity", "must be `str`"),
    "a line end in a quantity": (with_data('{"quantity": "1\\n", "feature": "f"}'), "data.quantity", "must be `str`"),
    "a number as a quantity": (with_data('{"quantity": 1, "feature": "f"}'), "data.quantity", "must be `str"),
    "a quantity of nothing": (with_data('{"quantity": "1"}'), "data.feature", "is required beside `quantity`"),
    "an empty feature": (with_data('{"feature": ""}'), "data.feature", "must be `str` of length >= 1"),
    "a null in a feature": (with_data('{"feature": "a\\u0000"}'), "data.feature", "must be `str` matching"),
    "an image of 513 characters": (with_data(f'{{"image": "{"i" * 513}"}}'), "data.image", "must be `str` of length"),
    "an unknown field of data": (with_data('{"request": 1}'), "data.request", "is not a known field"),
    "data that is an array": (with_data("[]"), "data", "must be `object`, got `array`"),
    "metadata that is text": (with_data('{"metadata": "x"}'), "data.metadata", "must be a JSON object"),
    "metadata that is an array": (with_data('{"metadata": [1]}'), "data.metadata", "must be a JSON object"),
    "metadata that is null": (with_data('{"metadata": null}'), "data.metadata", "must be a JSON object"),
    "metadata over 4 KiB": (with_data(f'{{"metadata": {{"a": "{"x" * 4096}"}}}}'), "data.metadata", "at most 4096 b"),
    "1e999 in metadata": (with_data('{"metadata": {"a": 1e999}}'), "data.metadata", "numbers that a 64-bit float"),
    "metadata one level too deep": (with_data(nested(METADATA_LEVELS_MAX + 1)), "data.metadata", "at most 64 levels"),
    "the year 1969": (changed(time="1969-12-31T23:59:59Z"), "time", "must be at or after"),
    "the year 3000": (changed(time="3000-01-01T00:00:00Z"), "time", "must be at or before"),
    "the year 1 in the east": (changed(time="0001-01-01T00:00:00+14:00"), "time", "must be RFC 3339"),
    "36 days old": (changed(time="2026-02-07T10:07:30Z"), "time", "must be at or after 2026-02-08T10:07:30.000Z"),
    "35 days and 1 ms old": (changed(time="2026-02-08T10:07:29.999Z"), "time", "must be at or after"),
    "6 minutes ahead": (changed(time="2026-03-15T10:13:30Z"), "time", "must be at or before 2026-03-15T10:12:30.000Z"),
    "a time without an offset": (changed(time="2026-03-15T10:00:00"), "time", "must be RFC 3339 with an offset"),
    "a date": (changed(time="2026-03-15"), "time", "must be RFC 3339"),
    "31 February": (changed(time="2026-02-31T10:00:00Z"), "time", "must be RFC 3339"),
    "a number as time": (changed(time=1_770_000_000), "time", "must be `str"),
    "an id of 129 characters": (changed(id="i" * 129), "id", "must be `str` of length <= 128"),
    "an empty id": (changed(id=""), "id", "must be `str` of length >= 1"),
    "a line end in the id": (changed(id="a\n"), "id", "must be `str` matching"),
    "a null byte in the id": (changed(id="a\0b"), "id", "must be `str` matching"),
    "a number as id": (changed(id=5), "id", "must be `str`, got `int`"),
    "no id": (without("id"), "id", "is required"),
    "no source": (without("source"), "source", "is required"),
    "no subject": (without("subject"), "subject", "is required"),
    "no specversion": (without("specversion"), "specversion", "is required"),
    "another specversion": (changed(specversion="0.3"), "specversion", "must be 1.0"),
    "another type": (changed(type="ams.usage.v2"), "type", "must be ams.usage.v1"),
    "another type of data": (changed(datacontenttype="text/xml"), "datacontenttype", "must be application/json"),
    "the platform's own source": (changed(source="ams/consume"), "source", "must not start with ams/"),
    "an unknown attribute": (changed(consumerid="con_2"), "consumerid", "is not a known field"),
    "a text for an event": ('"event"', "event", "must be `object`, got `str`"),
    "an array for an event": ("[]", "event", "must be `object`, got `array`"),
    "100,000 brackets in an unknown field": (
        json.dumps(GOOD)[:-1] + ', "x": "' + "[" * 100_000 + '"}',
        "x",
        "is not a known field",
    ),
}


@pytest.mark.parametrize("name", BAD)
async def test_a_bad_event_is_refused_with_field_and_rule(embedded, reports, name):
    body, field, rule = BAD[name]
    try:
        [rejected] = (await take(embedded, reports, body.encode(), batch=False)).rejected
        problem = rejected.problem
    except Problem as raised:
        problem = raised
    assert problem.status == 422
    [error] = problem.errors
    assert error.field == field
    assert rule in error.rule
    assert await drain(embedded.events) == []


@pytest.mark.parametrize("name", BAD)
async def test_a_bad_event_of_a_batch_leaves_its_neighbours_alone(embedded, reports, name):
    body, field, rule = BAD[name]
    batch = f"[{changed(id='before')}, {body}, {changed(id='after')}]"
    receipt = await take(embedded, reports, batch.encode(), batch=True)
    assert (receipt.accepted, receipt.duplicates) == (2, 0)
    [rejected] = receipt.rejected
    assert rejected.index == 1
    assert [(error.field, rule in error.rule) for error in rejected.problem.errors] == [(field, True)]
    assert [event.id for event in await drain(embedded.events)] == ["before", "after"]


async def test_metadata_that_is_not_utf8_is_refused_and_leaves_its_neighbours_alone(embedded, reports):
    bad = with_data('{"metadata": {"a": "?"}}').encode().replace(b"?", b"\xff")
    receipt = await take(embedded, reports, b"[" + bad + b", " + changed(id="good").encode() + b"]", batch=True)
    assert [(r.index, r.problem.errors[0].field) for r in receipt.rejected] == [(0, "data.metadata")]
    assert receipt.accepted == 1


NOT_JSON = {
    "nothing": b"",
    "half an event": changed().encode()[:-10],
    "text": b"usage",
    "NaN": with_data('{"response_time_ms": NaN}').encode(),
    "Infinity": with_data('{"response_time_ms": Infinity}').encode(),
    "minus Infinity": with_data('{"response_time_ms": -Infinity}').encode(),
    "a lone surrogate in the id": changed(id="\ud800").encode(),
    "a lone surrogate in metadata": with_data('{"metadata": {"a": "\\ud800"}}').encode(),
    "an id that is not UTF-8": changed(id="?").encode().replace(b"?", b"\xff"),
    "a raw control character": changed(id="?").encode().replace(b"?", b"\x01"),
    "something behind it": changed().encode() + b"x",
    "a second event behind it": changed().encode() * 2,
    "metadata of 100,000 brackets": with_data('{"metadata": {"a": ' + "[" * 100_000 + "]" * 100_000 + "}}").encode(),
}


@pytest.mark.parametrize("batch", [False, True])
@pytest.mark.parametrize("name", NOT_JSON)
async def test_a_body_that_is_not_json_is_refused_as_a_whole(embedded, reports, name, batch):
    body = b"[" + NOT_JSON[name] + b"," + changed().encode() + b"]" if batch else NOT_JSON[name]
    with pytest.raises(Problem) as caught:
        await take(embedded, reports, body, batch=batch)
    assert (caught.value.status, caught.value.code) == (400, "body_invalid")
    assert await drain(embedded.events) == []


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"[]", "400 batch_empty"),
        (b"{}", "400 body_invalid"),
        (changed().encode(), "400 body_invalid"),
        (b"null", "400 body_invalid"),
        (b"[" * 100_000, "400 body_invalid"),
        (b"[" * 100_000 + b"]" * 100_000, "400 body_invalid"),
        (f"[{','.join(changed(id=str(i)) for i in range(1001))}]".encode(), "413 batch_too_large"),
        (f"[{','.join(['0'] * 1001)}]".encode(), "413 batch_too_large"),
    ],
)
async def test_a_body_that_is_no_batch_is_refused_as_a_whole(embedded, reports, body, expected):
    with pytest.raises(Problem) as caught:
        await take(embedded, reports, body, batch=True)
    assert f"{caught.value.status} {caught.value.code}" == expected


async def test_an_array_is_no_single_event(embedded, reports):
    with pytest.raises(Problem) as caught:
        await take(embedded, reports, f"[{changed()}]".encode(), batch=False)
    assert caught.value.code == "event_invalid"


@pytest.mark.parametrize("subject", ["nothing", "secret", "svc_secret"])
async def test_an_unknown_service_and_another_merchants_are_refused_alike(embedded, reports, subject):
    await embedded.builder.service(id="svc_secret", slug="secret", merchant_id="mer_2")
    batch = f"[{changed(subject=subject)}, {changed(id='good')}]"
    receipt = await take(embedded, reports, batch.encode(), batch=True)
    assert [(r.index, r.id, r.problem.code) for r in receipt.rejected] == [(0, "e1", "service_not_granted")]
    assert receipt.accepted == 1


async def test_a_refused_event_is_told_with_its_id_where_it_has_one(embedded, reports):
    bad = [changed(id="a", x=1), changed(id=7), '"x"', with_data('{"requests": 1e999, "x": 1}')]
    receipt = await take(embedded, reports, f"[{','.join(bad)}]".encode(), batch=True)
    assert [rejected.id for rejected in receipt.rejected] == ["a", None, None, None]
