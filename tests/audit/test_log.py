"""The audit log and its chain: what is altered, removed or added is found; what is appended twice is there once."""

import asyncio

import pytest

from shared.audit.chain import ChainHead, first, verify_chain
from shared.audit.log import AUDIT, AuditLog
from shared.audit.models import Actor, Change, Entry
from shared.audit.search import AuditSearch, EntryFilter
from shared.kernel.clock import parse_time
from shared.kernel.errors import Problem
from shared.platform.documents.sqlite import SqliteDocuments

MONTH = "2026-11"


@pytest.fixture
def log(documents: SqliteDocuments) -> AuditLog:
    return AuditLog(documents)


def entry(number: int, month: str = MONTH, actor: str = "acc_1", action: str = "service.approve") -> Entry:
    change = Change(
        Actor(actor, "admin", "req_1"),
        action,
        f"service:svc_{number}",
        before={"a": 1},
        after={"a": number},
        reason="why",
    )
    return Entry.of(change, f"{month}-01T00:00:{number % 60:02d}.000Z")


async def filled(log: AuditLog, count: int = 5) -> list[Entry]:
    for number in range(count):
        await log.append(entry(number))
    return [found async for found in log.entries(MONTH)]


async def faults(log: AuditLog, anchor: ChainHead | None = None) -> list[str]:
    return await verify_chain(MONTH, log.entries(MONTH), await log.head(MONTH), anchor)


async def test_an_untouched_log_has_no_faults(log: AuditLog) -> None:
    entries = await filled(log)
    assert [found.seq for found in entries] == [1, 2, 3, 4, 5]
    assert await faults(log) == []


async def test_an_empty_month_has_no_faults(log: AuditLog) -> None:
    assert await verify_chain(MONTH, log.entries(MONTH), first(MONTH)) == []


async def test_an_altered_entry_is_named(log: AuditLog, documents: SqliteDocuments) -> None:
    victim = (await filled(log))[2]
    forged = victim.model_copy(update={"reason": "another"})
    await documents.upsert(AUDIT, MONTH, victim.id, forged.to_json())
    assert await faults(log) == [f"{MONTH}: entry 3 ({victim.id}) was altered"]


async def test_an_altered_entry_with_a_new_hash_breaks_what_follows(log: AuditLog, documents: SqliteDocuments) -> None:
    from shared.audit.chain import entry_hash

    victim = (await filled(log))[2]
    forged = victim.model_copy(update={"actor": "acc_other"})
    forged = forged.model_copy(update={"hash": entry_hash(forged)})
    await documents.upsert(AUDIT, MONTH, victim.id, forged.to_json())
    (fault,) = await faults(log)
    assert "entry 4" in fault
    assert "does not follow" in fault


@pytest.mark.parametrize("position", [0, 2])
async def test_a_removed_entry_is_missed(log: AuditLog, documents: SqliteDocuments, position: int) -> None:
    victim = (await filled(log))[position]
    await documents.delete(AUDIT, MONTH, victim.id)
    assert any("entries are missing" in fault for fault in await faults(log))


async def test_an_entry_put_in_between_is_found(log: AuditLog, documents: SqliteDocuments) -> None:
    entries = await filled(log)
    forged = entries[2].model_copy(update={"id": "aud_forged"})
    await documents.create(AUDIT, MONTH, forged.id, forged.to_json())
    assert any("an entry was added" in fault for fault in await faults(log))


async def test_a_removed_last_entry_contradicts_the_head(log: AuditLog, documents: SqliteDocuments) -> None:
    await documents.delete(AUDIT, MONTH, (await filled(log))[-1].id)
    (fault,) = await faults(log)
    assert "ends with entry 5, but the last one there is 4" in fault


async def test_a_tail_cut_off_with_its_head_is_found_by_an_anchor(log: AuditLog, documents: SqliteDocuments) -> None:
    entries = await filled(log)
    anchor = await log.head(MONTH)
    await documents.delete(AUDIT, MONTH, entries[-1].id)
    shorter = ChainHead(month=MONTH, entries=4, hash=entries[-2].hash)
    await documents.upsert(AUDIT, MONTH, "head", shorter.to_json())
    assert await faults(log) == []
    (fault,) = await faults(log, anchor)
    assert "entry 5 is not, or not any more, what was anchored" in fault


async def test_an_anchor_of_earlier_stays_good_while_the_log_grows(log: AuditLog) -> None:
    await filled(log, 3)
    anchor = await log.head(MONTH)
    await filled(log, 2)
    assert await faults(log, anchor) == []


async def test_an_entry_that_is_appended_again_is_there_once(log: AuditLog) -> None:
    same = entry(1)
    await log.append(same)
    await log.append(entry(2))
    await log.append(same)
    assert [found.resource async for found in log.entries(MONTH)] == ["service:svc_1", "service:svc_2"]
    assert await faults(log) == []


async def test_many_writers_of_several_processes_make_one_chain(documents: SqliteDocuments) -> None:
    logs = [AuditLog(documents) for _ in range(4)]
    await asyncio.gather(*(log.append(entry(number)) for number, log in enumerate(logs * 25)))
    assert (await logs[0].head(MONTH)).entries == 100
    assert await faults(logs[0]) == []


class TestSearch:
    @pytest.fixture
    async def search(self, documents: SqliteDocuments, log: AuditLog) -> AuditSearch:
        for month in ("2026-09", "2026-10", "2026-11"):
            for number in range(10):
                await log.append(entry(number, month, f"acc_{number % 2}", f"key.{'ab'[number % 2]}"))
        return AuditSearch(documents, log)

    async def test_newest_come_first_over_all_months_and_pages(self, search: AuditSearch) -> None:
        found: list[Entry] = []
        cursor = None
        while True:
            page = await search.find(EntryFilter(), 7, cursor)
            found += page.items
            cursor = page.cursor
            if cursor is None:
                break
        assert len(found) == 30
        assert [one.time for one in found] == sorted((one.time for one in found), reverse=True)

    @pytest.mark.parametrize(
        ("wanted", "count"),
        [
            (EntryFilter(actor="acc_1"), 15),
            (EntryFilter(action="key.a"), 15),
            (EntryFilter(resource="service:svc_3"), 3),
            (EntryFilter(actor="acc_1", action="key.a"), 0),
            (EntryFilter(start=parse_time("2026-10-01T00:00:05Z")), 15),
            (EntryFilter(end=parse_time("2026-10-01T00:00:05Z")), 15),
            (EntryFilter(start=parse_time("2026-10-01T00:00:05Z"), end=parse_time("2026-11-01T00:00:00Z")), 5),
        ],
    )
    async def test_filters(self, search: AuditSearch, wanted: EntryFilter, count: int) -> None:
        assert len((await search.find(wanted, 100, None)).items) == count
        assert len([one async for one in search.export(wanted)]) == count

    async def test_a_cursor_of_another_search_is_refused(self, search: AuditSearch) -> None:
        cursor = (await search.find(EntryFilter(actor="acc_1"), 2, None)).cursor
        with pytest.raises(Problem, match="cursor_invalid"):
            await search.find(EntryFilter(actor="acc_0"), 2, cursor)
