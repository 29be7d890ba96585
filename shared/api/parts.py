"""What the routes need of the application, by the names that `shared.bootstrap.Application` has."""

from typing import Protocol

from shared.access.consumers.service import Consumers
from shared.access.gate.refusals import Refusals
from shared.access.grants.service import Grants
from shared.access.keys.creation import KeyIssuing
from shared.access.keys.rotation import Rotation
from shared.access.keys.service import Keys
from shared.access.leaks.service import LeakReports
from shared.access.projects.invites import ProjectInvites
from shared.access.projects.members import Members
from shared.access.projects.memberships import Memberships
from shared.access.projects.service import Projects
from shared.access.subscribers.key_revocation import SubscriberKeys
from shared.access.subscribers.service import Subscribers
from shared.alerts.service import AlertRules
from shared.audit.platform import PlatformSettingsStore
from shared.audit.search import AuditSearch
from shared.billing.documents.downloads import InvoiceDownloads
from shared.billing.invoices.listing import InvoiceListing
from shared.billing.invoices.store import InvoiceStore
from shared.billing.month_close.previews import Previews
from shared.billing.month_close.store import CloseStore
from shared.billing.prices.service import Plans
from shared.billing.profiles.service import BillingSetup
from shared.billing.receivables.service import Receivables
from shared.catalog.marketplace.details import Details, Visitors
from shared.catalog.marketplace.search import Catalogue
from shared.catalog.openapi.service import Descriptions
from shared.catalog.services.reviews import Reviews
from shared.catalog.services.service import Services
from shared.catalog.upstreams.connection_test import ConnectionTest
from shared.catalog.upstreams.secrets import UpstreamSecrets
from shared.identity.accounts.service import Accounts
from shared.identity.guard import Authority
from shared.identity.sign_in.sessions import Sessions
from shared.identity.store import AccountStore
from shared.metering.consume.explain import Explainer
from shared.metering.consume.service import Consume
from shared.metering.store import UsageQueries
from shared.metering.views.consumer import ConsumerUsage
from shared.metering.views.merchant import MerchantUsage
from shared.metering.views.platform import PlatformUsage
from shared.platform.documents import Documents
from shared.reports.service import Reports
from shared.webhooks.service import Webhooks


class Parts(Protocol):
    """Built when first used. A noun's `routes.py` reads its own part as `request.app.state.parts.<name>`."""

    @property
    def documents(self) -> Documents: ...

    @property
    def authority(self) -> Authority: ...

    @property
    def identity(self) -> AccountStore: ...

    @property
    def accounts(self) -> Accounts: ...

    @property
    def sessions(self) -> Sessions: ...

    @property
    def services(self) -> Services: ...

    @property
    def reviews(self) -> Reviews: ...

    @property
    def descriptions(self) -> Descriptions: ...

    @property
    def upstream_secrets(self) -> UpstreamSecrets: ...

    @property
    def connection_test(self) -> ConnectionTest: ...

    @property
    def audit_search(self) -> AuditSearch: ...

    @property
    def platform_settings(self) -> PlatformSettingsStore: ...

    @property
    def consumers(self) -> Consumers: ...

    @property
    def grants(self) -> Grants: ...

    @property
    def subscribers(self) -> Subscribers: ...

    @property
    def projects(self) -> Projects: ...

    @property
    def members(self) -> Members: ...

    @property
    def project_invites(self) -> ProjectInvites: ...

    @property
    def memberships(self) -> Memberships: ...

    @property
    def key_issuing(self) -> KeyIssuing: ...

    @property
    def keys(self) -> Keys: ...

    @property
    def rotation(self) -> Rotation: ...

    @property
    def refusals(self) -> Refusals: ...

    @property
    def subscriber_keys(self) -> SubscriberKeys: ...

    @property
    def leak_reports(self) -> LeakReports: ...

    @property
    def explainer(self) -> Explainer: ...

    @property
    def catalogue(self) -> Catalogue: ...

    @property
    def details(self) -> Details: ...

    @property
    def visitors(self) -> Visitors: ...

    @property
    def consume(self) -> Consume: ...

    @property
    def queries(self) -> UsageQueries: ...

    @property
    def consumer_usage(self) -> ConsumerUsage: ...

    @property
    def merchant_usage(self) -> MerchantUsage: ...

    @property
    def platform_usage(self) -> PlatformUsage: ...

    @property
    def webhooks(self) -> Webhooks: ...

    @property
    def alerts(self) -> AlertRules: ...

    @property
    def reports(self) -> Reports: ...

    @property
    def plans(self) -> Plans: ...

    @property
    def invoice_store(self) -> InvoiceStore: ...

    @property
    def close_store(self) -> CloseStore: ...

    @property
    def invoice_downloads(self) -> InvoiceDownloads: ...

    @property
    def previews(self) -> Previews: ...

    @property
    def invoice_listing(self) -> InvoiceListing: ...

    @property
    def receivables(self) -> Receivables: ...

    @property
    def billing_setup(self) -> BillingSetup: ...
