"""The composition root: picks adapters by profile and builds the services, once per process and lazily.

Adapters are imported where they are chosen, so that a process pays only for those it uses.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING

from shared.access.gate import Gate
from shared.access.keys import KeyHasher
from shared.access.models import Consumer
from shared.access.refusals import Refusals
from shared.access.store import ACCESS, AccessStore
from shared.access.tasks import CLEAR_TASK, KEYS_TASK, MEMBERSHIP_TASK
from shared.audit.journal import Journal, Task, create
from shared.audit.log import AuditLog
from shared.audit.platform import PlatformSettingsStore
from shared.audit.search import AuditSearch
from shared.catalog.models import Service
from shared.catalog.store import CatalogStore
from shared.catalog.tasks import FORGET_SECRET_TASK, GATEWAY_TASK, PUBLISH_TASK, RELIST_TASK
from shared.identity.admins import ADMINS_TASK, Admins
from shared.identity.mail import MAIL_TASK, send_mail
from shared.identity.models import Account
from shared.identity.staff import STAFF_TASK, Staff
from shared.identity.store import RELEASE_TASK, AccountStore
from shared.kernel.errors import Unavailable
from shared.metering.aggregate import Aggregator
from shared.metering.consume import Consume
from shared.metering.forward import Forwarder
from shared.metering.parked import Parked
from shared.metering.queries import UsageQueries
from shared.metering.rates import RateLimiter
from shared.metering.reconcile import Reconciler
from shared.metering.reports import Reports
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
from shared.settings import Settings, load_settings
from shared.webhooks.desk import WebhookDesk
from shared.webhooks.events import DELIVER_TASK, EMIT_TASK
from shared.webhooks.store import WebhookStore

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential
    from fastapi import FastAPI

    from shared.access.consumers import Consumers
    from shared.access.expiry import ExpiryNotices
    from shared.access.grants import Grants
    from shared.access.invites import ProjectInvites
    from shared.access.issuing import KeyIssuing
    from shared.access.key_desk import KeyDesk
    from shared.access.key_letters import KeyLetters
    from shared.access.key_secrets import KeySecrets
    from shared.access.key_writes import KeyWriter
    from shared.access.leak_keys import LeakKeys
    from shared.access.leaks import LeakReports
    from shared.access.letters import Letters
    from shared.access.members import Members
    from shared.access.memberships import Memberships
    from shared.access.places import Places
    from shared.access.projects import Projects
    from shared.access.pseudonyms import Pseudonyms
    from shared.access.rotation import Rotation
    from shared.access.subscriber_keys import SubscriberKeys
    from shared.access.subscribers import Subscribers
    from shared.access.visitors import GrantVisitors
    from shared.alerts.desk import AlertDesk
    from shared.alerts.evaluate import Evaluator
    from shared.alerts.store import AlertStore
    from shared.api.authority import PlatformAuthority
    from shared.api.relations import Relations
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
    from shared.identity.accounts import Accounts
    from shared.identity.enrolment import Enrolment
    from shared.identity.invites import Invites
    from shared.identity.sessions import Sessions
    from shared.identity.sign_in import SignIn
    from shared.identity.tokens import Tokens
    from shared.metering.explain import Explainer
    from shared.metering.merchant_views import MerchantUsage
    from shared.metering.platform_views import PlatformUsage
    from shared.metering.reader import UsageReader
    from shared.metering.rollups import Rollups
    from shared.metering.views import ConsumerUsage
    from shared.webhooks.sender import WebhookSender

READY_S = 5.0
CHECKPOINT_CONTAINER = "checkpoints"
BLOB_CONTAINER = "ams"
SITE_CONTAINER = "$web"
"""Azure Storage's own name for a static website."""
_CLOSED = (
    "refusals", "tokens", "provider_http", "mail", "gateway", "spool", "upstream", "events", "documents", "blobs",
    "secrets", "limits", "site", "search_index",
)  # fmt: skip


