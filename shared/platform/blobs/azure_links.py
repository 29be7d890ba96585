"""Signed links (SAS) to blobs in Azure Storage: read one blob, over https, until they expire.

With a credential they are signed with a user delegation key: the account's own key is not needed, and a link is worth
nothing once the identity loses its role. An emulator's are signed with the account's key.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from azure.storage.blob import BlobSasPermissions, UserDelegationKey, generate_blob_sas

from shared.kernel.clock import utc_now
from shared.platform.blobs.links import EXPIRES_S_MAX, check_link, disposition

CLOCKS_DIFFER = timedelta(minutes=15)
"""A link is valid from so long ago: the service refuses what begins in its future."""

KEY_LIVES = timedelta(days=2)
"""The service gives at most 7 days. A link never outlives its key."""


@dataclass(frozen=True, slots=True)
class AccountKey:
    """A storage account with its key, which signs links."""

    name: str
    key: str

    @classmethod
    def of(cls, connection_string: str) -> "AccountKey":
        found = (part.partition("=") for part in connection_string.split(";") if part)
        parts = {name: value for name, _, value in found}
        return cls(parts["AccountName"], parts["AccountKey"])


class AzureLinks:
    """`new_key` asks the service for a user delegation key for a stretch of time; one is used until it would end
    before a link does."""

    def __init__(
        self,
        container: str,
        new_key: Callable[[datetime, datetime], Awaitable[UserDelegationKey]],
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._container = container
        self._new_key = new_key
        self._now = now
        self._key: UserDelegationKey | None = None
        self._key_ends = datetime.min.replace(tzinfo=now().tzinfo)

    async def delegated(self, account: str, name: str, expires_s: int, filename: str, content_type: str | None) -> str:
        """The query of a link. Raises ValueError; what `new_key` raises."""
        check_link(expires_s, filename, content_type)
        return self._query(account, name, expires_s, filename, content_type, user_delegation_key=await self._current())

    def signed(self, by: AccountKey, name: str, expires_s: int, filename: str, content_type: str | None) -> str:
        """The same with the key of an emulator's account, which speaks http. Raises ValueError."""
        check_link(expires_s, filename, content_type)
        return self._query(by.name, name, expires_s, filename, content_type, account_key=by.key)

    async def _current(self) -> UserDelegationKey:
        now = self._now()
        if self._key is None or self._key_ends < now + timedelta(seconds=EXPIRES_S_MAX):
            ends = now + KEY_LIVES
            self._key = await self._new_key(now - CLOCKS_DIFFER, ends)
            self._key_ends = ends
        return self._key

    def _query(
        self, account: str, name: str, expires_s: int, filename: str, content_type: str | None, **key: Any
    ) -> str:
        now = self._now()
        return generate_blob_sas(
            account,
            self._container,
            name,
            permission=BlobSasPermissions(read=True),
            start=now - CLOCKS_DIFFER,
            expiry=now + timedelta(seconds=expires_s),
            protocol="https,http" if "account_key" in key else "https",
            content_disposition=disposition(filename),
            content_type=content_type,
            **key,
        )
