"""Merchants and services."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from shared.kernel.stored import Identifier, Name, Slug, StoredModel

MerchantStatus = Literal["pending", "active", "suspended", "disabled"]
ServiceStatus = Literal["draft", "pending_approval", "active", "rejected", "suspended", "retired"]
ServiceType = Literal["api", "image"]


def _check_base_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an absolute http or https URL")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not carry a user name or password")
    if parts.query or parts.fragment:
        raise ValueError("must not carry a query or fragment")
    return url.rstrip("/")


class Upstream(StoredModel):
    """Where a service's calls go.

    `timeout_s` bounds the wait for the upstream's headers and any pause in its body. The byte limits bound one request
    or response body. `auth_header` names a header whose value is the secret named `auth_secret`.
    """

    base_url: Annotated[str, AfterValidator(_check_base_url)]
    timeout_s: Annotated[float, Field(gt=0, le=220)] = 30.0
    request_bytes_max: Annotated[int, Field(ge=0, le=10 * 2**30)] = 100 * 2**20
    response_bytes_max: Annotated[int, Field(ge=0, le=10 * 2**30)] = 2**30
    auth_header: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")] | None = None
    auth_secret: str | None = None


class Limits(StoredModel):
    """Calls per key. None is no limit. `quota_per_month` counts requests in a UTC calendar month."""

    per_minute: Annotated[int, Field(ge=1)] | None = None
    per_hour: Annotated[int, Field(ge=1)] | None = None
    per_day: Annotated[int, Field(ge=1)] | None = None
    quota_per_month: Annotated[int, Field(ge=1)] | None = None


class Merchant(StoredModel):
    id: Identifier
    slug: Slug
    name: Name
    status: MerchantStatus = "pending"


class Service(StoredModel):
    """`slug` is unique on the platform; `id` has an underscore, which no slug has. The status `suspended` is an admin's
    decision, told apart from what the merchant does."""

    id: Annotated[Identifier, Field(pattern="_")]
    merchant_id: Identifier
    slug: Slug
    name: Name
    type: ServiceType = "api"
    status: ServiceStatus = "draft"
    upstream: Upstream | None = None
    limits: Limits = Limits()


class SlugOwner(StoredModel):
    """Stored under a service's slug, which makes slugs unique."""

    service_id: Identifier
