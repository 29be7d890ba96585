"""Every write of a service: one transaction in its partition, with whatever follows from what others may see of it."""

from collections.abc import Callable, Sequence
from datetime import datetime

from shared.audit.journal import Journal
from shared.audit.models import Actor, changed
from shared.audit.tasks import Task
from shared.catalog.models import Service, ServiceVersion
from shared.catalog.store import SERVICES, version_document
from shared.catalog.tasks import PublishPages, SyncGateway
from shared.kernel.clock import format_time, utc_now
from shared.kernel.documents import Stored
from shared.platform.documents import Create, Operation, Replace

_NOT_SHOWN = {"review", "submitted_at", "reason", "listing"}
"""What only the merchant and the operators see."""


def effects(service: Service) -> tuple[SyncGateway, PublishPages]:
    """List the tasks that are due when the gateway and the public may see something else of the service than before."""
    return SyncGateway(service_id=service.id), PublishPages(service_id=service.id)


def resource(service_id: str) -> str:
    """Name a service as the audit log does."""
    return f"service:{service_id}"


def released(service: Service, actor: Actor, notes: str, now: datetime) -> tuple[Service, Create]:
    """Return the service with one version more, and the write of that version."""
    after = service.model_copy(update={"versions": service.versions + 1})
    version = ServiceVersion(
        number=after.versions,
        version=after.version,
        notes=notes,
        made_by=actor.account_id,
        made_at=now,
        openapi=after.openapi,
    )
    return after, Create(version_document(version.number), version.to_json())


class ServiceChanges:
    """Commits writes of a service together with their audit entry and with what follows from them."""

    def __init__(self, journal: Journal, now: Callable[[], datetime] = utc_now) -> None:
        self._journal = journal
        self.now = now

    async def create(self, actor: Actor, service: Service) -> Stored[Service]:
        """Commit a new service. Raises Problem 409 `conflict`."""
        change = changed(actor, "service.create", resource(service.id), None, service)
        etags = await self._journal.commit(SERVICES, service.id, [Create(service.id, service.to_json())], change)
        return Stored(service, etags[0])

    async def commit(
        self,
        actor: Actor,
        action: str,
        stored: Stored[Service],
        after: Service,
        *,
        reason: str | None = None,
        shown_as: Service | None = None,
        also: Sequence[Operation] = (),
        tasks: Sequence[Task] = (),
    ) -> Stored[Service]:
        """Replace the service, with other documents of its partition. The audit log compares it with `shown_as` where
        that is not what is stored, such as a proposal. Raises Problem 409 `conflict` when it was changed since `held`
        was read."""
        before, follow = stored.value, list(tasks)
        if "active" in (before.status, after.status) and _shown(before) != _shown(after):
            after = after.model_copy(update={"listing": format_time(self.now())})
            follow += effects(after)
        change = changed(actor, action, resource(after.id), before, shown_as or after, reason=reason)
        write = Replace(after.id, after.to_json(), stored.etag)
        etags = await self._journal.commit(SERVICES, after.id, [write, *also], change, tasks=follow)
        return Stored(after, etags[0])


def _shown(service: Service) -> dict[str, object]:
    return service.model_dump(exclude=_NOT_SHOWN)
