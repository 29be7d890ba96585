"""What the routes need of the application, by the names that `shared.bootstrap.Application` has."""

from typing import Protocol

from shared.access.consumers import Consumers
from shared.access.grants import Grants
from shared.access.invites import ProjectInvites
from shared.access.issuing import KeyIssuing
from shared.access.key_desk import KeyDesk
from shared.access.leaks import LeakReports
from shared.access.members import Members
from shared.access.memberships import Memberships
from shared.access.projects import Projects
from shared.access.refusals import Refusals
from shared.access.rotation import Rotation
from shared.access.subscriber_keys import SubscriberKeys
from shared.access.subscribers import Subscribers
from shared.alerts.desk import AlertDesk
from shared.audit.platform import PlatformSettingsStore
from shared.audit.search import AuditSearch
from shared.billing.book import InvoiceBook
from shared.billing.papers import InvoicePapers
from shared.billing.plans import PlanDesk
from shared.billing.previews import Previews
from shared.billing.receivables import Receivables
from shared.billing.reports.desk import ReportDesk
from shared.billing.setup import BillingSetup
from shared.billing.store import BillingStore
from shared.catalog.connection import ConnectionTest
from shared.catalog.descriptions import Descriptions
from shared.catalog.details import Details, Visitors
from shared.catalog.reviews import Reviews
from shared.catalog.search import Catalogue
from shared.catalog.services import Services
from shared.catalog.upstream_secrets import UpstreamSecrets
from shared.identity.accounts import Accounts
from shared.identity.guard import Authority
from shared.identity.sessions import Sessions
from shared.identity.store import AccountStore
from shared.metering.consume import Consume
from shared.metering.explain import Explainer
from shared.metering.merchant_views import MerchantUsage
from shared.metering.platform_views import PlatformUsage
from shared.metering.queries import UsageQueries
from shared.metering.views import ConsumerUsage
from shared.platform.documents import Documents
from shared.webhooks.desk import WebhookDesk


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
    def keys(self) -> KeyDesk: ...

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
    def webhooks(self) -> WebhookDesk: ...

    @property
    def alerts(self) -> AlertDesk: ...

    @property
    def reports(self) -> ReportDesk: ...

    @property
    def plans(self) -> PlanDesk: ...

    @property
    def billing(self) -> BillingStore: ...

    @property
    def invoice_papers(self) -> InvoicePapers: ...

    @property
    def previews(self) -> Previews: ...

    @property
    def invoice_book(self) -> InvoiceBook: ...

    @property
    def receivables(self) -> Receivables: ...

    @property
    def billing_setup(self) -> BillingSetup: ...
