"""A person's list of projects ends up as the projects' `Member` documents say, in whatever order tasks are done."""

from typing import Any

from shared.access.models import Member
from shared.access.projects.memberships import Memberships
from shared.access.store import ACCESS, AccessStore, member_document
from shared.access.tasks import FollowMembership
from shared.identity.store import ACCOUNTS
from tests.support.embedded import NOW, Embedded, FailingDocuments

DATA = {"consumer_id": "con_1", "project_id": "prj_1", "account_id": "acc_1"}
MEMBER = Member(**DATA, role="member", name="Moe", joined_at=NOW)
AT = member_document("prj_1", "acc_1")


async def listed(embedded: Embedded) -> bool:
    return await embedded.documents.get(ACCOUNTS, "acc_1", "membership:con_1:prj_1") is not None


async def join(embedded: Embedded) -> None:
    await embedded.documents.upsert(ACCESS, "con_1", AT, MEMBER.to_json())


async def leave(embedded: Embedded) -> None:
    await embedded.documents.delete(ACCESS, "con_1", AT)


async def test_the_list_follows_and_may_follow_twice(embedded: Embedded) -> None:
    memberships = Memberships(embedded.documents, embedded.access)
    await join(embedded)
    for _ in range(2):
        await memberships.on_follow("job_1", FollowMembership(**DATA))
        assert await listed(embedded)
    await leave(embedded)
    for _ in range(2):
        await memberships.on_follow("job_2", FollowMembership(**DATA))
        assert not await listed(embedded)


async def test_a_task_that_is_done_late_undoes_nothing(embedded: Embedded) -> None:
    memberships = Memberships(embedded.documents, embedded.access)
    await join(embedded)
    await memberships.on_follow("job_of_a_removal_before", FollowMembership(**DATA))
    assert await listed(embedded)


class Interrupting(FailingDocuments):
    """Lets somebody else act in the moment before this one writes to the list."""

    def __init__(self, documents: Any, meanwhile: Any) -> None:
        super().__init__(documents)
        self.meanwhile = meanwhile

    async def _interrupt(self) -> None:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            await meanwhile()

    async def delete(self, *arguments: Any, **named: Any) -> None:
        await self._interrupt()
        await self._documents.delete(*arguments, **named)

    async def upsert(self, *arguments: Any, **named: Any) -> str:
        await self._interrupt()
        return await self._documents.upsert(*arguments, **named)


async def test_two_tasks_at_once_agree_with_what_holds_at_last(embedded: Embedded) -> None:
    other = Memberships(embedded.documents, embedded.access)

    async def joins() -> None:
        await join(embedded)
        await other.on_follow("job_2", FollowMembership(**DATA))

    async def leaves() -> None:
        await leave(embedded)
        await other.on_follow("job_3", FollowMembership(**DATA))

    for meanwhile, expected in ((joins, True), (leaves, False)):
        documents = Interrupting(embedded.documents, meanwhile)
        await Memberships(documents, AccessStore(embedded.documents)).on_follow("job_1", FollowMembership(**DATA))
        assert await listed(embedded) is expected
