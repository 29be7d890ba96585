"""Merchants and services."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, AwareDatetime, Field, JsonValue

from shared.kernel.documents import Identifier, Name, Slug, StoredModel

MerchantStatus = Literal["pending", "active", "rejected", "suspended", "disabled"]
ServiceStatus = Literal["draft", "pending_approval", "active", "rejected", "suspended", "retired"]
ServiceType = Literal["api", "image"]
Visibility = Literal["public", "unlisted", "private"]
PriceModel = Literal["free", "per_unit", "tiered", "package", "percentage", "subscription", "custom"]
Tag = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9 .+#-]{0,39}$")]
HttpsUrl = Annotated[str, Field(max_length=2_000, pattern=r"^https://[^\s/?#@]+(?:[/?#]\S*)?$")]


def _check_base_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an absolute http or https URL")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not carry a user name or password")
    if parts.query or parts.fragment:
        raise ValueError("must not carry a query or fragment")
    return url.rstrip("/")


BaseUrl = Annotated[str, Field(max_length=2_000), AfterValidator(_check_base_url)]
TimeoutS = Annotated[float, Field(gt=0, le=220)]
BodyBytes = Annotated[int, Field(ge=0, le=10 * 2**30)]
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")]


class UpstreamConfig(StoredModel):
    """The upstream API to which a service's calls go.

    `timeout_s` bounds the wait for the upstream's headers and any pause in its body. The byte limits bound one request
    or response body. `auth_header` names a header whose value is the secret named `auth_secret`.
    """

    base_url: BaseUrl
    timeout_s: TimeoutS = 30.0
    request_bytes_max: BodyBytes = 100 * 2**20
    response_bytes_max: BodyBytes = 2**30
    auth_header: HeaderName | None = None
    auth_secret: str | None = None


class CallLimits(StoredModel):
    """Call limits of a service, for each key."""

    per_minute: Annotated[int | None, Field(ge=1, description="Calls in a minute; null is no limit.")] = None
    per_hour: Annotated[int | None, Field(ge=1, description="Calls in an hour; null is no limit.")] = None
    per_day: Annotated[int | None, Field(ge=1, description="Calls in a day; null is no limit.")] = None
    quota_per_month: Annotated[
        int | None, Field(ge=1, description="Requests in a UTC calendar month; null is no quota.")
    ] = None


class Address(StoredModel):
    """A postal address."""

    lines: Annotated[
        tuple[Name, ...], Field(max_length=4, description="Address lines before the city, such as street and number.")
    ] = ()
    city: Annotated[str, Field(max_length=100, description="City; empty is unknown.")] = ""
    region: Annotated[
        str, Field(max_length=100, description="State or province, where invoices need it; otherwise empty.")
    ] = ""
    postal_code: Annotated[str, Field(max_length=20, description="Postal code; empty is unknown or none.")] = ""
    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$", description="Country code (ISO 3166-1 alpha-2).")]


class Merchant(StoredModel):
    """`status` is an admin's decision. `flagged` marks it for review without any effect, `subscriptions_blocked` stops
    new access requests only. `logo` names a blob, `reason` says why the status is what it is. `account_ids` are told by
    mail; who may act for the merchant is in their accounts."""

    kind: Literal["merchant"] = "merchant"
    id: Identifier
    slug: Slug
    name: Name
    status: MerchantStatus = "pending"
    flagged: bool = False
    subscriptions_blocked: bool = False
    legal_name: Annotated[str, Field(max_length=200)] = ""
    tax_id: Annotated[str, Field(max_length=40)] = ""
    address: Address | None = None
    logo: str | None = None
    reason: str | None = None
    account_ids: tuple[Identifier, ...] = ()
    created_at: AwareDatetime | None = None


class Listing(StoredModel):
    """What the catalogue says of a service; a merchant's words."""

    name: Annotated[Name, Field(description="Display name.")]
    description: Annotated[
        str, Field(max_length=50_000, description="Description as Markdown, sanitised when it is shown; empty is none.")
    ] = ""
    documentation_url: Annotated[
        HttpsUrl | None, Field(description="URL of the merchant's own documentation; null is none.")
    ] = None
    version: Annotated[
        str, Field(max_length=50, description="Merchant's name for the current version; empty is none.")
    ] = ""
    category: Annotated[str, Field(max_length=50, description="Category, in one word; empty is none.")] = ""
    tags: Annotated[tuple[Tag, ...], Field(max_length=20, description="Tags by which the service is found.")] = ()
    pricing: Annotated[str, Field(max_length=2_000, description="Prices in the merchant's words; empty is none.")] = ""
    price_model: Annotated[
        PriceModel | None, Field(description="Price model, by which the catalogue is filtered; null is unknown.")
    ] = None
    authentication: Annotated[
        str,
        Field(
            max_length=200,
            description="How the service authenticates callers by itself, such as `api key`; empty is none.",
        ),
    ] = ""
    formats: Annotated[
        tuple[Tag, ...], Field(max_length=20, description="Data formats of the service, such as `json`.")
    ] = ()
    sla: Annotated[
        str, Field(max_length=2_000, description="Service level that the merchant promises; empty is none.")
    ] = ""


