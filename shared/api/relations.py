"""What an account is to the object that a route's path names: the only place that knows how paths name objects.

`merchant_id`, `service_id`, `consumer_id`, `project_id` and `key_id` are the path parameters that decide. A list of one
project's things is asked for with `?project_id=`. Everything is read fresh (a point read or two), so that a member who
was removed is out at once.
"""

from collections.abc import Mapping

from shared.access.store import AccessStore
from shared.catalog.store import CatalogStore
from shared.identity.models import Role, SignedIn
from shared.identity.permissions import Relation, RoleRelations

_OBJECTS = ("merchant_id", "service_id", "consumer_id")


class Relations:
    """Finds out in which relations an account stands to the object that a path names, such as owner of a project."""

    def __init__(self, catalog: CatalogStore, access: AccessStore) -> None:
        self._catalog = catalog
        self._access = access

    async def of(self, signed: SignedIn, path: Mapping[str, str], query: Mapping[str, str]) -> RoleRelations:
        """Find the relations of an account to the object that the path names (`shared.identity.permissions`). Without
        an object in the path, only roles count."""
        held: set[tuple[Role, Relation]] = set()
        if signed.account.role == "admin":
            held.add(("admin", "any"))
        if not any(name in path for name in _OBJECTS):
            return frozenset(held | {(role, "self") for role in signed.roles})
        if "consumer_id" in path:
            held |= await self._to_consumer(signed, path, query)
        elif await self._runs_merchant(signed, path):
            held.add(("merchant", "own"))
        return frozenset(held)

    async def _runs_merchant(self, signed: SignedIn, path: Mapping[str, str]) -> bool:
        """A service that is named beside its merchant must be that merchant's."""
        merchant_id = path.get("merchant_id")
        if (service_id := path.get("service_id")) is not None:
            service = await self._catalog.service(service_id)
            if service is None or merchant_id not in (None, service.merchant_id):
                return False
            merchant_id = service.merchant_id
        return merchant_id in signed.account.merchant_ids

    async def _to_consumer(self, signed: SignedIn, path: Mapping[str, str], query: Mapping[str, str]) -> RoleRelations:
        consumer_id = path["consumer_id"]
        if consumer_id == signed.account.consumer_id:
            return frozenset({("consumer", "own")})
        project_id = path.get("project_id") or query.get("project_id")
        if (key_id := path.get("key_id")) is not None:
            key = await self._access.key(consumer_id, key_id)
            project_id = None if key is None else key.project_id
        if project_id is None:
            return frozenset()
        member = await self._access.member(consumer_id, project_id, signed.account.id)
        return frozenset() if member is None else frozenset({("consumer", member.role)})
