"""Which projects a person is in: a list beside the account, which follows the projects' `Member` documents.

Those decide, and live with the project. The list is brought into line by a task after every change of them; whoever
reads it looks at the `Member` document again, so that being a moment behind gives nobody anything.
"""

from dataclasses import dataclass
from typing import Literal

from shared.access.models import Project, ProjectRole
from shared.access.store import AccessStore, project_document
from shared.access.tasks import FollowMembership
from shared.identity.models import Account, Membership
from shared.identity.store import ACCOUNTS
from shared.kernel.http.paging import Page, bad_cursor, decode_cursor, encode_cursor
from shared.platform.documents import DocumentMissing, Documents, Query, Where

_PREFIX = "membership:"


@dataclass(frozen=True, slots=True)
class JoinedProject:
    """A project that somebody is in; `role` is `own` in one's own tenant."""

    project: Project
    role: ProjectRole | Literal["own"]


class Memberships:
    """Keeps and shows the list of projects that a person is in."""

    def __init__(self, documents: Documents, store: AccessStore) -> None:
        self._documents = documents
        self._store = store

    async def on_follow(self, task_id: str, task: FollowMembership) -> None:
        """Handle FollowMembership: write or delete the list's entry, and look again: of two at once, the last to write
        has seen the other."""
        membership = Membership.model_validate(task.stored())
        account_id, at = membership.account_id, _document(membership)
        while True:
            member = await self._store.member(membership.consumer_id, membership.project_id, account_id)
            if member is not None:
                await self._documents.upsert(ACCOUNTS, account_id, at, membership.to_json())
            else:
                await self._forget(account_id, at)
            again = await self._store.member(membership.consumer_id, membership.project_id, account_id)
            if (again is None) == (member is None):
                return

    async def page(self, account: Account, limit: int, cursor: str | None) -> Page[JoinedProject]:
        """List the projects of one's own tenant, then those of others, a page at a time. A page may be short and still
        not be the last. Raises Problem 400 `cursor_invalid`."""
        list_name = f"joined:{account.id}"
        part, after = _position(list_name, cursor)
        found: list[JoinedProject] = []
        if part == "own":
            stored = await self._store.first(Project, _after(account.consumer_id, project_document(""), after, limit))
            found += [JoinedProject(each.value, "own") for each in stored]
            if len(found) == limit:
                last = project_document(found[-1].project.id)
                return Page(tuple(found), encode_cursor(list_name, ["own", last]))
            after = ""
        query = _after(account.id, _PREFIX, after, limit - len(found))
        page = await self._documents.query(ACCOUNTS, query)
        for document in page.items:
            joined = await self._joined(account, Membership.model_validate_json(document.body))
            found += [] if joined is None else [joined]
        following = None if page.cursor is None else encode_cursor(list_name, ["others", page.items[-1].id])
        return Page(tuple(found), following)

    async def _joined(self, account: Account, membership: Membership) -> JoinedProject | None:
        consumer_id, project_id = membership.consumer_id, membership.project_id
        member = await self._store.member(consumer_id, project_id, account.id)
        project = await self._store.project(consumer_id, project_id)
        if member is None or project is None or consumer_id == account.consumer_id:  # that one is listed as one's own
            return None
        return JoinedProject(project, member.role)

    async def _forget(self, account_id: str, at: str) -> None:
        try:
            await self._documents.delete(ACCOUNTS, account_id, at)
        except DocumentMissing:
            return


def _document(membership: Membership) -> str:
    return f"{_PREFIX}{membership.consumer_id}:{membership.project_id}"


def _after(partition: str, prefix: str, after: str, limit: int) -> Query:
    where = (Where("id", "starts_with", prefix), Where("id", ">", after))
    return Query(partition, where, order_by="id", limit=limit)


def _position(list_name: str, cursor: str | None) -> tuple[str, str]:
    if cursor is None:
        return "own", ""
    match decode_cursor(list_name, cursor):
        case ["own" | "others" as part, str(after)]:
            return part, after
        case _:
            raise bad_cursor()
