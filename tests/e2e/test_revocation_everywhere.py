"""The promise: what an owner, a merchant or an admin takes away is refused everywhere within two seconds."""

from collections import Counter

import pytest

from tests.e2e.journeys.people import PROMISE_S, Market, Person
from tests.e2e.revocation import Bench
from tests.emulators.upstream import UpstreamPeer

LANES, ROUNDS = 4, 5


@pytest.mark.timeout(240)
def test_a_hundred_decisions_hold_in_both_workers_within_two_seconds(
    market: Market, admin: Person, upstream: UpstreamPeer, capsys: pytest.CaptureFixture[str]
) -> None:
    bench = Bench(market, admin, upstream.url, LANES)

    measured = [each for _ in range(ROUNDS) for each in bench.round()]

    late = sorted(seconds for _, seconds in measured)
    with capsys.disabled():
        print(f"\n{len(late)} decisions: p50 {late[49]:.2f} s, p99 {late[98]:.2f} s, longest {late[-1]:.2f} s")
    assert set(Counter(what for what, _ in measured).values()) == {LANES * ROUNDS}
    assert len(late) == 100
    assert late[-1] < PROMISE_S, measured
    assert late[-1] > 0, "nothing was allowed after a decision: the other worker's cache was never warm"
