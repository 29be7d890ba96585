"""What a usage event costs on Cosmos DB, by Microsoft's published model (`tests/emulators/cosmos_charges.py`).

The aggregator's transaction: 50 usage records of about 700 bytes are created and two counters of about 2 KB replaced.
The figures below are stated in the documentation; a change of the records, the counters or the indexes shows up here.
"""

import json
import logging
import math
from typing import Any

import pytest
from prometheus_client import REGISTRY

from shared.platform.documents import (
    CONTAINERS,
    Create,
    DocumentExists,
    Operation,
    Patch,
    Query,
    Replace,
    TransactionFailed,
)
from shared.platform.documents.cosmos import CosmosDocuments
from tests.emulators.cosmos import CosmosPeer

USAGE = CONTAINERS["usage"]
OF_RECORDS = ("time",)
OF_COUNTERS = ("period", "view", "changed")
"""Which of the indexed fields each of the two has."""

EVENTS = 50
RU_PER_EVENT_MAX = 5.9
RU_PER_EVENT_INDEXING_EVERYTHING = 11.6
"""The same transaction under Cosmos DB's default policy, which indexes all scalars: 20 fields and the partition of a
record, and every bucket of a counter, each of which changes."""

INDEX_EVERYTHING = {"indexingMode": "consistent", "automatic": True, "includedPaths": [{"path": "/*"}]}


def metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"{name}_total", labels) or 0.0


def record(n: int) -> dict[str, Any]:
    """20 fields in about 700 bytes, the indexed ones first."""
    fields: dict[str, Any] = dict.fromkeys(OF_RECORDS, "2026-11-21T10:00:00.000Z")
    fields |= {"event_id": f"req_019aa5b3c1f2{n:020d}", "source": "ams/consume", "type": "ams.usage.v1"}
    fields |= {f"{noun}_id": f"{noun}_019aa5b3c1f2{n:020d}" for noun in ("consumer", "project", "key", "merchant")}
    fields |= {"requests": 1, "request_bytes": 512, "response_bytes": 20480 + n, "response_time_ms": 42, "status": 200}
    fields |= {f"label{i}": f"value {i}" for i in range(19 - len(fields))}
    return fields | {"padding": "x" * 120}


def counter(total: int) -> dict[str, Any]:
    """24 hourly buckets of five metrics in about 2 KB."""
    metrics = ("requests", "request_bytes", "response_bytes", "duration_ms", "errors")
    fields: dict[str, Any] = dict.fromkeys(OF_COUNTERS, "2026-11-21")
    return fields | {"hours": {metric: [total * 24 + 10_000_000_000_000 + h for h in range(24)] for metric in metrics}}


async def apply_events(documents: CosmosDocuments, peer: CosmosPeer) -> float:
    """The request units of one transaction of the aggregator, divided by its events."""
    etags = [await documents.create(USAGE, "p", name, json.dumps(counter(0)).encode()) for name in ("day", "month")]
    peer.exchanges.clear()
    operations: list[Operation] = [Create(f"record-{n}", json.dumps(record(n)).encode()) for n in range(EVENTS)]
    operations += [
        Replace(name, json.dumps(counter(EVENTS)).encode(), etag)
        for name, etag in zip(("day", "month"), etags, strict=True)
    ]
    await documents.transact(USAGE, "p", operations)
    (batch,) = peer.exchanges
    return batch.charge / EVENTS


def test_the_documents_have_the_aggregators_shape() -> None:
    assert {*OF_RECORDS, *OF_COUNTERS} == set(USAGE.indexed)
    assert 600 <= len(json.dumps(record(0))) <= 900
    assert 1_900 <= len(json.dumps(counter(0))) <= 2_100


async def test_an_event_stays_under_its_price(cosmos: CosmosDocuments, peer: CosmosPeer) -> None:
    per_event = await apply_events(cosmos, peer)
    print(f"{per_event:.2f} RU per event")
    assert per_event <= RU_PER_EVENT_MAX


