"""Sessions: which sign-ins an account has, and the end of one. Tokens themselves cannot be taken back; what AMS can do
is to refuse those of a session that was ended.

That a session is seen is no change of anything, so it is not in the audit log; that one is ended is.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from shared.audit.journal import Journal
from shared.identity.models import Account, Session
from shared.identity.store import ACCOUNTS, AccountStore, session_document
from shared.kernel.cache import FreshCache
from shared.kernel.clock import format_time, utc_now
from shared.kernel.errors import Problem, Unavailable
from shared.platform.documents import DocumentExists, DocumentMissing, Documents, Patch

SEEN_EVERY = timedelta(minutes=5)
SESSION_DAYS = 90
SESSION_TTL_S = SESSION_DAYS * 24 * 3600
"""From when it was last seen."""

NOTED_S = 60.0
CACHED_MAX = 50_000
USER_AGENT_CHARACTERS_MAX = 300
_logger = logging.getLogger(__name__)


class _Unseen(Exception):  # noqa: N818 - an answer; raised, because what is raised is not cached
    """There is no such session yet."""


class Sessions:
    def __init__(
        self,
        documents: Documents,
        journal: Journal,
        store: AccountStore,
        cache_s: float,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._documents = documents
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
        if session.ended or session.started_at.timestamp() < account.tokens_not_before:
            raise _ended()
        if self._now() - session.seen_at >= SEEN_EVERY and self._noted.peek(key) is None:
            self._noted.put(key, True)
            task = asyncio.get_running_loop().create_task(self._note(key))  # no request waits for it
            self._background.add(task)
            task.add_done_callback(self._background.discard)

    async def drain(self) -> None:
        while self._background:
            await asyncio.wait(self._background)

    async def _load(self, key: tuple[str, str]) -> Session:
        held = await self._store.session(*key)
        if held is None:
            raise _Unseen
        return held.value

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


def _ended() -> Problem:
    return Problem(
        401, "session_ended", "This session was ended. Sign in again.",
        headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},
    )  # fmt: skip
