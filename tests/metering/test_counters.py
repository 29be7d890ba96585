"""Counters: sums that do not depend on order or grouping, and where an event is counted."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.metering.counters import (
    LATENCY_BOUNDS_MS,
    MONTH_BUCKET,
    Bucket,
    Counter,
    Failed,
    bucket_name,
    counter_key,
    decode_counter,
    encode_counter,
    sum_events,
    with_months,
)
from shared.metering.events import BYTES_MAX, COUNT_MAX, DURATION_MS_MAX, UsageData
from shared.platform.documents import BODY_BYTES_MAX, check_id
from tests.support.embedded import usage_event

QUANTITIES = st.from_regex(r"[0-9]{1,15}(\.[0-9]{1,9})?", fullmatch=True)
DATA = st.builds(
    UsageData,
    requests=st.integers(0, COUNT_MAX),
    request_bytes=st.integers(0, BYTES_MAX),
    response_bytes=st.integers(0, BYTES_MAX),
    response_time_ms=st.none() | st.floats(0, DURATION_MS_MAX),
    status_code=st.none() | st.integers(100, 599),
    executions=st.integers(0, COUNT_MAX),
    duration_ms=st.integers(0, DURATION_MS_MAX),
    quantity=st.none() | QUANTITIES,
)


def bucket_of(*data: UsageData) -> Bucket:
    bucket = Bucket()
    for one in data:
        bucket.add_event(one)
    return bucket


@given(st.data())
def test_the_sum_of_any_split_in_any_order_is_the_whole(draw):
    everything = draw.draw(st.lists(DATA, min_size=1, max_size=12))
    whole = bucket_of(*everything)
    shuffled = draw.draw(st.permutations(everything))
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(shuffled)), max_size=4)))
    parts = [shuffled[a:b] for a, b in zip([0, *cuts], [*cuts, len(shuffled)], strict=True)]
    total = Bucket()
    for part in parts:
        total.add(bucket_of(*part))
    assert total == whole


@given(st.lists(DATA, max_size=12))
def test_a_bucket_is_the_plain_sum_of_its_events(everything):
    bucket = bucket_of(*everything)
    for name in ("requests", "request_bytes", "response_bytes", "executions", "duration_ms"):
        assert getattr(bucket, name) == sum(getattr(data, name) for data in everything)
    timed = [data.response_time_ms for data in everything if data.response_time_ms is not None]
    assert bucket.events == len(everything)
    assert (bucket.timed, bucket.response_us) == (len(timed), sum(round(ms * 1000) for ms in timed))
    assert sum(bucket.latency.values()) == len(timed)
    assert sum(bucket.status.values()) == sum(d.requests for d in everything if d.status_code is not None)


@given(st.lists(QUANTITIES, max_size=30))
def test_quantities_are_summed_exactly_and_kept_in_one_form(quantities):
    total = bucket_of(*(UsageData(quantity=quantity, feature="f") for quantity in quantities)).quantity
    assert Decimal(total) == sum(map(Decimal, quantities), Decimal(0))
    assert total == "0" or not total.startswith("0") or total.startswith("0.")
    assert "E" not in total
    assert "." not in total or not total.endswith(("0", "."))


def test_a_sum_of_very_many_large_quantities_stays_exact():
    """More than 28 digits, where Python's default context rounds."""
    bucket = Bucket(quantity="99999999999999999999.999999999")
    bucket.add(Bucket(quantity="0.000000001"))
    assert bucket.quantity == "100000000000000000000"
    bucket.add(Bucket(quantity="0.000000001"))
    assert bucket.quantity == "100000000000000000000.000000001"


@pytest.mark.parametrize(("given", "kept"), [("0.0", "0"), ("1.500", "1.5"), ("007", "7"), ("10.0", "10"), ("0", "0")])
def test_equal_quantities_are_equal_text(given, kept):
    assert bucket_of(UsageData(quantity=given, feature="f")).quantity == kept


@pytest.mark.parametrize(
    ("milliseconds", "expected"),
    [(0, 0), (1, 0), (1.0001, 1), (2, 1), (5, 2), (100, 6), (100.5, 7), (60_000, 14), (60_000.1, 15), (10**10, 15)],
)
def test_the_bound_of_a_latency_class_belongs_to_it(milliseconds, expected):
    assert bucket_of(UsageData(response_time_ms=milliseconds)).latency == {str(expected): 1}


def test_the_last_latency_class_has_no_bound():
    assert len(LATENCY_BOUNDS_MS) == 15
    assert list(LATENCY_BOUNDS_MS) == sorted(LATENCY_BOUNDS_MS)


def test_status_codes_count_requests_not_events():
    assert bucket_of(UsageData(requests=7, status_code=503), UsageData(requests=2, status_code=200)).status == {
        "503": 7,
        "200": 2,
    }


def test_buckets_do_not_share_their_dictionaries():
    one, other = Bucket(), Bucket()
    one.add_event(UsageData(status_code=400))
    assert (other.status, other.failed) == ({}, {})


def test_a_sum_of_buckets_leaves_those_it_was_made_of_as_they_were():
    parts = [bucket_of(UsageData(status_code=404, response_bytes=5)) for _ in range(2)]
    total = Bucket()
    for part in parts:
        total.add(part)
    assert total.failed == {"404": Failed(response_bytes=10)}
    assert [part.failed for part in parts] == [{"404": Failed(response_bytes=5)}] * 2


