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
    """Limits of this key, beside those of its services: the narrower one holds."""

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
    """A key to be made for a project."""

    name: Name
    """What people call the key."""
    description: KeyDescription = ""
    """For people; empty is none."""
    purpose: Purpose = ""
    """What the key is for, for people; empty is none."""
    environment: Environment = "live"
    """Says to people whether real work depends on the key, and is part of its prefix; consume treats both alike."""
    service_ids: Annotated[KeyServiceIds, Field(min_length=1)]
    """Ids of services with an approved grant that the project may use."""
    ttl_days: Annotated[int, Field(ge=1, le=3_650)] | None = None
    """Days until it expires; null is never."""
    limits: KeyLimits = NO_LIMITS
    """Limits of this key, beside those of the services."""
    networks: Networks = ()
    """Networks in CIDR notation that calls must come from; empty is anywhere."""

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
    """A key to be made. It belongs to one project, or none, for life."""

    project_id: Identifier | None = None
    """Id of the project; null makes a key of the tenant itself."""


class KeyChange(Input):
    """Only what is given is changed; `limits` and lists as a whole."""

    name: Name | None = None
    """What people call the key; null or absent leaves it."""
    description: KeyDescription | None = None
    """For people; null or absent leaves it."""
    purpose: Purpose | None = None
    """What the key is for; null or absent leaves it."""
    service_ids: KeyServiceIds | None = None
    """Ids of the services that it may call, all of them; null or absent leaves them."""
    limits: KeyLimits | None = None
    """All four limits; null or absent leaves them."""
    networks: Networks | None = None
    """All networks that calls must come from; empty is anywhere, null or absent leaves them."""


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
    """What is known of a key, which is never the key."""

    id: KeyId
    consumer_id: ConsumerId
    project_id: str | None
    """Id of the project that it belongs to; null is the tenant itself."""
    name: str
    """What people call the key."""
    description: str
    """For people; empty is none."""
    purpose: str
    """What the key is for; empty is none."""
    environment: Environment
    """Whether real work depends on it; the prefix says so too."""
    status: KeyStatus
    """Only `active` lets calls through; a key that has expired stays `active`, and `expires_at` is past."""
    reason: str | None
    """Why it is not active; null while it is."""
    prefix: str
    """How the clear key begins, to recognise it by."""
    last4: str
    """The last four characters of the clear key, to recognise it by."""
    service_ids: list[str]
    """Ids of the services that it may call."""
    revoked_service_ids: list[str]
    """Ids of services that their merchant took away from this key for good."""
    limits: LimitsView
    """Limits of this key, beside those of the services."""
    networks: list[str]
    """Networks in CIDR notation that calls must come from; empty is anywhere."""
    ttl_days: int | None
    """Days that it, and each secret of a rotation, lives; null is for ever."""
    expires_at: AwareDatetime | None
    """When it stops working; null is never."""
    previous_until: AwareDatetime | None
    """Until when the secret before the last rotation works too; null when only the newest does."""
    needs_rotation: bool
    """The platform has ended its secret: calls are refused until it is rotated."""
    leaked_at: AwareDatetime | None
    """When its secret was found in public; null if it was not."""
    created_by: str | None
    """Id of the account that made it; null for seeded keys."""
    created_at: AwareDatetime | None
    """When it was made; null for seeded keys."""
    rotated_at: AwareDatetime | None
    """When its secret was last rotated; null if it never was."""


class ShownKeyView(KeyView):
    """A key with its secret."""

    key: str
    """The clear key, in this answer only: AMS keeps its HMAC, and nobody can read it again."""


class KeysView(View):
    """A page of keys."""

    items: list[KeyView]
    """The page's items."""
    next_cursor: NextCursor
