"""Who may look at a private service in the catalogue."""

from collections.abc import Mapping

from shared.access.store import AccessStore
from shared.catalog.models import Service
from shared.identity.authority import Authority
from shared.kernel.errors import Problem


class GrantVisitors:
    """Lets consumers with a grant see private services. Sign-in is optional here, so a token that is not valid counts
    as none."""

    def __init__(self, authority: Authority, access: AccessStore) -> None:
        self._authority = authority
        self._access = access

    async def may_see(self, headers: Mapping[str, str], service: Service) -> bool:
        """Say whether the request is from somebody who may look at a private service
        (`shared.catalog.marketplace.details.Visitors`)."""
        if "authorization" not in headers:
            return False
        try:
            account = (await self._authority.authenticate(headers)).account
        except Problem:
            return False
        if account.role == "admin" or service.merchant_id in account.merchant_ids:
            return True
        grant = await self._access.grant(account.consumer_id, service.id)
        return grant is not None and grant.status == "approved" and not grant.restricted