def test_what_failed_is_summed_up_by_status_and_server_errors_as_one():
    data = {"request_bytes": 1, "response_bytes": 2, "executions": 3, "duration_ms": 4, "quantity": "0.50"}
    statuses = (None, 100, 200, 399, 400, 404, 404, 499, 500, 503, 599)
    assert bucket_of(*(UsageData(status_code=status, **data) for status in statuses)).failed == {
        "400": Failed(request_bytes=1, response_bytes=2, executions=3, duration_ms=4, quantity="0.5"),
        "404": Failed(request_bytes=2, response_bytes=4, executions=6, duration_ms=8, quantity="1"),
        "499": Failed(request_bytes=1, response_bytes=2, executions=3, duration_ms=4, quantity="0.5"),
        "5xx": Failed(request_bytes=3, response_bytes=6, executions=9, duration_ms=12, quantity="1.5"),
    }


def test_success_costs_no_space():
    assert b"failed" not in encode_counter(counter_with(bucket_of(UsageData(status_code=200, response_bytes=10**9))))


@pytest.mark.parametrize("events", [1, 100])
def test_a_day_of_every_status_in_every_quarter_fits_into_a_document(events):
    """Else whoever reports so could stop the counting of its partition. `events` are of each, the largest there are."""
    largest = bucket_of(
        *(
            UsageData(
                requests=COUNT_MAX,
                request_bytes=BYTES_MAX,
                response_bytes=BYTES_MAX,
                response_time_ms=DURATION_MS_MAX - 0.001,
                status_code=status,
                executions=COUNT_MAX,
                duration_ms=DURATION_MS_MAX,
                quantity="9" * 15 + "." + "9" * 9,
            )
            for status in range(100, 600)
            for _ in range(events)
        )
    )
    assert len(encode_counter(counter_with(largest))) < BODY_BYTES_MAX


def counter_with(bucket: Bucket) -> Counter:
    """A day's, each quarter hour the same."""
    counter = Counter.empty(counter_key(usage_event()))
    for minute in range(0, 1440, 15):
        counter.add(f"{minute // 60:02d}:{minute % 60:02d}", bucket)
    return counter


@pytest.mark.parametrize(
    ("time", "expected"),
    [("00:00:00.000", "00:00"), ("00:14:59.999", "00:00"), ("00:15:00.000", "00:15"), ("23:59:59.999", "23:45")],
)
def test_an_event_falls_into_the_quarter_hour_it_happened_in(time, expected):
    assert bucket_name(f"2026-03-15T{time}Z") == expected


def test_a_day_has_96_quarters():
    assert len({bucket_name(f"2026-03-15T{m // 60:02d}:{m % 60:02d}:00.000Z") for m in range(1440)}) == 96


EVENTS = st.lists(
    st.builds(
        lambda day, minute, data, api_key: usage_event(
            time=f"2026-{day}T{minute // 60:02d}:{minute % 60:02d}:00.000Z",
            api_key_id=api_key,
            data=data,
        ),
        st.sampled_from(["02-28", "03-01", "03-31", "04-01"]),
        st.integers(0, 1439),
        st.fixed_dictionaries(
            {"requests": st.integers(0, COUNT_MAX)},
            optional={"quantity": QUANTITIES, "feature": st.sampled_from(["f", "g"]), "image": st.just("i")},
        ),
        st.sampled_from(["key_1", "key_2"]),
    ),
    max_size=10,
)


@given(EVENTS)
def test_each_month_counter_is_the_sum_of_its_days(events):
    deltas = with_months(sum_events((counter_key(event), event) for event in events))
    months: dict[str, Bucket] = {}
    for key, buckets in deltas.items():
        if len(key.period) == 10:
            for bucket in buckets.values():
                months.setdefault(key.month().id, Bucket()).add(bucket)
    assert {key.id: buckets[MONTH_BUCKET] for key, buckets in deltas.items() if len(key.period) == 7} == months
    assert sum(bucket.events for bucket in months.values()) == len(events)


def test_a_counter_comes_back_from_its_document_as_it_was():
    event = usage_event(data={"status_code": 404, "response_time_ms": 3.5, "quantity": "1.5", "feature": "f"})
    counter = Counter.empty(counter_key(event))
    for name, bucket in sum_events([(counter_key(event), event)])[counter_key(event)].items():
        counter.add(name, bucket)
    assert decode_counter(encode_counter(counter)) == counter
    assert decode_counter(encode_counter(counter)).key == counter_key(event)


def test_usage_with_and_without_dimensions_has_counters_of_its_own():
    dimensions = [{}, {"image": "x"}, {"version": "x"}, {"feature": "x"}, {"image": "x", "version": "x"}]
    assert len({counter_key(usage_event(data=data)).id for data in dimensions}) == 5


def test_dimensions_that_read_alike_when_joined_stay_apart():
    one, other = usage_event(data={"image": "a b", "version": "c"}), usage_event(data={"image": "a", "version": "b c"})
    assert counter_key(one).id != counter_key(other).id


def test_a_counters_id_is_a_document_id_whatever_the_client_named():
    key = counter_key(usage_event(data={"image": "repo/image?x#y\\ ", "feature": "é" * 128}))
    assert check_id(key.id) == key.id
    assert key.id.startswith("d:key_1:2026-03-15:svc_maps:")
