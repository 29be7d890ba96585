"""From a verified token to its account: made at the first sign-in, linked by a verified e-mail address.

The order of durable steps: reserve the e-mail address (if the provider vouches for it), reserve the login, then write
account and login in one transaction. Each step says whose it is, so concurrent first sign-ins come to the same account,
and the next sign-in goes on where a kill left off. An address that the provider does not vouch for is shown, not used.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.audit.journal import Journal
from shared.audit.models import SYSTEM, Actor, changed
from shared.audit.tasks import Task
from shared.identity.admins import Admins
from shared.identity.models import Account, Login
from shared.identity.sign_in.tokens import Claims
from shared.identity.store import (
    ACCOUNT_DOCUMENT,
    ACCOUNTS,
    AccountStore,
    email_key,
    login_document,
    login_key,
)
from shared.identity.tasks import ReleaseLogin
from shared.kernel.clock import utc_now
from shared.kernel.documents import Stored
from shared.kernel.ids import new_id
from shared.kernel.retries import retry_on_conflict
from shared.platform.documents import Create, Operation, Replace

ATTEMPTS_MAX = 10
FirstTasks = Callable[[Account], Sequence[Task]]
"""What else comes into being with an account."""


@dataclass(frozen=True, slots=True)
class Enrolled:
    """The account that a token belongs to, and the login by which it was found."""

    account: Account
    login: Login


class Enrolment:
    """Makes an account at a person's first sign-in, and keeps it as the provider tells it later. `first_admins` are
    verified e-mail addresses in lower case, or `issuer|subject` (setting `AMS_ADMINS`)."""

    def __init__(
        self,
        store: AccountStore,
        journal: Journal,
        admins: Admins,
        first_admins: Sequence[str],
        first_tasks: FirstTasks,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._store = store
        self._journal = journal
        self._admins = admins
        self._first_admins = frozenset(first_admins)
        self._first_tasks = first_tasks
        self._now = now

    async def enrol(self, claims: Claims) -> Enrolled:
        """Find or make the account of this token, as it stands now. Raises Problem 409 when others keep changing it;
        Unavailable."""
        return await retry_on_conflict(lambda: self._enrol(claims), attempts_max=ATTEMPTS_MAX)

    def up_to_date(self, enrolled: Enrolled, claims: Claims) -> bool:
        """Say whether the token tells nothing new about the account."""
        new_email = claims.email_verified and claims.email != enrolled.login.email
        return not new_email and not (enrolled.account.role is None and self.named(enrolled.account, [enrolled.login]))

    def named(self, account: Account, logins: Sequence[Login]) -> bool:
        """Say whether the operator's setting makes this account an admin."""
        names = {f"{login.issuer}|{login.subject}" for login in logins}
        if account.email_verified and account.email is not None:
            names.add(account.email)
        return not self._first_admins.isdisjoint(names)

    async def _enrol(self, claims: Claims) -> Enrolled:
        key = login_key(claims.issuer, claims.subject)
        account_id = await self._store.reserved_for(key)
        if account_id is None:
            account_id = new_id("acc")
            if claims.email_verified and claims.email is not None:
                account_id = await self._store.reserve(email_key(claims.email), account_id)
            account_id = await self._store.reserve(key, account_id)
        account = await self._store.account(account_id)
        login = await self._store.login(account_id, key)
        if account is None or login is None:
            enrolled = await self._write(account_id, key, claims, account)
        elif claims.email_verified and claims.email != login.value.email:
            enrolled = await self._adopt(key, claims, account, login)
        else:
            enrolled = Enrolled(account.value, login.value)
        if enrolled.account.role is None and self.named(enrolled.account, [enrolled.login]):
            await self._admins.appoint(SYSTEM, enrolled.account, "named in AMS_ADMINS")
            account = await self._store.account(account_id)
            assert account is not None  # accounts are never deleted
            enrolled = Enrolled(account.value, enrolled.login)
        return enrolled

    async def _write(self, account_id: str, key: str, claims: Claims, stored: Stored[Account] | None) -> Enrolled:
        """The login, and the account when this is its first one."""
        login = Login(
            account_id=account_id,
            issuer=claims.issuer,
            subject=claims.subject,
            email=claims.email if claims.email_verified else None,
            linked_at=self._now(),
        )
        account = self._new_account(account_id, claims) if stored is None else stored.value
        operations: list[Operation] = [Create(login_document(key), login.to_json())]
        actor = Actor(account_id, "consumer")
        if stored is None:
            operations.append(Create(ACCOUNT_DOCUMENT, account.to_json()))
            change = changed(actor, "account.create", f"account:{account_id}", None, account)
        else:
            change = changed(actor, "account.link", f"account:{account_id}", None, login)
        tasks = self._first_tasks(account) if stored is None else ()
        await self._journal.commit(ACCOUNTS, account_id, operations, change, tasks=tasks)
        return Enrolled(account, login)

    def _new_account(self, id: str, claims: Claims) -> Account:
        name = claims.name or (claims.email or "").partition("@")[0] or "Unnamed"
        return Account(
            id=id,
            email=claims.email,
            email_verified=claims.email_verified,
            name=name,
            consumer_id=new_id("con"),
            created_at=self._now(),
        )

    async def _adopt(self, key: str, claims: Claims, stored: Stored[Account], login: Stored[Login]) -> Enrolled:
        """The provider vouches for another address than before: it becomes the account's, unless it is somebody
        else's. The old one is released, since the provider may give it to another person."""
        assert claims.email is not None  # verified
        owner = await self._store.reserve(email_key(claims.email), stored.value.id)
        after_login = login.value.model_copy(update={"email": claims.email})
        operations: list[Operation] = [Replace(login_document(key), after_login.to_json(), login.etag)]
        after, tasks = stored.value, []
        if owner == stored.value.id:
            after = after.model_copy(update={"email": claims.email, "email_verified": True})
        elif after.email == login.value.email:
            after = after.model_copy(update={"email_verified": False})
        if after != stored.value:
            operations.append(Replace(ACCOUNT_DOCUMENT, after.to_json(), stored.etag))
        if login.value.email is not None:
            tasks.append(ReleaseLogin(key=email_key(login.value.email), account_id=stored.value.id))
        actor = Actor(stored.value.id, "consumer")
        change = changed(actor, "account.change_email", f"account:{stored.value.id}", login.value, after_login)
        await self._journal.commit(ACCOUNTS, stored.value.id, operations, change, tasks=tasks)
        return Enrolled(after, after_login)
