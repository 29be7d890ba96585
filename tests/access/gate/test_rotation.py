"""Secrets of a key at the gate of a process that did not rotate it: what an answer showed works there at once."""

from datetime import timedelta
from typing import Any

import pytest

from shared.access.gate.service import Gate
from shared.access.keys.format import KeyHasher, new_key
from shared.access.models import ApiKey, KeyOwner
from shared.kernel.errors import Problem
from tests.support.embedded import NOW, PEPPERS, Embedded, FailingDocuments, api_key


class CountingDocuments(FailingDocuments):
    """The real store; counts reads by container."""

    def __init__(self, documents: Any) -> None:
        super().__init__(documents)
        self.reads: list[str] = []

    async def get(self, container: Any, partition: str, id: str) -> Any:
        self.reads.append(container.name)
        return await self._documents.get(container, partition, id)


@pytest.fixture
async def documents(embedded: Embedded) -> CountingDocuments:
    return CountingDocuments(embedded.documents)


@pytest.fixture
async def gate(embedded: Embedded, documents: CountingDocuments) -> Gate:
    """Of another process, which has just let the key in and keeps that."""
    gate = embedded.gate(cache_s=1.0, documents=documents)
    await gate.identify(embedded.key)
    return gate


def hashed(clear: str) -> str:
    return KeyHasher(PEPPERS, 2).hash(clear)


async def rotate(embedded: Embedded, **changes: Any) -> str:
    """The new secret, as a rotation stores it: its hash, then the key."""
    clear = new_key("live")
    await embedded.access.add_hash(hashed(clear), KeyOwner(consumer_id="con_1", key_id="key_1"))
    await embedded.builder.put(api_key(clear, **changes))
    return clear


async def told(gate: Gate, clear: str) -> str:
    try:
        await gate.identify(clear)
    except Problem as problem:
        return problem.code
    return "ok"


async def test_the_new_secret_works_at_once_beside_the_old_one(embedded: Embedded, gate: Gate) -> None:
    until = NOW + timedelta(hours=1)
    new = await rotate(embedded, previous_hash=hashed(embedded.key), previous_until=until)
    assert [await told(gate, each) for each in (new, embedded.key)] == ["ok", "ok"]


async def test_the_new_secret_works_at_once_without_an_overlap(embedded: Embedded, gate: Gate) -> None:
    new = await rotate(embedded)
    assert await told(gate, new) == "ok"
    embedded.time.passes(seconds=1)
    assert [await told(gate, each) for each in (new, embedded.key)] == ["ok", "key_unknown"]


async def test_what_is_seen_of_a_rotation_is_no_older_than_anything_else(embedded: Embedded, gate: Gate) -> None:
    new = await rotate(embedded)
    assert await told(gate, new) == "ok"
    await embedded.builder.put(api_key(new, status="revoked"))
    embedded.time.passes(seconds=0.999)
    assert await told(gate, new) == "ok"
    embedded.time.passes(seconds=0.001)
    assert await told(gate, new) == "key_revoked"


async def test_a_secret_that_is_no_more_costs_a_bounded_number_of_reads(
    embedded: Embedded, gate: Gate, documents: CountingDocuments
) -> None:
    await rotate(embedded)
    embedded.time.passes(seconds=1)
    documents.reads.clear()
    for _ in range(100):
        assert await told(gate, embedded.key) == "key_unknown"
    assert len(documents.reads) <= 5  # key and consumer, twice; and the other pepper's hash
    embedded.time.passes(seconds=1)
    documents.reads.clear()
    assert await told(gate, embedded.key) == "key_unknown"
    assert documents.reads, "it may have come to life"


async def test_a_warm_key_still_costs_no_read(embedded: Embedded, gate: Gate, documents: CountingDocuments) -> None:
    new = await rotate(embedded)
    await told(gate, new)
    documents.reads.clear()
    assert await told(gate, new) == "ok"
    assert documents.reads == []


async def test_a_local_revocation_after_a_rotation_holds_at_once(embedded: Embedded) -> None:
    gate = embedded.gate()
    await gate.identify(embedded.key)
    new = await rotate(embedded)
    found = (await gate.identify(new)).key
    await embedded.builder.put(ApiKey.model_validate({**found.model_dump(), "status": "revoked"}))
    assert await told(gate, new) == "key_revoked"
