"""Who is calling: token, account, session, in this order. Every signed-in request goes through `authenticate`."""

from collections.abc import Mapping

from shared.audit.journal import Journal
from shared.identity.models import SignedIn
from shared.identity.sign_in.enrolment import Enrolled, Enrolment
from shared.identity.sign_in.sessions import Sessions
from shared.identity.sign_in.tokens import TokenVerifier, bearer
from shared.identity.store import login_key
from shared.kernel.cache import FreshCache
from shared.kernel.errors import Problem

CACHED_MAX = 50_000


class Authenticator:
    """Finds out who is calling. An account is remembered for at most `cache_s` seconds; changes by this process hold at
    once."""

    def __init__(
        self, tokens: TokenVerifier, enrolment: Enrolment, sessions: Sessions, journal: Journal, cache_s: float
    ) -> None:
        self._tokens = tokens
        self._enrolment = enrolment
        self._sessions = sessions
        self._cache: FreshCache[str, Enrolled] = FreshCache(cache_s, CACHED_MAX)
        journal.on_change(self._cache.clear)

    async def authenticate(self, headers: Mapping[str, str]) -> SignedIn:
        """Find out whose request it is; `headers` by lower-case name. Raises Problem 401 `token_missing`,
        `token_invalid`, `session_ended`, 403 `account_suspended`, 503; Unavailable."""
        claims = await self._tokens.verify(bearer(headers))
        enrolled = await self._cache.get(
            login_key(claims.issuer, claims.subject), lambda _: self._enrolment.enrol(claims)
        )
        if not self._enrolment.up_to_date(enrolled, claims):
            enrolled = await self._enrolment.enrol(claims)
        account = enrolled.account
        if account.status == "suspended":
            raise Problem(403, "account_suspended", "Your account is suspended. Ask the platform.")
        await self._sessions.check(account, claims.session_id, claims.issued_at, headers.get("user-agent", ""))
        return SignedIn(account, claims.session_id, claims.issued_at)
