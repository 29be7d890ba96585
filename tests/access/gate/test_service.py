"""Checks 1 to 4 of consume: every refusal, their order, and how long an old answer may live."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from scripts.seeding.documents import add_key
from shared.access.gate import service as gate_module
from shared.access.keys.format import KeyHasher, new_key
from shared.access.models import ApiKey, Grant
from shared.access.store import AccessStore
from shared.kernel.errors import Problem
from tests.support.embedded import NOW, PEPPERS, Embedded, FailingDocuments, api_key

PAST = NOW - timedelta(seconds=1)


async def code_of(awaitable: Any) -> str:
    with pytest.raises(Problem) as caught:
        await awaitable
    return f"{caught.value.status} {caught.value.code}"


async def call(embedded: Embedded, key: str | None = None, reference: str = "maps", *, forwarding: bool = True) -> str:
    """`ok`, or the refusal's status and code."""
    gate = embedded.gate()
    try:
        await gate.admit(await gate.identify(embedded.key if key is None else key), reference, forwarding=forwarding)
    except Problem as problem:
        return f"{problem.status} {problem.code}"
    return "ok"


@pytest.mark.parametrize("reference", ["maps", "svc_maps"])
async def test_a_granted_key_is_admitted_by_slug_and_by_id(embedded, reference):
    gate = embedded.gate()
    admission = await gate.admit(await gate.identify(embedded.key), reference, forwarding=True)
    assert (admission.holder.key.id, admission.holder.consumer.id) == ("key_1", "con_1")
    assert (admission.service.id, admission.merchant.id) == ("svc_maps", "mer_1")


@pytest.mark.parametrize("key", [None, ""])
async def test_no_key_is_key_missing(embedded, key):
    assert await code_of(embedded.gate().identify(key)) == "401 key_missing"


async def test_a_malformed_key_is_refused_without_asking_the_store(embedded):
    await embedded.documents.close()
    assert await code_of(embedded.gate().identify("ams_live_nonsense")) == "401 key_malformed"


async def test_an_unknown_key_is_key_unknown(embedded):
    assert await code_of(embedded.gate().identify(new_key("live"))) == "401 key_unknown"


async def test_all_401s_look_alike_but_for_their_code(embedded):
    problems = []
    for key in (None, "nonsense", new_key("live")):
        with pytest.raises(Problem) as caught:
            await embedded.gate().identify(key)
        problems.append(caught.value)
    assert len({(p.status, p.detail, tuple(p.headers.items()), tuple(p.errors)) for p in problems}) == 1


@pytest.mark.parametrize(
    ("changes", "consumer", "expected"),
    [
        ({"expires_at": NOW}, "active", "403 key_expired"),
        ({"status": "disabled"}, "active", "403 key_disabled"),
        ({"status": "revoked"}, "active", "403 key_revoked"),
        ({}, "suspended", "403 consumer_suspended"),
        ({"expires_at": PAST, "status": "disabled"}, "suspended", "403 key_expired"),
        ({"expires_at": PAST, "status": "revoked"}, "active", "403 key_expired"),
        ({"status": "revoked"}, "suspended", "403 key_revoked"),
        ({"expires_at": NOW + timedelta(seconds=1)}, "active", "ok"),
    ],
)
async def test_the_state_of_key_and_consumer_decides_in_order(embedded, changes, consumer, expected):
    await embedded.builder.put(api_key(embedded.key, **changes))
    await embedded.builder.consumer(id="con_1", name="Consumer", status=consumer)
    assert await call(embedded) == expected


async def test_check_2_comes_before_check_3(embedded):
    await embedded.builder.put(api_key(embedded.key, status="revoked", service_ids=()))
    assert await call(embedded) == "403 key_revoked"


@pytest.mark.parametrize(
    ("grant", "expected"),
    [
        ({"status": "requested"}, "403 service_not_granted"),
        ({"status": "denied"}, "403 service_not_granted"),
        ({"status": "withdrawn"}, "403 service_not_granted"),
        ({"status": "withdrawn", "restricted": True}, "403 service_not_granted"),
        ({"status": "approved", "restricted": True}, "403 consumer_restricted"),
    ],
)
async def test_the_state_of_the_grant_decides(embedded, grant, expected):
    await embedded.builder.grant(consumer_id="con_1", service_id="svc_maps", **grant)
    assert await call(embedded) == expected


async def test_a_key_that_is_not_assigned_to_the_service_is_refused_in_spite_of_the_grant(embedded):
    await embedded.builder.put(api_key(embedded.key, service_ids=("svc_other",)))
    assert await call(embedded) == "403 service_not_granted"


