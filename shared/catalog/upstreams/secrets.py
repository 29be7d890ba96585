"""The header by which a merchant's API knows AMS. Its value goes into the secrets port and never comes out again.

The value is written first, under a name that was never used, then the service that names it: a kill in between leaves a
secret that nobody uses. The one before is deleted a while later, when nobody forwards with it any more.
"""

from shared.audit.models import Actor
from shared.catalog.models import Service
from shared.catalog.services.changes import ServiceChanges
from shared.catalog.services.service import EDITABLE, ServiceDetail, Services
from shared.catalog.tasks import ForgetSecret
from shared.kernel.errors import FieldError, Problem
from shared.kernel.http.etags import check_match
from shared.kernel.ids import new_id
from shared.platform.secrets import Secrets

FORGET_AFTER_S = 120
"""Over any instance's cache of services, and any call that has begun to read the secret."""

_PREFIX = "upstream-"
_RESERVED = {
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "upgrade",
}
"""Headers that belong to the call itself."""


class UpstreamSecrets:
    """Keeps the secrets by which merchants' APIs know AMS: in the vault, under names that services carry."""

    def __init__(self, services: Services, changes: ServiceChanges, secrets: Secrets) -> None:
        self._services = services
        self._changes = changes
        self._secrets = secrets

    async def put(self, actor: Actor, service_id: str, header: str, value: str, if_match: str | None) -> ServiceDetail:
        """Set a service's secret, which holds at once, also for a live service. Raises Problem 400; 404; 409
        `state_invalid`, `service_incomplete`, `conflict`; 412; 428."""
        detail = await self._editable(service_id, if_match)
        if header.lower() in _RESERVED or header.lower().startswith("x-ams-"):
            rule = "must not be a header that belongs to the call itself"
            raise Problem(400, "request_invalid", f"`header` {rule}.", (FieldError("header", rule),))
        name = upstream_secret_name(service_id)
        await self._secrets.put(name, value)
        try:
            return await self._commit(actor, "service.set_upstream_secret", detail, header, name)
        except Problem:  # for certain, the service does not name it
            await self._secrets.delete(name)
            raise

    async def remove(self, actor: Actor, service_id: str, if_match: str | None) -> ServiceDetail:
        """Remove a service's secret: calls go without the header at once. Raises Problem 404; 409 `state_invalid`,
        `service_incomplete`, `conflict`; 412; 428."""
        detail = await self._editable(service_id, if_match)
        return await self._commit(actor, "service.remove_upstream_secret", detail, None, None)

    async def on_forget(self, task_id: str, task: ForgetSecret) -> None:
        """Handle ForgetSecret. Raises SecretsUnavailable."""
        await self._secrets.delete(task.name)

    async def _editable(self, service_id: str, if_match: str | None) -> ServiceDetail:
        detail = await self._services.read(service_id)
        check_match(if_match, detail.stored.etag)
        if detail.service.status not in EDITABLE:
            raise Problem(409, "state_invalid", f"A service that is {detail.service.status} cannot be edited.")
        if detail.service.upstream is None:
            error = FieldError("upstream.base_url", "must say where calls go")
            raise Problem(409, "service_incomplete", "The service has no upstream yet.", (error,))
        return detail

    async def _commit(
        self, actor: Actor, action: str, detail: ServiceDetail, header: str | None, name: str | None
    ) -> ServiceDetail:
        service = detail.service
        assert service.upstream is not None
        upstream = service.upstream.model_copy(update={"auth_header": header, "auth_secret": name})
        after = service.model_copy(update={"upstream": upstream})
        stored = await self._changes.commit(actor, action, detail.stored, after, tasks=_forget(service))
        return ServiceDetail(stored, detail.revision)


def upstream_secret_name(service_id: str) -> str:
    """Make a new name for a secret."""
    return f"{_PREFIX}{service_id}-{new_id('v')}".replace("_", "-").lower()


def _forget(before: Service) -> list[ForgetSecret]:
    """Only what was kept here: an operator may have named a secret of their own."""
    old = None if before.upstream is None else before.upstream.auth_secret
    if old is None or not old.startswith(_PREFIX):
        return []
    return [ForgetSecret(name=old, delay_s=FORGET_AFTER_S)]
