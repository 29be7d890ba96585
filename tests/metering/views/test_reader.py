"""Every view equals the sum over the events, whatever was derived before: the oracle adds events up one by one."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.kernel.clock import format_time
from shared.metering.events import UsageEvent
from shared.metering.rollups.deriving import Rollups
from shared.metering.views.figures import changes_percent, distribution, figures, largest, spikes
from shared.metering.views.reader import UsageReader
from shared.metering.windows import before
from tests.support.embedded import NOW, Embedded, raw, usage_event
from tests.support.metering.events import ZONES, events, in_embedded, made
from tests.support.metering.questions import END, START, ask, expected, found

consumer_dimensions = st.lists(
    st.sampled_from(["service", "api_key", "project", "image", "version", "feature"]), max_size=3, unique=True
)
ranges = st.one_of(
    st.just((START, END)),
    st.tuples(st.integers(0, 40 * 96), st.integers(1, 40 * 96)).map(
        lambda drawn: (START + timedelta(minutes=15 * drawn[0]), START + timedelta(minutes=15 * sum(drawn)))
    ),
)
filters = st.one_of(
    st.just({}),
    st.fixed_dictionaries(
        {}, optional={"service": st.just("svc_maps"), "api_key": st.just("key_2"), "project": st.just("prj_1")}
    ),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    st.lists(events, max_size=25),
    st.integers(0, 25),
    st.lists(
        st.tuples(
            ranges,
            st.sampled_from(["hour", "day", "month", None]),
            st.sampled_from(ZONES),
            consumer_dimensions,
            filters,
        ),
        min_size=1,
        max_size=6,
    ),
)
def test_every_view_is_the_sum_over_the_events(drawn, late, questions):
    happened = [made(number, each) for number, each in enumerate(drawn)]

    async def check(embedded: Embedded) -> None:
        rollups, reader = Rollups(embedded.documents, embedded.time), UsageReader(embedded.documents, embedded.time)
        aggregator = embedded.aggregator()
        await aggregator.apply(raw(*happened[:late]))
        embedded.time.passes(seconds=1)
        if late % 3:  # sometimes slices are there before the last events, sometimes nothing is
            await rollups.run()
        await aggregator.apply(raw(*happened[late:]))
        embedded.time.passes(seconds=1)
        if late % 3:
            await rollups.run()
        consumer = await embedded.access.consumer("con_1")
        assert consumer is not None
        mine = [event for event in happened if event.consumer_id == "con_1"]
        for (start, end), step, zone, by, only in questions:
            asked = ask(start, end, step, zone, tuple(by), **only)
            summed = await reader.consumer(consumer, asked)
            assert found(summed, asked) == expected(mine, asked)
            offered = await reader.consumer(consumer, asked, ["svc_maps", "svc_two"])
            assert found(offered, asked) == expected([e for e in mine if e.merchant_id == "mer_1"], asked)
            asked = ask(start, end, step, zone, (*by, "consumer"), **only)
            summed = await reader.services(["svc_maps", "svc_two"], asked)
            assert found(summed, asked) == expected([e for e in happened if e.merchant_id == "mer_1"], asked)
            if late % 3:
                asked = ask(start, end, step, zone, ("merchant", "service")[: len(by)])
                summed = await reader.platform(asked)
                assert found(summed, asked) == expected(happened, asked)

    asyncio.run(in_embedded(check))


async def test_a_leap_day_is_counted_in_its_month(embedded):
    embedded.time.moment = datetime(2028, 3, 2, tzinfo=UTC)
    received = format_time(embedded.time())
    times = ("2028-02-28T18:29:59.999Z", "2028-02-28T18:30:00.000Z", "2028-02-29T18:30:00.000Z")
    await embedded.aggregator().apply(
        raw(*(usage_event(f"e{n}", time=time, received_at=received) for n, time in enumerate(times)))
    )
    start, end = datetime(2028, 2, 1, tzinfo=UTC), datetime(2028, 3, 2, tzinfo=UTC)
    consumer = await embedded.access.consumer("con_1")
    asked = ask(start, end, "day", "Asia/Kolkata")
    summed = await UsageReader(embedded.documents, embedded.time).consumer(consumer, asked)
    assert [place[0] for place in found(summed, asked)] == ["2028-02-28", "2028-02-29", "2028-03-01"]


async def summed_of(embedded: Embedded, *happened: UsageEvent, **question: Any):
    await embedded.aggregator().apply(raw(*happened))
    asked = ask(**question)
    consumer = await embedded.access.consumer("con_1")
    return asked, await UsageReader(embedded.documents, embedded.time).consumer(consumer, asked)


def at(text: str, number: int = 0, **data: Any) -> UsageEvent:
    return usage_event(f"{text}-{number}", time=f"2026-03-{text}.000Z", data=data)


async def test_figures_state_errors_rate_and_times(embedded):
    _, summed = await summed_of(
        embedded,
        at("14T10:00:00", requests=6, status_code=200, response_time_ms=15),
        at("14T10:00:01", requests=1, status_code=404, response_time_ms=15),
        at("14T10:00:02", requests=2, status_code=503),
        at("14T10:00:03", requests=1),
    )
    told = figures(summed.total)
    assert (told["requests"], told["errors_4xx"], told["errors_5xx"], told["error_rate"]) == (10, 1, 2, 0.3)
    assert (told["mean_ms"], told["p50_ms"], told["p99_ms"]) == (15.0, 15.0, 20.0)
    nothing = figures((await summed_of(embedded, start=START, end=START + timedelta(days=1)))[1].total)
    assert (nothing["error_rate"], nothing["mean_ms"], nothing["p50_ms"]) == (None, None, None)


async def test_the_largest_come_first_with_their_share(embedded):
    _, summed = await summed_of(
        embedded,
        at("14T10:00:00", requests=1, feature="a"),
        at("14T10:00:01", requests=6, feature="b"),
        at("14T10:00:02", requests=1, feature="c"),
        by=("feature",),
    )
    ranked = [(group.values[0], share) for group, share in largest(summed, "requests", 2)]
    assert ranked == [("b", 0.75), ("a", 0.125)]
    assert largest(summed, "executions", 1)[0][1] is None


async def test_a_trend_compares_with_the_period_before(embedded):
    current = [at("14T10:00:00", requests=3, status_code=500)]
    previous = [at("13T23:59:59", requests=2), at("12T00:00:00", requests=100)]
    day = datetime(2026, 3, 14, tzinfo=UTC)
    asked, now = await summed_of(embedded, *current, *previous, start=day, end=day + timedelta(days=1))
    consumer = await embedded.access.consumer("con_1")
    then = await UsageReader(embedded.documents, embedded.time).consumer(
        consumer, ask(before(asked.window).start, before(asked.window).end)
    )
    change = changes_percent(now.total, then.total)
    assert (change["requests"], change["errors"]) == (50.0, None)


async def test_spikes_look_at_days_that_are_over_from_the_first_with_usage(embedded):
    counts = {5: 10, 6: 11, 7: 9, 8: 10, 9: 0, 10: 10, 11: 11, 12: 90, 13: 10, 14: 9, 15: 1}
    happened = [at(f"{day:02d}T08:00:00", requests=requests) for day, requests in counts.items() if requests]
    asked, summed = await summed_of(embedded, *happened, step="day")
    told = spikes(summed, asked.window, 3.5, NOW)
    assert told.days == 10  # from the 5th to the 14th: today is not over
    assert [(row["label"], row["direction"]) for row in told.rows] == [("2026-03-09", "down"), ("2026-03-12", "up")]
    seven = datetime(2026, 3, 5, 7, tzinfo=UTC)  # the 5th has usage, but is not whole
    for end, days in ((datetime(2026, 3, 11, 19, tzinfo=UTC), 5), (datetime(2026, 3, 12, tzinfo=UTC), 6)):
        asked, summed = await summed_of(embedded, start=seven, end=end, step="day")
        assert spikes(summed, asked.window, 3.5, NOW).days == days


async def test_a_distribution_is_by_local_hour_class_of_status_and_of_time(embedded):
    asked, hourly = await summed_of(
        embedded,
        at("14T18:45:00", requests=2, status_code=200, response_time_ms=70_000),
        at("13T18:30:00", requests=1, status_code=404, response_time_ms=0.5),
        at("14T20:00:00", requests=1),
        step="hour",
        zone="Asia/Kolkata",
    )
    told = {
        (row["distribution"], row["class"]): (row["count"], row["share"]) for row in distribution(hourly, asked.window)
    }
    assert told["hour_of_day", "00"] == (3, 0.75)
    assert told["hour_of_day", "01"] == (1, 0.25)
    assert told["status_class", "2xx"] == (2, 0.5)
    assert told["status_class", "none"] == (1, 0.25)
    assert told["response_time_ms", "over 60000"] == (1, 0.5)
    assert told["response_time_ms", "0 to 1"] == (1, 0.5)
    assert len(told) == 24 + 6 + 16
