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
    """The upstream API that calls are forwarded to. Its secret is set with `PUT …/upstream-secret`."""

    base_url: Annotated[BaseUrl, Field(examples=["https://api.example.com/v1"])]
    """Base URL, to which a call's path is appended; https, and no address of a private network."""
    timeout_s: TimeoutS = 30.0
    """Timeout in seconds for the connection, and for each further part of an answer."""
    request_bytes_max: BodyBytes = 100 * 2**20
    """Maximum size of a request body in bytes."""
    response_bytes_max: BodyBytes = 2**30
    """Maximum size of a response body in bytes."""


class UpstreamChange(UpstreamInput):
    """A change of an upstream: only what is given is changed."""

    model_config = ConfigDict(json_schema_extra=_without_defaults)

    base_url: BaseUrl = ""
    """Base URL, to which a call's path is appended; https, and no address of a private network. Absent leaves it."""


class _Writable(Listing):
    """What a merchant says of a service."""

    model_config = _CONFIG

    limits: LimitsInput = LimitsInput()
    """Call limits for each key that calls the service."""
    visibility: Visibility = "public"
    """Visibility: `public` services are in the catalogue, `unlisted` ones are shown to everybody who has the URL,
    `private` ones to consumers with a grant."""
    auto_approve: bool = False
    """Whether access requests are approved automatically, if the platform allows that."""


class NewService(_Writable):
    """A service to create as a draft."""

    slug: Annotated[Slug, Field(examples=["weather"])]
    """Slug of the service, which is part of URLs and calls and never changes; unique on the platform."""
    type: ServiceType = "api"
    """`api` for calls that AMS forwards, `image` for a container image that reports usage. Cannot be changed."""
    upstream: UpstreamInput | None = None
    """Upstream that calls are forwarded to; null until it is known."""


class ServiceChange(_Writable):
    """A change of a service: only what is given is changed, also within `upstream` and `limits`; null removes a value.
    Most changes of a live service wait for approval."""

    model_config = ConfigDict(json_schema_extra=_without_defaults)

    name: Name = ""
    """Display name."""
    upstream: UpstreamChange | None = None
    """Upstream that calls are forwarded to; null removes it."""
    notes: Notes | None = None
    """Explanation of the changes, for the reviewing admin and for consumers; null is none."""


class OptionalReason(Input):
    """A decision with an optional reason."""

    reason: Annotated[str, Field(max_length=1_000)] | None = None
    """The reason, kept in the audit log and quoted in e-mails about the decision; null is none."""


class UpstreamView(View):
    """The upstream API that a service's calls are forwarded to."""

    base_url: str
    """Base URL, to which a call's path is appended."""
    timeout_s: float
    """Timeout in seconds for the connection, and for each further part of an answer."""
    request_bytes_max: int
    """Maximum size of a request body in bytes."""
    response_bytes_max: int
    """Maximum size of a response body in bytes."""
    auth_header: str | None
    """Name of the header that AMS sets on every call; its value is never shown. Null is none."""


class RevisionView(View):
    """A revision: changes of a live service that wait for approval, or were rejected."""

    values: dict[str, JsonValue]
    """New values by field name."""
    notes: str
    """Explanation of the changes, for the reviewing admin and for consumers; empty is none."""
    proposed_at: AwareDatetime
    """Time at which the changes were proposed."""
    reason: str | None
    """Reason of the rejection; null while the changes wait. The merchant may change or withdraw rejected changes."""


class ServiceSummary(View):
    """A service, as its merchant and admins see it, without the changes that wait for approval."""

    id: ServiceId
    merchant_id: MerchantId
    slug: str
    """Slug, which is part of URLs and calls and never changes."""
    type: ServiceType
    """`api` for calls that AMS forwards, `image` for a container image that reports usage."""
    status: ServiceStatus
    """Status of the service. Only an `active` service can be called."""
    name: str
    """Display name."""
    description: str
    """Description as Markdown."""
    documentation_url: str | None
    """URL of the merchant's own documentation; null is none."""
    version: str
    """Merchant's name for the current version; empty is none."""
    category: str
    """Category, in one word; empty is none."""
    tags: list[str]
    """Tags by which the service is found."""
    pricing: str
    """Prices in the merchant's words."""
    price_model: str | None
    """Price model, by which the catalogue is filtered; null is unknown."""
    authentication: str
    """How the service authenticates callers by itself, in the merchant's words."""
    formats: list[str]
    """Data formats of the service, such as `json`."""
    sla: str
    """Service level that the merchant promises."""
    upstream: UpstreamView | None
    """Upstream that calls are forwarded to; null is none."""
    limits: CallLimits
    """Call limits for each key."""
    visibility: Visibility
    """Visibility that the merchant chose."""
    visibility_override: Visibility | None
    """Visibility that an admin set instead; null is none."""
    auto_approve: bool
    """Whether access requests are approved automatically, if the platform allows that."""
    logo_url: str | None
    """Path of the logo; null is none."""
    openapi: bool
    """Whether the service has an OpenAPI document."""
    versions: int
    """Number of announced versions."""
    review: str | None
    """What is under review: `service` or `revision`; null is nothing."""
    submitted_at: AwareDatetime | None
    """Time of the last submission for approval; null if there was none."""
    reason: str | None
    """Reason of the last decision; null if it has none."""
    created_at: AwareDatetime | None
    """Time of creation; null for seeded services."""


class ServiceView(ServiceSummary):
    """A service, with the changes of it that wait for approval."""

    revision: RevisionView | None
    """Changes that wait for approval, or were rejected; null is none."""


class ServicesView(View):
    """A page of services."""

    items: list[ServiceSummary]
    """Items of the page."""
    next_cursor: NextCursor
