"""Consumers, grants, API keys and projects. All of one consumer's documents share one partition."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from shared.catalog.models import Limits
from shared.kernel.stored import Identifier, Name, StoredModel

ConsumerStatus = Literal["active", "suspended"]
GrantStatus = Literal["requested", "approved", "denied", "withdrawn"]
KeyStatus = Literal["active", "disabled", "revoked"]
Environment = Literal["live", "test"]
Shards = Annotated[int, Field(ge=1, le=256)]


class Consumer(StoredModel):
    """A tenant on the consuming side. `shards` spreads the usage of one giant consumer over that many partitions; it is
    fixed before the first usage, because a duplicate must meet its original in one partition."""

    kind: Literal["consumer"] = "consumer"
    id: Identifier
    name: Name
    status: ConsumerStatus = "active"
    shards: Shards = 1


class Project(StoredModel):
    kind: Literal["project"] = "project"
    id: Identifier
    consumer_id: Identifier
    name: Name


class Grant(StoredModel):
    """A consumer's access to a service. `restricted` is the merchant's block, `status` the platform's decision."""

    kind: Literal["grant"] = "grant"
    consumer_id: Identifier
    service_id: Identifier
    status: GrantStatus = "requested"
    restricted: bool = False


class ApiKey(StoredModel):
    """What is kept of a key: never the key. `hash` is its HMAC, `prefix` and `last4` let its holder recognise it.

    A key belongs to one project (or none) for life, so that its usage does. `limits` apply beside the service's.
    """

    kind: Literal["key"] = "key"
    id: Identifier
    consumer_id: Identifier
    hash: str
    prefix: str
    last4: str
    name: Name
    environment: Environment = "live"
    status: KeyStatus = "active"
    service_ids: tuple[Identifier, ...] = ()
    project_id: Identifier | None = None
    expires_at: AwareDatetime | None = None
    limits: Limits = Limits()

    def expired(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now


class KeyOwner(StoredModel):
    """Stored under a key's hash; never changes, so it may be cached for as long as one likes."""

    consumer_id: Identifier
    key_id: Identifier
