"""Accounts, logins and sessions in and out of the documents port.

An account's partition holds `account`, `login:<hash>` for each way to sign in to it, and `session:<id>`. The container
`logins` turns (issuer, subject), and a verified e-mail address, into the one account that it belongs to: reserved there
first, so that concurrent first sign-ins agree.
"""

from collections.abc import Sequence
from functools import partial
from hashlib import sha256
from typing import TypeVar

from shared.identity.models import Account, Login, Session
from shared.identity.tasks import ReleaseLogin
from shared.kernel.documents import Identifier, Stored, StoredModel
from shared.kernel.http.paging import Page, read_page
from shared.platform.documents import (
    CONTAINERS,
    DocumentExists,
    DocumentMissing,
    Documents,
    PreconditionFailed,
    Query,
    Where,
)

ACCOUNTS, LOGINS = CONTAINERS["accounts"], CONTAINERS["logins"]
ACCOUNT_DOCUMENT = "account"

Model = TypeVar("Model", bound=StoredModel)


class Reservation(StoredModel):
    """The account that a login or an e-mail address stands for; never changed, only released."""

    account_id: Identifier


def login_key(issuer: str, subject: str) -> str:
    return sha256(f"{issuer}\0{subject}".encode()).hexdigest()


def email_key(email: str) -> str:
    """Make the key of an address that `clean_email` gave. No issuer is empty, so this is never a login's."""
    return login_key("", email)


def login_document(key: str) -> str:
    return f"login:{key}"


def session_document(session_id: str) -> str:
    return f"session:{session_id}"


class AccountStore:
    """Reads accounts with their logins and sessions, and reserves logins and addresses. Everything else is written
    through the journal."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def _stored(self, model: type[Model], account_id: str, id: str) -> Stored[Model] | None:
        document = await self._documents.get(ACCOUNTS, account_id, id)
        return None if document is None else Stored(model.model_validate_json(document.body), document.etag)

    async def account(self, id: str) -> Stored[Account] | None:
        return await self._stored(Account, id, ACCOUNT_DOCUMENT)

    async def account_by_email(self, email: str) -> Stored[Account] | None:
        """Find the account that this verified address belongs to, whatever its case."""
        account_id = await self.reserved_for(email_key(email.strip().lower()))
        return None if account_id is None else await self.account(account_id)

    async def login(self, account_id: str, key: str) -> Stored[Login] | None:
        return await self._stored(Login, account_id, login_document(key))

    async def session(self, account_id: str, session_id: str) -> Stored[Session] | None:
        return await self._stored(Session, account_id, session_document(session_id))

    async def reserved_for(self, key: str) -> str | None:
        """Find the account id that a login or e-mail key stands for."""
        document = await self._documents.get(LOGINS, key, key)
        return None if document is None else Reservation.model_validate_json(document.body).account_id

    async def reserve(self, key: str, account_id: str) -> str:
        """Reserve the key. Returns the id of the account that it belongs to from now on: `account_id`, unless somebody
        was there before."""
        body = Reservation(account_id=account_id).to_json()
        while True:
            try:
                await self._documents.create(LOGINS, key, key, body)
            except DocumentExists:
                if (owner := await self.reserved_for(key)) is not None:
                    return owner  # else it was released in between
            else:
                return account_id

    async def release(self, key: str, account_id: str) -> None:
        """Give the key up, if it is still this account's."""
        document = await self._documents.get(LOGINS, key, key)
        if document is None or Reservation.model_validate_json(document.body).account_id != account_id:
            return
        try:
            await self._documents.delete(LOGINS, key, key, etag=document.etag)
        except (DocumentMissing, PreconditionFailed):
            return  # somebody else's by now

    async def on_release(self, task_id: str, task: ReleaseLogin) -> None:
        """Handle ReleaseLogin."""
        await self.release(task.key, task.account_id)

    async def page(self, model: type[Model], query: Query, list_name: str, cursor: str | None) -> Page[Model]:
        """Read one page. `list_name` names the list with its filters. Raises Problem 400 `cursor_invalid`."""
        page = await read_page(partial(self._documents.query, ACCOUNTS, query), list_name=list_name, cursor=cursor)
        return page.map(lambda document: model.model_validate_json(document.body))

    async def logins(self, account_id: str) -> Sequence[Login]:
        """List the logins of an account, at most 100: nobody has that many providers."""
        page = await self._documents.query(ACCOUNTS, Query(account_id, (Where("kind", "=", "login"),)))
        return [Login.model_validate_json(document.body) for document in page.items]
