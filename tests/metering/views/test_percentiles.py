"""Percentiles from histograms are in the class of the true value, so off by less than its width."""

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.metering.counters import LATENCY_BOUNDS_MS, Bucket
from shared.metering.events import UsageData
from shared.metering.views.percentiles import class_bounds_ms, percentile_ms


def histogram(times: list[float]) -> dict[str, int]:
    bucket = Bucket(status={}, latency={})
    for time in times:
        bucket.add_event(UsageData(response_time_ms=time))
    return bucket.latency


@given(st.lists(st.floats(0, 200_000), min_size=1, max_size=200), st.sampled_from([1, 50, 95, 99, 100]))
def test_an_estimate_is_in_the_class_of_the_true_value(times, percent):
    true = sorted(times)[ceil(len(times) * percent / 100) - 1]
    estimate = percentile_ms(histogram(times), percent)
    number = sum(bound < true for bound in LATENCY_BOUNDS_MS)
    lower, upper = class_bounds_ms(number)
    assert estimate is not None
    if upper is None:
        assert estimate == lower
    else:
        assert lower <= estimate <= upper
        assert abs(estimate - true) <= upper - lower


@given(st.lists(st.floats(0, 100_000), min_size=1, max_size=100))
def test_percentiles_are_in_order(times):
    found = [percentile_ms(histogram(times), percent) for percent in (1, 50, 95, 99, 100)]
    assert found == sorted(found)


def test_inside_a_class_values_are_taken_to_be_spread_evenly():
    assert percentile_ms({"4": 10}, 50) == 15.0  # over 10 to 20 ms, half way
    assert percentile_ms({"4": 10}, 100) == 20.0
    assert percentile_ms({"0": 1, "4": 1}, 50) == 1.0


@pytest.mark.parametrize("latency", [{}, {"3": 0}])
def test_without_response_times_there_is_none(latency):
    assert percentile_ms(latency, 50) is None


def test_what_is_over_the_last_bound_is_said_to_be_at_it():
    assert percentile_ms({"15": 3}, 99) == 60_000
