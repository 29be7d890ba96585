"""Sessions: which sign-ins an account has, and their end. Tokens themselves cannot be taken back; what AMS can do is to
refuse those of a session that was ended.

That a session is seen is no change of anything, so it is not in the audit log; that one is ended is.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from shared.audit.journal import Journal
from shared.audit.models import Actor, changed
from shared.identity.models import Account, Session
from shared.identity.store import ACCOUNT_DOCUMENT, ACCOUNTS, AccountStore, session_document
from shared.kernel.cache import FreshCache
from shared.kernel.clock import format_time, utc_now
from shared.kernel.documents import Stored
from shared.kernel.errors import Problem, Unavailable
from shared.kernel.http.paging import Page
from shared.kernel.retries import retry_on_conflict
from shared.platform.documents import DocumentExists, DocumentMissing, Documents, Patch, Query, Replace, Where

SEEN_EVERY = timedelta(minutes=5)
SESSION_DAYS = 90
SESSION_TTL_S = SESSION_DAYS * 24 * 3600
"""From when it was last seen."""

ENDED_TTL_S = 400 * 24 * 3600
"""Longer than a provider renews the tokens of one session."""

ATTEMPTS_MAX = 10

NOTED_S = 60.0
CACHED_MAX = 50_000
USER_AGENT_CHARACTERS_MAX = 300
_logger = logging.getLogger(__name__)


class _Unseen(Exception):
    """There is no such session yet."""


class Sessions:
    """Keeps who is signed in where, and refuses sessions that were ended."""

    def __init__(
        self,
        documents: Documents,
        journal: Journal,
        store: AccountStore,
        cache_s: float,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._documents = documents
        self._journal = journal
        self._store = store
        self._now = now
        self._cache: FreshCache[tuple[str, str], Session] = FreshCache(cache_s, CACHED_MAX)
        self._noted: FreshCache[tuple[str, str], bool] = FreshCache(NOTED_S, CACHED_MAX)
        self._background: set[asyncio.Task[None]] = set()
        journal.on_change(self._cache.clear)

    async def check(self, account: Account, session_id: str, issued_at: int, user_agent: str) -> None:
        """Note that the session is alive; its first sight starts it. `issued_at` is the token's, in Unix seconds.
        Raises Problem 401 `session_ended`; Unavailable."""
        if issued_at < account.tokens_not_before:
            raise _ended()
        key = (account.id, session_id)
        try:
            session = await self._cache.get(key, self._load)
        except _Unseen:
            session = await self._start(account, session_id, user_agent)
        if not _alive(session, account):
            raise _ended()
        if self._now() - session.seen_at >= SEEN_EVERY and self._noted.peek(key) is None:
            self._noted.put(key, True)
            task = asyncio.get_running_loop().create_task(self._note(key))  # no request waits for it
            self._background.add(task)
            task.add_done_callback(self._background.discard)

    async def list(self, account: Account, limit: int, cursor: str | None) -> Page[Session]:
        """List the sessions that are alive, by when they were last seen, the latest first. A page may be short and
        still not be the last. Raises Problem 400 `cursor_invalid`."""
        query = Query(account.id, (Where("kind", "=", "session"),), order_by="seen_at", descending=True, limit=limit)
        page = await self._store.page(Session, query, f"sessions:{account.id}", cursor)
        return Page(tuple(session for session in page.items if _alive(session, account)), page.cursor)

    async def end(self, actor: Actor, account_id: str, session_id: str) -> bool:
        """End a session. False when there is none such; one that was ended stays so. Raises Problem 409."""

        async def attempt() -> bool:
            stored = await self._store.session(account_id, session_id)
            if stored is None or stored.value.ended:
                return stored is not None
            after = stored.value.model_copy(update={"ended": True})
            write = Replace(session_document(session_id), after.to_json(), stored.etag, ENDED_TTL_S)
            change = changed(actor, "session.end", f"session:{session_id}", stored.value, after)
            await self._journal.commit(ACCOUNTS, account_id, [write], change)
            return True

        return await retry_on_conflict(attempt, attempts_max=ATTEMPTS_MAX)  # it may be seen in between

    async def end_all(self, actor: Actor, stored: Stored[Account], reason: str | None = None) -> Stored[Account]:
        """Refuse every token that was issued until now, and every session that has started. Raises Problem 409."""
        until = int(self._now().timestamp()) + 1
        after = stored.value.model_copy(update={"tokens_not_before": max(until, stored.value.tokens_not_before)})
        write = Replace(ACCOUNT_DOCUMENT, after.to_json(), stored.etag)
        change = changed(actor, "account.end_sessions", f"account:{after.id}", stored.value, after, reason=reason)
        etags = await self._journal.commit(ACCOUNTS, after.id, [write], change)
        return Stored(after, etags[0])

    async def drain(self) -> None:
        while self._background:
            await asyncio.wait(self._background)

    async def _load(self, key: tuple[str, str]) -> Session:
        stored = await self._store.session(*key)
        if stored is None:
            raise _Unseen
        return stored.value

    async def _start(self, account: Account, session_id: str, user_agent: str) -> Session:
        now = self._now()
        agent = "".join(c for c in user_agent if c.isprintable())[:USER_AGENT_CHARACTERS_MAX]
        session = Session(id=session_id, account_id=account.id, started_at=now, seen_at=now, user_agent=agent)
        try:
            await self._documents.create(
                ACCOUNTS, account.id, session_document(session_id), session.to_json(), ttl_s=SESSION_TTL_S
            )
        except DocumentExists:
            return await self._load((account.id, session_id))
        return session

    async def _note(self, key: tuple[str, str]) -> None:
        seen = Patch("set", "seen_at", format_time(self._now()))  # and nothing else: it may be ended meanwhile
        try:
            await self._documents.patch(ACCOUNTS, key[0], session_document(key[1]), [seen])
        except (DocumentMissing, Unavailable):
            _logger.warning("that a session was seen could not be noted", exc_info=True)


def _alive(session: Session, account: Account) -> bool:
    return not session.ended and session.started_at.timestamp() >= account.tokens_not_before


def _ended() -> Problem:
    return Problem(
        401,
        "session_ended",
        "This session was ended. Sign in again.",
        headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},
    )
