"""Reading usage back: ranges, groups, months, records page by page, and nobody else's usage."""

import base64
import json
from datetime import UTC, date, datetime, timedelta, timezone
from itertools import pairwise

import pytest

from shared.access.models import Consumer
from shared.kernel.clock import format_time
from shared.kernel.errors import Problem
from shared.metering import store as queries_module
from shared.metering.store import UsageQueries
from tests.support.embedded import NOW, Embedded, raw, usage_event

ONE = Consumer(id="con_1", name="Consumer")
DAY = datetime(2026, 3, 14, tzinfo=UTC)


def at(text: str, requests: int = 1, **changes: object) -> object:
    """An event on 14 March at `HH:MM:SS.mmm`."""
    return usage_event(f"{text}{changes}", time=f"2026-03-14T{text}Z", data={"requests": requests}, **changes)


async def count(embedded: Embedded, *events: object) -> UsageQueries:
    await embedded.aggregator().apply(raw(*events))
    return UsageQueries(embedded.documents)


async def requests(queries: UsageQueries, start: datetime, end: datetime, consumer: Consumer = ONE) -> int:
    return sum(group.sums.requests for group in await queries.summary(consumer, "key_1", start, end, []))


async def test_without_usage_there_are_no_groups(embedded):
    assert await UsageQueries(embedded.documents).summary(ONE, "key_1", DAY, DAY + timedelta(days=1), ["day"]) == []


async def test_a_range_holds_its_first_moment_and_not_its_last(embedded):
    queries = await count(
        embedded,
        at("09:59:59.999", 1),
        at("10:00:00.000", 10),
        at("10:14:59.999", 100),
        at("10:15:00.000", 1000),
    )
    ten = DAY.replace(hour=10)
    assert await requests(queries, ten, ten + timedelta(minutes=15)) == 110
    assert await requests(queries, ten - timedelta(minutes=15), ten) == 1
    assert await requests(queries, ten + timedelta(minutes=15), ten + timedelta(minutes=30)) == 1000


async def test_a_range_may_end_at_midnight_and_cross_days_and_months(embedded):
    queries = await count(
        embedded,
        usage_event("a", time="2026-02-28T23:59:59.999Z", data={"requests": 1}),
        usage_event("b", time="2026-03-01T00:00:00.000Z", data={"requests": 10}),
        usage_event("c", time="2026-03-02T00:00:00.000Z", data={"requests": 100}),
    )
    february, march = datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)
    assert await requests(queries, february, march) == 1
    assert await requests(queries, march, march + timedelta(days=1)) == 10
    assert await requests(queries, february, march + timedelta(days=2)) == 111


async def test_ranges_side_by_side_add_up_to_the_whole(embedded):
    quarters = [f"{m // 60:02d}:{m % 60:02d}:07.000" for m in range(0, 1440, 10)]
    queries = await count(embedded, *(at(text, number + 1) for number, text in enumerate(quarters)))
    cuts = [DAY + timedelta(minutes=m) for m in (0, 15, 60, 405, 1200, 1440)]
    parts = [await requests(queries, a, b) for a, b in pairwise(cuts)]
    assert all(parts)
    assert sum(parts) == await requests(queries, cuts[0], cuts[-1]) == sum(range(1, 145))


@pytest.mark.parametrize("hours", [5.5, -8, 5.75, 14])
async def test_a_range_in_another_zone_is_the_same_moments(embedded, hours):
    queries = await count(embedded, at("00:00:00.000", 1), at("12:00:00.000", 10), at("23:59:59.999", 100))
    zone = timezone(timedelta(hours=hours))
    start, end = DAY.astimezone(zone), (DAY + timedelta(days=1)).astimezone(zone)
    assert await requests(queries, start, end) == 111


@pytest.mark.parametrize(
    ("start", "end", "field"),
    [
        (DAY, DAY, "to"),
        (DAY, DAY - timedelta(minutes=15), "to"),
        (DAY + timedelta(minutes=1), DAY + timedelta(days=1), "from"),
        (DAY, DAY + timedelta(minutes=14), "to"),
        (DAY + timedelta(seconds=1), DAY + timedelta(days=1), "from"),
        (DAY, DAY + timedelta(days=1, microseconds=1), "to"),
        (DAY, DAY + timedelta(days=401), "to"),
        (datetime(9999, 12, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 45, tzinfo=UTC), "to"),
        (datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))), DAY, "to"),
        (DAY.replace(tzinfo=timezone(timedelta(minutes=7))), DAY + timedelta(days=1), "from"),
    ],
)
async def test_a_range_that_is_empty_or_long_or_not_in_quarters_is_refused(embedded, start, end, field):
    with pytest.raises(Problem) as caught:
        await UsageQueries(embedded.documents).summary(ONE, "key_1", start, end, [])
    assert (caught.value.status, caught.value.code) == (400, "range_invalid")
    assert [error.field for error in caught.value.errors] == [field]


