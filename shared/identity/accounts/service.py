"""What can be done with an account once it is there. Suspending one keeps a person out; the keys of their consumer go
on working until the consumer is suspended too.
"""

from typing import Literal

from shared.audit.journal import Journal
from shared.audit.models import Actor, changed
from shared.identity.admins import Admins
from shared.identity.models import Account, AccountStatus
from shared.identity.sign_in.enrolment import Enrolment
from shared.identity.store import ACCOUNT_DOCUMENT, ACCOUNTS, AccountStore
from shared.kernel.documents import Stored
from shared.kernel.errors import Problem
from shared.kernel.http.paging import Page
from shared.platform.documents import Query, Replace, Where


class Accounts:
    """Shows accounts to operators, who suspend and restore them and appoint admins. Changes raise Problem 409
    `conflict` when somebody else changes the account at the same time."""

    def __init__(self, store: AccountStore, journal: Journal, admins: Admins, enrolment: Enrolment) -> None:
        self._store = store
        self._journal = journal
        self._admins = admins
        self._enrolment = enrolment

    async def list(
        self, email: str | None, role: Literal["admin"] | None, limit: int, cursor: str | None
    ) -> Page[Account]:
        """List accounts whose address starts with `email`, by address; without it all of them, in no promised order.
        Raises Problem 400 `cursor_invalid`."""
        where = [Where("kind", "=", "account")]
        if role is not None:
            where.append(Where("role", "=", role))
        if email is not None:
            where.append(Where("email", "starts_with", email.lower()))
        # Across tenants: an admin looks for people.
        query = Query(None, tuple(where), order_by=None if email is None else "email", limit=limit)
        return await self._store.page(Account, query, f"accounts:{email}:{role}", cursor)

    async def rename(self, actor: Actor, stored: Stored[Account], name: str) -> Stored[Account]:
        return await self._replace(actor, "account.rename", stored, stored.value.model_copy(update={"name": name}))

    async def suspend(self, actor: Actor, stored: Stored[Account], reason: str) -> Stored[Account]:
        """Suspend an account, from its next request on. Raises Problem 409 `state_invalid`, also for an admin: the role
        goes first, so that the last admin cannot be suspended."""
        if stored.value.role == "admin":
            raise Problem(409, "state_invalid", "An admin is not suspended: take the role away first.")
        return await self._move(actor, "account.suspend", stored, "suspended", reason)

    async def restore(self, actor: Actor, stored: Stored[Account], reason: str) -> Stored[Account]:
        """End the suspension of an account. Raises Problem 409 `state_invalid`."""
        return await self._move(actor, "account.restore", stored, "active", reason)

    async def set_admin(self, actor: Actor, stored: Stored[Account], admin: bool, reason: str) -> None:
        """Make an account an admin, or take that role away. Raises Problem 409 `state_invalid`, `admin_by_setting`."""
        account = stored.value
        if admin:
            if account.status != "active":
                raise Problem(409, "state_invalid", "A suspended account does not become an admin: restore it first.")
            await self._admins.appoint(actor, account, reason)
            return
        if self._enrolment.named(account, await self._store.logins(account.id)):
            raise Problem(409, "admin_by_setting", "AMS_ADMINS names this account: take it out there first.")
        await self._admins.dismiss(actor, account, reason)

    async def _move(
        self, actor: Actor, action: str, stored: Stored[Account], to: AccountStatus, reason: str
    ) -> Stored[Account]:
        if stored.value.status == to:
            raise Problem(409, "state_invalid", f"An account cannot go from {stored.value.status} to {to}.")
        return await self._replace(actor, action, stored, stored.value.model_copy(update={"status": to}), reason)

    async def _replace(
        self, actor: Actor, action: str, stored: Stored[Account], after: Account, reason: str | None = None
    ) -> Stored[Account]:
        change = changed(actor, action, f"account:{after.id}", stored.value, after, reason=reason)
        write = Replace(ACCOUNT_DOCUMENT, after.to_json(), stored.etag)
        etags = await self._journal.commit(ACCOUNTS, after.id, [write], change)
        return Stored(after, etags[0])
