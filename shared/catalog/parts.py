"""What is on offer: merchants, services, and the public pages about them."""

from functools import cached_property
from typing import TYPE_CHECKING

from shared.catalog.models import Service
from shared.catalog.store import CatalogStore
from shared.catalog.tasks import ForgetSecret, PublishPages, RelistServices, SyncGateway

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.audit.journal import Journal
    from shared.audit.parts import AuditParts
    from shared.catalog.mails import CatalogMails
    from shared.catalog.marketplace.details import Details, Visitors
    from shared.catalog.marketplace.pages import HtmlPages
    from shared.catalog.marketplace.search import CatalogSearch
    from shared.catalog.marketplace.sitemap import Sitemap
    from shared.catalog.marketplace.static_site import Publisher
    from shared.catalog.merchants.invites import Invites
    from shared.catalog.merchants.registration import Registration
    from shared.catalog.merchants.service import Merchants
    from shared.catalog.openapi.service import OpenApiDocuments
    from shared.catalog.services.changes import ServiceChanges
    from shared.catalog.services.relisting import Relisting
    from shared.catalog.services.reviews import Reviews
    from shared.catalog.services.service import Services
    from shared.catalog.upstreams.connection_test import ConnectionTest
    from shared.catalog.upstreams.gateway import GatewaySync
    from shared.catalog.upstreams.secrets import UpstreamSecrets
    from shared.identity.parts import IdentityParts
    from shared.platform import Ports
    from shared.platform.blobs import Blobs


class CatalogParts:
    """The services of `shared.catalog`, each made when it is first used."""

    def __init__(
        self,
        ports: "Ports",
        audit: "AuditParts",
        identity: "IdentityParts",
        *,
        public_url: str,
        visitors: "Callable[[], Visitors]",
    ) -> None:
        self._ports = ports
        self._audit = audit
        self._identity = identity
        self._public_url = public_url
        self._make_visitors = visitors
        audit.prepare(self._handle_tasks)

    def _handle_tasks(self, journal: "Journal") -> None:
        """Register the handlers of this noun's tasks. What does a task is made, and imported, when there is one to do:
        consume's start does not wait for it."""
        journal.on(PublishPages, lambda task_id, task: self.publisher.on_publish(task_id, task))
        journal.on(SyncGateway, lambda task_id, task: self.gateway_sync.on_sync(task_id, task))
        journal.on(ForgetSecret, lambda task_id, task: self.upstream_secrets.on_forget(task_id, task))
        journal.on(RelistServices, lambda task_id, task: self.relisting.on_relist(task_id, task))

    @cached_property
    def store(self) -> CatalogStore:
        return CatalogStore(self._ports.documents)

    @cached_property
    def mails(self) -> "CatalogMails":
        from shared.catalog.mails import CatalogMails

        return CatalogMails(self._identity.store, self._audit.platform_settings)

    @cached_property
    def invites(self) -> "Invites":
        from shared.catalog.merchants.invites import Invites

        return Invites(
            self._ports.documents,
            self._audit.journal,
            self._audit.platform_settings,
            self._ports.limits,
            self._public_url,
            now=self._ports.now,
        )

    @cached_property
    def registration(self) -> "Registration":
        from shared.catalog.merchants.registration import Registration

        return Registration(
            self._ports.documents, self.invites, self._audit.platform_settings, self.mails, now=self._ports.now
        )

    @cached_property
    def merchants(self) -> "Merchants":
        from shared.catalog.merchants.service import Merchants

        return Merchants(self.store, self._audit.journal, self._ports.blobs, self.mails)

    @cached_property
    def relisting(self) -> "Relisting":
        from shared.catalog.services.relisting import Relisting

        return Relisting(self.store, self._audit.journal, now=self._ports.now)

    @cached_property
    def service_changes(self) -> "ServiceChanges":
        from shared.catalog.services.changes import ServiceChanges

        return ServiceChanges(self._audit.journal, now=self._ports.now)

    @cached_property
    def services(self) -> "Services":
        from shared.catalog.services.quota import ServiceQuota
        from shared.catalog.services.service import Services

        places = ServiceQuota(self._ports.documents, self.store, now=self._ports.now)
        return Services(
            self.store, self.service_changes, places, self._audit.platform_settings, self.mails, self._ports.blobs
        )

    @cached_property
    def reviews(self) -> "Reviews":
        from shared.catalog.services.reviews import Reviews

        return Reviews(self.store, self.services, self.service_changes, self.mails)

    @cached_property
    def openapi_documents(self) -> "OpenApiDocuments":
        from shared.catalog.openapi.service import OpenApiDocuments

        return OpenApiDocuments(self.services, self._ports.blobs, self._ports.limits)

    @cached_property
    def upstream_secrets(self) -> "UpstreamSecrets":
        from shared.catalog.upstreams.secrets import UpstreamSecrets

        return UpstreamSecrets(self.services, self.service_changes, self._ports.secrets)

    @cached_property
    def connection_test(self) -> "ConnectionTest":
        from shared.catalog.upstreams.connection_test import ConnectionTest

        return ConnectionTest(self.services, self._ports.upstream, self._ports.secrets, self._ports.limits)

    @cached_property
    def gateway_sync(self) -> "GatewaySync":
        from shared.catalog.upstreams.gateway import GatewaySync

        return GatewaySync(self.store, self._ports.blobs, self._ports.gateway)

    @cached_property
    def search(self) -> "CatalogSearch":
        from shared.catalog.marketplace.search import CatalogSearch

        search = CatalogSearch(self._ports.documents, self.store, self._ports.search_index, now=self._ports.now)
        self._audit.journal.on_change(search.changed)
        self.store.on_change(search.changed)
        return search

    @cached_property
    def details(self) -> "Details":
        from shared.catalog.marketplace.details import Details

        return Details(self._ports.documents, self.store, self._read_openapi)

    async def _read_openapi(self, service: Service) -> bytes | None:
        blob = None if service.openapi is None else await self._ports.blobs.get(service.openapi)
        return None if blob is None else blob.data

    @cached_property
    def pages(self) -> "HtmlPages":
        from shared.catalog.marketplace.pages import HtmlPages

        return HtmlPages(self.search, self.details, self._public_url)

    @cached_property
    def sitemap(self) -> "Sitemap":
        from shared.catalog.marketplace.sitemap import Sitemap

        return Sitemap(self.search, self._public_url)

    @cached_property
    def publisher(self) -> "Publisher":
        from shared.catalog.marketplace.static_site import Publisher

        return Publisher(self.pages, self.details, self.search, self.sitemap, self._ports.site)

    @cached_property
    def visitors(self) -> "Visitors":
        """Who may look at a private service: grants are known above this noun."""
        return self._make_visitors()

    @property
    def blobs(self) -> "Blobs":
        """Where logos are."""
        return self._ports.blobs
