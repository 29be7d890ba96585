"""Which merchants an account runs: what the guard looks at. Added by a task of the journal, once, whatever happens."""

from typing import Any

from shared.audit.journal import Journal, Task, conflict
from shared.identity.store import ACCOUNT_DOCUMENT, ACCOUNTS, AccountStore
from shared.kernel.retries import retry
from shared.platform.documents import Documents, PreconditionFailed

STAFF_TASK = "account.join_merchant"
ATTEMPTS_MAX = 10


def join_merchant(account_id: str, merchant_id: str) -> Task:
    """To be passed to `Journal.commit`: from then on the account runs the merchant."""
    return Task(STAFF_TASK, {"account_id": account_id, "merchant_id": merchant_id})


class Staff:
    def __init__(self, documents: Documents, store: AccountStore, journal: Journal) -> None:
        self._documents = documents
        self._store = store
        self._journal = journal

    async def on_join(self, id: str, data: dict[str, Any]) -> None:
        """The handler of STAFF_TASK. Raises Problem 409 when others keep changing the account."""
        await retry(
            lambda: self._join(data["account_id"], data["merchant_id"]),
            on=PreconditionFailed,
            attempts_max=ATTEMPTS_MAX,
            otherwise=conflict,
        )

    async def _join(self, account_id: str, merchant_id: str) -> None:
        held = await self._store.account(account_id)
        if held is None or merchant_id in held.value.merchant_ids:
            return
        after = held.value.model_copy(update={"merchant_ids": (*held.value.merchant_ids, merchant_id)})
        await self._documents.replace(ACCOUNTS, after.id, ACCOUNT_DOCUMENT, after.to_json(), etag=held.etag)
        self._journal.changed()
