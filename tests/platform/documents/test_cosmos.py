"""What only the Cosmos DB adapter has: throttling, lost connections, one client, pages, definitions."""

import asyncio
import json
import time
from typing import Any

import pytest
from prometheus_client import REGISTRY

from shared.platform.documents import CONTAINERS, Create, DocumentsUnavailable, Patch, Query, Where
from shared.platform.documents.cosmos import CosmosDocuments
from shared.platform.documents.cosmos_client import READ_RETRIES_MAX, THROTTLE_RETRIES_MAX, container_definitions
from tests.emulators.cosmos import KEY, CosmosPeer, Fault
from tests.support.ports import free_port

USAGE = CONTAINERS["usage"]
FIELD = USAGE.indexed[0]
UNAVAILABLE_WITHIN_S = 60
"""Nobody waits longer than this for the news that the store is away; well under the host's request timeout."""


def metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"{name}_total", labels) or 0.0


# throttling


async def test_a_throttled_call_waits_and_succeeds(cosmos: CosmosDocuments, peer: CosmosPeer) -> None:
    before = metric("ams_cosmos_throttled")
    peer.faults.extend([Fault("throttle", retry_after_ms=20)] * 3)
    started = time.monotonic()
    await cosmos.create(USAGE, "p", "a", b'{"n":1}')
    assert time.monotonic() - started >= 0.06  # three times what the service asked for
    assert [exchange.status for exchange in peer.exchanges][-4:] == [429, 429, 429, 201]
    assert metric("ams_cosmos_throttled") - before == 3


@pytest.mark.parametrize(
    "call",
    [
        lambda store: store.get(USAGE, "p", "a"),
        lambda store: store.upsert(USAGE, "p", "a", b"{}"),
        lambda store: store.patch(USAGE, "p", "a", [Patch("set", "n", 1)]),
        lambda store: store.transact(USAGE, "p", [Create("b", b"{}")]),
        lambda store: store.query(USAGE, Query("p")),
        lambda store: store.query(USAGE, Query(None, order_by=FIELD)),
        lambda store: store.ready(),
    ],
    ids=["get", "upsert", "patch", "transact", "query", "query across", "ready"],
)
@pytest.mark.parametrize("kind", ["throttle", "unavailable", "drop"])
async def test_a_service_that_stays_away_is_unavailable_in_bounded_time(
    cosmos: CosmosDocuments, peer: CosmosPeer, call: Any, kind: Any
) -> None:
    await cosmos.ready()
    peer.always = Fault(kind)
    async with asyncio.timeout(UNAVAILABLE_WITHIN_S):
        with pytest.raises(DocumentsUnavailable):
            await call(cosmos)
    throttled = [exchange for exchange in peer.exchanges if exchange.status == 429]
    assert (len(throttled) > THROTTLE_RETRIES_MAX) == (kind == "throttle")

    peer.always = None
    await cosmos.upsert(USAGE, "p", "a", b"{}")
    await call(cosmos)  # the same client recovers by itself