async def test_a_key_that_is_assigned_without_any_grant_is_refused(embedded):
    await embedded.builder.service(id="svc_two", slug="two")
    await embedded.builder.put(api_key(embedded.key, service_ids=("svc_maps", "svc_two")))
    assert await call(embedded, reference="two") == "403 service_not_granted"


@pytest.mark.parametrize("unknown", ["nothing", "svc_nothing", "", "../maps", "MAPS", "a" * 100, "caf\u00e9", "a/b"])
async def test_an_unknown_service_and_an_ungranted_one_get_the_same_answer(embedded, unknown):
    await embedded.builder.service(id="svc_secret", slug="secret")
    gate = embedded.gate()
    holder = await gate.identify(embedded.key)
    answers = []
    for reference in (unknown, "secret"):
        with pytest.raises(Problem) as caught:
            await gate.admit(holder, reference, forwarding=True)
        problem = caught.value
        answers.append((problem.status, problem.code, problem.detail, dict(problem.headers), tuple(problem.errors)))
    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"status": "suspended"}, "403 service_suspended"),
        ({"status": "draft"}, "502 merchant_misconfigured"),
        ({"status": "pending_approval"}, "502 merchant_misconfigured"),
        ({"status": "rejected"}, "502 merchant_misconfigured"),
        ({"status": "retired"}, "502 merchant_misconfigured"),
        ({"upstream": None}, "502 merchant_misconfigured"),
        ({"merchant_id": "mer_nobody"}, "502 merchant_misconfigured"),
    ],
)
async def test_the_state_of_the_service_decides(embedded, changes, expected):
    await embedded.builder.service(**changes)
    assert await call(embedded) == expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("pending", "502 merchant_misconfigured"),
        ("rejected", "502 merchant_misconfigured"),
        ("suspended", "403 service_suspended"),
        ("disabled", "403 service_suspended"),
    ],
)
async def test_a_merchant_that_is_not_active_is_not_called(embedded, status, expected):
    await embedded.builder.merchant(id="mer_1", slug="acme", name="Acme", status=status)
    assert await call(embedded) == expected


async def test_usage_may_be_reported_for_a_service_without_an_upstream(embedded):
    await embedded.builder.service(upstream=None)
    assert await call(embedded, forwarding=False) == "ok"


async def test_check_3_comes_before_check_4(embedded):
    await embedded.builder.service(status="suspended")
    await embedded.builder.put(Grant(consumer_id="con_1", service_id="svc_maps", status="approved", restricted=True))
    assert await call(embedded) == "403 consumer_restricted"


async def test_a_test_key_is_admitted_beside_the_live_one(embedded):
    key = await embedded.put_key(id="key_test", environment="test")
    assert key.startswith("ams_test_")
    assert (await embedded.gate().identify(key)).key.environment == "test"


async def test_a_key_hashed_under_the_previous_pepper_is_found(embedded):
    key = new_key("live")
    await add_key(embedded.access, api_key(key, id="key_old", hash=KeyHasher(PEPPERS, 1).hash(key)))
    assert (await embedded.gate().identify(key)).key.id == "key_old"


async def test_a_hash_entry_that_points_at_another_key_identifies_nobody(embedded):
    key = new_key("live")
    await add_key(embedded.access, api_key(key, id="key_2"))
    await embedded.builder.put(api_key(new_key("live"), id="key_2"))  # damage: the key holds another hash now
    assert await code_of(embedded.gate().identify(key)) == "401 key_unknown"


async def test_a_local_revocation_holds_at_once(embedded):
    gate = embedded.gate()
    await gate.identify(embedded.key)
    await embedded.builder.put(api_key(embedded.key, status="revoked"))
    assert await code_of(gate.identify(embedded.key)) == "403 key_revoked"


async def test_a_local_change_of_grant_and_service_holds_at_once(embedded):
    gate = embedded.gate()
    holder = await gate.identify(embedded.key)
    await gate.admit(holder, "maps", forwarding=True)
    await embedded.builder.service(status="suspended")
    assert await code_of(gate.admit(holder, "maps", forwarding=True)) == "403 service_suspended"
    await embedded.builder.grant(consumer_id="con_1", service_id="svc_maps", status="denied")
    assert await code_of(gate.admit(holder, "maps", forwarding=True)) == "403 service_not_granted"


async def test_another_process_sees_a_revocation_after_the_cache_time_and_never_later(embedded):
    gate = embedded.gate(cache_s=1.0, documents=embedded.documents)
    await gate.identify(embedded.key)
    await embedded.builder.put(api_key(embedded.key, status="revoked"))
    embedded.time.passes(seconds=0.999)
    assert (await gate.identify(embedded.key)).key.status == "active"
    embedded.time.passes(seconds=0.001)
    assert await code_of(gate.identify(embedded.key)) == "403 key_revoked"


