"""Percentiles of response times, estimated from the counters' histograms.

The response times of a class are taken to be spread evenly between its bounds, so an estimate is off by less than the
width of the class that the true value is in. What is over the last bound is said to be at it.
"""

from collections.abc import Mapping
from math import ceil

from shared.metering.counters import LATENCY_BOUNDS_MS


def percentile_ms(latency: Mapping[str, int], percent: float) -> float | None:
    """The value that `percent` (over 0, at most 100) of the response times do not exceed, in milliseconds to a tenth;
    None without any. `latency` counts by histogram class, as `Bucket.latency` does."""
    total = sum(latency.values())
    rank = ceil(total * percent / 100)  # nearest rank: the smallest value with that many at or below it
    below = 0
    for number in sorted(map(int, latency)):
        count = latency[str(number)]
        if count and below + count >= rank:
            lower, upper = class_bounds_ms(number)
            return round(lower if upper is None else lower + (upper - lower) * (rank - below) / count, 1)
        below += count
    return None


def class_bounds_ms(number: int) -> tuple[int, int | None]:
    """A class has what is over its lower and at most at its upper bound; the last one has no upper bound."""
    lower = LATENCY_BOUNDS_MS[number - 1] if number else 0
    return lower, LATENCY_BOUNDS_MS[number] if number < len(LATENCY_BOUNDS_MS) else None
