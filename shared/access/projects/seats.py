"""Seats in a project: people and open invites together may be as many as the platform's settings allow."""

from dataclasses import dataclass

from shared.access.concurrency import guard_count
from shared.access.models import Member, Project, ProjectInvite
from shared.access.store import AccessStore, invite_document, member_document
from shared.audit.platform import PlatformSettingsStore
from shared.kernel.errors import Problem
from shared.kernel.http.problems import not_found
from shared.platform.documents import Delete, Operation


@dataclass(frozen=True, slots=True)
class Seat:
    """A free seat in a project. `writes` go into the transaction that takes it: they fail it if another took a seat at
    the same time, and use up the open invites to the address."""

    project: Project
    writes: tuple[Operation, ...]


class Seats:
    """Finds seats in projects."""

    def __init__(self, store: AccessStore, settings: PlatformSettingsStore) -> None:
        self._store = store
        self._settings = settings

    async def find(self, consumer_id: str, project_id: str, email: str | None, invite_id: str | None = None) -> Seat:
        """Find a seat for whoever owns this verified address, by an invite when it is given. An invite to the address
        holds a seat for it. Raises Problem 404, also when there is no such invite; 409 `limit_reached`."""
        # Before the project is read: deleting the project replaces the guard too.
        guard = await guard_count(self._store, consumer_id, f"members:{project_id}")
        project = await self._store.project(consumer_id, project_id)
        if project is None:
            raise not_found()
        invites = await self._store.all_of(ProjectInvite, consumer_id, invite_document(project_id, ""))
        used = [stored for stored in invites if email is not None and stored.value.email == email]
        if invite_id is not None and invite_id not in {stored.value.id for stored in used}:
            raise not_found()
        members = await self._store.all_of(Member, consumer_id, member_document(project_id, ""))
        limit = (await self._settings.current()).members_per_project_max
        known = email is not None and email in {stored.value.email for stored in members}
        if not known and len(members) + len(invites) - len(used) >= limit:
            detail = f"The project has {limit} members and open invites already, which is the most."
            raise Problem(409, "limit_reached", detail)
        deletes = [Delete(invite_document(project_id, stored.value.id), stored.etag) for stored in used]
        return Seat(project, (guard, *deletes))