async def test_the_longest_range_is_400_days(embedded):
    assert await requests(UsageQueries(embedded.documents), DAY, DAY + timedelta(days=400)) == 0


GROUPED = (
    usage_event("a", time="2026-03-14T10:05:00.000Z", data={"requests": 1}),
    usage_event("b", time="2026-03-14T10:55:00.000Z", data={"requests": 2, "feature": "f"}),
    usage_event("c", time="2026-03-14T11:00:00.000Z", data={"requests": 4}, service_id="svc_two"),
    usage_event("d", time="2026-02-28T11:00:00.000Z", data={"requests": 8}),
)
H10, H11, FEB11 = "2026-03-14T10:00:00.000Z", "2026-03-14T11:00:00.000Z", "2026-02-28T11:00:00.000Z"
D14, D28, MARCH, FEB = (f"2026-{day}T00:00:00.000Z" for day in ("03-14", "02-28", "03-01", "02-01"))


@pytest.mark.parametrize(
    ("group_by", "expected"),
    [
        ([], [(None, None, None, 15)]),
        (["service"], [("svc_maps", None, None, 11), ("svc_two", None, None, 4)]),
        (["api_key"], [(None, "key_1", None, 15)]),
        (["hour"], [(None, None, FEB11, 8), (None, None, H10, 3), (None, None, H11, 4)]),
        (["day"], [(None, None, D28, 8), (None, None, D14, 7)]),
        (["month"], [(None, None, FEB, 8), (None, None, MARCH, 7)]),
        (["service", "day"], [("svc_maps", None, D28, 8), ("svc_maps", None, D14, 3), ("svc_two", None, D14, 4)]),
        (
            ["month", "api_key", "service"],
            [("svc_maps", "key_1", FEB, 8), ("svc_maps", "key_1", MARCH, 3), ("svc_two", "key_1", MARCH, 4)],
        ),
    ],
)
async def test_usage_is_grouped_and_ordered_by_time_and_service(embedded, group_by, expected):
    queries = await count(embedded, *GROUPED)
    start = datetime(2026, 2, 1, tzinfo=UTC)
    groups = await queries.summary(ONE, "key_1", start, DAY + timedelta(days=1), group_by)
    assert [(g.service_id, g.api_key_id, g.start, g.sums.requests) for g in groups] == expected


async def test_an_answer_of_too_many_groups_is_refused(embedded, monkeypatch):
    monkeypatch.setattr(queries_module, "GROUPS_MAX", 3)
    queries = await count(embedded, *(at(f"{hour:02d}:00:00.000") for hour in range(4)))
    with pytest.raises(Problem, match="over 3 groups"):
        await queries.summary(ONE, "key_1", DAY, DAY + timedelta(days=1), ["hour"])


@pytest.fixture
async def strangers(embedded: Embedded) -> UsageQueries:
    """One request of `key_1`, and usage of its neighbours in every direction."""
    await embedded.builder.consumer(id="con_2", name="Other")
    neighbours = ("key_10", "key", "key_0", "key_2")
    for key in neighbours:
        await embedded.put_key(id=key)
    await embedded.put_key(id="key_1", consumer_id="con_2")
    others = [usage_event(f"o{key}", api_key_id=key, data={"requests": 100}) for key in neighbours]
    other = usage_event("x", consumer_id="con_2", data={"requests": 100})
    return await count(embedded, usage_event("mine"), *others, other)


async def test_a_key_sees_its_own_usage_only(strangers):
    start = NOW.replace(hour=0, minute=0, second=0)
    assert await requests(strangers, start, start + timedelta(days=1)) == 1
    assert await strangers.month_requests(ONE, "2026-03", api_key_id="key_1") == 1
    page = await strangers.records(ONE, "key_1", NOW.date(), 100, None)
    assert [event.id for event in page.items] == ["mine"]


async def test_a_service_has_the_usage_of_all_keys_of_its_consumer(strangers):
    assert await strangers.month_requests(ONE, "2026-03", service_id="svc_maps") == 401
    assert await strangers.month_requests(ONE, "2026-02", service_id="svc_maps") == 0
    assert await strangers.month_requests(ONE, "2026-03", service_id="svc_two") == 0


