"""The documents port's contract: one document. Its other parts: `test_documents_*.py`."""

import asyncio
import json

import pytest

from shared.platform.documents import (
    DocumentExists,
    DocumentMissing,
    Documents,
    Patch,
    PreconditionFailed,
    Replace,
    Upsert,
)
from tests.support.platform.documents import USAGE, body, read


async def test_a_created_document_is_read_back_with_its_etag(store: Documents) -> None:
    etag = await store.create(USAGE, "p", "a", body(n=1))
    document = await store.get(USAGE, "p", "a")
    assert document is not None
    assert (document.partition, document.id, document.etag) == ("p", "a", etag)
    assert json.loads(document.body) == {"n": 1}


async def test_what_was_never_written_is_none(store: Documents) -> None:
    await store.create(USAGE, "p", "a", body())
    assert await store.get(USAGE, "p", "b") is None


async def test_create_refuses_a_taken_id_and_changes_nothing(store: Documents) -> None:
    await store.create(USAGE, "p", "a", body(n=1))
    with pytest.raises(DocumentExists):
        await store.create(USAGE, "p", "a", body(n=2))
    assert await read(store, "p", "a") == {"n": 1}


async def test_replace_needs_a_document(store: Documents) -> None:
    with pytest.raises(DocumentMissing):
        await store.replace(USAGE, "p", "a", body(), etag=None)
    assert await store.get(USAGE, "p", "a") is None


async def test_upsert_creates_then_replaces(store: Documents) -> None:
    first = await store.upsert(USAGE, "p", "a", body(n=1, old=True))
    second = await store.upsert(USAGE, "p", "a", body(n=2))
    assert first != second
    assert await read(store, "p", "a") == {"n": 2}


async def test_delete_removes_and_frees_the_id(store: Documents) -> None:
    await store.create(USAGE, "p", "a", body(n=1))
    await store.delete(USAGE, "p", "a")
    assert await store.get(USAGE, "p", "a") is None
    with pytest.raises(DocumentMissing):
        await store.delete(USAGE, "p", "a")
    await store.create(USAGE, "p", "a", body(n=2))
    assert await read(store, "p", "a") == {"n": 2}


async def test_every_write_gives_a_new_etag_and_get_returns_the_last(store: Documents) -> None:
    etags = [await store.create(USAGE, "p", "a", body(n=1))]
    etags.append(await store.replace(USAGE, "p", "a", body(n=1), etag=None))
    etags.append(await store.upsert(USAGE, "p", "a", body(n=1)))
    etags.append((await store.patch(USAGE, "p", "a", [Patch("set", "n", 1)])).etag)
    etags += await store.transact(USAGE, "p", [Replace("a", body(n=1), None)])
    etags += await store.transact(USAGE, "p", [Upsert("a", body(n=1))])
    await store.delete(USAGE, "p", "a")
    etags.append(await store.create(USAGE, "p", "a", body(n=1)))
    document = await store.get(USAGE, "p", "a")
    assert document is not None
    assert document.etag == etags[-1]
    assert len(set(etags)) == len(etags)


@pytest.mark.parametrize("stale", ["the etag before", "nonsense", ""])
async def test_conditional_writes_refuse_an_etag_that_is_not_current(store: Documents, stale: str) -> None:
    before = await store.create(USAGE, "p", "a", body(n=1))
    current = await store.replace(USAGE, "p", "a", body(n=2), etag=before)
    etag = before if stale == "the etag before" else stale
    with pytest.raises(PreconditionFailed):
        await store.replace(USAGE, "p", "a", body(n=3), etag=etag)
    with pytest.raises(PreconditionFailed):
        await store.patch(USAGE, "p", "a", [Patch("set", "n", 3)], etag=etag)
    with pytest.raises(PreconditionFailed):
        await store.delete(USAGE, "p", "a", etag=etag)
    assert await read(store, "p", "a") == {"n": 2}

    patched = await store.patch(USAGE, "p", "a", [Patch("set", "n", 4)], etag=current)
    await store.delete(USAGE, "p", "a", etag=patched.etag)
    assert await store.get(USAGE, "p", "a") is None


