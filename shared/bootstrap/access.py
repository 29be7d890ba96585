"""Who may do what: the gate of consume, the authority of the API, consumers, grants, projects."""

from functools import cached_property
from typing import TYPE_CHECKING

from shared.access.gate.refusals import Refusals
from shared.access.gate.service import Gate
from shared.access.keys.format import KeyHasher
from shared.access.store import AccessStore
from shared.bootstrap.catalog import Catalog

if TYPE_CHECKING:
    from shared.access.consumers.service import Consumers
    from shared.access.grants.service import Grants
    from shared.access.grants.visibility import GrantVisitors
    from shared.access.mails import AccessMails
    from shared.access.projects.invites import ProjectInvites
    from shared.access.projects.members import Members
    from shared.access.projects.memberships import Memberships
    from shared.access.projects.seats import Seats
    from shared.access.projects.service import Projects
    from shared.access.pseudonyms import Pseudonyms
    from shared.access.subscribers.service import Subscribers
    from shared.api.authority import PlatformAuthority
    from shared.api.relations import Relations


class Access(Catalog):
    """The parts of `shared.access` but those of keys, and the authority that knows them."""

    @cached_property
    def access(self) -> AccessStore:
        return AccessStore(self.documents)

    async def load_hasher(self) -> KeyHasher:
        """Peppers are secrets `key-pepper-v<version>`: the current one, and the previous one during a change."""
        current = self.settings.ams_key_pepper_version
        versions = {current, self.settings.ams_key_pepper_previous_version or current}
        peppers = {version: await self.secrets.get(f"key-pepper-v{version}") for version in versions}
        return KeyHasher(peppers, current)

    @cached_property
    def gate(self) -> Gate:
        return Gate(
            self.access,
            self.catalog,
            self.load_hasher,
            self.settings.ams_auth_cache_s,
            proxy_hops=self.settings.ams_proxy_hops,
            note=self.refusals.note,
        )

    @cached_property
    def refusals(self) -> Refusals:
        return Refusals(self.documents)

    @cached_property
    def relations(self) -> "Relations":
        from shared.api.relations import Relations

        return Relations(self.catalog, self.access)

    @cached_property
    def authority(self) -> "PlatformAuthority":
        from shared.api.authority import PlatformAuthority

        return PlatformAuthority(self.sign_in, self.relations)

    @cached_property
    def visitors(self) -> "GrantVisitors":
        from shared.access.grants.visibility import GrantVisitors

        return GrantVisitors(self.authority, self.access)

    @cached_property
    def pseudonyms(self) -> "Pseudonyms":
        from shared.access.pseudonyms import Pseudonyms

        return Pseudonyms(self.secrets.get)

    @cached_property
    def mails(self) -> "AccessMails":
        from shared.access.mails import AccessMails

        return AccessMails(self.identity, self.platform_settings)

    @cached_property
    def consumers(self) -> "Consumers":
        from shared.access.consumers.service import Consumers

        return Consumers(self.access, self.journal, self.mails)

    @cached_property
    def grants(self) -> "Grants":
        from shared.access.grants.service import Grants

        return Grants(self.access, self.catalog, self.journal, self.platform_settings, self.pseudonyms, self.mails)

    @cached_property
    def subscribers(self) -> "Subscribers":
        from shared.access.subscribers.service import Subscribers

        return Subscribers(self.access, self.catalog, self.journal, self.mails)

    @cached_property
    def projects(self) -> "Projects":
        from shared.access.projects.service import Projects

        return Projects(self.access, self.journal, self.platform_settings)

    @cached_property
    def members(self) -> "Members":
        from shared.access.projects.members import Members

        return Members(self.access, self.journal, self.places)

    @cached_property
    def places(self) -> "Seats":
        from shared.access.projects.seats import Seats

        return Seats(self.access, self.platform_settings)

    @cached_property
    def project_invites(self) -> "ProjectInvites":
        from shared.access.projects.invites import ProjectInvites

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
        from shared.access.projects.memberships import Memberships

        return Memberships(self.documents, self.access)
