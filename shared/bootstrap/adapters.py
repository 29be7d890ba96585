"""An adapter for every port, chosen by the profile that the settings name."""

import os
import secrets
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, TypeVar

from shared.bootstrap import azure
from shared.kernel.clock import utc_now
from shared.platform.blobs import Blobs
from shared.platform.documents import Documents
from shared.platform.events import Events
from shared.platform.gateways import Gateway
from shared.platform.limits import Limits
from shared.platform.mail import Mail
from shared.platform.search import SearchIndex
from shared.platform.secrets import SecretMissing, Secrets
from shared.platform.spool import Spool
from shared.platform.upstream import Upstream

if TYPE_CHECKING:
    from shared.platform.blobs.downloads import LocalDownloads
    from shared.settings import Settings

LINK_SECRET = "download-links"  # noqa: S105 - its name, not its value


class Closable(Protocol):
    """An adapter that has something to close."""

    async def close(self) -> None: ...


C = TypeVar("C", bound=Closable)


class Adapters:
    """The ports (`shared.platform.Ports`), each opened when it is first used and closed in the reverse order.

    An adapter is imported where it is chosen."""

    def __init__(self, settings: "Settings", now: Callable[[], datetime] = utc_now) -> None:
        self.settings = settings
        self.now = now
        self._open = AsyncExitStack()

    async def close(self) -> None:
        """Close what was opened, the latest first: the spool ships to the stream, so it was opened after it."""
        await self._open.aclose()

    def _opened(self, adapter: C) -> C:
        self._open.push_async_callback(adapter.close)
        return adapter

    @cached_property
    def documents(self) -> Documents:
        if self.settings.ams_profile == "azure":
            return self._opened(azure.cosmos(self.settings))
        from shared.platform.documents.sqlite import SqliteDocuments

        return self._opened(SqliteDocuments(self.settings.ams_data / "documents.db"))

    @cached_property
    def events(self) -> Events:
        if self.settings.ams_profile == "azure":
            return self._opened(azure.event_hubs(self.settings))
        from shared.platform.events.log import EventLog

        return self._opened(EventLog(self.settings.ams_data / "events.db", self.settings.ams_event_partitions))

    @cached_property
    def blobs(self) -> Blobs:
        local = self.local_downloads
        return self._opened(azure.blobs(self.settings) if local is None else local.blobs)

    @cached_property
    def local_downloads(self) -> "LocalDownloads | None":
        """Blobs in files, with the links that this host serves itself; None where the store has links of its own."""
        if self.settings.ams_profile == "azure":
            return None
        from shared.platform.blobs.downloads import LocalDownloads
        from shared.platform.blobs.files import FileBlobs
        from shared.platform.blobs.links import LocalLinks

        links = LocalLinks(self._link_secret, self.settings.ams_public_url, self.now)
        return LocalDownloads(FileBlobs(self.settings.ams_data / "blobs", links), links)

    async def _link_secret(self) -> str:
        """Made when the first link is: it protects minutes. Of two processes that make it at once one wins, and a link
        of the other's ends early."""
        try:
            return await self.secrets.get(LINK_SECRET)
        except SecretMissing:
            await self.secrets.put(LINK_SECRET, secrets.token_hex(32))
            return await self.secrets.get(LINK_SECRET)

    @cached_property
    def site(self) -> Blobs:
        """The static site's files: of an account's static website, or in a folder."""
        if self.settings.ams_profile == "azure":
            return self._opened(azure.blobs(self.settings, azure.SITE_CONTAINER))
        from shared.platform.blobs.files import FileBlobs

        return self._opened(FileBlobs(self.settings.ams_data / "site"))

    @cached_property
    def secrets(self) -> Secrets:
        if self.settings.ams_keyvault_url is not None:
            return self._opened(azure.key_vault(self.settings))
        from shared.platform.secrets.environment import EnvironmentSecrets

        environment = EnvironmentSecrets(os.environ)
        if self.settings.ams_profile == "azure":
            return self._opened(environment)  # an instance's own disk would keep a secret from the others
        from shared.platform.secrets.files import FileSecrets

        return self._opened(FileSecrets(self.settings.ams_data / "secrets", environment))

    @cached_property
    def limits(self) -> Limits:
        from shared.platform.limits.memory import MemoryLimits

        return self._opened(MemoryLimits(self.settings.ams_data / "limits.bin"))

    @cached_property
    def spool(self) -> Spool:
        from shared.platform.spool.sqlite import SqliteSpool

        return self._opened(
            SqliteSpool(self.settings.ams_data / "spool", self.events.publish, self.settings.ams_spool_events_max)
        )

    @cached_property
    def upstream(self) -> Upstream:
        from shared.platform.upstream.http import HttpUpstream

        return self._opened(HttpUpstream(allow_private=self.settings.ams_upstream_allow_private))

    @cached_property
    def provider_http(self) -> Upstream:
        """To the sign-in providers and reporters' keys: any address, because the operator names them."""
        from shared.platform.upstream.http import HttpUpstream

        return self._opened(HttpUpstream(allow_private=True))

    @cached_property
    def mail(self) -> Mail:
        return self._opened(_mail(self.settings))

    @cached_property
    def gateway(self) -> Gateway:
        from shared.platform.gateways.none import NoGateway

        return self._opened(NoGateway())

    @cached_property
    def search_index(self) -> SearchIndex:
        from shared.platform.search.fts import FtsIndex

        return self._opened(FtsIndex())


def _mail(settings: "Settings") -> Mail:
    if settings.ams_smtp_host is None:
        from shared.platform.mail.outbox import OutboxMail

        return OutboxMail(settings.ams_data / "mail", settings.ams_mail_from)
    from shared.platform.mail.smtp import SmtpMail

    return SmtpMail(
        settings.ams_smtp_host,
        settings.ams_smtp_port,
        settings.ams_mail_from,
        user=settings.ams_smtp_user,
        password=settings.ams_smtp_password,
        security=settings.ams_smtp_security,
    )
