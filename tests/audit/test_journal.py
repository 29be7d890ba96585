"""The journal: a change is whole, with everything it brings about, whenever the process dies."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from shared.audit.journal import ATTEMPTS_MAX, FIRST_DUE, LEASE, Journal, PermanentFailure
from shared.audit.log import AuditLog
from shared.audit.models import SYSTEM, Change, Entry
from shared.audit.tasks import Task, create, remove
from shared.kernel.documents import StoredModel
from shared.kernel.errors import Problem
from shared.platform.documents import CONTAINERS, Create, Documents, DocumentsUnavailable, Query, Replace
from shared.platform.documents.sqlite import SqliteDocuments
from tests.support.clock import Clock

PLATFORM, ACCESS = CONTAINERS["platform"], CONTAINERS["access"]
CHANGE = Change(SYSTEM, "thing.make", "thing:1", before={}, after={"name": "new"})


class Thing(StoredModel):
    name: str = "thing"


class Note(Task):
    kind = "note"

    name: str = ""


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime(2026, 11, 21, 12, tzinfo=UTC))


@pytest.fixture
def log(documents: SqliteDocuments) -> AuditLog:
    return AuditLog(documents)


@pytest.fixture
async def journal(documents: SqliteDocuments, log: AuditLog, clock: Clock) -> AsyncIterator[Journal]:
    made = Journal(documents, log.append, clock)
    yield made
    await made.drain()


def write(id: str = "one") -> Create:
    return Create(id, Thing().to_json())


async def outbox(documents: Documents) -> list[bytes]:
    found = await documents.query(PLATFORM, Query("here"))
    return [document.body for document in found.items if document.id.startswith("outbox:")]


async def entries(log: AuditLog) -> list[Entry]:
    return [entry for month in await log.months() async for entry in log.entries(month)]


async def test_a_commit_writes_logs_and_leaves_nothing_behind(
    journal: Journal, documents: SqliteDocuments, log: AuditLog
) -> None:
    (etag,) = await journal.commit(PLATFORM, "here", [write()], CHANGE, tasks=[create(ACCESS, "there", "x", Thing())])
    stored = await documents.get(PLATFORM, "here", "one")
    assert stored is not None
    assert stored.etag == etag
    assert await documents.get(ACCESS, "there", "x") is not None
    (entry,) = await entries(log)
    assert (entry.action, entry.after) == ("thing.make", {"name": "new"})
    await journal.drain()
    assert await outbox(documents) == []


async def test_a_delayed_task_waits_for_its_time(journal: Journal, clock: Clock) -> None:
    done: list[str] = []

    async def note(id: str, task: Note) -> None:
        done.append(task.name)

    journal.on(Note, note)
    tasks = [Note(name="late", delay_s=120), Note(name="now")]
    await journal.commit(PLATFORM, "here", [write()], tasks=tasks)
    await journal.drain()
    clock.moment += timedelta(seconds=119)
    assert (await journal.deliver_due(), done) == (0, ["now"])
    clock.moment += timedelta(seconds=1)
    assert (await journal.deliver_due(), done) == (1, ["now", "late"])


async def test_a_lost_race_is_a_conflict_and_logs_nothing(
    journal: Journal, documents: SqliteDocuments, log: AuditLog
) -> None:
    await journal.commit(PLATFORM, "here", [write()])
    with pytest.raises(Problem) as caught:
        await journal.commit(PLATFORM, "here", [Replace("one", b"{}", '"stale"')], CHANGE)
    assert (caught.value.status, caught.value.code) == (409, "conflict")
    assert await entries(log) == []
    await journal.drain()
    assert await outbox(documents) == []


async def test_one_of_a_hundred_changes_of_one_state_wins(journal: Journal, log: AuditLog) -> None:
    (etag,) = await journal.commit(PLATFORM, "here", [write()])
    tries = (journal.commit(PLATFORM, "here", [Replace("one", b"{}", etag)], CHANGE) for _ in range(100))
    results = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(not isinstance(result, Problem) for result in results) == 1
    assert len(await entries(log)) == 1


class Killed(BaseException):
    """The process ends here."""


async def test_a_kill_right_after_the_commit_loses_nothing(
    documents: SqliteDocuments, log: AuditLog, clock: Clock
) -> None:
    async def dies(entry: Entry) -> None:
        raise Killed

    first = Journal(documents, dies, clock)
    tasks = [create(ACCESS, "there", "x", Thing()), remove(ACCESS, "there", "gone")]
    with pytest.raises(Killed):
        await first.commit(PLATFORM, "here", [write()], CHANGE, tasks=tasks)
    assert await entries(log) == []
    assert await documents.get(ACCESS, "there", "x") is None

    second = Journal(documents, log.append, clock)
    assert await second.deliver_due() == 0  # it may still be under way elsewhere
    clock.moment += FIRST_DUE
    assert await second.deliver_due() == 3
    assert [entry.action for entry in await entries(log)] == ["thing.make"]
    assert await documents.get(ACCESS, "there", "x") is not None
    assert await outbox(documents) == []
    assert await second.deliver_due() == 0


async def test_a_task_that_was_done_but_not_forgotten_changes_nothing_again(
    documents: SqliteDocuments, log: AuditLog, clock: Clock
) -> None:
    """Killed between the task and the deletion of its outbox document."""

    async def appends_then_dies(entry: Entry) -> None:
        await log.append(entry)
        raise Killed

    with pytest.raises(Killed):
        await Journal(documents, appends_then_dies, clock).commit(PLATFORM, "here", [write()], CHANGE)
    clock.moment += FIRST_DUE
    assert await Journal(documents, log.append, clock).deliver_due() == 1
    assert len(await entries(log)) == 1


async def test_what_the_store_refuses_later_does_not_fail_the_commit(
    journal: Journal, documents: SqliteDocuments, clock: Clock
) -> None:
    tries: list[str] = []

    async def flaky(id: str, task: Note) -> None:
        tries.append(id)
        if len(tries) < 3:
            raise DocumentsUnavailable("not now")

    journal.on(Note, flaky, inline=True)
    await journal.commit(PLATFORM, "here", [write()], tasks=[Note()])
    for _ in range(2):
        clock.moment += timedelta(minutes=2)
        await journal.deliver_due()
    assert len(tries) == 3
    assert len(set(tries)) == 1, "every attempt has the same id"
    assert await outbox(documents) == []


async def test_a_task_that_never_succeeds_is_given_up_and_kept(
    journal: Journal, documents: SqliteDocuments, clock: Clock
) -> None:
    tries = 0

    async def broken(id: str, task: Note) -> None:
        nonlocal tries
        tries += 1
        raise RuntimeError("broken")

    journal.on(Note, broken)
    await journal.commit(PLATFORM, "here", [write()], tasks=[Note(name="one")])
    await journal.drain()
    for _ in range(ATTEMPTS_MAX + 3):
        clock.moment += timedelta(days=1)
        await journal.deliver_due()
    assert tries == ATTEMPTS_MAX
    (body,) = await outbox(documents)
    assert b'"dead":"broken"' in body


async def test_giving_up_needs_no_second_attempt(journal: Journal, documents: SqliteDocuments, clock: Clock) -> None:
    async def hopeless(id: str, task: Note) -> None:
        raise PermanentFailure("no such address")

    journal.on(Note, hopeless)
    await journal.commit(PLATFORM, "here", [write()], tasks=[Note()])
    await journal.drain()
    clock.moment += timedelta(days=10)
    assert await journal.deliver_due() == 0
    (body,) = await outbox(documents)
    assert b'"dead":"no such address"' in body


async def test_two_timers_at_once_do_a_task_once(documents: SqliteDocuments, log: AuditLog, clock: Clock) -> None:
    done: list[str] = []
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(id: str, task: Note) -> None:
        done.append(id)
        begun.set()
        await go_on.wait()

    async def dies(entry: Entry) -> None:
        raise Killed

    with pytest.raises(Killed):
        await Journal(documents, dies, clock).commit(PLATFORM, "here", [write()], CHANGE, tasks=[Note()])
    clock.moment += FIRST_DUE
    timers = [Journal(documents, log.append, clock) for _ in range(2)]
    for timer in timers:
        timer.on(Note, slow)
    first = asyncio.create_task(timers[0].deliver_due())
    await begun.wait()
    await timers[1].deliver_due()
    go_on.set()
    await first
    assert len(done) == 1
    assert LEASE > FIRST_DUE


async def test_whoever_caches_hears_of_changes(journal: Journal) -> None:
    heard: list[int] = []
    journal.on_change(lambda: heard.append(1))
    await journal.commit(PLATFORM, "here", [write()])
    assert heard
