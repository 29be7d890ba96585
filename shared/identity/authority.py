"""The questions that the guard asks on every request, and who answers them."""

from collections.abc import Mapping
from typing import Protocol

from shared.identity.models import Role, SignedIn
from shared.identity.permissions import Relation


class Authority(Protocol):
    """Who calls, and what they are to the object of a request."""

    async def authenticate(self, headers: Mapping[str, str]) -> SignedIn:
        """Find out who calls. Raises Problem 401 `token_missing`, `token_invalid`; 403 `account_suspended`; 503."""
        ...

    async def relations(
        self, signed: SignedIn, path: Mapping[str, str], query: Mapping[str, str]
    ) -> frozenset[tuple[Role, Relation]]:
        """Find out what the account is to the object that the path names. Empty: nothing, or there is no such
        object."""
        ...
