"""Days that stand out, by the robust z-score: an outlier does not move the median, so it cannot hide itself or others.

score = (value - median) / (1.4826 × MAD), where MAD is the median absolute deviation and 1.4826 makes it an estimate of
a normal distribution's standard deviation. When more than half of the days are equal, MAD is 0 and says nothing; then
1.2533 × the mean absolute deviation takes its place, which estimates the same (Iglewicz and Hoaglin, 1993).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

DAYS_MIN = 7
THRESHOLD = 3.5
"""Of Iglewicz and Hoaglin."""

_MAD_FACTOR = 1.4826
_MEAN_FACTOR = 1.2533


@dataclass(frozen=True, slots=True)
class Scores:
    """`median` and `spread` (scaled, as it divides) of the values; `scores` in their order. All None when there are
    fewer than DAYS_MIN values, scores 0 when all are equal."""

    median: float | None
    spread: float | None
    scores: tuple[float, ...] | None


def robust_scores(values: Sequence[int]) -> Scores:
    if len(values) < DAYS_MIN:
        return Scores(None, None, None)
    middle = float(median(values))
    deviations = [abs(value - middle) for value in values]
    spread = _MAD_FACTOR * median(deviations) or _MEAN_FACTOR * fmean(deviations)
    scores = tuple(round((value - middle) / spread, 2) if spread else 0.0 for value in values)
    return Scores(middle, round(spread, 4), scores)