async def test_indexing_everything_would_cost_the_stated_price(cosmos: CosmosDocuments, peer: CosmosPeer) -> None:
    peer.databases["ams"]["usage"].properties["indexingPolicy"] = INDEX_EVERYTHING
    per_event = await apply_events(cosmos, peer)
    print(f"{per_event:.2f} RU per event")
    assert math.isclose(per_event, RU_PER_EVENT_INDEXING_EVERYTHING, abs_tol=0.05)


async def test_the_model_reproduces_the_published_examples(cosmos: CosmosDocuments, peer: CosmosPeer) -> None:
    """A 1 KB document with 10 indexed terms: create and delete 7 RU each, as published (the size costs 4.95, not 5)."""
    usage = peer.databases["ams"]["usage"]
    usage.properties["indexingPolicy"] = {"includedPaths": [{"path": f"/body/f{n}/?"} for n in range(10)]}
    fields = {f"f{n}": n for n in range(10)} | {"padding": "x" * 500}
    peer.exchanges.clear()
    await cosmos.create(USAGE, "p", "a", json.dumps(fields).encode())
    await cosmos.get(USAGE, "p", "a")
    await cosmos.replace(USAGE, "p", "a", json.dumps(fields | {"f0": -1, "f1": -2}).encode(), etag=None)
    await cosmos.delete(USAGE, "p", "a")
    charged = [exchange.charge for exchange in peer.exchanges if exchange.charge]
    assert charged == [pytest.approx(published, abs=0.11) for published in (7.0, 1.0, 10.8, 7.0)]


async def test_what_every_call_costs_is_counted_by_container_and_operation(
    cosmos: CosmosDocuments, peer: CosmosPeer
) -> None:
    operations = ("create", "get", "replace", "upsert", "patch", "transact", "query", "delete")
    before = {op: metric("ams_cosmos_request_units", container="usage", operation=op) for op in operations}
    await cosmos.create(USAGE, "p", "a", b'{"n":1}')
    await cosmos.get(USAGE, "p", "a")
    await cosmos.replace(USAGE, "p", "a", b'{"n":2}', etag=None)
    await cosmos.upsert(USAGE, "p", "a", b'{"n":3}')
    await cosmos.patch(USAGE, "p", "a", [Patch("set", "n", 4)])
    await cosmos.transact(USAGE, "p", [Create("b", b"{}"), Replace("a", b"{}", None)])
    await cosmos.query(USAGE, Query("p"))
    await cosmos.query(USAGE, Query(None))
    await cosmos.query(USAGE, Query(None, order_by=USAGE.indexed[0]))
    await cosmos.delete(USAGE, "p", "a")
    with pytest.raises(DocumentExists):
        await cosmos.create(USAGE, "p", "b", b"{}")
    with pytest.raises(TransactionFailed):
        await cosmos.transact(USAGE, "p", [Create("b", b"{}")])
    counted = {
        op: metric("ams_cosmos_request_units", container="usage", operation=op) - before[op] for op in operations
    }
    assert all(charge > 0 for charge in counted.values())
    assert counted["get"] == pytest.approx(1.0)
    assert sum(counted.values()) == pytest.approx(sum(exchange.charge for exchange in peer.exchanges))


async def test_the_log_says_what_a_call_cost_and_nothing_of_its_content(
    cosmos: CosmosDocuments, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "shared.platform.documents"):
        await cosmos.create(USAGE, "secret-partition", "secret-id", b'{"secret":"body"}')
    (record,) = (record for record in caplog.records if getattr(record, "operation", "") == "create")
    assert (vars(record)["container"], vars(record)["status"]) == ("usage", 201)
    assert vars(record)["request_units"] > 0
    assert not any("secret" in str(vars(record)) for record in caplog.records if record.name.startswith("shared."))
