"""Secrets of a key at the gate of a process that did not rotate it: what an answer showed works there at once."""

from datetime import timedelta
from typing import Any

import pytest

from shared.access.gate.service import Gate
from shared.access.keys.format import KeyHasher, new_key
from shared.access.models import ApiKey, KeyOwner
from shared.kernel.errors import Problem
from tests.unit.support import NOW, PEPPERS, FailingDocuments, Market, api_key


class CountingDocuments(FailingDocuments):
    """The real store; counts reads by container."""

    def __init__(self, documents: Any) -> None:
        super().__init__(documents)
        self.reads: list[str] = []

    async def get(self, container: Any, partition: str, id: str) -> Any:
        self.reads.append(container.name)
        return await self._documents.get(container, partition, id)


@pytest.fixture
async def documents(market: Market) -> CountingDocuments:
    return CountingDocuments(market.documents)


@pytest.fixture
async def gate(market: Market, documents: CountingDocuments) -> Gate:
    """Of another process, which has just let the key in and keeps that."""
    gate = market.gate(cache_s=1.0, documents=documents)
    await gate.identify(market.key)
    return gate


def hashed(clear: str) -> str:
    return KeyHasher(PEPPERS, 2).hash(clear)


async def rotate(market: Market, **changes: Any) -> str:
    """The new secret, as a rotation stores it: its hash, then the key."""
    clear = new_key("live")
    await market.access.add_hash(hashed(clear), KeyOwner(consumer_id="con_1", key_id="key_1"))
    await market.access.put_key(api_key(clear, **changes))
    return clear


async def told(gate: Gate, clear: str) -> str:
    try:
        await gate.identify(clear)
    except Problem as problem:
        return problem.code
    return "ok"


async def test_the_new_secret_works_at_once_beside_the_old_one(market: Market, gate: Gate) -> None:
    until = NOW + timedelta(hours=1)
    new = await rotate(market, previous_hash=hashed(market.key), previous_until=until)
    assert [await told(gate, each) for each in (new, market.key)] == ["ok", "ok"]


async def test_the_new_secret_works_at_once_without_an_overlap(market: Market, gate: Gate) -> None:
    new = await rotate(market)
    assert await told(gate, new) == "ok"
    market.time.passes(seconds=1)
    assert [await told(gate, each) for each in (new, market.key)] == ["ok", "key_unknown"]


async def test_what_is_seen_of_a_rotation_is_no_older_than_anything_else(market: Market, gate: Gate) -> None:
    new = await rotate(market)
    assert await told(gate, new) == "ok"
    await market.access.put_key(api_key(new, status="revoked"))
    market.time.passes(seconds=0.999)
    assert await told(gate, new) == "ok"
    market.time.passes(seconds=0.001)
    assert await told(gate, new) == "key_revoked"


async def test_a_secret_that_is_no_more_costs_a_bounded_number_of_reads(
    market: Market, gate: Gate, documents: CountingDocuments
) -> None:
    await rotate(market)
    market.time.passes(seconds=1)
    documents.reads.clear()
    for _ in range(100):
        assert await told(gate, market.key) == "key_unknown"
    assert len(documents.reads) <= 5  # key and consumer, twice; and the other pepper's hash
    market.time.passes(seconds=1)
    documents.reads.clear()
    assert await told(gate, market.key) == "key_unknown"
    assert documents.reads, "it may have come to life"


async def test_a_warm_key_still_costs_no_read(market: Market, gate: Gate, documents: CountingDocuments) -> None:
    new = await rotate(market)
    await told(gate, new)
    documents.reads.clear()
    assert await told(gate, new) == "ok"
    assert documents.reads == []


async def test_a_local_revocation_after_a_rotation_holds_at_once(market: Market) -> None:
    gate = market.gate()
    await gate.identify(market.key)
    new = await rotate(market)
    found = (await gate.identify(new)).key
    await market.access.put_key(ApiKey.model_validate({**found.model_dump(), "status": "revoked"}))
    assert await told(gate, new) == "key_revoked"
