"""API keys as the API takes and shows them. A clear key is in one answer only: the one that made it."""

from typing import Annotated

from pydantic import AwareDatetime, Field

from shared.access.keys.creation import KeyRequest
from shared.access.models import Environment, KeyStatus, Network
from shared.catalog.models import CallLimits
from shared.kernel.documents import Identifier, Name
from shared.kernel.http.fields import ConsumerId, KeyId, NextCursor
from shared.kernel.http.schemas import Input, View

KeyDescription = Annotated[str, Field(max_length=2_000)]
Purpose = Annotated[str, Field(max_length=200)]
Networks = Annotated[
    tuple[Network, ...],
    Field(max_length=100, examples=[["192.0.2.0/24"]]),
]
KeyServiceIds = Annotated[tuple[Identifier, ...], Field(max_length=1_000)]
LIMIT_MAX = 2**53 - 1
"""What a JSON number can hold exactly."""

Limit = Annotated[int, Field(ge=1, le=LIMIT_MAX)] | None


class KeyLimits(Input):
    """Limits of a key. The limits of its services apply too; the narrower limit wins."""

    per_minute: Limit = None
    """Calls in a minute; null is no limit."""
    per_hour: Limit = None
    """Calls in an hour; null is no limit."""
    per_day: Limit = None
    """Calls in a day; null is no limit."""
    quota_per_month: Limit = None
    """Requests in a UTC calendar month; null is no quota."""

    @property
    def stored(self) -> CallLimits:
        return CallLimits(**self.model_dump())


NO_LIMITS = KeyLimits()


class NewProjectKey(Input):
    """A key to create for a project."""

    name: Name
    """Display name of the key."""
    description: KeyDescription = ""
    """Description for people; empty is none."""
    purpose: Purpose = ""
    """Purpose of the key, for people; empty is none."""
    environment: Environment = "live"
    """`test` marks keys of tests. Consume treats both alike; the key's prefix names the environment."""
    service_ids: Annotated[KeyServiceIds, Field(min_length=1)]
    """Ids of the services that the key may call. Each needs an approved grant that the key's project may use."""
    ttl_days: Annotated[int, Field(ge=1, le=3_650)] | None = None
    """Days until the key expires; null is never."""
    limits: KeyLimits = NO_LIMITS
    """Limits of the key, which apply in addition to those of its services."""
    networks: Networks = ()
    """Networks, in CIDR notation, from which calls are accepted; empty is any network."""

    def request(self, project_id: str | None) -> KeyRequest:
        return KeyRequest(
            name=self.name,
            description=self.description,
            purpose=self.purpose,
            environment=self.environment,
            service_ids=self.service_ids,
            project_id=project_id,
            ttl_days=self.ttl_days,
            limits=self.limits.stored,
            networks=self.networks,
        )


class NewKey(NewProjectKey):
    """A key to create. A key belongs to one project, or to none, and cannot change that."""

    project_id: Identifier | None = None
    """Id of the project; null creates a key without a project."""


class KeyChange(Input):
    """A change of a key: only what is given is changed. `limits` and lists are replaced as a whole."""

    name: Name | None = None
    """Display name of the key; null or absent leaves it."""
    description: KeyDescription | None = None
    """Description for people; null or absent leaves it."""
    purpose: Purpose | None = None
    """Purpose of the key; null or absent leaves it."""
    service_ids: KeyServiceIds | None = None
    """Ids of all services that the key may call; null or absent leaves them."""
    limits: KeyLimits | None = None
    """All four limits of the key; null or absent leaves them."""
    networks: Networks | None = None
    """All networks, in CIDR notation, from which calls are accepted; empty is any network. Null or absent leaves
    them."""


class LimitsView(View):
    """Limits of a key."""

    per_minute: int | None
    """Calls in a minute; null is no limit."""
    per_hour: int | None
    """Calls in an hour; null is no limit."""
    per_day: int | None
    """Calls in a day; null is no limit."""
    quota_per_month: int | None
    """Requests in a UTC calendar month; null is no quota."""


class KeyView(View):
    """An API key, without the clear key."""

    id: KeyId
    consumer_id: ConsumerId
    project_id: str | None
    """Id of the key's project; null is none."""
    name: str
    """Display name of the key."""
    description: str
    """Description for people; empty is none."""
    purpose: str
    """Purpose of the key; empty is none."""
    environment: Environment
    """`test` marks keys of tests. Consume treats both alike; the key's prefix names the environment."""
    status: KeyStatus
    """Status of the key. Calls are accepted only while it is `active`. A key that has expired stays `active`, with
    `expires_at` in the past."""
    reason: str | None
    """Reason why the key is not active; null while it is active."""
    prefix: str
    """First characters of the clear key, to recognise the key."""
    last4: str
    """Last four characters of the clear key, to recognise the key."""
    service_ids: list[str]
    """Ids of the services that the key may call."""
    revoked_service_ids: list[str]
    """Ids of the services whose merchant revoked them from this key permanently."""
    limits: LimitsView
    """Limits of the key, which apply in addition to those of its services."""
    networks: list[str]
    """Networks, in CIDR notation, from which calls are accepted; empty is any network."""
    ttl_days: int | None
    """Lifetime in days of the key and of each secret of a rotation; null is unlimited."""
    expires_at: AwareDatetime | None
    """Time at which the key expires; null is never."""
    previous_until: AwareDatetime | None
    """Time until which the previous secret keeps working; null if only the current one works."""
    needs_rotation: bool
    """Whether an admin has invalidated the key's secrets: calls are refused until the key is rotated."""
    leaked_at: AwareDatetime | None
    """Time at which the key's secret was reported as found in public; null if it was not."""
    created_by: str | None
    """Id of the account that created the key; null for seeded keys."""
    created_at: AwareDatetime | None
    """Time of creation; null for seeded keys."""
    rotated_at: AwareDatetime | None
    """Time of the last rotation; null if there was none."""


class ShownKeyView(KeyView):
    """An API key with the clear key."""

    key: str
    """The clear key, only in this answer. AMS stores an HMAC of it, so it cannot be read again."""


class KeysView(View):
    """A page of keys."""

    items: list[KeyView]
    """Items of the page."""
    next_cursor: NextCursor
