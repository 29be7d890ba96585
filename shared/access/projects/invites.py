"""Invites into a project, for people who have no account yet (who has one is added at once).

An invite lives with its project, so that accepting it is one transaction with the membership: used once, whatever
happens at the same time. It is found by its code through a pointer that never changes, kept under the code's hash; the
code itself is in the mail only. A verified address decides whose the invite is.
"""

import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import sha256

from shared.access.models import Member, Project, ProjectInvite, ProjectRole
from shared.access.projects.members import Members
from shared.access.projects.seats import Seats
from shared.access.store import ACCESS, SCAN_PAGE, AccessStore, invite_document, member_document
from shared.audit.journal import Journal
from shared.audit.models import Actor, changed
from shared.audit.platform import PlatformSettingsStore
from shared.identity.mails import one_line
from shared.identity.models import Account
from shared.identity.store import AccountStore
from shared.identity.tasks import SendMail
from shared.kernel.clock import format_time, utc_now
from shared.kernel.documents import Identifier, Stored, StoredModel
from shared.kernel.errors import Problem
from shared.kernel.http.etags import check_match
from shared.kernel.http.paging import Page
from shared.kernel.http.problems import not_found
from shared.kernel.retries import retry_on_conflict
from shared.platform.documents import CONTAINERS, Create, Delete, Documents, Query, Where

INVITES = CONTAINERS["invites"]
CODE_BYTES = 24
"""192 bits: not to be guessed, so a fast hash is right."""

DAY_S = 24 * 3_600
_PERSONAL = frozenset({"email"})


class _Pointer(StoredModel):
    """Where the invite of a code is."""

    consumer_id: Identifier
    project_id: Identifier


