"""The promise: what an owner, a merchant or an admin takes away is refused everywhere within two seconds."""

from collections import Counter
from contextlib import closing

import pytest

from tests.emulators.upstream import UpstreamPeer
from tests.support.journeys.people import PROMISE_S, Market
from tests.support.journeys.revocation import Bench

LANES, ROUNDS = 4, 5


def test_a_hundred_decisions_hold_in_both_workers_within_two_seconds(
    market: Market, upstream: UpstreamPeer, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(Bench(market, upstream.url, LANES)) as bench:
        measured = [each for _ in range(ROUNDS) for each in bench.round()]

    late = sorted(seconds for _, seconds in measured)
    with capsys.disabled():
        print(f"\n{len(late)} decisions: p50 {late[49]:.2f} s, p99 {late[98]:.2f} s, longest {late[-1]:.2f} s")
    assert len(late) == 100
    assert set(Counter(what for what, _ in measured).values()) == {LANES * ROUNDS}
    assert late[-1] < PROMISE_S, measured
    assert late[-5] > 0, "requests were hardly ever allowed after a decision: the other worker's cache was not warm"
