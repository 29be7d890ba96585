"""What a merchant says of a service, and what is answered about it."""

from typing import Annotated

from pydantic import AwareDatetime, ConfigDict, Field, JsonValue
from pydantic.config import JsonDict

from shared.catalog.models import (
    BaseUrl,
    BodyBytes,
    CallLimits,
    Listing,
    ServiceStatus,
    ServiceType,
    TimeoutS,
    Visibility,
)
from shared.kernel.documents import Name, Slug
from shared.kernel.http.fields import MerchantId, NextCursor, ServiceId
from shared.kernel.http.schemas import Input, View

Notes = Annotated[str, Field(max_length=2_000)]


_CONFIG = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True, use_attribute_docstrings=True)


def _without_defaults(schema: JsonDict) -> None:
    """What is absent stays as it is: it gets no default."""
    properties = schema.get("properties")
    for each in properties.values() if isinstance(properties, dict) else ():
        if isinstance(each, dict):
            each.pop("default", None)


class LimitsInput(CallLimits):
    """Call limits for each key; null is no limit."""

    model_config = _CONFIG


class UpstreamInput(Input):
    """Where calls go. Its secret is set apart from it."""

    base_url: Annotated[BaseUrl, Field(examples=["https://api.example.com/v1"])]
    """What a call's path is put behind; https, and no address of a private network."""
    timeout_s: TimeoutS = 30.0
    """Seconds that AMS waits for a connection, and for each next part of an answer."""
    request_bytes_max: BodyBytes = 100 * 2**20
    """Largest body of a call, in bytes."""
    response_bytes_max: BodyBytes = 2**30
    """Largest body of an answer, in bytes."""


class UpstreamChange(UpstreamInput):
    """Only what is given is changed."""

    model_config = ConfigDict(json_schema_extra=_without_defaults)

    base_url: BaseUrl = ""
    """What a call's path is put behind; absent leaves it."""


class _Writable(Listing):
    """What a merchant says of a service."""

    model_config = _CONFIG

    limits: LimitsInput = LimitsInput()
    """Call limits for each key that calls the service."""
    visibility: Visibility = "public"
    """`public` in the catalogue, `unlisted` for whoever knows its address, `private` for consumers with a grant."""
    auto_approve: bool = False
    """Approve each request for access at once, where the platform allows that."""


class NewService(_Writable):
    """A service to be made, as a draft."""

    slug: Annotated[Slug, Field(examples=["weather"])]
    """Names the service in addresses and calls, for good; unique on the platform."""
    type: ServiceType = "api"
    """`api` for calls that AMS forwards, `image` for a container image that reports usage; for good."""
    upstream: UpstreamInput | None = None
    """Where calls are forwarded to; null until it is known."""


class ServiceChange(_Writable):
    """Only what is given is changed, within `upstream` and `limits` too; null clears. Of a live service most changes
    wait for approval."""

    model_config = ConfigDict(json_schema_extra=_without_defaults)

    name: Name = ""
    """What people know it by."""
    upstream: UpstreamChange | None = None
    """Where calls are forwarded to; null clears it."""
    notes: Notes | None = None
    """What changes, for whoever reviews it and for consumers; null is nothing."""


class OptionalReason(Input):
    """What a decision may be given with."""

    reason: Annotated[str, Field(max_length=1_000)] | None = None
    """Those concerned are told, and the audit log keeps it; null is none."""


class UpstreamView(View):
    """Where a service's calls go."""

    base_url: str
    """What a call's path is put behind."""
    timeout_s: float
    """Seconds that AMS waits for a connection, and for each next part of an answer."""
    request_bytes_max: int
    """Largest body of a call, in bytes."""
    response_bytes_max: int
    """Largest body of an answer, in bytes."""
    auth_header: str | None
    """Name of the header that AMS sets on every call; nobody is told its value. Null is none."""


class RevisionView(View):
    """Changes of a live service that wait for approval, or were rejected."""

    values: dict[str, JsonValue]
    """The new values by field name."""
    notes: str
    """What changes, for whoever reviews it and for consumers; empty is nothing."""
    proposed_at: AwareDatetime
    """When they were proposed."""
    reason: str | None
    """Why they were rejected: the merchant may change or withdraw them; null while they wait."""


class ServiceSummary(View):
    """A service as its merchant and the operators see it, without what waits for approval."""

    id: ServiceId
    merchant_id: MerchantId
    slug: str
    """Names it in addresses and calls, for good."""
    type: ServiceType
    """`api` for calls that AMS forwards, `image` for a container image that reports usage."""
    status: ServiceStatus
    """Only an `active` service can be called."""
    name: str
    """What people know it by."""
    description: str
    """As Markdown."""
    documentation_url: str | None
    """The merchant's own documentation; null is none."""
    version: str
    """The merchant's name for its current version; empty is none."""
    category: str
    """One word for what it is about; empty is none."""
    tags: list[str]
    """Free words that it can be found by."""
    pricing: str
    """What it costs, in the merchant's words."""
    price_model: str | None
    """What the catalogue filters by; null is unknown."""
    authentication: str
    """How its own API knows callers, in the merchant's words."""
    formats: list[str]
    """What it speaks, such as `json`."""
    sla: str
    """What the merchant promises."""
    upstream: UpstreamView | None
    """Where calls are forwarded to; null where nothing is set."""
    limits: CallLimits
    """For each key."""
    visibility: Visibility
    """What the merchant chose."""
    visibility_override: Visibility | None
    """What the platform decided instead; null is nothing."""
    auto_approve: bool
    """Whether a request for access is approved at once, where the platform allows it."""
    logo_url: str | None
    """Path of its logo; null is none."""
    openapi: bool
    """Whether it has an OpenAPI document."""
    versions: int
    """How many versions were announced."""
    review: str | None
    """What is under review, `service` or `revision`; null is nothing."""
    submitted_at: AwareDatetime | None
    """When it was last sent for approval; null if it never was."""
    reason: str | None
    """What the last decision about it gave as its reason; null without one."""
    created_at: AwareDatetime | None
    """When it was made; null for seeded services."""


class ServiceView(ServiceSummary):
    """A service, with the changes of it that wait for approval."""

    revision: RevisionView | None
    """Changes that wait for approval, or were rejected; null is none."""


class ServicesView(View):
    """A page of services."""

    items: list[ServiceSummary]
    """The page's items."""
    next_cursor: NextCursor
