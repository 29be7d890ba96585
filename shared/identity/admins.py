"""Who is an admin. One document, the roster, decides, so that the last admin cannot be lost in a race; the accounts'
`role` follows from it.
"""

from shared.audit.journal import Journal, conflict
from shared.audit.models import Actor, changed
from shared.identity.models import Account
from shared.identity.store import ACCOUNT_DOCUMENT, ACCOUNTS, AccountStore
from shared.identity.tasks import FollowRoster
from shared.kernel.documents import Identifier, StoredModel
from shared.kernel.errors import Problem
from shared.kernel.retries import retry, retry_on_conflict
from shared.platform.documents import CONTAINERS, Create, Documents, PreconditionFailed, Replace

PLATFORM = CONTAINERS["platform"]
ATTEMPTS_MAX = 10
_ID = "admins"


class Roster(StoredModel):
    """The accounts that are admins, in one document, so that the last one cannot be removed by two at once."""

    account_ids: tuple[Identifier, ...] = ()


class Admins:
    """Appoints and removes admins."""

    def __init__(self, documents: Documents, journal: Journal, store: AccountStore) -> None:
        self._documents = documents
        self._journal = journal
        self._store = store

    async def appoint(self, actor: Actor, account: Account, reason: str) -> None:
        """Make an account an admin; nothing happens to one that is. Raises Problem 409 when too many do this at
        once."""
        await self._change(actor, account, True, reason)

    async def dismiss(self, actor: Actor, account: Account, reason: str) -> None:
        """Take the role away; nothing happens to an account without it. Raises Problem 409 `state_invalid` for oneself,
        which also keeps the last admin: whoever dismisses is one, and the roster's ETag lets no two dismiss each
        other."""
        if actor.account_id == account.id:
            raise Problem(409, "state_invalid", "Nobody takes the role away from themselves: ask another admin.")
        await self._change(actor, account, False, reason)

    async def _change(self, actor: Actor, account: Account, admin: bool, reason: str) -> None:
        async def attempt() -> bool:
            roster, etag = await self._roster()
            if (account.id in roster.account_ids) == admin:
                await self.follow(account.id)  # in case a kill left it behind
                return True
            if not admin and actor.account_id not in roster.account_ids:
                return False
            await self._commit(actor, account, roster, etag, reason)
            return True

        if not await retry_on_conflict(attempt, attempts_max=ATTEMPTS_MAX):
            raise conflict()  # whoever asked was dismissed meanwhile: there is nothing to try again

    async def _commit(self, actor: Actor, account: Account, roster: Roster, etag: str | None, reason: str) -> None:
        others = tuple(other for other in roster.account_ids if other != account.id)
        admin = account.id not in roster.account_ids
        body = Roster(account_ids=(*others, account.id) if admin else others).to_json()
        write = Create(_ID, body) if etag is None else Replace(_ID, body, etag)
        states = [account.model_copy(update={"role": role}) for role in (None, "admin")]
        before, after = states if admin else reversed(states)
        change = changed(actor, "account.set_admin", f"account:{account.id}", before, after, reason=reason)
        await self._journal.commit(PLATFORM, _ID, [write], change, tasks=[FollowRoster(id=account.id)])

    async def _roster(self) -> tuple[Roster, str | None]:
        document = await self._documents.get(PLATFORM, _ID, _ID)
        if document is None:
            return Roster(), None
        return Roster.model_validate_json(document.body), document.etag

    async def on_follow(self, task_id: str, task: FollowRoster) -> None:
        """Handle FollowRoster. Raises Problem 409."""
        await self.follow(task.id)

    async def follow(self, account_id: str) -> None:
        """Make the account's role what the roster says now. Raises Problem 409 when others keep changing it."""
        await retry(
            lambda: self._follow(account_id), on=PreconditionFailed, attempts_max=ATTEMPTS_MAX, otherwise=conflict
        )

    async def _follow(self, account_id: str) -> None:
        stored = await self._store.account(account_id)
        if stored is None:
            return
        roster, _etag = await self._roster()
        role = "admin" if account_id in roster.account_ids else None
        if stored.value.role == role:
            return
        after = stored.value.model_copy(update={"role": role})
        await self._documents.replace(ACCOUNTS, account_id, ACCOUNT_DOCUMENT, after.to_json(), etag=stored.etag)
        self._journal.changed()
