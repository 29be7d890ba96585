"""Projects: keys and people of one consumer that belong together. The consumer pays, whoever owns a project."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from shared.access.concurrency import guard_count
from shared.access.models import ApiKey, Grant, Member, Project, ProjectInvite
from shared.access.store import (
    ACCESS,
    SCAN_PAGE,
    AccessStore,
    grant_document,
    invite_document,
    member_document,
    project_document,
)
from shared.access.tasks import ClearProject, FollowMembership
from shared.audit.journal import Journal
from shared.audit.models import Actor, changed
from shared.audit.platform import PlatformSettingsStore
from shared.identity.models import Account
from shared.kernel.clock import utc_now
from shared.kernel.documents import Stored
from shared.kernel.errors import FieldError, Problem
from shared.kernel.http.etags import check_match
from shared.kernel.http.paging import Page
from shared.kernel.http.problems import not_found
from shared.kernel.ids import new_id
from shared.kernel.retries import retry_on_conflict
from shared.platform.documents import Create, Delete, Query, Replace, Where

MEMBERS_AT_ONCE_MAX = 45
"""Removed in one transaction of 100 operations: two each."""


class Projects:
    """Makes, changes and deletes projects."""

    def __init__(
        self,
        store: AccessStore,
        journal: Journal,
        settings: PlatformSettingsStore,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._store = store
        self._journal = journal
        self._settings = settings
        self._now = now

    async def read(self, consumer_id: str, project_id: str) -> Stored[Project]:
        """Read a project. Raises Problem 404."""
        stored = await self._store.find(Project, consumer_id, project_document(project_id))
        if stored is None:
            raise not_found()
        return stored

    async def page(self, consumer_id: str, limit: int, cursor: str | None) -> Page[Stored[Project]]:
        """List a consumer's projects in the order in which they were made, a page at a time. Raises Problem 400
        `cursor_invalid`."""
        query = Query(consumer_id, (Where("id", "starts_with", project_document("")),), order_by="id", limit=SCAN_PAGE)
        list_name = f"projects:{consumer_id}"
        return await self._store.scan(Project, query, lambda _: True, list_name=list_name, limit=limit, cursor=cursor)

    async def create(
        self, actor: Actor, creator: Account, consumer_id: str, name: str, description: str, service_ids: Sequence[str]
    ) -> Stored[Project]:
        """Make a project; `creator` becomes its owner. Raises Problem 400, 404; 409 `limit_reached`."""
        project = Project(
            id=new_id("prj"),
            consumer_id=consumer_id,
            name=name,
            description=description,
            service_ids=tuple(dict.fromkeys(service_ids)),
            created_at=self._now(),
        )
        owner = Member(
            consumer_id=consumer_id,
            project_id=project.id,
            account_id=creator.id,
            role="owner",
            name=creator.name,
            email=creator.email if creator.email_verified else None,
            joined_at=self._now(),
        )
        await self._check_services(consumer_id, project.service_ids)
        return await retry_on_conflict(lambda: self._create(actor, project, owner))

    async def update(
        self, actor: Actor, consumer_id: str, project_id: str, values: Mapping[str, Any], if_match: str | None
    ) -> Stored[Project]:
        """Set `values`, which are valid, by field name. Raises Problem 400, 404, 409, 412, 428."""
        stored = await self.read(consumer_id, project_id)
        check_match(if_match, stored.etag)
        after = stored.value.model_copy(update=dict(values))
        await self._check_services(consumer_id, set(after.service_ids) - set(stored.value.service_ids))
        change = changed(actor, "project.update", f"project:{project_id}", stored.value, after)
        write = Replace(project_document(project_id), after.to_json(), stored.etag)
        etags = await self._journal.commit(ACCESS, consumer_id, [write], change)
        return Stored(after, etags[0])

    async def delete(self, actor: Actor, consumer_id: str, project_id: str, if_match: str | None) -> None:
        """Delete a project; its people lose it at once. Raises Problem 404, 412, 428; 409 `project_in_use` while it has
        a key that is not revoked, since what was granted to a project must not be used outside of it."""
        # The guard comes first: whoever is adding somebody, or removes the project too, meets it.
        guard = await guard_count(self._store, consumer_id, f"members:{project_id}", last=True)
        stored = await self.read(consumer_id, project_id)
        check_match(if_match, stored.etag)
        keys = await self._store.all_of(ApiKey, consumer_id, "key:")
        if any(key.value.project_id == project_id and key.value.status != "revoked" for key in keys):
            raise Problem(409, "project_in_use", "The project has keys that are not revoked. Revoke them first.")
        change = changed(actor, "project.delete", f"project:{project_id}", stored.value, None)
        clear = ClearProject(consumer_id=consumer_id, project_id=project_id)
        writes = [Delete(project_document(project_id), stored.etag), guard]
        await self._journal.commit(ACCESS, consumer_id, writes, change, tasks=[clear])

    async def on_clear(self, task_id: str, task: ClearProject) -> None:
        """Handle ClearProject. Raises Problem 409, to be tried again, when somebody leaves meanwhile."""
        consumer_id, project_id = task.consumer_id, task.project_id
        members = await self._store.all_of(Member, consumer_id, member_document(project_id, ""))
        for start in range(0, len(members), MEMBERS_AT_ONCE_MAX):
            gone = [stored.value.account_id for stored in members[start : start + MEMBERS_AT_ONCE_MAX]]
            deletes = [Delete(member_document(project_id, account_id)) for account_id in gone]
            follow = [
                FollowMembership(consumer_id=consumer_id, project_id=project_id, account_id=account_id)
                for account_id in gone
            ]
            await self._journal.commit(ACCESS, consumer_id, deletes, tasks=follow)
        for invite in await self._store.all_of(ProjectInvite, consumer_id, invite_document(project_id, "")):
            await self._journal.commit(ACCESS, consumer_id, [Delete(invite_document(project_id, invite.value.id))])

    async def _create(self, actor: Actor, project: Project, owner: Member) -> Stored[Project]:
        guard = await guard_count(self._store, project.consumer_id, "projects")
        if await self._store.consumer(project.consumer_id) is None:
            raise not_found()
        limit = (await self._settings.current()).projects_per_consumer_max
        if len(await self._store.all_of(Project, project.consumer_id, project_document(""))) >= limit:
            raise Problem(409, "limit_reached", f"There are {limit} projects already, which is the most.")
        writes = [
            Create(project_document(project.id), project.to_json()),
            Create(member_document(project.id, owner.account_id), owner.to_json()),
            guard,
        ]
        change = changed(actor, "project.create", f"project:{project.id}", None, project)
        etags = await self._journal.commit(ACCESS, project.consumer_id, writes, change)
        return Stored(project, etags[0])

    async def _check_services(self, consumer_id: str, new: Sequence[str] | set[str]) -> None:
        """Only services that one has to do with: the answer tells nothing about others."""
        known = await self._store.all_of(Grant, consumer_id, grant_document("")) if new else []
        if set(new) - {stored.value.service_id for stored in known}:
            rule = "must name services that this consumer has asked for"
            raise Problem(400, "request_invalid", f"`service_ids` {rule}.", errors=(FieldError("service_ids", rule),))