async def test_a_page_is_given_up_when_throttling_takes_too_long(
    cosmos: CosmosDocuments, peer: CosmosPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.platform.documents.cosmos.PAGE_S_MAX", 0.3)
    peer.always = Fault("throttle", retry_after_ms=1200)
    async with asyncio.timeout(60):  # left alone, the SDK would try 100 times, which takes twice as long
        with pytest.raises(DocumentsUnavailable):
            await cosmos.query(USAGE, Query("p"))


# lost connections


async def test_reads_survive_a_dropped_connection(cosmos: CosmosDocuments, peer: CosmosPeer) -> None:
    await cosmos.create(USAGE, "p", "a", b'{"n":1}')
    peer.faults.extend([Fault("drop")] * READ_RETRIES_MAX)
    assert await cosmos.get(USAGE, "p", "a") is not None
    peer.faults.extend([Fault("drop")] * READ_RETRIES_MAX)
    assert len((await cosmos.query(USAGE, Query("p"))).items) == 1
    assert not peer.faults


async def test_a_write_whose_answer_is_lost_is_not_repeated(cosmos: CosmosDocuments, peer: CosmosPeer) -> None:
    """Repeated, an own success would look like "exists" or "precondition failed", or count twice."""
    etag = await cosmos.create(USAGE, "p", "a", b'{"n":1}')
    writes = [
        lambda: cosmos.create(USAGE, "p", "b", b"{}"),
        lambda: cosmos.replace(USAGE, "p", "a", b'{"n":2}', etag=etag),
        lambda: cosmos.patch(USAGE, "p", "a", [Patch("increment", "n", 1)]),
        lambda: cosmos.transact(USAGE, "p", [Create("c", b"{}")]),
        lambda: cosmos.delete(USAGE, "p", "b"),
    ]
    for write in writes:
        peer.exchanges.clear()
        peer.faults.append(Fault("drop_after"))
        with pytest.raises(DocumentsUnavailable):
            await write()
        assert len(peer.exchanges) == 1
    document = await cosmos.get(USAGE, "p", "a")
    assert document is not None
    assert json.loads(document.body) == {"n": 3}
    assert await cosmos.get(USAGE, "p", "b") is None
    assert await cosmos.get(USAGE, "p", "c") is not None


async def test_nobody_listening_is_unavailable() -> None:
    documents = CosmosDocuments(f"http://127.0.0.1:{free_port()}/", KEY, "ams")
    try:
        async with asyncio.timeout(UNAVAILABLE_WITHIN_S):
            with pytest.raises(DocumentsUnavailable):
                await documents.ready()
    finally:
        await documents.close()


async def test_a_wrong_key_is_unavailable(peer: CosmosPeer, cosmos: CosmosDocuments) -> None:
    documents = CosmosDocuments(peer.endpoint, "d3Jvbmc=", "ams")
    try:
        with pytest.raises(DocumentsUnavailable):
            await documents.ready()
    finally:
        await documents.close()


@pytest.mark.parametrize("database", ["ams", "misspelt"])
async def test_a_missing_container_is_unavailable_and_not_a_missing_document(
    peer: CosmosPeer, cosmos: CosmosDocuments, database: str
) -> None:
    del peer.databases["ams"]["usage"]
    documents = CosmosDocuments(peer.endpoint, KEY, database)
    try:
        with pytest.raises(DocumentsUnavailable):
            await documents.get(USAGE, "p", "a")
        with pytest.raises(DocumentsUnavailable):
            await documents.delete(USAGE, "p", "a")
    finally:
        await documents.close()


async def test_a_container_that_goes_missing_is_unavailable(peer: CosmosPeer, cosmos: CosmosDocuments) -> None:
    assert await cosmos.get(USAGE, "p", "a") is None
    del peer.databases["ams"]["usage"]
    with pytest.raises(DocumentsUnavailable):
        await cosmos.get(USAGE, "p", "a")


# one client


async def test_concurrent_first_calls_share_one_client(peer: CosmosPeer, cosmos: CosmosDocuments) -> None:
    peer.clients.clear()
    documents = CosmosDocuments(peer.endpoint, KEY, "ams")
    try:
        await asyncio.gather(*(documents.get(container, "p", "a") for container in CONTAINERS.values() for _ in "1234"))
        await documents.ready()
    finally:
        await documents.close()
    assert len(peer.clients) == 1


async def test_a_closed_store_is_unavailable(cosmos: CosmosDocuments) -> None:
    await cosmos.ready()
    await cosmos.close()
    with pytest.raises(DocumentsUnavailable):
        await cosmos.ready()


async def test_an_unreachable_start_is_tried_again_by_the_next_call(peer: CosmosPeer, cosmos: CosmosDocuments) -> None:
    documents = CosmosDocuments(peer.endpoint, KEY, "ams")
    usage = peer.databases["ams"].pop("usage")
    try:
        with pytest.raises(DocumentsUnavailable):
            await documents.get(USAGE, "p", "a")
        peer.databases["ams"]["usage"] = usage
        assert await documents.get(USAGE, "p", "a") is None
    finally:
        await documents.close()


# pages


@pytest.mark.parametrize("order_by", [None, FIELD])
@pytest.mark.parametrize("partition", ["p0", None], ids=["within", "across"])
async def test_pages_are_filled_when_the_service_returns_less_than_asked(
    cosmos: CosmosDocuments, peer: CosmosPeer, partition: str | None, order_by: str | None
) -> None:
    peer.page_items_max = 3
    for n in range(24):
        await cosmos.create(USAGE, f"p{0 if partition else n % 5}", f"d{n}", json.dumps({FIELD: n % 4}).encode())
    sizes, cursor = [], None
    while True:
        page = await cosmos.query(USAGE, Query(partition, order_by=order_by, limit=10), cursor)
        sizes.append(len(page.items))
        if (cursor := page.cursor) is None:
            break
    assert sizes[:3] == [10, 10, 4]


async def test_concurrent_pages_do_not_mix_up_their_continuations(cosmos: CosmosDocuments) -> None:
    """The SDK keeps the last answer's headers on the client; whoever read the cursor there would get another's."""
    for partition in range(8):
        for n in range(6):
            await cosmos.create(USAGE, f"p{partition}", f"d{partition}-{n}", json.dumps({FIELD: n}).encode())

    async def collect(partition: int) -> list[str]:
        query, cursor, found = Query(f"p{partition}", order_by=FIELD, limit=2), None, []
        while True:
            page = await cosmos.query(USAGE, query, cursor)
            found += [document.id for document in page.items]
            if (cursor := page.cursor) is None:
                return found

    everything = await asyncio.gather(*(collect(partition) for partition in range(8)))
    assert everything == [[f"d{partition}-{n}" for n in range(6)] for partition in range(8)]


async def test_a_query_across_partitions_visits_every_range(cosmos: CosmosDocuments, peer: CosmosPeer) -> None:
    await cosmos.query(USAGE, Query(None, (Where(FIELD, "=", 1),)))
    assert sum(exchange.operation == "query" for exchange in peer.exchanges) == 3
    peer.exchanges.clear()
    await cosmos.query(USAGE, Query("p", (Where(FIELD, "=", 1),)))
    assert sum(exchange.operation == "query" for exchange in peer.exchanges) == 1


# definitions


async def test_containers_are_created_as_defined_and_only_once(cosmos: CosmosDocuments, peer: CosmosPeer) -> None:
    await cosmos.ensure_containers()  # the fixture's was the first
    created = peer.databases["ams"]
    assert set(created) == set(CONTAINERS)
    for definition in container_definitions():
        properties = created[definition["id"]].properties
        assert properties["partitionKey"]["paths"] == ["/partition"]
        assert properties["indexingPolicy"] == definition["indexingPolicy"]
        assert properties.get("defaultTtl") == definition.get("defaultTtl")


def test_definitions_index_only_what_is_declared() -> None:
    definitions = {definition["id"]: definition for definition in container_definitions()}
    usage = definitions["usage"]
    assert usage["indexingPolicy"]["excludedPaths"] == [{"path": "/*"}]
    assert usage["indexingPolicy"]["includedPaths"] == [{"path": f"/body/{field}/?"} for field in USAGE.indexed]
    assert usage["defaultTtl"] == -1
    assert "defaultTtl" not in definitions["merchants"]
    assert definitions["jobs"]["indexingPolicy"]["includedPaths"] == []
