"""Consumers, grants, API keys and projects. All of one consumer's documents share one partition."""

from datetime import datetime
from ipaddress import ip_network
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, Field

from shared.catalog.models import CallLimits
from shared.identity.models import Email
from shared.kernel.documents import Identifier, Name, StoredModel

ConsumerStatus = Literal["active", "suspended"]
GrantStatus = Literal["requested", "approved", "denied", "withdrawn"]
"""`withdrawn`: the consumer left, or an admin took the approval back."""

KeyStatus = Literal["active", "disabled", "revoked"]
Environment = Literal["live", "test"]
Shards = Annotated[int, Field(ge=1, le=256)]


ProjectRole = Literal["owner", "manager", "member"]
"""`manager` is what people call a project's admin; `admin` is the platform's own."""


def _check_network(text: str) -> str:
    return str(ip_network(text, strict=True))  # its ValueError names the rule


Network = Annotated[str, AfterValidator(_check_network)]
"""A CIDR such as `192.0.2.0/24` or `2001:db8::/48`, without host bits."""


class Consumer(StoredModel):
    """A tenant on the consuming side. `account_id` owns it. `shards` spreads the usage of one giant consumer over that
    many partitions; it is fixed before the first usage, because a duplicate must meet its original in one partition.
    Merchants see a pseudonym, unless they are in `shares_name_with`."""

    kind: Literal["consumer"] = "consumer"
    id: Identifier
    name: Name
    status: ConsumerStatus = "active"
    shards: Shards = 1
    account_id: Identifier | None = None
    shares_name_with: tuple[Identifier, ...] = ()
    reason: str | None = None
    created_at: AwareDatetime | None = None


class Project(StoredModel):
    """Keys and people of one consumer that belong together. A key of the project may use only `service_ids`, unless
    that is empty."""

    kind: Literal["project"] = "project"
    id: Identifier
    consumer_id: Identifier
    name: Name
    description: Annotated[str, Field(max_length=2_000)] = ""
    service_ids: tuple[Identifier, ...] = ()
    created_at: AwareDatetime | None = None


class Member(StoredModel):
    """An account in a project, under `member:{project}:{account}` in the consumer's partition: read on every request of
    that account, so its removal holds at once. A project has one `owner`."""

    kind: Literal["member"] = "member"
    consumer_id: Identifier
    project_id: Identifier
    account_id: Identifier
    role: ProjectRole
    name: Name
    email: str | None = None
    joined_at: AwareDatetime


class ProjectInvite(StoredModel):
    """An invite to a project, for whoever proves to own `email`, under `invite:{project}:{id}` in the consumer's
    partition. `id` is the hash of the code in the mail. It is deleted when it is accepted, replaced or revoked."""

    kind: Literal["invite"] = "invite"
    id: Identifier
    consumer_id: Identifier
    project_id: Identifier
    email: Email
    role: ProjectRole
    created_at: AwareDatetime
    expires_at: AwareDatetime


class Grant(StoredModel):
    """A consumer's access to a service. `restricted` is the merchant's block, `status` the platform's decision.

    With `project_ids`, only keys of these projects may use it. `review` is `grant` while a decision is asked for.
    `pseudonym` is what the merchant knows the consumer by (`shared.access.pseudonyms`).
    """

    kind: Literal["grant"] = "grant"
    consumer_id: Identifier
    service_id: Identifier
    merchant_id: Identifier | None = None
    status: GrantStatus = "requested"
    restricted: bool = False
    project_ids: tuple[Identifier, ...] = ()
    pseudonym: str | None = None
    note: Annotated[str, Field(max_length=2_000)] = ""
    reason: str | None = None
    review: Literal["grant"] | None = None
    requested_at: AwareDatetime | None = None
    decided_at: AwareDatetime | None = None

    def open_to(self, project: Project | None) -> bool:
        """Whether keys of this project (None: keys of none) may use the grant, as far as projects decide."""
        if project is None:
            return not self.project_ids
        named = not self.project_ids or project.id in self.project_ids
        return named and (not project.service_ids or self.service_id in project.service_ids)


class ApiKey(StoredModel):
    """What is kept of a key: never the key. `hash` is its HMAC, `prefix` and `last4` let its holder recognise it.

    A key belongs to one project (or none) for life, so that its usage does. `limits` apply beside the service's.
    `previous_hash` is the key before the last rotation, which works until `previous_until`. `networks` are where calls
    may come from, empty is anywhere. `revoked_service_ids` were taken away by their merchant and cannot be assigned
    again. `expiry_day` (`YYYY-MM-DD`) is there while a notice of the expiry is still to be sent. `ttl_days` is how long
    each secret of the key lives. `leaked_at` is there while its secret is one that somebody found in public.
    """

    kind: Literal["key"] = "key"
    id: Identifier
    consumer_id: Identifier
    hash: str
    prefix: str
    last4: str
    name: Name
    description: Annotated[str, Field(max_length=2_000)] = ""
    purpose: Annotated[str, Field(max_length=200)] = ""
    environment: Environment = "live"
    status: KeyStatus = "active"
    service_ids: tuple[Identifier, ...] = ()
    revoked_service_ids: tuple[Identifier, ...] = ()
    project_id: Identifier | None = None
    ttl_days: int | None = None
    expires_at: AwareDatetime | None = None
    expiry_day: str | None = None
    limits: CallLimits = CallLimits()
    networks: Annotated[tuple[Network, ...], Field(max_length=100)] = ()
    previous_hash: str | None = None
    previous_until: AwareDatetime | None = None
    created_by: Identifier | None = None
    created_at: AwareDatetime | None = None
    rotated_at: AwareDatetime | None = None
    rotated_by: Identifier | None = None
    leaked_at: AwareDatetime | None = None
    reason: str | None = None

    def expired(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now

    def previous_works(self, now: datetime) -> bool:
        """Whether the secret before the last rotation is still good."""
        return self.previous_hash is not None and self.previous_until is not None and now < self.previous_until

    @property
    def needs_rotation(self) -> bool:
        """Whether the platform has ended the secret; the next one comes with a rotation."""
        return self.hash == NO_SECRET

    def seen_by(self, account_id: str) -> bool:
        """Whether this account was shown a clear text of the key."""
        return account_id in (self.created_by, self.rotated_by)


NO_SECRET = "none"  # noqa: S105 - that there is none
"""In place of a hash: what no key hashes to, since hashes begin with the version of their pepper."""


class KeyOwner(StoredModel):
    """The consumer and the key that a hash belongs to, stored under that hash; never changes, so it may be cached for
    as long as one likes."""

    consumer_id: Identifier
    key_id: Identifier