async def test_expiry_holds_to_the_second_in_spite_of_the_cache(embedded):
    await embedded.builder.put(api_key(embedded.key, expires_at=NOW + timedelta(milliseconds=500)))
    gate = embedded.gate()
    await gate.identify(embedded.key)
    embedded.time.passes(seconds=0.5)
    assert await code_of(gate.identify(embedded.key)) == "403 key_expired"


class CountingDocuments(FailingDocuments):
    """The real store; counts reads, and can hold one back after it has read."""

    def __init__(self, documents: Any) -> None:
        super().__init__(documents)
        self.reads: list[str] = []
        self.hold: asyncio.Event | None = None
        self.held = asyncio.Event()

    async def get(self, container: Any, partition: str, id: str) -> Any:
        self.reads.append(container.name)
        found = await self._documents.get(container, partition, id)
        if self.hold is not None and container.name == "key_hashes":
            self.held.set()
            await self.hold.wait()
        return found


async def test_an_unknown_key_is_looked_up_once_per_cache_time(embedded):
    documents = CountingDocuments(embedded.documents)
    gate, key = embedded.gate(documents=documents), new_key("live")
    for _ in range(3):
        assert await code_of(gate.identify(key)) == "401 key_unknown"
    assert documents.reads == ["key_hashes", "key_hashes"]  # one for each pepper
    embedded.time.passes(seconds=1)
    await code_of(gate.identify(key))
    assert len(documents.reads) == 4


async def test_a_key_made_here_is_known_at_once_although_it_was_just_unknown(embedded):
    gate, key = embedded.gate(), new_key("live")
    assert await code_of(gate.identify(key)) == "401 key_unknown"
    await embedded.put_key(key, id="key_new")
    assert (await gate.identify(key)).key.id == "key_new"


async def test_a_lookup_from_before_a_key_was_made_cannot_make_it_unknown_again(embedded):
    documents = CountingDocuments(embedded.documents)
    access = AccessStore(documents)
    gate = gate_module.Gate(access, embedded.catalog, load_hasher_1, 1.0, embedded.time.seconds, embedded.time)
    key = new_key("live")
    documents.hold = asyncio.Event()
    asking = asyncio.create_task(gate.identify(key))
    await documents.held.wait()
    await add_key(access, api_key(key, id="key_new", hash=KeyHasher({1: "pepper"}, 1).hash(key)))
    documents.hold.set()
    assert await code_of(asking) == "401 key_unknown"
    assert (await gate.identify(key)).key.id == "key_new"


async def load_hasher_1() -> KeyHasher:
    return KeyHasher({1: "pepper"}, 1)


async def test_the_cache_of_unknown_keys_is_bounded(embedded, monkeypatch):
    monkeypatch.setattr(gate_module, "HOLDERS_CACHED_MAX", 4)
    documents = CountingDocuments(embedded.documents)
    gate, first = embedded.gate(documents=documents), new_key("live")
    await code_of(gate.identify(first))
    for _ in range(4):
        await code_of(gate.identify(new_key("live")))
    documents.reads.clear()
    await code_of(gate.identify(first))
    assert documents.reads == ["key_hashes", "key_hashes"]  # it gave way


async def test_a_warm_call_reads_nothing(embedded):
    documents = CountingDocuments(embedded.documents)
    gate = embedded.gate(documents=documents)
    for _ in range(2):
        await gate.admit(await gate.identify(embedded.key), "maps", forwarding=True)
    warm = len(documents.reads)
    await gate.admit(await gate.identify(embedded.key), "maps", forwarding=True)
    assert len(documents.reads) == warm == 7  # hash, key, consumer; slug, service, merchant; grant


@pytest.mark.parametrize("status", ["active", "disabled", "revoked"])
async def test_usage_of_a_key_is_known_in_whatever_state_it_is(embedded, status):
    await embedded.builder.put(api_key(embedded.key, status=status, expires_at=PAST))
    assert await embedded.gate().knows("con_1", "key_1")


@pytest.mark.parametrize(("consumer", "key"), [("con_1", "key_2"), ("con_2", "key_1"), ("", ""), ("a/b", "x" * 2000)])
async def test_a_key_of_somebody_else_or_nobody_is_not_known(embedded, consumer, key):
    assert not await embedded.gate().knows(consumer, key)


async def test_a_clear_key_is_nowhere_in_what_is_stored(embedded):
    document = await embedded.access.key("con_1", "key_1")
    assert isinstance(document, ApiKey)
    assert embedded.key not in document.model_dump_json()
