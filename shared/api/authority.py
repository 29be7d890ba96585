"""Who calls, and what are they to the object: the guard's questions, answered by identity, catalog and access."""

from collections.abc import Mapping

from shared.api.relations import Relations
from shared.identity.models import SignedIn
from shared.identity.permissions import RoleRelations
from shared.identity.sign_in.service import Authenticator


class PlatformAuthority:
    """Answers the guard's questions: the port `shared.identity.authority.Authority`."""

    def __init__(self, sign_in: Authenticator, relations: Relations) -> None:
        self._sign_in = sign_in
        self._relations = relations

    async def authenticate(self, headers: Mapping[str, str]) -> SignedIn:
        return await self._sign_in.authenticate(headers)

    async def relations(self, signed: SignedIn, path: Mapping[str, str], query: Mapping[str, str]) -> RoleRelations:
        return await self._relations.of(signed, path, query)
