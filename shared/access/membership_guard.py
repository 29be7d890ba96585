"""A transaction that holds only while somebody is a member of a project."""

from collections.abc import Sequence

from shared.access.models import Member
from shared.access.store import AccessStore, member_document
from shared.identity.models import Account
from shared.kernel.http.problems import not_found
from shared.platform.documents import Operation, Replace


async def assert_still_member(
    store: AccessStore, consumer_id: str, project_id: str | None, account: Account
) -> Sequence[Operation]:
    """Make the writes by which a transaction fails when `account` is no longer a member of the project as it commits.

    They go into every transaction that shows the account a secret of a key: then a removal either comes first, and the
    transaction fails, or comes later, and finds the key to disable it. There are none for the consumer's own account.
    Raises Problem 404 when the account is no member already.
    """
    if account.consumer_id == consumer_id:
        return ()
    if project_id is None:
        raise not_found()
    at = member_document(project_id, account.id)
    stored = await store.find(Member, consumer_id, at)
    if stored is None:
        raise not_found()
    return (Replace(at, stored.value.to_json(), stored.etag),)
