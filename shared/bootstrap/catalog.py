"""What is on offer: merchants, services, and the public pages about them."""

from functools import cached_property
from typing import TYPE_CHECKING

from shared.bootstrap.identity import Identity
from shared.catalog.models import Service
from shared.catalog.store import CatalogStore

if TYPE_CHECKING:
    from shared.catalog.changes import ServiceChanges
    from shared.catalog.connection import ConnectionTest
    from shared.catalog.descriptions import Descriptions
    from shared.catalog.details import Details
    from shared.catalog.gateway import GatewaySync
    from shared.catalog.letters import Letters as CatalogLetters
    from shared.catalog.merchants import Merchants
    from shared.catalog.pages import Pages
    from shared.catalog.publish import Publisher
    from shared.catalog.registration import Registration
    from shared.catalog.relisting import Relisting
    from shared.catalog.reviews import Reviews
    from shared.catalog.search import Catalogue
    from shared.catalog.services import Services
    from shared.catalog.sitemap import Sitemap
    from shared.catalog.upstream_secrets import UpstreamSecrets


class Catalog(Identity):
    """The parts of `shared.catalog`."""

    @cached_property
    def catalog(self) -> CatalogStore:
        return CatalogStore(self.documents)

    @cached_property
    def catalog_letters(self) -> "CatalogLetters":
        from shared.catalog.letters import Letters

        return Letters(self.identity, self.platform_settings)

    @cached_property
    def registration(self) -> "Registration":
        from shared.catalog.registration import Registration

        return Registration(self.documents, self.invites, self.platform_settings, self.catalog_letters)

    @cached_property
    def merchants(self) -> "Merchants":
        from shared.catalog.merchants import Merchants

        return Merchants(self.catalog, self.journal, self.blobs, self.catalog_letters)

    @cached_property
    def relisting(self) -> "Relisting":
        from shared.catalog.relisting import Relisting

        return Relisting(self.catalog, self.journal)

    @cached_property
    def service_changes(self) -> "ServiceChanges":
        from shared.catalog.changes import ServiceChanges

        return ServiceChanges(self.journal)

    @cached_property
    def services(self) -> "Services":
        from shared.catalog.places import Places
        from shared.catalog.services import Services

        places = Places(self.documents, self.catalog)
        return Services(
            self.catalog, self.service_changes, places, self.platform_settings, self.catalog_letters, self.blobs
        )  # fmt: skip

    @cached_property
    def reviews(self) -> "Reviews":
        from shared.catalog.reviews import Reviews

        return Reviews(self.catalog, self.services, self.service_changes, self.catalog_letters)

    @cached_property
    def descriptions(self) -> "Descriptions":
        from shared.catalog.descriptions import Descriptions

        return Descriptions(self.services, self.blobs, self.limits)

    @cached_property
    def upstream_secrets(self) -> "UpstreamSecrets":
        from shared.catalog.upstream_secrets import UpstreamSecrets

        return UpstreamSecrets(self.services, self.service_changes, self.secrets)

    @cached_property
    def connection_test(self) -> "ConnectionTest":
        from shared.catalog.connection import ConnectionTest

        return ConnectionTest(self.services, self.upstream, self.secrets, self.limits)

    @cached_property
    def gateway_sync(self) -> "GatewaySync":
        from shared.catalog.gateway import GatewaySync

        return GatewaySync(self.catalog, self.blobs, self.gateway)

    @cached_property
    def catalogue(self) -> "Catalogue":
        from shared.catalog.search import Catalogue

        catalogue = Catalogue(self.documents, self.catalog, self.search_index)
        self.journal.on_change(catalogue.changed)
        self.catalog.on_change(catalogue.changed)
        return catalogue

    @cached_property
    def details(self) -> "Details":
        from shared.catalog.details import Details

        return Details(self.documents, self.catalog, self._read_openapi)

    async def _read_openapi(self, service: Service) -> bytes | None:
        blob = None if service.openapi is None else await self.blobs.get(service.openapi)
        return None if blob is None else blob.data

    @cached_property
    def pages(self) -> "Pages":
        from shared.catalog.pages import Pages

        return Pages(self.catalogue, self.details, self.settings.ams_public_url)

    @cached_property
    def sitemap(self) -> "Sitemap":
        from shared.catalog.sitemap import Sitemap

        return Sitemap(self.catalogue, self.settings.ams_public_url)

    @cached_property
    def publisher(self) -> "Publisher":
        from shared.catalog.publish import Publisher

        return Publisher(self.pages, self.details, self.catalogue, self.sitemap, self.site)
