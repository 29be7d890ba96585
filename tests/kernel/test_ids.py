"""Ids: of one shape, and in the order of their making."""

import re

from shared.kernel.ids import new_id


def test_10000_ids_are_different_and_have_one_shape():
    ids = {new_id("req") for _ in range(10_000)}
    assert len(ids) == 10_000
    assert all(re.fullmatch(r"req_[0-9a-f]{32}", one) for one in ids)


def test_ids_sort_by_creation():
    now = iter([10**15, 10**15 + 10**6, 2 * 10**18, 2 * 10**18 + 10**6])
    ids = [new_id("req", lambda: next(now)) for _ in range(4)]
    assert ids == sorted(ids)
