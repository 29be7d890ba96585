"""What is on offer: merchants, services, and the public pages about them."""

from functools import cached_property
from typing import TYPE_CHECKING

from shared.bootstrap.identity import Identity
from shared.catalog.models import Service
from shared.catalog.store import CatalogStore

if TYPE_CHECKING:
    from shared.catalog.mails import CatalogMails
    from shared.catalog.marketplace.details import Details
    from shared.catalog.marketplace.pages import Pages
    from shared.catalog.marketplace.search import Catalogue
    from shared.catalog.marketplace.sitemap import Sitemap
    from shared.catalog.marketplace.static_site import Publisher
    from shared.catalog.merchants.registration import Registration
    from shared.catalog.merchants.service import Merchants
    from shared.catalog.openapi.service import Descriptions
    from shared.catalog.services.changes import ServiceChanges
    from shared.catalog.services.relisting import Relisting
    from shared.catalog.services.reviews import Reviews
    from shared.catalog.services.service import Services
    from shared.catalog.upstreams.connection_test import ConnectionTest
    from shared.catalog.upstreams.gateway import GatewaySync
    from shared.catalog.upstreams.secrets import UpstreamSecrets


class Catalog(Identity):
    """The parts of `shared.catalog`."""

    @cached_property
    def catalog(self) -> CatalogStore:
        return CatalogStore(self.documents)

    @cached_property
    def catalog_mails(self) -> "CatalogMails":
        from shared.catalog.mails import CatalogMails

        return CatalogMails(self.identity, self.platform_settings)

    @cached_property
    def registration(self) -> "Registration":
        from shared.catalog.merchants.registration import Registration

        return Registration(self.documents, self.invites, self.platform_settings, self.catalog_mails)

    @cached_property
    def merchants(self) -> "Merchants":
        from shared.catalog.merchants.service import Merchants

        return Merchants(self.catalog, self.journal, self.blobs, self.catalog_mails)

    @cached_property
    def relisting(self) -> "Relisting":
        from shared.catalog.services.relisting import Relisting

        return Relisting(self.catalog, self.journal)

    @cached_property
    def service_changes(self) -> "ServiceChanges":
        from shared.catalog.services.changes import ServiceChanges

        return ServiceChanges(self.journal)

    @cached_property
    def services(self) -> "Services":
        from shared.catalog.services.quota import ServiceQuota
        from shared.catalog.services.service import Services

        places = ServiceQuota(self.documents, self.catalog)
        return Services(
            self.catalog, self.service_changes, places, self.platform_settings, self.catalog_mails, self.blobs
        )

    @cached_property
    def reviews(self) -> "Reviews":
        from shared.catalog.services.reviews import Reviews

        return Reviews(self.catalog, self.services, self.service_changes, self.catalog_mails)

    @cached_property
    def descriptions(self) -> "Descriptions":
        from shared.catalog.openapi.service import Descriptions

        return Descriptions(self.services, self.blobs, self.limits)

    @cached_property
    def upstream_secrets(self) -> "UpstreamSecrets":
        from shared.catalog.upstreams.secrets import UpstreamSecrets

        return UpstreamSecrets(self.services, self.service_changes, self.secrets)

    @cached_property
    def connection_test(self) -> "ConnectionTest":
        from shared.catalog.upstreams.connection_test import ConnectionTest

        return ConnectionTest(self.services, self.upstream, self.secrets, self.limits)

    @cached_property
    def gateway_sync(self) -> "GatewaySync":
        from shared.catalog.upstreams.gateway import GatewaySync

        return GatewaySync(self.catalog, self.blobs, self.gateway)

    @cached_property
    def catalogue(self) -> "Catalogue":
        from shared.catalog.marketplace.search import Catalogue

        catalogue = Catalogue(self.documents, self.catalog, self.search_index)
        self.journal.on_change(catalogue.changed)
        self.catalog.on_change(catalogue.changed)
        return catalogue

    @cached_property
    def details(self) -> "Details":
        from shared.catalog.marketplace.details import Details

        return Details(self.documents, self.catalog, self._read_openapi)

    async def _read_openapi(self, service: Service) -> bytes | None:
        blob = None if service.openapi is None else await self.blobs.get(service.openapi)
        return None if blob is None else blob.data

    @cached_property
    def pages(self) -> "Pages":
        from shared.catalog.marketplace.pages import Pages

        return Pages(self.catalogue, self.details, self.settings.ams_public_url)

    @cached_property
    def sitemap(self) -> "Sitemap":
        from shared.catalog.marketplace.sitemap import Sitemap

        return Sitemap(self.catalogue, self.settings.ams_public_url)

    @cached_property
    def publisher(self) -> "Publisher":
        from shared.catalog.marketplace.static_site import Publisher

        return Publisher(self.pages, self.details, self.catalogue, self.sitemap, self.site)
