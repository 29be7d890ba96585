"""Sessions over time: what was ended stays ended, what starts later lives."""

import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.audit.journal import Journal
from shared.audit.log import AuditLog
from shared.audit.models import SYSTEM
from shared.identity.models import Account
from shared.identity.sign_in.sessions import SEEN_EVERY, Sessions
from shared.identity.store import ACCOUNT_DOCUMENT, ACCOUNTS, AccountStore
from shared.kernel.errors import Problem
from shared.platform.documents import DocumentsUnavailable
from shared.platform.documents.sqlite import SqliteDocuments
from tests.support.clock import Clock
from tests.support.embedded import IN_MEMORY

START = datetime(2026, 11, 21, 10, tzinfo=UTC)


@dataclass
class SessionsOfOne:
    documents: SqliteDocuments
    store: AccountStore
    sessions: Sessions
    clock: Clock

    async def account(self) -> Account:
        stored = await self.store.account("acc_1")
        assert stored is not None
        return stored.value

    async def code(self, session_id: str, age_s: int = 0, agent: str = "") -> str:
        """What a request of this session is answered with; its token was issued `age_s` ago."""
        issued_at = int(self.clock().timestamp()) - age_s
        try:
            await self.sessions.check(await self.account(), session_id, issued_at, agent)
        except Problem as problem:
            return problem.code
        return "taken"

    async def seen_at(self, session_id: str) -> datetime:
        stored = await self.store.session("acc_1", session_id)
        assert stored is not None
        return stored.value.seen_at


@pytest.fixture
async def one() -> AsyncIterator[SessionsOfOne]:
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
        documents, clock = SqliteDocuments(Path(folder) / "documents.db"), Clock(START)
        store = AccountStore(documents)
        journal = Journal(documents, AuditLog(documents).append, clock)
        account = Account(id="acc_1", name="Ann", consumer_id="con_1", created_at=START)
        await documents.create(ACCOUNTS, account.id, ACCOUNT_DOCUMENT, account.to_json())
        sessions = Sessions(documents, journal, store, 0, clock)
        yield SessionsOfOne(documents, store, sessions, clock)
        await sessions.drain()
        await journal.drain()
        await documents.close()


async def test_after_ending_all_sessions_a_new_sign_in_is_let_in(one: SessionsOfOne) -> None:
    assert await one.code("ses_old") == "taken"
    stored = await one.store.account("acc_1")
    assert stored is not None
    await one.sessions.end_all(SYSTEM, stored)

    assert await one.code("ses_new") == "session_ended", "issued in the same second"
    one.clock.moment += timedelta(seconds=2)
    assert await one.code("ses_new") == "taken"
    assert await one.code("ses_old") == "session_ended", "renewed, but started before"
    assert await one.code("ses_other", age_s=10) == "session_ended"
    listed = await one.sessions.list(await one.account(), 10, None)
    assert [session.id for session in listed.items] == ["ses_new"]


async def test_ending_all_again_never_lets_older_tokens_in(one: SessionsOfOne) -> None:
    stored = await one.store.account("acc_1")
    assert stored is not None
    after = await one.sessions.end_all(SYSTEM, stored)
    one.clock.moment -= timedelta(hours=1)
    again = await one.sessions.end_all(SYSTEM, after)
    assert again.value.tokens_not_before == after.value.tokens_not_before


async def test_a_session_is_noted_every_five_minutes(one: SessionsOfOne) -> None:
    assert await one.code("ses_1") == "taken"
    one.clock.moment = START + SEEN_EVERY - timedelta(seconds=1)
    await one.code("ses_1")
    await one.sessions.drain()
    assert await one.seen_at("ses_1") == START

    one.clock.moment = START + SEEN_EVERY
    await one.code("ses_1")
    await one.sessions.drain()
    assert await one.seen_at("ses_1") == START + SEEN_EVERY


async def test_a_session_that_is_ended_meanwhile_stays_ended(one: SessionsOfOne) -> None:
    assert await one.code("ses_1") == "taken"
    one.clock.moment += SEEN_EVERY
    assert await one.code("ses_1") == "taken"  # its note is still under way
    assert await one.sessions.end(SYSTEM, "acc_1", "ses_1")
    await one.sessions.drain()

    assert await one.code("ses_1") == "session_ended"
    assert not await one.sessions.end(SYSTEM, "acc_1", "ses_none")


async def test_a_note_that_fails_fails_no_request(one: SessionsOfOne, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await one.code("ses_1") == "taken"

    async def patch(*_: object, **__: object) -> None:
        raise DocumentsUnavailable("down")

    monkeypatch.setattr(one.documents, "patch", patch)
    one.clock.moment += SEEN_EVERY
    assert await one.code("ses_1") == "taken"
    await one.sessions.drain()


async def test_what_a_browser_says_of_itself_is_kept_as_one_line(one: SessionsOfOne) -> None:
    await one.code("ses_1", agent="Fire\x1bfox\n" + "x" * 1_000)
    stored = await one.store.session("acc_1", "ses_1")
    assert stored is not None
    assert stored.value.user_agent == ("Firefox" + "x" * 1_000)[:300]