@dataclass
class Application:
    """Everything a trigger may need. Attributes are built when first used."""

    settings: Settings

    @cached_property
    def documents(self) -> Documents:
        if self.settings.ams_profile == "azure":
            return _cosmos(self.settings)
        from shared.platform.documents.sqlite import SqliteDocuments

        return SqliteDocuments(self.settings.ams_data / "documents.db")

    @cached_property
    def events(self) -> Events:
        if self.settings.ams_profile == "azure":
            return _event_hubs(self.settings)
        from shared.platform.events.log import EventLog

        return EventLog(self.settings.ams_data / "events.db", self.settings.ams_event_partitions)

    @cached_property
    def blobs(self) -> Blobs:
        if self.settings.ams_profile == "azure":
            return _azure_blobs(self.settings)
        from shared.platform.blobs.files import FileBlobs

        return FileBlobs(self.settings.ams_data / "blobs")

    @cached_property
    def secrets(self) -> Secrets:
        if self.settings.ams_keyvault_url is not None:
            return _key_vault(self.settings)
        from shared.platform.secrets.environment import EnvironmentSecrets

        environment = EnvironmentSecrets(os.environ)
        if self.settings.ams_profile == "azure":
            return environment  # an instance's own disk would keep a secret from the others
        from shared.platform.secrets.files import FileSecrets

        return FileSecrets(self.settings.ams_data / "secrets", environment)

    @cached_property
    def limits(self) -> Limits:
        from shared.platform.limits.memory import MemoryLimits

        return MemoryLimits(self.settings.ams_data / "limits.bin")

    @cached_property
    def spool(self) -> Spool:
        from shared.platform.spool.sqlite import SqliteSpool

        return SqliteSpool(self.settings.ams_data / "spool", self.events.publish, self.settings.ams_spool_events_max)

    @cached_property
    def upstream(self) -> Upstream:
        from shared.platform.upstream.http import HttpUpstream

        return HttpUpstream(allow_private=self.settings.ams_upstream_allow_private)

    @cached_property
    def provider_http(self) -> Upstream:
        """To the sign-in providers and reporters' keys: any address, because the operator names them."""
        from shared.platform.upstream.http import HttpUpstream

        return HttpUpstream(allow_private=True)

    @cached_property
    def mail(self) -> Mail:
        return _mail(self.settings)

    @cached_property
    def gateway(self) -> Gateway:
        from shared.platform.gateways.none import NoGateway

        return NoGateway()

    @cached_property
    def access(self) -> AccessStore:
        return AccessStore(self.documents)

    @cached_property
    def catalog(self) -> CatalogStore:
        return CatalogStore(self.documents)

    @cached_property
    def site(self) -> Blobs:
        """The static site's files: of an account's static website, or in a folder."""
        if self.settings.ams_profile == "azure":
            return _azure_blobs(self.settings, SITE_CONTAINER)
        from shared.platform.blobs.files import FileBlobs

        return FileBlobs(self.settings.ams_data / "site")

    @cached_property
    def search_index(self) -> SearchIndex:
        from shared.platform.search.fts import FtsIndex

        return FtsIndex()

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

    @cached_property
    def visitors(self) -> "GrantVisitors":
        from shared.access.visitors import GrantVisitors

        return GrantVisitors(self.authority, self.access)

    @cached_property
    def catalog_letters(self) -> "CatalogLetters":
        from shared.catalog.letters import Letters

        return Letters(self.identity, self.platform_settings)

    @cached_property
    def invites(self) -> "Invites":
        from shared.identity.invites import Invites

        return Invites(self.documents, self.journal, self.platform_settings, self.limits, self.settings.ams_public_url)

    @cached_property
    def staff(self) -> Staff:
        return Staff(self.documents, self.identity, self.journal)

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
    def audit_log(self) -> AuditLog:
        return AuditLog(self.documents)

    @cached_property
    def audit_search(self) -> AuditSearch:
        return AuditSearch(self.documents, self.audit_log)

    @cached_property
    def journal(self) -> Journal:
        """Every task that a noun can leave in the outbox has its handler here."""
        journal = Journal(self.documents, self.audit_log.append)
        journal.on_change(lambda: self.gate.invalidate())
        journal.on(PUBLISH_TASK, lambda task_id, data: self.publisher.on_task(task_id, data))
        journal.on(GATEWAY_TASK, lambda task_id, data: self.gateway_sync.on_task(task_id, data))
        journal.on(FORGET_SECRET_TASK, lambda task_id, data: self.upstream_secrets.on_forget(task_id, data))
        journal.on(MAIL_TASK, lambda task_id, data: send_mail(self.mail, task_id, data))
        journal.on(EMIT_TASK, lambda task_id, data: self.webhook_sender.on_emit(task_id, data))
        journal.on(DELIVER_TASK, lambda task_id, data: self.webhook_sender.on_deliver(task_id, data))
        journal.on(ADMINS_TASK, lambda task_id, data: self.admins.on_task(task_id, data), inline=True)
        journal.on(STAFF_TASK, lambda task_id, data: self.staff.on_join(task_id, data), inline=True)
        journal.on(RELIST_TASK, lambda task_id, data: self.relisting.on_task(task_id, data))
        journal.on(RELEASE_TASK, lambda task_id, data: self.identity.on_release(task_id, data), inline=True)
        self._on_access_tasks(journal)
        return journal

    def _on_access_tasks(self, journal: Journal) -> None:
        """Imported when the first of them is done: consume's start does not wait for it."""
        journal.on(MEMBERSHIP_TASK, lambda task_id, data: self.memberships.on_follow(task_id, data), inline=True)
        journal.on(KEYS_TASK, lambda task_id, data: self.members.on_disable_keys(task_id, data), inline=True)
        journal.on(CLEAR_TASK, lambda task_id, data: self.projects.on_clear(task_id, data), inline=True)

    @cached_property
    def platform_settings(self) -> PlatformSettingsStore:
        return PlatformSettingsStore(self.documents, self.journal)

    @cached_property
    def identity(self) -> AccountStore:
        return AccountStore(self.documents)

    @cached_property
    def admins(self) -> Admins:
        return Admins(self.documents, self.journal, self.identity)

    @cached_property
    def tokens(self) -> "Tokens":
        from shared.identity.tokens import Tokens

        return Tokens(self.settings.ams_oidc_issuers, self.provider_http)

    @cached_property
    def sessions(self) -> "Sessions":
        from shared.identity.sessions import Sessions

        return Sessions(self.documents, self.journal, self.identity, self.settings.ams_auth_cache_s)

    @cached_property
    def enrolment(self) -> "Enrolment":
        from shared.identity.enrolment import Enrolment

        return Enrolment(self.identity, self.journal, self.admins, self.settings.ams_admins, _first_tasks)

    @cached_property
    def sign_in(self) -> "SignIn":
        from shared.identity.sign_in import SignIn

        return SignIn(self.tokens, self.enrolment, self.sessions, self.journal, self.settings.ams_auth_cache_s)

    @cached_property
    def accounts(self) -> "Accounts":
        from shared.identity.accounts import Accounts

        return Accounts(self.identity, self.journal, self.admins, self.enrolment)

    @cached_property
    def relations(self) -> "Relations":
        from shared.api.relations import Relations

        return Relations(self.catalog, self.access)

    @cached_property
    def authority(self) -> "PlatformAuthority":
        from shared.api.authority import PlatformAuthority

        return PlatformAuthority(self.sign_in, self.relations)

    @cached_property
    def alert_store(self) -> "AlertStore":
        from shared.alerts.store import AlertStore

        return AlertStore(self.documents)

    @cached_property
    def alerts(self) -> "AlertDesk":
        from shared.alerts.desk import AlertDesk

        return AlertDesk(self.alert_store, self.journal)

    @cached_property
    def evaluator(self) -> "Evaluator":
        from shared.alerts.evaluate import Evaluator
        from shared.alerts.meter import UsageMeter
        from shared.alerts.recipients import OwnersPeople

        meter = UsageMeter(self.access, self.usage_reader, self.merchant_usage, self.platform_usage)
        people = OwnersPeople(self.identity, self.access, self.catalog, self.platform_settings)
        return Evaluator(self.alert_store, self.journal, meter, people)

    @cached_property
    def webhook_store(self) -> WebhookStore:
        return WebhookStore(self.documents)

    @cached_property
    def webhooks(self) -> WebhookDesk:
        return WebhookDesk(self.webhook_store, self.journal, self.secrets)

    @cached_property
    def webhook_sender(self) -> "WebhookSender":
        from shared.webhooks.sender import WebhookSender

        return WebhookSender(
            self.documents, self.webhook_store, self.journal, self.secrets, self.upstream, self.platform_settings
        )

    @cached_property
    def pseudonyms(self) -> "Pseudonyms":
        from shared.access.pseudonyms import Pseudonyms

        return Pseudonyms(self.secrets.get)

    @cached_property
    def letters(self) -> "Letters":
        from shared.access.letters import Letters

        return Letters(self.identity, self.platform_settings)

    @cached_property
    def consumers(self) -> "Consumers":
        from shared.access.consumers import Consumers

        return Consumers(self.access, self.journal, self.letters)

    @cached_property
    def grants(self) -> "Grants":
        from shared.access.grants import Grants

        return Grants(self.access, self.catalog, self.journal, self.platform_settings, self.pseudonyms, self.letters)

    @cached_property
    def subscribers(self) -> "Subscribers":
        from shared.access.subscribers import Subscribers

        return Subscribers(self.access, self.catalog, self.journal, self.letters)

    @cached_property
    def projects(self) -> "Projects":
        from shared.access.projects import Projects

        return Projects(self.access, self.journal, self.platform_settings)

    @cached_property
    def members(self) -> "Members":
        from shared.access.members import Members

        return Members(self.access, self.journal, self.places)

    @cached_property
    def places(self) -> "Places":
        from shared.access.places import Places

        return Places(self.access, self.platform_settings)

    @cached_property
    def project_invites(self) -> "ProjectInvites":
        from shared.access.invites import ProjectInvites

        url = self.settings.ams_public_url
        return ProjectInvites(
            self.documents,
            self.access,
            self.identity,
            self.members,
            self.places,
            self.journal,
            self.platform_settings,
            url,
        )

    @cached_property
    def memberships(self) -> "Memberships":
        from shared.access.memberships import Memberships

        return Memberships(self.documents, self.access)

    @cached_property
    def gate(self) -> Gate:
        return Gate(
            self.access, self.catalog, self.load_hasher, self.settings.ams_auth_cache_s,
            proxy_hops=self.settings.ams_proxy_hops, note=self.refusals.note,
        )  # fmt: skip

    @cached_property
    def refusals(self) -> Refusals:
        return Refusals(self.documents)

    @cached_property
    def key_writer(self) -> "KeyWriter":
        from shared.access.key_writes import KeyWriter

        return KeyWriter(self.access, self.journal)

    @cached_property
    def key_secrets(self) -> "KeySecrets":
        from shared.access.key_secrets import KeySecrets

        return KeySecrets(self.access, self.load_hasher)

    @cached_property
    def key_letters(self) -> "KeyLetters":
        from shared.access.key_letters import KeyLetters

        return KeyLetters(self.access, self.letters)

    @cached_property
    def key_issuing(self) -> "KeyIssuing":
        from shared.access.issuing import KeyIssuing

        return KeyIssuing(self.access, self.key_secrets, self.journal, self.platform_settings)

    @cached_property
    def keys(self) -> "KeyDesk":
        from shared.access.key_desk import KeyDesk

        return KeyDesk(self.access, self.key_writer)

    @cached_property
    def rotation(self) -> "Rotation":
        from shared.access.rotation import Rotation

        return Rotation(self.access, self.key_secrets, self.key_writer, self.platform_settings, self.key_letters)

    @cached_property
    def subscriber_keys(self) -> "SubscriberKeys":
        from shared.access.subscriber_keys import SubscriberKeys

        return SubscriberKeys(self.subscribers, self.key_writer, self.key_letters)

    @cached_property
    def expiry_notices(self) -> "ExpiryNotices":
        from shared.access.expiry import ExpiryNotices

        return ExpiryNotices(self.access, self.key_writer, self.key_letters)

    @cached_property
    def leak_keys(self) -> "LeakKeys | None":
        from shared.access.leak_keys import LeakKeys

        url = self.settings.ams_leak_keys_url
        return None if url is None else LeakKeys(url, self.provider_http)

    @cached_property
    def leak_reports(self) -> "LeakReports":
        from shared.access.leaks import LeakReports

        return LeakReports(
            self.access, self.key_secrets, self.key_writer, self.platform_settings, self.key_letters, self.leak_keys
        )

    async def load_hasher(self) -> KeyHasher:
        """Peppers are secrets `key-pepper-v<version>`: the current one, and the previous one during a change."""
        current = self.settings.ams_key_pepper_version
        versions = {current, self.settings.ams_key_pepper_previous_version or current}
        peppers = {version: await self.secrets.get(f"key-pepper-v{version}") for version in versions}
        return KeyHasher(peppers, current)

    @cached_property
    def queries(self) -> UsageQueries:
        return UsageQueries(self.documents)

    @cached_property
    def usage_reader(self) -> "UsageReader":
        from shared.metering.reader import UsageReader

        return UsageReader(self.documents)

    @cached_property
    def consumer_usage(self) -> "ConsumerUsage":
        from shared.metering.views import ConsumerUsage

        return ConsumerUsage(self.documents, self.access, self.usage_reader)

    @cached_property
    def merchant_usage(self) -> "MerchantUsage":
        from shared.metering.merchant_views import MerchantUsage

        return MerchantUsage(self.catalog, self.access, self.pseudonyms, self.usage_reader)

    @cached_property
    def platform_usage(self) -> "PlatformUsage":
        from shared.metering.platform_views import PlatformUsage

        return PlatformUsage(self.usage_reader)

    @cached_property
    def rollups(self) -> "Rollups":
        from shared.metering.rollups import Rollups

        return Rollups(self.documents)

    @cached_property
    def limiter(self) -> RateLimiter:
        return RateLimiter(self.limits, self.queries)

    @cached_property
    def consume(self) -> Consume:
        reports = Reports(self.gate, self.limiter, self.events)
        forwarder = Forwarder(self.upstream, self.spool, self.events, self.secrets)
        return Consume(self.gate, self.limiter, reports, forwarder, self.refusals.note)

    @cached_property
    def explainer(self) -> "Explainer":
        from shared.metering.explain import Explainer

        return Explainer(self.gate, self.limiter, self.limits)

    @cached_property
    def parked(self) -> Parked:
        return Parked(self.blobs, self.events)

    @cached_property
    def aggregator(self) -> Aggregator:
        return Aggregator(self.documents, self.gate, self.parked, self.settings.ams_record_retention_days)

    @cached_property
    def reconciler(self) -> Reconciler:
        return Reconciler(self.documents)

    @cached_property
    def api(self) -> "FastAPI":
        from shared.api.app import create_app

        return create_app(self)

    async def readiness(self) -> dict[str, str | None]:
        """What consume needs, by name: None when it works, else why it does not."""
        checks: dict[str, Callable[[], Awaitable[object]]] = {
            # Called late: an adapter that is opened here for the first time may refuse as well.
            "documents": lambda: self.documents.ready(),
            "events": lambda: self.events.ready(),
            "blobs": lambda: self.blobs.ready(),
            "secrets": self.load_hasher,
            "spool": lambda: self.spool.ready(),
        }
        return {name: await _reason(check) for name, check in checks.items()}

    async def close(self) -> None:
        """Finish what the journal began, then close what was built; the spool first, since it ships to the stream."""
        if "sessions" in self.__dict__:
            await self.sessions.drain()
        if "journal" in self.__dict__:
            await self.journal.drain()
        for name in _CLOSED:
            if name in self.__dict__:
                await getattr(self, name).close()


