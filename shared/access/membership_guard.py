"""Being in a project at the very moment in which something is committed."""

from collections.abc import Sequence

from shared.access.models import Member
from shared.access.store import AccessStore, member_document
from shared.identity.models import Account
from shared.kernel.http.problems import not_found
from shared.platform.documents import Operation, Replace


async def assert_still_member(
    store: AccessStore, consumer_id: str, project_id: str | None, account: Account
) -> Sequence[Operation]:
    """To be put into a transaction that shows `account` a secret: it then fails if they were removed meanwhile, and a
    removal that comes later finds the key to disable it. Raises Problem 404 when they are gone already."""
    if account.consumer_id == consumer_id:
        return ()
    if project_id is None:
        raise not_found()
    at = member_document(project_id, account.id)
    held = await store.held(Member, consumer_id, at)
    if held is None:
        raise not_found()
    return (Replace(at, held.value.to_json(), held.etag),)