async def test_conditional_writes_of_a_missing_document_say_missing(store: Documents) -> None:
    etag = await store.create(USAGE, "p", "a", body())
    await store.delete(USAGE, "p", "a")
    with pytest.raises(DocumentMissing):
        await store.replace(USAGE, "p", "a", body(), etag=etag)
    with pytest.raises(DocumentMissing):
        await store.patch(USAGE, "p", "a", [Patch("set", "n", 1)], etag=etag)
    with pytest.raises(DocumentMissing):
        await store.delete(USAGE, "p", "a", etag=etag)


async def test_of_40_concurrent_conditional_replaces_exactly_one_wins_each_round(store: Documents) -> None:
    etag = await store.create(USAGE, "p", "a", body(writer=-1))
    for _ in range(3):
        outcomes = await asyncio.gather(
            *(store.replace(USAGE, "p", "a", body(writer=writer), etag=etag) for writer in range(40)),
            return_exceptions=True,
        )
        winners = [writer for writer, outcome in enumerate(outcomes) if isinstance(outcome, str)]
        assert len(winners) == 1
        assert sum(isinstance(outcome, PreconditionFailed) for outcome in outcomes) == 39
        document = await store.get(USAGE, "p", "a")
        assert document is not None
        assert json.loads(document.body) == {"writer": winners[0]}
        assert document.etag == outcomes[winners[0]]
        etag = document.etag


async def test_of_20_concurrent_creates_of_one_id_exactly_one_wins(store: Documents) -> None:
    outcomes = await asyncio.gather(
        *(store.create(USAGE, "p", "a", body(writer=writer)) for writer in range(20)), return_exceptions=True
    )
    assert sum(isinstance(outcome, str) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, DocumentExists) for outcome in outcomes) == 19


async def test_patch_applies_its_changes_in_order_and_returns_the_result(store: Documents) -> None:
    await store.create(USAGE, "p", "a", body(n=1, deep={"list": [1]}, gone="x", kept="ü"))
    changes = [
        Patch("increment", "n", 2.5),
        Patch("increment", "deep.fresh", 3),
        Patch("set", "deep.flag", value=True),
        Patch("set", "text", "it's"),
        Patch("set", "text", None),
        Patch("remove", "gone"),
    ]
    document = await store.patch(USAGE, "p", "a", changes)
    expected = {"n": 3.5, "deep": {"list": [1], "fresh": 3, "flag": True}, "text": None, "kept": "ü"}
    assert json.loads(document.body) == expected
    assert await store.get(USAGE, "p", "a") == document


async def test_patch_needs_a_document(store: Documents) -> None:
    with pytest.raises(DocumentMissing):
        await store.patch(USAGE, "p", "a", [Patch("set", "n", 1)])


@pytest.mark.parametrize(
    "misfit",
    [
        Patch("increment", "text", 1),
        Patch("increment", "flag", 1),
        Patch("increment", "nothing", 1),
        Patch("increment", "n", "1"),
        Patch("remove", "missing"),
        Patch("set", "missing.n", 1),
        Patch("set", "text.n", 1),
    ],
    ids=str,
)
async def test_patch_that_does_not_fit_changes_nothing(store: Documents, misfit: Patch) -> None:
    fields = {"n": 1, "text": "1", "flag": True, "nothing": None}
    etag = await store.create(USAGE, "p", "a", body(**fields))
    with pytest.raises(ValueError):
        await store.patch(USAGE, "p", "a", [Patch("set", "n", 2), misfit])
    document = await store.get(USAGE, "p", "a")
    assert document is not None
    assert (json.loads(document.body), document.etag) == (fields, etag)


async def test_patch_takes_1_to_10_changes(store: Documents) -> None:
    await store.create(USAGE, "p", "a", body(n=0))
    await store.patch(USAGE, "p", "a", [Patch("increment", "n", 1)] * 10)
    assert await read(store, "p", "a") == {"n": 10}
    for count in (0, 11):
        with pytest.raises(ValueError):
            await store.patch(USAGE, "p", "a", [Patch("increment", "n", 1)] * count)


async def test_concurrent_increments_all_count(store: Documents) -> None:
    await store.create(USAGE, "p", "a", body(n=0))
    await asyncio.gather(*(store.patch(USAGE, "p", "a", [Patch("increment", "n", 1)]) for _ in range(30)))
    assert await read(store, "p", "a") == {"n": 30}