async def _reason(check: Callable[[], Awaitable[object]]) -> str | None:
    try:
        async with asyncio.timeout(READY_S):
            await check()
    except TimeoutError:
        return f"no answer within {READY_S:g} s"
    except (Unavailable, SecretMissing, ValueError) as error:
        return str(error)
    return None


def _first_tasks(account: Account) -> Sequence[Task]:
    """Everybody is a consumer: the tenant comes into being with the account."""
    consumer = Consumer(
        id=account.consumer_id, name=account.name, account_id=account.id, created_at=account.created_at
    )  # fmt: skip
    return [create(ACCESS, consumer.id, "consumer", consumer)]


def _cosmos(settings: Settings) -> Documents:
    from shared.platform.documents.cosmos import CosmosDocuments

    assert settings.ams_cosmos_endpoint is not None
    credential = settings.ams_cosmos_key or _credential(settings)
    return CosmosDocuments(settings.ams_cosmos_endpoint, credential, settings.ams_cosmos_database)


def _event_hubs(settings: Settings) -> Events:
    from shared.platform.events.eventhubs import AzureHub, EmulatedHub, EventHubs

    if settings.ams_usage_hub_connection_string is not None:
        assert settings.ams_blob_connection_string is not None
        return EventHubs(
            EmulatedHub(
                settings.ams_usage_hub_connection_string,
                settings.ams_usage_hub_name,
                settings.ams_blob_connection_string,
                CHECKPOINT_CONTAINER,
            )
        )
    assert settings.usage_hub_fully_qualified_namespace is not None
    assert settings.ams_blob_account_url is not None
    return EventHubs(
        AzureHub(
            settings.usage_hub_fully_qualified_namespace,
            settings.ams_usage_hub_name,
            _credential(settings),
            settings.ams_blob_account_url,
            CHECKPOINT_CONTAINER,
        )
    )


