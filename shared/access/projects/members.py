"""The people of a project. The `Member` documents decide on every request, so whoever is removed is out at once.

A project has one owner, who can only be changed by a transfer; the tenant that pays stays the same. Whoever made or
rotated a key knows its clear text: when they go, these keys of the project are disabled.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from shared.access.keys.writer import replace_key
from shared.access.models import ApiKey, Member, Project, ProjectRole
from shared.access.projects.seats import Seats
from shared.access.store import ACCESS, SCAN_PAGE, AccessStore, member_document, project_document
from shared.access.tasks import DisableKeys, FollowMembership
from shared.audit.journal import Journal
from shared.audit.models import SYSTEM, Actor, Change, changed
from shared.audit.tasks import Task
from shared.identity.mails import one_line
from shared.identity.models import Account
from shared.identity.tasks import SendMail
from shared.kernel.clock import utc_now
from shared.kernel.documents import Stored
from shared.kernel.errors import Problem
from shared.kernel.http.etags import check_match
from shared.kernel.http.paging import Page
from shared.kernel.http.problems import not_found
from shared.kernel.retries import retry_on_conflict
from shared.platform.documents import Create, Delete, Operation, Query, Replace, Where

KEYS_AT_ONCE_MAX = 90
_PERSONAL = frozenset({"name", "email"})
"""Not for the audit log, which keeps account ids."""


class Members:
    """Adds, changes and removes members of projects, and transfers ownership."""

    def __init__(
        self,
        store: AccessStore,
        journal: Journal,
        seats: Seats,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._store = store
        self._journal = journal
        self._seats = seats
        self._now = now

    async def read(self, consumer_id: str, project_id: str, account_id: str) -> Stored[Member]:
        """Read a member of a project. Raises Problem 404."""
        stored = await self._store.find(Member, consumer_id, member_document(project_id, account_id))
        if stored is None or await self._store.project(consumer_id, project_id) is None:
            raise not_found()
        return stored

    async def page(self, consumer_id: str, project_id: str, limit: int, cursor: str | None) -> Page[Stored[Member]]:
        """List the members of a project, a page at a time. Raises Problem 400 `cursor_invalid`, 404."""
        await self._project(consumer_id, project_id)
        where = (Where("id", "starts_with", member_document(project_id, "")),)
        query = Query(consumer_id, where, order_by="id", limit=SCAN_PAGE)
        list_name = f"members:{consumer_id}:{project_id}"
        return await self._store.scan(Member, query, lambda _: True, list_name=list_name, limit=limit, cursor=cursor)

    async def add(
        self, actor: Actor, account: Account, consumer_id: str, project_id: str, role: ProjectRole
    ) -> Stored[Member]:
        """Add an account to a project. A member stays what they are; a new one gets a mail. Raises Problem 404; 409
        `limit_reached`."""
        return await retry_on_conflict(lambda: self.try_add(actor, account, consumer_id, project_id, role))

    async def set_role(
        self, actor: Actor, consumer_id: str, project_id: str, account_id: str, role: ProjectRole, if_match: str | None
    ) -> Stored[Member]:
        """Change a member's role. Raises Problem 404, 412, 428; 409 `owner_required`, `conflict`."""
        stored = await self.read(consumer_id, project_id, account_id)
        check_match(if_match, stored.etag)
        _check_not_owner(stored.value)
        after = stored.value.model_copy(update={"role": role})
        change = changed(actor, "member.update", _resource(after), stored.value, after, secret=_PERSONAL)
        write = Replace(member_document(project_id, account_id), after.to_json(), stored.etag)
        etags = await self._journal.commit(ACCESS, consumer_id, [write], change)
        return Stored(after, etags[0])

    async def remove(
        self, actor: Actor, consumer_id: str, project_id: str, account_id: str, if_match: str | None
    ) -> None:
        """Remove a member from a project. Raises Problem 404, 412, 428; 409 `owner_required`, `conflict`."""

        async def attempt() -> None:
            stored = await self.read(consumer_id, project_id, account_id)
            check_match(if_match, stored.etag)
            await self._remove(actor, "member.remove", stored)

        await retry_on_conflict(attempt)

    async def leave(self, actor: Actor, consumer_id: str, project_id: str) -> None:
        """Remove the actor from the project. Raises Problem 404; 409 `owner_required`, `conflict`."""

        async def attempt() -> None:
            await self._remove(actor, "member.leave", await self.read(consumer_id, project_id, actor.account_id))

        await retry_on_conflict(attempt)

    async def transfer(self, actor: Actor, consumer_id: str, project_id: str, account_id: str) -> Stored[Member]:
        """Make a member the owner, and the owner a manager. Raises Problem 404 for somebody who is no member; 409
        `state_invalid`, `conflict`."""
        chosen = await self.read(consumer_id, project_id, account_id)
        if chosen.value.role == "owner":
            raise Problem(409, "state_invalid", "A member cannot go from owner to owner.")
        owner = await self._owner(consumer_id, project_id)
        project = await self._project(consumer_id, project_id)
        after = chosen.value.model_copy(update={"role": "owner"})
        writes = [Replace(member_document(project_id, account_id), after.to_json(), chosen.etag)]
        tasks: list[Task] = []
        before: dict[str, str] = {}
        if owner is not None:
            former = owner.value.model_copy(update={"role": "manager"})
            writes.append(Replace(member_document(project_id, former.account_id), former.to_json(), owner.etag))
            before = {"owner": former.account_id}
            tasks = _mail(former, f"{one_line(project.name)} has a new owner", f"{one_line(after.name)} owns it now.")
        tasks += _mail(after, f"You own {one_line(project.name)}", "The project's ownership was transferred to you.")
        change = Change(actor, "project.transfer", f"project:{project_id}", before=before, after={"owner": account_id})
        etags = await self._journal.commit(ACCESS, consumer_id, writes, change, tasks=tasks)
        return Stored(after, etags[0])

    async def on_disable_keys(self, task_id: str, task: DisableKeys) -> None:
        """Handle DisableKeys. Nothing happens when the person is a member again."""
        consumer_id, project_id, account_id = task.consumer_id, task.project_id, task.account_id
        while await self._store.member(consumer_id, project_id, account_id) is None:
            keys = await self._keys_made_by(consumer_id, project_id, account_id)
            if not keys:
                return
            writes, ids = _disabled(keys[:KEYS_AT_ONCE_MAX])
            after = {"status": "disabled", "key_ids": ids}
            resource = f"member:{project_id}:{account_id}"
            change = Change(SYSTEM, "member.disable_keys", resource, before={"status": "active"}, after=after)
            await self._journal.commit(ACCESS, consumer_id, writes, change)

    async def try_add(
        self,
        actor: Actor,
        account: Account,
        consumer_id: str,
        project_id: str,
        role: ProjectRole,
        invite_id: str | None = None,
    ) -> Stored[Member]:
        """Add an account in one attempt; invites to its address are used up with it. Raises Problem 404, also when
        there is no such invite any more; 409 `conflict`, `limit_reached`."""
        email = account.email if account.email_verified else None
        seat = await self._seats.find(consumer_id, project_id, email, invite_id)
        at = member_document(project_id, account.id)
        if (stored := await self._store.find(Member, consumer_id, at)) is not None:
            return stored
        member = Member(
            consumer_id=consumer_id,
            project_id=project_id,
            account_id=account.id,
            role=role,
            name=account.name,
            email=email,
            joined_at=self._now(),
        )
        change = changed(actor, "member.add", _resource(member), None, member, secret=_PERSONAL)
        name = one_line(seat.project.name)
        text = f"You are a {role} of the project {name} now."
        tasks: list[Task] = [FollowMembership(consumer_id=consumer_id, project_id=project_id, account_id=account.id)]
        tasks += _mail(member, f"You are in {name}", text)
        writes = [Create(at, member.to_json()), *seat.writes]
        etags = await self._journal.commit(ACCESS, consumer_id, writes, change, tasks=tasks)
        return Stored(member, etags[0])

    async def _remove(self, actor: Actor, action: str, stored: Stored[Member]) -> None:
        member = stored.value
        _check_not_owner(member)
        consumer_id, project_id, account_id = member.consumer_id, member.project_id, member.account_id
        project = await self._project(consumer_id, project_id)
        consumer = await self._store.consumer(consumer_id)
        tasks: list[Task] = [FollowMembership(consumer_id=consumer_id, project_id=project_id, account_id=account_id)]
        writes: list[Operation] = []
        ids: list[str] = []
        if consumer is None or consumer.account_id != account_id:  # whose tenant it is keeps all keys of it
            keys = await self._keys_made_by(consumer_id, project_id, account_id)
            writes, ids = _disabled(keys[:KEYS_AT_ONCE_MAX])
            tasks.append(DisableKeys(consumer_id=consumer_id, project_id=project_id, account_id=account_id))
        gone = changed(actor, action, _resource(member), member, None, secret=_PERSONAL)
        change = Change(actor, action, gone.resource, before=gone.before, after={"disabled_key_ids": ids})
        tasks += _mail(member, f"You are no longer in {one_line(project.name)}", "You have no access to it any more.")
        tasks += await self._mail_owner(member, project, ids)
        delete = Delete(member_document(project_id, account_id), stored.etag)
        await self._journal.commit(ACCESS, consumer_id, [delete, *writes], change, tasks=tasks)

    async def _mail_owner(self, gone: Member, project: Project, key_ids: Sequence[str]) -> list[Task]:
        owner = await self._owner(gone.consumer_id, gone.project_id)
        if owner is None:
            return []
        text = f"{one_line(gone.name)} is no longer in {one_line(project.name)}."
        if key_ids:
            text += "\n\nKeys that they had made are disabled, since they know them: " + ", ".join(key_ids)
            text += ".\nRotate and enable those that are still needed."
        return _mail(owner.value, f"{one_line(gone.name)} left {one_line(project.name)}", text)

    async def _keys_made_by(self, consumer_id: str, project_id: str, account_id: str) -> list[Stored[ApiKey]]:
        keys = await self._store.all_of(ApiKey, consumer_id, "key:")
        seen = [key for key in keys if key.value.project_id == project_id and key.value.seen_by(account_id)]
        return [key for key in seen if key.value.status == "active"]

    async def _owner(self, consumer_id: str, project_id: str) -> Stored[Member] | None:
        members = await self._store.all_of(Member, consumer_id, member_document(project_id, ""))
        return next((stored for stored in members if stored.value.role == "owner"), None)

    async def _project(self, consumer_id: str, project_id: str) -> Project:
        stored = await self._store.find(Project, consumer_id, project_document(project_id))
        if stored is None:
            raise not_found()
        return stored.value


def _check_not_owner(member: Member) -> None:
    if member.role == "owner":
        raise Problem(409, "owner_required", "A project needs its owner. Transfer the ownership first.")


def _disabled(keys: Sequence[Stored[ApiKey]]) -> tuple[list[Operation], list[str]]:
    """The writes that disable these keys, and their ids."""
    update = {"status": "disabled", "reason": "who knows it left the project"}
    return [replace_key(key, key.value.model_copy(update=update)) for key in keys], [key.value.id for key in keys]


def _mail(member: Member, subject: str, text: str) -> list[Task]:
    """A mail to a member; none when no verified address is known of them."""
    return [] if member.email is None else [SendMail(to=member.email, subject=subject, text=text + "\n")]


def _resource(member: Member) -> str:
    return f"member:{member.project_id}:{member.account_id}"