class ProjectInvites:
    """Invites people into projects by e-mail; `public_url` is where the portal is served."""

    def __init__(
        self,
        documents: Documents,
        store: AccessStore,
        accounts: AccountStore,
        members: Members,
        seats: Seats,
        journal: Journal,
        settings: PlatformSettingsStore,
        public_url: str,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._documents = documents
        self._store = store
        self._accounts = accounts
        self._members = members
        self._seats = seats
        self._journal = journal
        self._settings = settings
        self._public_url = public_url
        self._now = now

    async def invite(
        self, inviter: Account, actor: Actor, consumer_id: str, project_id: str, email: str, role: ProjectRole
    ) -> None:
        """Add whoever has this verified address to a project, else send an invite there, which replaces one from
        before. The caller is not told which. `email` is in lower case. Raises Problem 404; 409 `limit_reached`."""

        async def attempt() -> None:
            stored = await self._accounts.account_by_email(email)
            if stored is None:
                await self._send(inviter, actor, consumer_id, project_id, email, role)
            else:
                await self._members.try_add(actor, stored.value, consumer_id, project_id, role)

        await retry_on_conflict(attempt)

    async def page(
        self, consumer_id: str, project_id: str, limit: int, cursor: str | None
    ) -> Page[Stored[ProjectInvite]]:
        """List the invites of a project that can still be accepted. Raises Problem 400 `cursor_invalid`, 404."""
        if await self._store.project(consumer_id, project_id) is None:
            raise not_found()
        where = (Where("id", "starts_with", invite_document(project_id, "")),)
        query = Query(consumer_id, where, order_by="id", limit=SCAN_PAGE)
        list_name = f"invites:{consumer_id}:{project_id}"
        return await self._store.scan(
            ProjectInvite, query, lambda _: True, list_name=list_name, limit=limit, cursor=cursor
        )

    async def read(self, consumer_id: str, project_id: str, invite_id: str) -> Stored[ProjectInvite]:
        """Read an invite. Raises Problem 404."""
        stored = await self._store.find(ProjectInvite, consumer_id, invite_document(project_id, invite_id))
        if stored is None:
            raise not_found()
        return stored

    async def revoke(
        self, actor: Actor, consumer_id: str, project_id: str, invite_id: str, if_match: str | None
    ) -> None:
        """Revoke an invite. Raises Problem 404, 412, 428; 409 `conflict`."""
        stored = await self.read(consumer_id, project_id, invite_id)
        check_match(if_match, stored.etag)
        change = changed(actor, "member.revoke_invite", f"project:{project_id}", stored.value, None, secret=_PERSONAL)
        delete = Delete(invite_document(project_id, invite_id), stored.etag)
        await self._journal.commit(ACCESS, consumer_id, [delete], change)

    async def accept(self, actor: Actor, account: Account, code: str) -> Stored[Member]:
        """Become a member by the code of a mail. Whoever is in the project already stays what they are. Raises Problem
        404 `invite_invalid`; 409 `limit_reached`."""
        return await retry_on_conflict(lambda: self._accept(actor, account, code))

    async def _accept(self, actor: Actor, account: Account, code: str) -> Stored[Member]:
        invite_id = _hash(code)
        document = await self._documents.get(INVITES, invite_id, invite_id)
        if document is None:
            raise _invalid()
        at = _Pointer.model_validate_json(document.body)
        # The invite first: whoever uses it up is a member from the same moment on.
        stored = await self._store.find(ProjectInvite, at.consumer_id, invite_document(at.project_id, invite_id))
        if (joined := await self._joined(at, account)) is not None:
            return joined
        if stored is None or stored.value.expires_at <= self._now():
            raise _invalid()
        role = stored.value.role
        try:  # which looks for the invite among those to the account's own verified address only
            return await self._members.try_add(actor, account, at.consumer_id, at.project_id, role, invite_id)
        except Problem as problem:
            if problem.code != "not_found":
                raise
            # It is for another address; or used by the same person, revoked, the project deleted, in between.
            if (joined := await self._joined(at, account)) is not None:
                return joined
            raise _invalid() from problem

    async def _joined(self, at: _Pointer, account: Account) -> Stored[Member] | None:
        return await self._store.find(Member, at.consumer_id, member_document(at.project_id, account.id))

    async def _send(
        self, inviter: Account, actor: Actor, consumer_id: str, project_id: str, email: str, role: ProjectRole
    ) -> None:
        seat = await self._seats.find(consumer_id, project_id, email)
        days = (await self._settings.current()).invite_days
        now, code = self._now(), secrets.token_urlsafe(CODE_BYTES)
        invite = ProjectInvite(
            id=_hash(code),
            consumer_id=consumer_id,
            project_id=project_id,
            email=email,
            role=role,
            created_at=now,
            expires_at=now + timedelta(days=days),
        )
        # The pointer first: a kill in between leaves one to nothing, which is as good as none.
        pointer = _Pointer(consumer_id=consumer_id, project_id=project_id).to_json()
        await self._journal.commit(INVITES, invite.id, [Create(invite.id, pointer, days * DAY_S)])
        create = Create(invite_document(project_id, invite.id), invite.to_json(), days * DAY_S)
        change = changed(actor, "member.invite", f"project:{project_id}", None, invite, secret=_PERSONAL)
        text = self._text(inviter, seat.project, invite, code)
        invitation = SendMail(to=email, subject=f"An invite to {one_line(seat.project.name)}", text=text)
        await self._journal.commit(ACCESS, consumer_id, [create, *seat.writes], change, tasks=[invitation])

    def _text(self, inviter: Account, project: Project, invite: ProjectInvite, code: str) -> str:
        who = inviter.email if inviter.email_verified and inviter.email is not None else "Somebody"
        return (
            f"{who} invites you to the project {one_line(project.name)}.\n\n"
            f"Sign in with this e-mail address and open:\n{self._public_url}/join?invite={code}\n\n"
            f"It works once, until {format_time(invite.expires_at)}. Ignore this mail if you do not know them.\n"
        )


def _hash(code: str) -> str:
    return sha256(code.encode()).hexdigest()


def _invalid() -> Problem:
    """One answer for all, which tells nothing about invites of others."""
    detail = "There is no such invite for you: it was used, revoked, replaced, has expired, or is for another address."
    return Problem(404, "invite_invalid", detail)
