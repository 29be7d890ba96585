"""The composition root: adapters by profile, and the parts of every noun put together, once per process and lazily.

Adapters and services are imported where they are made (`adapters`, `<noun>/parts.py`), so that a process pays only for
those it uses.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from shared.access.parts import AccessParts
from shared.alerts.parts import AlertParts
from shared.audit.parts import AuditParts
from shared.billing.parts import BillingParts
from shared.bootstrap.adapters import Adapters
from shared.bootstrap.azure import BLOB_CONTAINER, CHECKPOINT_CONTAINER, SITE_CONTAINER
from shared.catalog.parts import CatalogParts
from shared.identity.parts import IdentityParts
from shared.kernel.clock import utc_now
from shared.kernel.errors import Unavailable
from shared.metering.parts import MeteringParts
from shared.platform.secrets import SecretMissing
from shared.reports.parts import ReportParts
from shared.webhooks.parts import WebhookParts

if TYPE_CHECKING:
    from shared.audit.tasks import Task
    from shared.catalog.marketplace.details import Visitors
    from shared.identity.authority import Authority
    from shared.identity.models import Account
    from shared.kernel.background import Runner
    from shared.kernel.http.provided import PartsApi
    from shared.settings import Settings

__all__ = ["BLOB_CONTAINER", "CHECKPOINT_CONTAINER", "SITE_CONTAINER", "Application", "application", "close"]

READY_S = 5.0


class Application:
    """Everything a trigger may need: the ports, and the parts of every noun, each of which knows those below it."""

    def __init__(self, settings: "Settings", now: Callable[[], datetime] = utc_now) -> None:
        self.settings = settings
        self.ports = ports = Adapters(settings, now)
        self.audit = audit = AuditParts(ports)
        self.identity = identity = IdentityParts(
            ports,
            audit,
            oidc_issuers=settings.ams_oidc_issuers,
            admins=settings.ams_admins,
            auth_cache_s=settings.ams_auth_cache_s,
            first_tasks=_first_tasks,
            authority=self._authority,
        )
        url = settings.ams_public_url
        self.webhooks = webhooks = WebhookParts(ports, audit)
        self.catalog = catalog = CatalogParts(ports, audit, identity, public_url=url, visitors=self._visitors)
        self.access = access = AccessParts(
            ports,
            audit,
            identity,
            catalog,
            pepper_version=settings.ams_key_pepper_version,
            previous_pepper_version=settings.ams_key_pepper_previous_version,
            auth_cache_s=settings.ams_auth_cache_s,
            proxy_hops=settings.ams_proxy_hops,
            leak_keys_url=settings.ams_leak_keys_url,
            public_url=url,
        )
        retention = settings.ams_record_retention_days
        self.metering = metering = MeteringParts(ports, catalog, access, record_retention_days=retention)
        self.alerts = AlertParts(ports, audit, identity, catalog, access, metering)
        self.reports = ReportParts(
            ports, audit, identity, catalog, access, metering, public_url=url, runner=self._runner
        )
        self.billing = BillingParts(
            ports, audit, identity, webhooks, catalog, access, public_url=url, runner=self._runner
        )

    @cached_property
    def api(self) -> "PartsApi":
        from shared.api.app import create_app

        return create_app(
            self.audit,
            self.identity,
            self.webhooks,
            self.catalog,
            self.access,
            self.metering,
            self.alerts,
            self.reports,
            self.billing,
            now=self.ports.now,
        )

    def _authority(self) -> "Authority":
        from shared.api.authority import PlatformAuthority
        from shared.api.relations import Relations

        return PlatformAuthority(self.identity.sign_in, Relations(self.catalog.store, self.access.store))

    def _visitors(self) -> "Visitors":
        return self.access.visitors

    def _runner(self, work: str, do: Callable[[], Awaitable[object]]) -> "Runner":
        """What does `work` when nobody else needs the processor, or `do` here where no process can be started."""
        from shared.kernel.background import Runner, in_own_process

        own = self.settings.ams_report_process == "own"
        return Runner((lambda: in_own_process("shared.bootstrap.background_process", work)) if own else do)

    async def readiness(self) -> dict[str, str | None]:
        """What consume needs, by name: None when it works, else why it does not."""
        checks: dict[str, Callable[[], Awaitable[object]]] = {
            # Called late: an adapter that is opened here for the first time may refuse as well.
            "documents": lambda: self.ports.documents.ready(),
            "events": lambda: self.ports.events.ready(),
            "blobs": lambda: self.ports.blobs.ready(),
            "secrets": self.access.load_hasher,
            "spool": lambda: self.ports.spool.ready(),
        }
        return {name: await _reason(check) for name, check in checks.items()}

    async def close(self) -> None:
        """Finish what the journal began, then close what was made, and the ports last. Where one of these steps fails,
        those after it are done all the same, and its error is raised in the end."""
        async with AsyncExitStack() as steps:  # the last one pushed is the first one done
            steps.push_async_callback(self.ports.close)
            steps.push_async_callback(self.identity.close)
            steps.push_async_callback(self.access.close)
            steps.push_async_callback(self.audit.drain)  # what a report left that came to its end meanwhile
            steps.push_async_callback(self.billing.close)
            steps.push_async_callback(self.reports.close)
            steps.push_async_callback(self.audit.drain)
            steps.push_async_callback(self.identity.drain)


def _first_tasks(account: "Account") -> "Sequence[Task]":
    """Everybody is a consumer: the tenant comes into being with the account."""
    from shared.access.consumers.service import first_tasks

    return first_tasks(account)


async def _reason(check: Callable[[], Awaitable[object]]) -> str | None:
    try:
        async with asyncio.timeout(READY_S):
            await check()
    except TimeoutError:
        return f"no answer within {READY_S:g} s"
    except (Unavailable, SecretMissing, ValueError) as error:
        return str(error)
    return None


_application: Application | None = None


def application() -> Application:
    """This process's application, built at the first call. Raises SettingsError."""
    global _application
    if _application is None:
        from shared.settings import load_settings  # what reads them is not needed to index the functions

        _application = Application(load_settings(os.environ))
    return _application


async def close() -> None:
    """Finish what is under way and close every adapter; `application` builds anew afterwards."""
    global _application
    if _application is not None:
        closing, _application = _application, None
        await closing.close()