class Service(Listing):
    """`slug` is unique on the platform; `id` has an underscore, which no slug has. The status `suspended` is an admin's
    decision, told apart from what the merchant does.

    `visibility` is the merchant's wish: `public` is in the catalogue, `unlisted` is found by its address only,
    `private` by nobody who has no grant. `visibility_override` is an admin's, and wins. `auto_approve` grants access
    requests at once, where the platform's settings allow it. `review` is `service` while a first approval is asked for,
    `revision` while a change of an active service is (`shared.catalog.services.revisions`), both since
    `submitted_at`. `listing`
    is the time of the last change that the catalogue may show; the search index follows it. `openapi` names the vetted
    document (`shared.catalog.openapi.service`), `versions` counts the service's `ServiceVersion` documents.
    """

    id: Annotated[Identifier, Field(pattern="_")]
    merchant_id: Identifier
    slug: Slug
    type: ServiceType = "api"
    status: ServiceStatus = "draft"
    upstream: UpstreamConfig | None = None
    limits: CallLimits = CallLimits()
    visibility: Visibility = "public"
    visibility_override: Visibility | None = None
    auto_approve: bool = False
    logo: str | None = None
    openapi: str | None = None
    versions: Annotated[int, Field(ge=0)] = 0
    review: Literal["service", "revision"] | None = None
    submitted_at: AwareDatetime | None = None
    reason: str | None = None
    listing: str | None = None
    created_at: AwareDatetime | None = None

    @property
    def shown(self) -> Visibility:
        return self.visibility_override or self.visibility


class Revision(StoredModel):
    """Changes of a live service that need approval, under `revision` in the service's partition. `values` are JSON by
    field name; an upstream's are without its secret, which is not part of a revision. A rejected one has a `reason` and
    waits for the merchant, who may change it or withdraw it."""

    values: dict[str, JsonValue]
    notes: Annotated[str, Field(max_length=2_000)] = ""
    proposed_by: Identifier
    proposed_at: AwareDatetime
    reason: str | None = None


class ServiceVersion(StoredModel):
    """A state of a service that consumers met, under `version:<6 digits>` in the service's partition. Every approval
    makes one, and every release that the merchant announces. `version` is the merchant's own name for it."""

    number: Annotated[int, Field(ge=1)]
    version: Annotated[str, Field(max_length=50)] = ""
    notes: Annotated[str, Field(max_length=2_000)] = ""
    made_by: Identifier
    made_at: AwareDatetime
    openapi: str | None = None


class SlugOwner(StoredModel):
    """Stored under a service's slug, which makes slugs unique. `reserved_at` lets a reservation be taken over whose
    service was never made, because the process was killed in between."""

    service_id: Identifier
    reserved_at: AwareDatetime | None = None


class MerchantSlugOwner(StoredModel):
    """Stored under a merchant's slug, which makes slugs unique. `invite_id` is what the merchant registered with: an
    invite that was not used for this merchant lets the reservation be taken over."""

    merchant_id: Identifier
    reserved_at: AwareDatetime
    invite_id: Identifier | None = None
