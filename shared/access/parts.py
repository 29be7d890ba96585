"""Who may do what: consumers, grants, projects, API keys; the gate of consume."""

from functools import cached_property
from typing import TYPE_CHECKING

from shared.access.gate.refusal_counts import RefusalCounts
from shared.access.gate.service import Gate
from shared.access.keys.format import KeyHasher
from shared.access.store import AccessStore
from shared.access.tasks import ClearProject, DisableKeys, FollowMembership

if TYPE_CHECKING:
    from shared.access.consumers.service import Consumers
    from shared.access.grants.service import Grants
    from shared.access.grants.visibility import GrantVisitors
    from shared.access.keys.creation import KeyCreation
    from shared.access.keys.expiry import ExpiryNotices
    from shared.access.keys.mails import KeyMails
    from shared.access.keys.rotation import Rotation
    from shared.access.keys.secrets import KeySecrets
    from shared.access.keys.service import Keys
    from shared.access.keys.writer import KeyWriter
    from shared.access.leaks.reporter_keys import ReporterKeys
    from shared.access.leaks.service import LeakReports
    from shared.access.mails import AccessMails
    from shared.access.projects.invites import ProjectInvites
    from shared.access.projects.members import Members
    from shared.access.projects.memberships import Memberships
    from shared.access.projects.seats import Seats
    from shared.access.projects.service import Projects
    from shared.access.pseudonyms import Pseudonyms
    from shared.access.subscribers.key_revocation import SubscriberKeys
    from shared.access.subscribers.service import Subscribers
    from shared.audit.journal import Journal
    from shared.audit.parts import AuditParts
    from shared.catalog.parts import CatalogParts
    from shared.identity.parts import IdentityParts
    from shared.platform import Ports


