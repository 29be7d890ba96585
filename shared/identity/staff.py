"""Which merchants an account runs: what the guard looks at. Added by a task of the journal, once, whatever happens."""

from shared.audit.journal import Journal, conflict
from shared.identity.store import ACCOUNT_DOCUMENT, ACCOUNTS, AccountStore
from shared.identity.tasks import JoinMerchant
from shared.kernel.retries import retry
from shared.platform.documents import Documents, PreconditionFailed

ATTEMPTS_MAX = 10


class MerchantStaff:
    """Keeps on accounts which merchants they run."""

    def __init__(self, documents: Documents, store: AccountStore, journal: Journal) -> None:
        self._documents = documents
        self._store = store
        self._journal = journal

    async def on_join(self, task_id: str, task: JoinMerchant) -> None:
        """Handle JoinMerchant. Raises Problem 409 when others keep changing the account."""
        await retry(
            lambda: self._join(task.account_id, task.merchant_id),
            on=PreconditionFailed,
            attempts_max=ATTEMPTS_MAX,
            otherwise=conflict,
        )

    async def _join(self, account_id: str, merchant_id: str) -> None:
        stored = await self._store.account(account_id)
        if stored is None or merchant_id in stored.value.merchant_ids:
            return
        after = stored.value.model_copy(update={"merchant_ids": (*stored.value.merchant_ids, merchant_id)})
        await self._documents.replace(ACCOUNTS, after.id, ACCOUNT_DOCUMENT, after.to_json(), etag=stored.etag)
        self._journal.changed()
