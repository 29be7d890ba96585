"""The documents port's contract: time to live."""

import json

import pytest

from shared.platform.documents import (
    Create,
    DocumentMissing,
    Documents,
    Patch,
    Query,
    Replace,
    TransactionFailed,
    Upsert,
    Where,
)
from tests.support.platform.documents import MERCHANTS, USAGE, A, ids
from tests.support.platform.documents_clock import Clock


async def test_an_expired_document_is_gone_for_every_verb(store: Documents, clock: Clock) -> None:
    etag = await store.create(USAGE, "p", "a", json.dumps({A: 1}).encode(), ttl_s=2)
    assert await store.get(USAGE, "p", "a") is not None
    assert await ids(store, Query("p", order_by=A)) == ["a"]
    await clock.passes(3)
    assert await store.get(USAGE, "p", "a") is None
    for query in (Query("p"), Query(None), Query("p", (Where(A, "=", 1),)), Query(None, order_by=A)):
        assert await ids(store, query) == []
    with pytest.raises(DocumentMissing):
        await store.replace(USAGE, "p", "a", b"{}", etag=None)
    with pytest.raises(DocumentMissing):
        await store.patch(USAGE, "p", "a", [Patch("set", "n", 1)])
    with pytest.raises(DocumentMissing):
        await store.delete(USAGE, "p", "a", etag=etag)
    with pytest.raises(TransactionFailed):
        await store.transact(USAGE, "p", [Create("b", b"{}"), Replace("a", b"{}", etag)])


@pytest.mark.parametrize("verb", ["create", "upsert", "transact", "transact among others"])
async def test_the_id_of_an_expired_document_is_free(store: Documents, clock: Clock, verb: str) -> None:
    old = await store.create(USAGE, "p", "a", b'{"n":1}', ttl_s=2)
    await clock.passes(3)
    match verb:
        case "create":
            etag = await store.create(USAGE, "p", "a", b'{"n":2}')
        case "upsert":
            etag = await store.upsert(USAGE, "p", "a", b'{"n":2}')
        case "transact":
            (etag,) = await store.transact(USAGE, "p", [Create("a", b'{"n":2}')])
        case _:
            _, etag, _ = await store.transact(
                USAGE, "p", [Create("x", b"{}"), Create("a", b'{"n":2}'), Upsert("y", b"{}")]
            )
    assert etag != old
    document = await store.get(USAGE, "p", "a")
    assert document is not None
    assert (json.loads(document.body), document.etag) == ({"n": 2}, etag)


@pytest.mark.parametrize("verb", ["replace", "upsert", "patch", "transact"])
async def test_a_write_starts_the_time_to_live_again(store: Documents, clock: Clock, verb: str) -> None:
    await store.create(USAGE, "p", "a", b"{}", ttl_s=4)
    await clock.passes(3)
    match verb:
        case "replace":
            await store.replace(USAGE, "p", "a", b"{}", etag=None, ttl_s=4)
        case "upsert":
            await store.upsert(USAGE, "p", "a", b"{}", ttl_s=4)
        case "patch":
            await store.patch(USAGE, "p", "a", [Patch("set", "n", 1)])
        case _:
            await store.transact(USAGE, "p", [Replace("a", b"{}", None, ttl_s=4)])
    await clock.passes(3)
    assert await store.get(USAGE, "p", "a") is not None
    await clock.passes(3)
    assert await store.get(USAGE, "p", "a") is None


async def test_a_write_without_time_to_live_lives_for_ever(store: Documents, clock: Clock) -> None:
    await store.create(USAGE, "p", "a", b"{}", ttl_s=1)
    await store.replace(USAGE, "p", "a", b"{}", etag=None)
    await store.create(USAGE, "p", "b", b"{}")
    await clock.passes(2)
    assert await store.get(USAGE, "p", "a") is not None
    assert await store.get(USAGE, "p", "b") is not None


async def test_a_container_without_time_to_live_refuses_one(store: Documents) -> None:
    with pytest.raises(ValueError):
        await store.create(MERCHANTS, "p", "a", b"{}", ttl_s=1)
    with pytest.raises(ValueError):
        await store.transact(MERCHANTS, "p", [Create("a", b"{}", ttl_s=1)])
    assert await store.get(MERCHANTS, "p", "a") is None