class AccessParts:
    """The services of `shared.access`, each made when it is first used."""

    def __init__(
        self,
        ports: "Ports",
        audit: "AuditParts",
        identity: "IdentityParts",
        catalog: "CatalogParts",
        *,
        pepper_version: int,
        previous_pepper_version: int | None,
        auth_cache_s: float,
        proxy_hops: int,
        leak_keys_url: str | None,
        public_url: str,
    ) -> None:
        self._ports = ports
        self._audit = audit
        self._identity = identity
        self._catalog = catalog
        self._pepper_version = pepper_version
        self._previous_pepper_version = previous_pepper_version
        self._auth_cache_s = auth_cache_s
        self._proxy_hops = proxy_hops
        self._leak_keys_url = leak_keys_url
        self._public_url = public_url
        audit.prepare(self._handle_tasks)

    def _handle_tasks(self, journal: "Journal") -> None:
        """Register the handlers of this noun's tasks. What does a task is made, and imported, when there is one to do:
        consume's start does not wait for it."""
        journal.on_change(lambda: self.gate.invalidate())
        journal.on(FollowMembership, lambda task_id, task: self.memberships.on_follow(task_id, task), inline=True)
        journal.on(DisableKeys, lambda task_id, task: self.members.on_disable_keys(task_id, task), inline=True)
        journal.on(ClearProject, lambda task_id, task: self.projects.on_clear(task_id, task), inline=True)

    @cached_property
    def store(self) -> AccessStore:
        return AccessStore(self._ports.documents)

    async def load_hasher(self) -> KeyHasher:
        """Make the hasher of keys. Its peppers are secrets `key-pepper-v<version>`: the current one, and the previous
        one during a change."""
        current = self._pepper_version
        versions = {current, self._previous_pepper_version or current}
        peppers = {version: await self._ports.secrets.get(f"key-pepper-v{version}") for version in versions}
        return KeyHasher(peppers, current)

    @cached_property
    def gate(self) -> Gate:
        return Gate(
            self.store,
            self._catalog.store,
            self.load_hasher,
            self._auth_cache_s,
            proxy_hops=self._proxy_hops,
            note=self.refusal_counts.note,
            now=self._ports.now,
        )

    @cached_property
    def refusal_counts(self) -> RefusalCounts:
        return RefusalCounts(self._ports.documents, now=self._ports.now)

    @cached_property
    def visitors(self) -> "GrantVisitors":
        from shared.access.grants.visibility import GrantVisitors

        return GrantVisitors(self._identity.authority, self.store)

    @cached_property
    def pseudonyms(self) -> "Pseudonyms":
        from shared.access.pseudonyms import Pseudonyms

        return Pseudonyms(self._ports.secrets.get)

    @cached_property
    def mails(self) -> "AccessMails":
        from shared.access.mails import AccessMails

        return AccessMails(self._identity.store, self._audit.platform_settings)

    @cached_property
    def consumers(self) -> "Consumers":
        from shared.access.consumers.service import Consumers

        return Consumers(self.store, self._audit.journal, self.mails)

    @cached_property
    def grants(self) -> "Grants":
        from shared.access.grants.service import Grants

        return Grants(
            self.store,
            self._catalog.store,
            self._audit.journal,
            self._audit.platform_settings,
            self.pseudonyms,
            self.mails,
            now=self._ports.now,
        )

    @cached_property
    def subscribers(self) -> "Subscribers":
        from shared.access.subscribers.service import Subscribers

        return Subscribers(self.store, self._catalog.store, self._audit.journal, self.mails)

    @cached_property
    def projects(self) -> "Projects":
        from shared.access.projects.service import Projects

        return Projects(self.store, self._audit.journal, self._audit.platform_settings, now=self._ports.now)

    @cached_property
    def members(self) -> "Members":
        from shared.access.projects.members import Members

        return Members(self.store, self._audit.journal, self.seats, now=self._ports.now)

    @cached_property
    def seats(self) -> "Seats":
        from shared.access.projects.seats import Seats

        return Seats(self.store, self._audit.platform_settings)

    @cached_property
    def project_invites(self) -> "ProjectInvites":
        from shared.access.projects.invites import ProjectInvites

        url = self._public_url
        return ProjectInvites(
            self._ports.documents,
            self.store,
            self._identity.store,
            self.members,
            self.seats,
            self._audit.journal,
            self._audit.platform_settings,
            url,
            now=self._ports.now,
        )

    @cached_property
    def memberships(self) -> "Memberships":
        from shared.access.projects.memberships import Memberships

        return Memberships(self._ports.documents, self.store)

    """The parts of `shared.access` that deal with keys."""

    @cached_property
    def key_writer(self) -> "KeyWriter":
        from shared.access.keys.writer import KeyWriter

        return KeyWriter(self.store, self._audit.journal)

    @cached_property
    def key_secrets(self) -> "KeySecrets":
        from shared.access.keys.secrets import KeySecrets

        return KeySecrets(self.store, self.load_hasher)

    @cached_property
    def key_mails(self) -> "KeyMails":
        from shared.access.keys.mails import KeyMails

        return KeyMails(self.store, self.mails)

    @cached_property
    def key_creation(self) -> "KeyCreation":
        from shared.access.keys.creation import KeyCreation

        return KeyCreation(
            self.store, self.key_secrets, self._audit.journal, self._audit.platform_settings, now=self._ports.now
        )

    @cached_property
    def keys(self) -> "Keys":
        from shared.access.keys.service import Keys

        return Keys(self.store, self.key_writer)

    @cached_property
    def rotation(self) -> "Rotation":
        from shared.access.keys.rotation import Rotation

        return Rotation(
            self.store,
            self.key_secrets,
            self.key_writer,
            self._audit.platform_settings,
            self.key_mails,
            now=self._ports.now,
        )

    @cached_property
    def subscriber_keys(self) -> "SubscriberKeys":
        from shared.access.subscribers.key_revocation import SubscriberKeys

        return SubscriberKeys(self.subscribers, self.key_writer, self.key_mails)

    @cached_property
    def expiry_notices(self) -> "ExpiryNotices":
        from shared.access.keys.expiry import ExpiryNotices

        return ExpiryNotices(self.store, self.key_writer, self.key_mails, now=self._ports.now)

    @cached_property
    def leak_keys(self) -> "ReporterKeys | None":
        from shared.access.leaks.reporter_keys import ReporterKeys

        url = self._leak_keys_url
        return None if url is None else ReporterKeys(url, self._ports.provider_http)

    @cached_property
    def leak_reports(self) -> "LeakReports":
        from shared.access.leaks.service import LeakReports

        return LeakReports(
            self.store,
            self.key_secrets,
            self.key_writer,
            self._audit.platform_settings,
            self.key_mails,
            self.leak_keys,
            now=self._ports.now,
        )

    async def close(self) -> None:
        if "refusal_counts" in self.__dict__:
            await self.refusal_counts.close()
