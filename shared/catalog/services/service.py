"""What a merchant does with its services: draft, edit, submit, withdraw, release, retire.

    draft, rejected        → pending_approval     submitted; or active at once, where the platform's settings say so
    pending_approval       → draft                withdrawn by the merchant
    pending_approval       → active | rejected    an admin decides (`shared.catalog.services.reviews`)
    active                 ⇄ suspended            an admin
    draft, rejected, active, suspended → retired  for good

An edit of a live service (active or suspended) that matters to consumers waits for approval in a revision
(`shared.catalog.services.revisions`), while the service stays as it is. Whoever writes any of it replaces the service's
document, so its ETag stands for all of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.audit.models import Actor
from shared.audit.platform import PlatformSettingsStore
from shared.catalog.logos import keep_logo
from shared.catalog.mails import CatalogMails
from shared.catalog.models import Merchant, Revision, Service, ServiceStatus, ServiceVersion
from shared.catalog.services.changes import ServiceChanges, released
from shared.catalog.services.quota import ServiceQuota
from shared.catalog.services.revisions import applied, split
from shared.catalog.store import REVISION, CatalogStore, SlugTaken
from shared.identity.mails import one_line
from shared.identity.tasks import SendMail
from shared.kernel.documents import Stored
from shared.kernel.errors import FieldError, Problem
from shared.kernel.http.etags import check_match
from shared.kernel.http.paging import Page
from shared.kernel.http.problems import not_found
from shared.kernel.ids import new_id
from shared.platform.blobs import Blobs
from shared.platform.documents import Delete, Operation, Upsert, Where

LIVE: tuple[ServiceStatus, ...] = ("active", "suspended")
EDITABLE: tuple[ServiceStatus, ...] = ("draft", "rejected", *LIVE)


@dataclass(frozen=True, slots=True)
class ServiceDetail:
    """A service, and the changes of it that wait for approval."""

    stored: Stored[Service]
    revision: Revision | None = None

    @property
    def service(self) -> Service:
        return self.stored.value

    @property
    def proposed(self) -> Service:
        """The service as it would be with its revision."""
        return self.service if self.revision is None else applied(self.service, self.revision.values)


class Services:
    """Makes and changes services for their merchants, from the draft to the retirement."""

    def __init__(
        self,
        store: CatalogStore,
        changes: ServiceChanges,
        quota: ServiceQuota,
        settings: PlatformSettingsStore,
        mails: CatalogMails,
        blobs: Blobs,
    ) -> None:
        self._store = store
        self._changes = changes
        self._quota = quota
        self._settings = settings
        self._mails = mails
        self._blobs = blobs

    async def read(self, service_id: str) -> ServiceDetail:
        """Read a service with its revision. Raises Problem 404."""
        stored = await self._store.stored_service(service_id)
        if stored is None:
            raise not_found()
        return ServiceDetail(stored, await self._store.revision(service_id))

    async def page(
        self, merchant_id: str, status: ServiceStatus | None, limit: int, cursor: str | None
    ) -> Page[Stored[Service]]:
        """List a merchant's services, newest first. Raises Problem 400 `cursor_invalid`, 404."""
        await self._merchant(merchant_id)
        where = [Where("merchant_id", "=", merchant_id)]
        if status is not None:
            where.append(Where("status", "=", status))
        list_name = f"services:{merchant_id}:{status}"
        return await self._store.services(*where, list_name=list_name, order_by="id", limit=limit, cursor=cursor)

    async def create(self, actor: Actor, merchant_id: str, slug: str, values: Mapping[str, Any]) -> ServiceDetail:
        """Make a draft. `values` are JSON by field name. Raises Problem 400; 404; 409 `slug_taken`, `limit_reached`."""
        await self._merchant(merchant_id)
        now = self._changes.now()
        blank = Service(id=new_id("svc"), merchant_id=merchant_id, slug=slug, name=slug, created_at=now)
        service = applied(blank, values)
        try:
            await self._store.reserve_slug(slug, service.id, now)
        except SlugTaken:
            rule = "must not be another service's"
            raise Problem(409, "slug_taken", f"`slug` {rule}.", (FieldError("slug", rule),)) from None
        try:
            await self._quota.reserve(merchant_id, (await self._settings.current()).services_per_merchant_max)
            return ServiceDetail(await self._changes.create(actor, service))
        except Problem:  # for certain, nothing was made
            await self._store.release_slug(slug, service.id)
            raise

    async def update(
        self, actor: Actor, service_id: str, values: Mapping[str, Any], notes: str | None, if_match: str | None
    ) -> ServiceDetail:
        """Set `values`, JSON by field name; objects are merged, null clears. What consumers rely on waits for approval
        when the service is live. Raises Problem 400; 404; 409 `state_invalid`, `merchant_inactive`; 412; 428."""
        detail = await self.read(service_id)
        check_match(if_match, detail.stored.etag)
        return await self.edit(actor, detail, values, notes)

    async def set_logo(self, actor: Actor, service_id: str, data: bytes | None, if_match: str | None) -> ServiceDetail:
        """Set the logo from a picture as it was sent, or take it away with None. Raises Problem 400 `image_invalid`;
        404; 409 `state_invalid`; 412; 413; 428."""
        detail = await self.read(service_id)
        check_match(if_match, detail.stored.etag)
        # The blob first: a kill in between leaves one that nobody names.
        return await self.edit(actor, detail, {"logo": None if data is None else await keep_logo(self._blobs, data)})

    async def edit(
        self, actor: Actor, detail: ServiceDetail, values: Mapping[str, Any], notes: str | None = None
    ) -> ServiceDetail:
        """Update a service whose state was read already, as `update` does."""
        service = detail.service
        if service.status not in EDITABLE:
            hint = " Withdraw it first." if service.status == "pending_approval" else ""
            raise Problem(409, "state_invalid", f"A service that is {service.status} cannot be edited.{hint}")
        if service.status not in LIVE:
            after = applied(service, values)
            return ServiceDetail(await self._changes.commit(actor, "service.update", detail.stored, after))
        return await self._edit_live(actor, detail, values, notes)

    async def submit(self, actor: Actor, service_id: str) -> ServiceDetail:
        """Ask for the first approval. Raises Problem 404; 409 `state_invalid`, `merchant_inactive`,
        `service_incomplete`, `conflict`."""
        detail = await self.read(service_id)
        service = detail.service
        if service.status not in ("draft", "rejected"):
            raise state_invalid(service, "pending_approval")
        merchant = await self._active_merchant(service)
        check_complete(service)
        now = self._changes.now()
        if (await self._settings.current()).services_approve_at_once:
            after, version = released(service.model_copy(update={"status": "active", "reason": None}), actor, "", now)
            also: Sequence[Operation] = [version]
            return ServiceDetail(await self._changes.commit(actor, "service.submit", detail.stored, after, also=also))
        update = {"status": "pending_approval", "review": "service", "submitted_at": now, "reason": None}
        tasks = await self._tell_platform(service, merchant, "asks for approval of")
        after = service.model_copy(update=update)
        return ServiceDetail(await self._changes.commit(actor, "service.submit", detail.stored, after, tasks=tasks))

    async def withdraw(self, actor: Actor, service_id: str) -> ServiceDetail:
        """Take back what waits for approval: the service becomes a draft again, or its revision is dropped. Raises
        Problem 404; 409 `state_invalid`, `conflict`."""
        detail = await self.read(service_id)
        service = detail.service
        if service.status == "pending_approval":
            after = out_of_review(service).model_copy(update={"status": "draft"})
            return ServiceDetail(await self._changes.commit(actor, "service.withdraw", detail.stored, after))
        if detail.revision is None:
            raise Problem(409, "state_invalid", f"A service that is {service.status} has nothing under review.")
        after = out_of_review(service)
        also = [Delete(REVISION)]
        return ServiceDetail(
            await self._changes.commit(actor, "service.withdraw_revision", detail.stored, after, also=also)
        )

    async def retire(self, actor: Actor, service_id: str, reason: str | None) -> ServiceDetail:
        """Retire a service for good: its calls are refused at once, its slug stays taken. Raises Problem 404; 409
        `state_invalid`, `conflict`."""
        detail = await self.read(service_id)
        if detail.service.status not in EDITABLE:
            raise state_invalid(detail.service, "retired")
        after = out_of_review(detail.service).model_copy(update={"status": "retired", "reason": reason})
        also = [] if detail.revision is None else [Delete(REVISION)]
        stored = await self._changes.commit(actor, "service.retire", detail.stored, after, reason=reason, also=also)
        return ServiceDetail(stored)

    async def release(
        self, actor: Actor, service_id: str, version: str, notes: str
    ) -> tuple[ServiceDetail, ServiceVersion]:
        """Announce a version of a live service to its consumers. Raises Problem 404; 409 `state_invalid`,
        `conflict`."""
        detail = await self.read(service_id)
        if detail.service.status not in LIVE:
            raise Problem(
                409, "state_invalid", f"A service that is {detail.service.status} has no versions to announce."
            )
        named = detail.service.model_copy(update={"version": version})
        after, create = released(named, actor, notes, self._changes.now())
        stored = await self._changes.commit(actor, "service.release", detail.stored, after, reason=notes, also=[create])
        return ServiceDetail(stored, detail.revision), ServiceVersion.model_validate_json(create.body)

    async def versions(self, service_id: str, limit: int, cursor: str | None) -> Page[Stored[ServiceVersion]]:
        """List a service's versions, newest first. Raises Problem 400, 404."""
        await self.read(service_id)
        return await self._store.versions(service_id, limit, cursor)

    async def _edit_live(
        self, actor: Actor, detail: ServiceDetail, values: Mapping[str, Any], notes: str | None
    ) -> ServiceDetail:
        service, revision = detail.service, detail.revision
        target = applied(detail.proposed, values)
        check_complete(target)
        at_once, reviewed = split(service, target, frozenset(values) | _revised(revision))
        notes = notes if notes is not None else (revision.notes if revision is not None else "")
        if not reviewed or (await self._settings.current()).services_approve_at_once:
            return await self._apply_all(actor, detail, target, notes if reviewed else None)
        after, now = service.model_copy(update=at_once), self._changes.now()
        merchant = await self._active_merchant(service)
        proposal = Revision(values=reviewed, notes=notes, proposed_by=actor.account_id, proposed_at=now)
        since = service.submitted_at if service.review == "revision" else now
        after = after.model_copy(update={"review": "revision", "submitted_at": since})
        tasks = (
            [] if service.review else await self._tell_platform(service, merchant, "asks for approval of changes of")
        )
        stored = await self._changes.commit(
            actor,
            "service.propose",
            detail.stored,
            after,
            shown_as=applied(after, reviewed),
            also=[Upsert(REVISION, proposal.to_json())],
            tasks=tasks,
        )
        return ServiceDetail(stored, proposal)

    async def _apply_all(self, actor: Actor, detail: ServiceDetail, after: Service, notes: str | None) -> ServiceDetail:
        """Nothing needs an approval (any more). With `notes`, it is a new version to consumers."""
        also: list[Operation] = []
        if detail.revision is not None:
            also, after = [Delete(REVISION)], out_of_review(after)
        if notes is not None:
            after, version = released(after, actor, notes, self._changes.now())
            also.append(version)
        return ServiceDetail(await self._changes.commit(actor, "service.update", detail.stored, after, also=also))

    async def _merchant(self, merchant_id: str) -> Merchant:
        merchant = await self._store.merchant(merchant_id)
        if merchant is None:
            raise not_found()
        return merchant

    async def _active_merchant(self, service: Service) -> Merchant:
        merchant = await self._merchant(service.merchant_id)
        if merchant.status != "active":
            detail = f"The merchant is {merchant.status}. It may draft services; an active one may submit them."
            raise Problem(409, "merchant_inactive", detail)
        return merchant

    async def _tell_platform(self, service: Service, merchant: Merchant, asks: str) -> list[SendMail]:
        name = one_line(service.name)
        text = f"{one_line(merchant.name)} {asks} {name} ({service.slug}).\n"
        return await self._mails.to_platform(f"To review: {name}", text)


def check_complete(service: Service) -> None:
    """Check that a service has all that a live one needs. Raises Problem 409 `service_incomplete`, naming what a live
    service cannot do without."""
    errors = []
    if not service.description.strip():
        errors.append(FieldError("description", "must say what the service is"))
    if service.type == "api" and service.upstream is None:
        errors.append(FieldError("upstream.base_url", "must say where calls go"))
    if errors:
        detail = "; ".join(f"`{error.field}` {error.rule}" for error in errors)
        raise Problem(409, "service_incomplete", f"{detail}.", errors)


def out_of_review(service: Service) -> Service:
    return service.model_copy(update={"review": None, "submitted_at": None})


def _revised(revision: Revision | None) -> frozenset[str]:
    return frozenset() if revision is None else frozenset(revision.values)


def state_invalid(service: Service, to: ServiceStatus) -> Problem:
    return Problem(409, "state_invalid", f"A service cannot go from {service.status} to {to}.")
