"""Who is calling: accounts, tokens, sessions."""

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from shared.identity.admins import Admins
from shared.identity.mails import send_mail
from shared.identity.staff import MerchantStaff
from shared.identity.store import AccountStore
from shared.identity.tasks import FollowRoster, JoinMerchant, ReleaseLogin, SendMail

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.audit.journal import Journal
    from shared.audit.parts import AuditParts
    from shared.audit.tasks import Task
    from shared.identity.accounts.service import Accounts
    from shared.identity.authority import Authority
    from shared.identity.models import Account
    from shared.identity.sign_in.enrolment import Enrolment
    from shared.identity.sign_in.issuers import Issuers
    from shared.identity.sign_in.service import Authenticator
    from shared.identity.sign_in.sessions import Sessions
    from shared.identity.sign_in.tokens import TokenVerifier
    from shared.platform import Ports


class IdentityParts:
    """The services of `shared.identity`, each made when it is first used."""

    def __init__(
        self,
        ports: "Ports",
        audit: "AuditParts",
        *,
        oidc_issuers: "Issuers",
        admins: Sequence[str],
        auth_cache_s: float,
        first_tasks: "Callable[[Account], Sequence[Task]]",
        authority: "Callable[[], Authority]",
    ) -> None:
        self._ports = ports
        self._audit = audit
        self._oidc_issuers = oidc_issuers
        self._first_admins = admins
        self._auth_cache_s = auth_cache_s
        self._first_tasks = first_tasks
        self._make_authority = authority
        audit.prepare(self._handle_tasks)

    def _handle_tasks(self, journal: "Journal") -> None:
        """Register the handlers of this noun's tasks. What does a task is made, and imported, when there is one to do:
        consume's start does not wait for it."""
        journal.on(SendMail, lambda task_id, task: send_mail(self._ports.mail, task_id, task))
        journal.on(FollowRoster, lambda task_id, task: self.admins.on_follow(task_id, task), inline=True)
        journal.on(JoinMerchant, lambda task_id, task: self.staff.on_join(task_id, task), inline=True)
        journal.on(ReleaseLogin, lambda task_id, task: self.store.on_release(task_id, task), inline=True)

    @cached_property
    def store(self) -> AccountStore:
        return AccountStore(self._ports.documents)

    @cached_property
    def admins(self) -> Admins:
        return Admins(self._ports.documents, self._audit.journal, self.store)

    @cached_property
    def staff(self) -> MerchantStaff:
        return MerchantStaff(self._ports.documents, self.store, self._audit.journal)

    @cached_property
    def tokens(self) -> "TokenVerifier":
        from shared.identity.sign_in.tokens import TokenVerifier

        return TokenVerifier(self._oidc_issuers, self._ports.provider_http)

    @cached_property
    def sessions(self) -> "Sessions":
        from shared.identity.sign_in.sessions import Sessions

        return Sessions(self._ports.documents, self._audit.journal, self.store, self._auth_cache_s, now=self._ports.now)

    @cached_property
    def enrolment(self) -> "Enrolment":
        from shared.identity.sign_in.enrolment import Enrolment

        return Enrolment(
            self.store, self._audit.journal, self.admins, self._first_admins, self._first_tasks, now=self._ports.now
        )

    @cached_property
    def sign_in(self) -> "Authenticator":
        from shared.identity.sign_in.service import Authenticator

        return Authenticator(self.tokens, self.enrolment, self.sessions, self._audit.journal, self._auth_cache_s)

    @cached_property
    def accounts(self) -> "Accounts":
        from shared.identity.accounts.service import Accounts

        return Accounts(self.store, self._audit.journal, self.admins, self.enrolment)

    @cached_property
    def authority(self) -> "Authority":
        """What the guard asks: who calls, and what they are to the object of a request; the latter is known above this
        noun."""
        return self._make_authority()

    async def drain(self) -> None:
        """Finish what sessions have begun to write."""
        if "sessions" in self.__dict__:
            await self.sessions.drain()

    async def close(self) -> None:
        if "tokens" in self.__dict__:
            await self.tokens.close()