def _azure_blobs(settings: Settings, container: str = BLOB_CONTAINER) -> Blobs:
    from shared.platform.blobs.azure import AzureBlobs

    if settings.ams_blob_connection_string is not None:
        return AzureBlobs(container, connection_string=settings.ams_blob_connection_string)
    return AzureBlobs(container, account_url=settings.ams_blob_account_url, credential=_credential(settings))


def _key_vault(settings: Settings) -> Secrets:
    from shared.platform.secrets.keyvault import KeyVaultSecrets

    assert settings.ams_keyvault_url is not None
    return KeyVaultSecrets(settings.ams_keyvault_url, _credential(settings))


def _mail(settings: Settings) -> Mail:
    if settings.ams_smtp_host is None:
        from shared.platform.mail.outbox import OutboxMail

        return OutboxMail(settings.ams_data / "mail", settings.ams_mail_from)
    from shared.platform.mail.smtp import SmtpMail

    return SmtpMail(
        settings.ams_smtp_host, settings.ams_smtp_port, settings.ams_mail_from,
        user=settings.ams_smtp_user, password=settings.ams_smtp_password, security=settings.ams_smtp_security,
    )  # fmt: skip


@cache
def _credential(settings: Settings) -> "AsyncTokenCredential":
    """On Azure the app's own identity, named or system-assigned, without a chain of guesses; else the developer's."""
    from azure.identity.aio import DefaultAzureCredential, ManagedIdentityCredential

    if "WEBSITE_INSTANCE_ID" in os.environ or "CONTAINER_NAME" in os.environ:
        return ManagedIdentityCredential(client_id=settings.ams_managed_identity_client_id)
    return DefaultAzureCredential()


_application: Application | None = None


def application() -> Application:
    """This process's application, built at the first call. Raises SettingsError."""
    global _application
    if _application is None:
        _application = Application(load_settings(os.environ))
    return _application


async def close() -> None:
    """Finish what is under way and close every adapter; `application` builds anew afterwards."""
    global _application
    if _application is not None:
        closing, _application = _application, None
        await closing.close()
