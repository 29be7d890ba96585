"""What a market's file may hold (docs/seed.md), and reading it."""

import os
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError, model_validator

from scripts.seeding.billing import Described, DescribedBilling, DescribedPrices
from shared.access.models import ConsumerStatus, Environment, GrantStatus, KeyStatus, Shards
from shared.catalog.models import (
    Address,
    CallLimits,
    Listing,
    MerchantStatus,
    ServiceStatus,
    ServiceType,
    UpstreamConfig,
    Visibility,
)
from shared.kernel.documents import Identifier, Name, Slug


class DescribedMerchant(Described):
    """A merchant without what only the API writes."""

    id: Identifier
    slug: Slug
    name: Name
    status: MerchantStatus = "pending"
    legal_name: Annotated[str, Field(max_length=200)] = ""
    tax_id: Annotated[str, Field(max_length=40)] = ""
    address: Address | None = None
    billing: DescribedBilling | None = None


class DescribedService(Listing):
    """A service without what only the API writes."""

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
    prices: DescribedPrices | None = None


class DescribedProject(Described):
    """A project of a consumer."""

    id: Identifier
    name: Name


class DescribedGrant(Described):
    """A grant of a consumer; `service` is a slug or id of the same file or of the store."""

    service: str
    status: GrantStatus = "approved"
    restricted: bool = False


class DescribedKey(Described):
    """An API key of a consumer; `services` are slugs or ids. `ttl_days` may be negative: a key that has expired."""

    id: Identifier
    name: Name = "key"
    services: tuple[str, ...] = ()
    project: Identifier | None = None
    environment: Environment = "live"
    status: KeyStatus = "active"
    ttl_days: int | None = None
    limits: CallLimits = CallLimits()


class DescribedConsumer(Described):
    """A consumer, or many: `count` above 1 makes that many consumers alike, with `_<number>` behind their ids and their
    keys' ids."""

    id: Identifier
    name: Name
    status: ConsumerStatus = "active"
    shards: Shards = 1
    count: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    projects: tuple[DescribedProject, ...] = ()
    grants: tuple[DescribedGrant, ...] = ()
    keys: tuple[DescribedKey, ...] = ()

    @model_validator(mode="after")
    def _projects_exist(self) -> "DescribedConsumer":
        known = {project.id for project in self.projects}
        for key in self.keys:
            if key.project is not None and key.project not in known:
                raise ValueError(f"key {key.id} names the project {key.project}, which this consumer does not have")
        return self


class Market(Described):
    """Everything that a file of a market may hold."""

    merchants: tuple[DescribedMerchant, ...] = ()
    services: tuple[DescribedService, ...] = ()
    consumers: tuple[DescribedConsumer, ...] = ()


class MarketError(ValueError):
    """The file cannot be loaded; the message names the place and the rule."""


def read_market(path: Path) -> Market:
    """Read a market's file. `${AMS_PORT}` in the file is where AMS serves, so that the demo can call it. Raises
    MarketError."""
    try:
        text = path.read_text().replace("${AMS_PORT}", os.environ.get("AMS_PORT", "7071"))
        return Market.model_validate_json(text, extra="forbid")  # in merchants and services too
    except (OSError, UnicodeDecodeError) as error:
        raise MarketError(f"cannot read the file: {error}") from None
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors(include_input=False)]
        raise MarketError("\n".join(lines)) from None
