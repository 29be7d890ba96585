"""Robust scores of daily counts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.metering.views.spikes import THRESHOLD, robust_scores


def test_a_day_that_stands_out_scores_over_the_threshold_and_the_others_do_not():
    scores = robust_scores([100, 104, 97, 101, 99, 103, 900]).scores
    assert scores[-1] > THRESHOLD
    assert max(map(abs, scores[:-1])) < THRESHOLD


def test_two_spikes_do_not_hide_each_other():
    values = [100, 104, 97, 101, 99, 103, 98, 900, 950]
    assert [score > THRESHOLD for score in robust_scores(values).scores] == [False] * 7 + [True] * 2


def test_a_drop_has_a_negative_score():
    assert robust_scores([100, 104, 97, 101, 99, 103, 0]).scores[-1] < -THRESHOLD


def test_the_score_is_what_is_stated():
    found = robust_scores([1, 2, 3, 4, 5, 6, 107])  # median 4, deviations 3 2 1 0 1 2 103, MAD 2
    assert (found.median, found.spread) == (4, 2.9652)
    assert found.scores[-1] == round(103 / (1.4826 * 2), 2)


def test_when_most_days_are_equal_the_mean_deviation_takes_over():
    found = robust_scores([10] * 9 + [100])  # MAD 0, mean deviation 9
    assert found.scores[-1] == round(90 / (1.2533 * 9), 2)
    assert found.scores[0] == 0


def test_equal_days_have_no_spikes():
    assert robust_scores([7] * 7).scores == (0.0,) * 7


@pytest.mark.parametrize("days", range(7))
def test_below_seven_days_nothing_is_said(days):
    found = robust_scores([5] * days)
    assert (found.median, found.spread, found.scores) == (None, None, None)


@given(st.lists(st.integers(0, 10**9), min_size=7, max_size=60))
def test_there_is_a_score_for_every_day_and_it_has_the_sign_of_the_deviation(values):
    found = robust_scores(values)
    assert len(found.scores) == len(values)
    for value, score in zip(values, found.scores, strict=True):
        assert score * (value - found.median) >= 0