async def test_shards_are_summed(embedded):
    giant = Consumer(id="con_1", name="Giant", shards=3)
    queries = await count(embedded, *(at(f"10:00:00.00{number}", shard=number % 3) for number in range(9)))
    assert await requests(queries, DAY, DAY + timedelta(days=1), giant) == 9
    assert await queries.month_requests(giant, "2026-03", api_key_id="key_1") == 9
    assert len(await all_records(queries, giant, 2)) == 9


async def all_records(queries: UsageQueries, consumer: Consumer, limit: int, key: str = "key_1") -> list[str]:
    found, cursor, calls = [], None, 0
    while True:
        page = await queries.records(consumer, key, DAY.date(), limit, cursor)
        assert len(page.items) <= limit
        found += [event.id for event in page.items]
        cursor = page.cursor
        calls += 1
        if cursor is None:
            return found
        assert calls < 100


@pytest.mark.parametrize("limit", [1, 2, 7, 20, 1000])
async def test_records_come_page_by_page_by_time_without_skip_or_repeat(embedded, limit):
    times = [f"{number // 3:02d}:30:00.000" for number in range(20)]  # three at the same moment
    events = [usage_event(f"{number:02d}", time=f"2026-03-14T{text}Z") for number, text in enumerate(times)]
    queries = await count(embedded, *reversed(events))
    assert await all_records(queries, ONE, limit) == [event.id for event in events]


async def test_a_page_of_a_thousand_records_takes_a_handful_of_queries(embedded, monkeypatch):
    start = DAY.replace(hour=9)
    events = [usage_event(f"e{n:04d}", time=format_time(start + timedelta(seconds=n))) for n in range(1_000)]
    queries, asked = await count(embedded, *events), []
    query = embedded.documents.query

    async def counted(*question: object) -> object:
        asked.append(question)
        return await query(*question)

    monkeypatch.setattr(embedded.documents, "query", counted)
    page = await queries.records(ONE, "key_1", DAY.date(), 1_000, None)
    assert (len(page.items), page.cursor) == (1_000, None)
    assert len(asked) <= 4


async def test_records_of_a_key_are_found_among_those_of_others(embedded):
    await embedded.put_key(id="key_2")
    events = [at(f"10:00:{n:02d}.000", api_key_id="key_1" if n % 10 == 5 else "key_2") for n in range(60)]
    assert len(await all_records(await count(embedded, *events), ONE, 3)) == 6


async def test_a_day_of_records_is_half_open(embedded):
    queries = await count(
        embedded,
        usage_event("before", time="2026-03-13T23:59:59.999Z"),
        usage_event("first", time="2026-03-14T00:00:00.000Z"),
        usage_event("last", time="2026-03-14T23:59:59.999Z"),
        usage_event("after", time="2026-03-15T00:00:00.000Z"),
    )
    assert await all_records(queries, ONE, 10) == ["first", "last"]


async def test_the_last_day_of_the_calendar_has_no_records(embedded):
    assert (await UsageQueries(embedded.documents).records(ONE, "key_1", date(9999, 12, 31), 10, None)).items == ()


ASKED = "con_1:key_1:2026-03-14"


def forged(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "é",
        "W10",
        "bnVsbA",
        "W1s" * 50_000,
        forged(["0", None, 0]),
        forged([ASKED, ["0", 1, 0]]),
        forged([ASKED, ["-1", None, 0]]),
        forged([ASKED, ["1", None, 0]]),
        forged([ASKED, [0, None, 0]]),
        forged([ASKED, ["0", "x", 0]]),
        forged([ASKED, ["0", None, -1]]),
        forged([ASKED, ["0", None]]),
        forged(["", ["0", None, 0]]),
    ],
)
async def test_what_is_no_cursor_is_refused(embedded, cursor):
    with pytest.raises(Problem) as caught:
        await UsageQueries(embedded.documents).records(ONE, "key_1", DAY.date(), 10, cursor)
    assert (caught.value.status, caught.value.code) == (400, "cursor_invalid")


@pytest.mark.parametrize(
    ("consumer", "key", "days"), [("con_2", "key_1", 0), ("con_1", "key_2", 0), ("con_1", "key_1", 1)]
)
async def test_the_cursor_of_another_query_is_refused(embedded, consumer, key, days):
    queries = await count(embedded, *(at(f"10:00:{n:02d}.000") for n in range(5)))
    cursor = (await queries.records(ONE, "key_1", DAY.date(), 2, None)).cursor
    assert cursor is not None
    assert len((await queries.records(ONE, "key_1", DAY.date(), 2, cursor)).items) == 2
    other = Consumer(id=consumer, name="Other")
    with pytest.raises(Problem, match="cursor_invalid"):
        await queries.records(other, key, DAY.date() + timedelta(days=days), 2, cursor)
