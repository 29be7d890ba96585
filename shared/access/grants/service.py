"""A consumer's access to a service: asked for, decided, limited to projects, given up.

    requested → approved | denied        an admin decides, or the service's own setting approves at once
    requested, approved → withdrawn      the consumer leaves, or an admin takes it back
    denied, withdrawn → requested        it may be asked for again

A merchant's restriction stands beside the status and outlives it, so that leaving and asking again does not lift it.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from shared.access.mails import AccessMails
from shared.access.models import Consumer, Grant, GrantStatus, Project
from shared.access.pseudonyms import Pseudonyms
from shared.access.store import ACCESS, SCAN_PAGE, AccessStore, grant_document
from shared.audit.journal import Journal
from shared.audit.models import SYSTEM, Actor, changed
from shared.audit.platform import PlatformSettingsStore
from shared.audit.tasks import Task
from shared.catalog.models import Service
from shared.catalog.store import CatalogStore
from shared.identity.mails import one_line, reason_line
from shared.kernel.clock import utc_now
from shared.kernel.documents import Stored
from shared.kernel.errors import FieldError, Problem
from shared.kernel.http.etags import check_match
from shared.kernel.http.paging import Page
from shared.kernel.http.problems import not_found
from shared.kernel.retries import retry_on_conflict
from shared.platform.documents import Create, Operation, Query, Replace, Where

OPEN: tuple[GrantStatus, ...] = ("requested", "approved")


class Grants:
    """Decides on requests for access to services, and on what becomes of them."""

    def __init__(
        self,
        store: AccessStore,
        catalog: CatalogStore,
        journal: Journal,
        settings: PlatformSettingsStore,
        pseudonyms: Pseudonyms,
        mails: AccessMails,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._store = store
        self._catalog = catalog
        self._journal = journal
        self._settings = settings
        self._pseudonyms = pseudonyms
        self._mails = mails
        self._now = now

    async def read(self, consumer_id: str, service_id: str, project_id: str | None = None) -> Stored[Grant]:
        """Read one grant; with a project, only if keys of the project may use it. Raises Problem 404."""
        stored = await self._store.find(Grant, consumer_id, grant_document(service_id))
        if stored is None:
            raise not_found()
        if project_id is not None and not stored.value.open_to(await self._project(consumer_id, project_id)):
            raise not_found()
        return stored

    async def page(
        self, consumer_id: str, status: GrantStatus | None, project_id: str | None, limit: int, cursor: str | None
    ) -> Page[Stored[Grant]]:
        """List a consumer's grants, a page at a time; with a project, those that its keys may use. Raises Problem 400
        `cursor_invalid`, 404 for a project that is not the consumer's."""
        project = None if project_id is None else await self._project(consumer_id, project_id)

        def keep(grant: Grant) -> bool:
            return status in (None, grant.status) and (project is None or grant.open_to(project))

        query = Query(consumer_id, (Where("id", "starts_with", grant_document("")),), order_by="id", limit=SCAN_PAGE)
        list_name = f"grants:{consumer_id}:{status}:{project_id}"
        return await self._store.scan(Grant, query, keep, list_name=list_name, limit=limit, cursor=cursor)

    async def queue(self, limit: int, cursor: str | None) -> Page[Stored[Grant]]:
        """List requests that wait for a decision, oldest first, a page at a time. Raises Problem 400
        `cursor_invalid`."""
        # Across tenants: the operators' queue.
        query = Query(None, (Where("review", "=", "grant"),), order_by="requested_at", limit=SCAN_PAGE)
        return await self._store.scan(Grant, query, lambda _: True, list_name="queue", limit=limit, cursor=cursor)

    async def request(
        self, actor: Actor, consumer_id: str, reference: str, note: str, project_id: str | None
    ) -> Stored[Grant]:
        """Ask for a service by slug or id; with a project, for that project's keys only. Approved at once where service
        and platform say so. Raises Problem 403 `consumer_suspended`; 404; 409 `grant_exists`,
        `subscriptions_blocked`."""
        return await retry_on_conflict(lambda: self._request(actor, consumer_id, reference, note, project_id))

    async def leave(self, actor: Actor, consumer_id: str, service_id: str, if_match: str | None) -> Stored[Grant]:
        """Give a grant up for its consumer, whose keys lose the service at once. Raises Problem 404, 409, 412, 428."""
        stored = await self.read(consumer_id, service_id)
        check_match(if_match, stored.etag)
        return await self._decide(actor, "grant.leave", stored, "withdrawn", None, notify=False)

    async def restrict_to_projects(
        self, actor: Actor, consumer_id: str, service_id: str, project_ids: Sequence[str], if_match: str | None
    ) -> Stored[Grant]:
        """Limit a grant to keys of these projects; to any keys, when there are none. A project that is deleted stays
        named: what was restricted never opens by itself. Raises Problem 400, 404, 409, 412, 428."""
        stored = await self.read(consumer_id, service_id)
        check_match(if_match, stored.etag)
        for project_id in set(project_ids) - set(stored.value.project_ids):
            if await self._store.project(consumer_id, project_id) is None:
                rule = "must name projects of this consumer"
                raise Problem(
                    400, "request_invalid", f"`project_ids` {rule}.", errors=(FieldError("project_ids", rule),)
                )
        after = stored.value.model_copy(update={"project_ids": tuple(dict.fromkeys(project_ids))})
        return await self._write(actor, "grant.restrict_to_projects", stored, after)

    async def approve(self, actor: Actor, consumer_id: str, service_id: str, reason: str | None) -> Stored[Grant]:
        """Approve a request. Raises Problem 404; 409 `state_invalid`, `conflict`."""
        stored = await self.read(consumer_id, service_id)
        return await self._decide(actor, "grant.approve", stored, "approved", reason)

    async def deny(self, actor: Actor, consumer_id: str, service_id: str, reason: str) -> Stored[Grant]:
        """Deny a request. Raises Problem 404; 409 `state_invalid`, `conflict`."""
        stored = await self.read(consumer_id, service_id)
        return await self._decide(actor, "grant.deny", stored, "denied", reason)

    async def withdraw(self, actor: Actor, consumer_id: str, service_id: str, reason: str) -> Stored[Grant]:
        """Take a grant back, as an admin: the consumer's keys lose the service at once. Raises Problem 404; 409
        `state_invalid`, `conflict`."""
        stored = await self.read(consumer_id, service_id)
        return await self._decide(actor, "grant.withdraw", stored, "withdrawn", reason)

    async def _request(
        self, actor: Actor, consumer_id: str, reference: str, note: str, project_id: str | None
    ) -> Stored[Grant]:
        consumer = await self._store.consumer(consumer_id)
        if consumer is None:
            raise not_found()
        if consumer.status == "suspended":
            raise Problem(403, "consumer_suspended", "This consumer is suspended by the platform.")
        if project_id is not None:
            await self._project(consumer_id, project_id)
        service = await self._catalog.find_service(reference)
        stored = None
        if service is not None:
            stored = await self._store.find(Grant, consumer_id, grant_document(service.id))
        service = await self._requestable(service, stored)
        if stored is not None and stored.value.status in OPEN:
            detail = f"Access to this service is {stored.value.status} already."
            if stored.value.project_ids:
                detail += " It is for certain projects; whoever runs the organisation can add others."
            raise Problem(409, "grant_exists", detail)
        grant = await self._new_grant(consumer_id, service, note, project_id, stored)
        return await self._commit_request(actor, consumer, service, grant, stored)

    async def _requestable(self, service: Service | None, stored: Stored[Grant] | None) -> Service:
        """Find the service that is asked for. Raises Problem 404 for what the consumer cannot see, 409 where the
        merchant takes nobody new."""
        if service is None or service.status != "active" or (service.shown == "private" and stored is None):
            raise not_found()
        merchant = await self._catalog.merchant(service.merchant_id)
        if merchant is None or merchant.status != "active":
            raise not_found()
        if merchant.subscriptions_blocked:
            raise Problem(409, "subscriptions_blocked", "This merchant takes no new access requests at present.")
        return service

    async def _new_grant(
        self, consumer_id: str, service: Service, note: str, project_id: str | None, stored: Stored[Grant] | None
    ) -> Grant:
        at_once = service.auto_approve and (await self._settings.current()).auto_approval_allowed
        now = self._now()
        return Grant(
            consumer_id=consumer_id,
            service_id=service.id,
            merchant_id=service.merchant_id,
            status="approved" if at_once else "requested",
            restricted=stored.value.restricted
            if stored is not None
            else await self._is_restricted_everywhere(consumer_id, service),
            project_ids=() if project_id is None else (project_id,),
            pseudonym=await self._pseudonyms.of(service.merchant_id, consumer_id),
            note=note,
            review=None if at_once else "grant",
            requested_at=now,
            decided_at=now if at_once else None,
        )

    async def _is_restricted_everywhere(self, consumer_id: str, service: Service) -> bool:
        """Whether the merchant has restricted the consumer at every service: then it means the new one too."""
        grants = await self._store.all_of(Grant, consumer_id, grant_document(""))
        others = [stored.value.restricted for stored in grants if stored.value.merchant_id == service.merchant_id]
        return bool(others) and all(others)

    async def _commit_request(
        self, actor: Actor, consumer: Consumer, service: Service, grant: Grant, stored: Stored[Grant] | None
    ) -> Stored[Grant]:
        before = None if stored is None else stored.value
        requested = grant.model_copy(update={"status": "requested", "decided_at": None, "review": "grant"})
        changes = [changed(actor, "grant.request", _resource(grant), before, requested)]
        if grant.status == "approved":
            reason = "the service approves at once"
            changes.append(changed(SYSTEM, "grant.approve", _resource(grant), requested, grant, reason=reason))
            tasks = await self._decision_mails(grant, service)
        else:
            subject = f"Access requested: {one_line(service.name)}"
            text = f"{one_line(consumer.name)} asks for access to {one_line(service.name)} ({service.slug}).\n"
            tasks = await self._mails.to_platform(subject, text)
        at, body = grant_document(grant.service_id), grant.to_json()
        write: Operation = Create(at, body) if stored is None else Replace(at, body, stored.etag)
        etags = await self._journal.commit(ACCESS, grant.consumer_id, [write], *changes, tasks=tasks)
        return Stored(grant, etags[0])

    async def _decide(
        self,
        actor: Actor,
        action: str,
        stored: Stored[Grant],
        status: GrantStatus,
        reason: str | None,
        *,
        notify: bool = True,
    ) -> Stored[Grant]:
        before = stored.value
        if before.status not in (OPEN if status == "withdrawn" else ("requested",)):
            raise Problem(409, "state_invalid", f"A grant cannot go from {before.status} to {status}.")
        # The time of the approval stays with what was approved: a merchant's subscribers are known by it.
        decided = before.decided_at or (None if status == "withdrawn" else self._now())
        after = before.model_copy(update={"status": status, "reason": reason, "review": None, "decided_at": decided})
        tasks = await self._decision_mails(after, await self._catalog.service(after.service_id)) if notify else []
        return await self._write(actor, action, stored, after, reason=reason, tasks=tasks)

    async def _write(
        self,
        actor: Actor,
        action: str,
        stored: Stored[Grant],
        after: Grant,
        *,
        reason: str | None = None,
        tasks: Sequence[Task] = (),
    ) -> Stored[Grant]:
        change = changed(actor, action, _resource(after), stored.value, after, reason=reason)
        write = Replace(grant_document(after.service_id), after.to_json(), stored.etag)
        etags = await self._journal.commit(ACCESS, after.consumer_id, [write], change, tasks=tasks)
        return Stored(after, etags[0])

    async def _decision_mails(self, grant: Grant, service: Service | None) -> Sequence[Task]:
        name = grant.service_id if service is None else one_line(service.name)
        text = f"Your access to {name} is {grant.status}.\n"
        if grant.reason is not None:
            text += f"\n{reason_line(grant.reason)}\n"
        consumer = await self._store.consumer(grant.consumer_id)
        return await self._mails.to_consumer(consumer, f"Access {grant.status}: {name}", text)

    async def _project(self, consumer_id: str, project_id: str) -> Project:
        project = await self._store.project(consumer_id, project_id)
        if project is None:
            raise not_found()
        return project


def _resource(grant: Grant) -> str:
    return f"grant:{grant.consumer_id}:{grant.service_id}"
