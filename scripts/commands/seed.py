"""Load a market: merchants, services, consumers, grants, projects and API keys (docs/seed.md describes the file).

Loading again changes nothing that is the same: what exists is put again; a key whose id exists is kept as it is, and
its clear text is not shown a second time.
"""

import asyncio
import json
import os
import sys
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from rich.console import Console
from rich.progress import Progress

from scripts.commands.seed_billing import DescribedBilling, DescribedPrices, put_billing, put_prices
from scripts.local_settings import ROOT, use_local_settings
from shared.access.keys.expiry import notice_day
from shared.access.keys.format import PREFIX_CHARACTERS, KeyHasher, new_key
from shared.access.models import (
    ApiKey,
    Consumer,
    ConsumerStatus,
    Environment,
    Grant,
    GrantStatus,
    KeyStatus,
    Project,
    Shards,
)
from shared.bootstrap import Application, application, close
from shared.catalog.models import (
    Address,
    Limits,
    Listing,
    Merchant,
    MerchantStatus,
    Service,
    ServiceStatus,
    ServiceType,
    Upstream,
    Visibility,
)
from shared.catalog.store import SlugTaken
from shared.kernel.clock import utc_now
from shared.kernel.documents import Identifier, Name, Slug
from shared.kernel.errors import Unavailable
from shared.platform.documents import DocumentExists
from shared.platform.secrets import SecretMissing

DEMO = ROOT / "scripts" / "demo_market.json"
WRITES_AT_ONCE = 512


class _Described(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DescribedMerchant(_Described):
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
    upstream: Upstream | None = None
    limits: Limits = Limits()
    visibility: Visibility = "public"
    visibility_override: Visibility | None = None
    auto_approve: bool = False
    prices: DescribedPrices | None = None


class DescribedProject(_Described):
    id: Identifier
    name: Name


class DescribedGrant(_Described):
    """`service` is a slug or id of the same file or of the store."""

    service: str
    status: GrantStatus = "approved"
    restricted: bool = False


class DescribedKey(_Described):
    """`services` are slugs or ids. `ttl_days` may be negative: a key that has expired."""

    id: Identifier
    name: Name = "key"
    services: tuple[str, ...] = ()
    project: Identifier | None = None
    environment: Environment = "live"
    status: KeyStatus = "active"
    ttl_days: int | None = None
    limits: Limits = Limits()


class DescribedConsumer(_Described):
    """`count` above 1 makes that many consumers alike, with `_<number>` behind their ids and their keys' ids."""

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


class Market(_Described):
    merchants: tuple[DescribedMerchant, ...] = ()
    services: tuple[DescribedService, ...] = ()
    consumers: tuple[DescribedConsumer, ...] = ()


class MarketError(ValueError):
    """The file cannot be loaded; the message names the place and the rule."""


def read_market(path: Path) -> Market:
    """`${AMS_PORT}` in the file is where AMS serves, so that the demo can call it. Raises MarketError."""
    try:
        text = path.read_text().replace("${AMS_PORT}", os.environ.get("AMS_PORT", "7071"))
        return Market.model_validate_json(text, extra="forbid")  # in merchants and services too
    except (OSError, UnicodeDecodeError) as error:
        raise MarketError(f"cannot read the file: {error}") from None
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors(include_input=False)]
        raise MarketError("\n".join(lines)) from None


class Loader:
    def __init__(self, app: Application, hasher: KeyHasher) -> None:
        self._app = app
        self._hasher = hasher
        self.shown: list[dict[str, str]] = []

    async def load(self, market: Market, progress: Progress) -> None:
        """Raises MarketError for a service that does not exist or a slug that is taken."""
        await self._load_shops(market)
        total = sum(consumer.count for consumer in market.consumers)
        task = progress.add_task("consumers", total=total)
        for described in market.consumers:
            grants = {grant.service: await self._service(grant.service) for grant in described.grants}
            services = {name: await self._service(name) for key in described.keys for name in key.services}
            for group in _grouped(_copies(described), WRITES_AT_ONCE):
                await asyncio.gather(*(self._load_consumer(copy, {**grants, **services}) for copy in group))
                progress.advance(task, len(group))

    async def _load_shops(self, market: Market) -> None:
        """Merchants and services. What the API wrote beside the file's fields, such as a logo, stays."""
        catalog = self._app.catalog
        try:
            for merchant in market.merchants:
                known = await catalog.merchant(merchant.id)
                await catalog.put_merchant(Merchant.model_validate({**_fields(known), **_fields(merchant)}))
                if merchant.billing is not None:
                    await put_billing(self._app, merchant.id, merchant.billing)
            for service in market.services:
                found = await catalog.service(service.id)
                await catalog.put_service(Service.model_validate({**_fields(found), **_fields(service)}))
                if service.prices is not None:
                    await put_prices(self._app, service.merchant_id, service.id, service.prices)
        except SlugTaken as error:
            raise MarketError(str(error)) from None

    async def _service(self, reference: str) -> Service:
        service = await self._app.catalog.find_service(reference)
        if service is None:
            raise MarketError(f"consumers: there is no service {reference}")
        return service

    async def _load_consumer(self, described: DescribedConsumer, services: dict[str, Service]) -> None:
        access = self._app.access
        consumer = Consumer.model_validate(described.model_dump(include={"id", "name", "status", "shards"}))
        await access.put_consumer(consumer)
        for project in described.projects:
            await access.put_project(Project(consumer_id=consumer.id, id=project.id, name=project.name))
        for grant in described.grants:
            await access.put_grant(
                Grant(
                    consumer_id=consumer.id,
                    service_id=services[grant.service].id,
                    merchant_id=services[grant.service].merchant_id,
                    pseudonym=await self._app.pseudonyms.of(services[grant.service].merchant_id, consumer.id),
                    status=grant.status,
                    restricted=grant.restricted,
                )
            )
        for key in described.keys:
            await self._load_key(consumer.id, key, tuple(services[name].id for name in key.services))

    async def _load_key(self, consumer_id: str, described: DescribedKey, service_ids: tuple[str, ...]) -> None:
        clear, now = new_key(described.environment), utc_now()
        expires_at = None if described.ttl_days is None else now + timedelta(days=described.ttl_days)
        key = ApiKey(
            id=described.id,
            consumer_id=consumer_id,
            hash=self._hasher.hash(clear),
            prefix=clear[:PREFIX_CHARACTERS],
            last4=clear[-4:],
            name=described.name,
            environment=described.environment,
            status=described.status,
            service_ids=service_ids,
            project_id=described.project,
            ttl_days=described.ttl_days,
            expires_at=expires_at,
            expiry_day=notice_day(expires_at, now.date()),
            created_at=now,
            limits=described.limits,
        )
        try:
            await self._app.access.add_key(key)
        except DocumentExists:
            return
        self.shown.append({"consumer": consumer_id, "id": key.id, "name": key.name, "key": clear})


def _fields(model: BaseModel | None) -> dict[str, Any]:
    return {} if model is None else model.model_dump()


def _copies(described: DescribedConsumer) -> Iterator[DescribedConsumer]:
    if described.count == 1:
        yield described
        return
    for number in range(described.count):
        keys = tuple(key.model_copy(update={"id": f"{key.id}_{number}"}) for key in described.keys)
        yield described.model_copy(update={"id": f"{described.id}_{number}", "keys": keys})


def _grouped(copies: Iterator[DescribedConsumer], size: int) -> Iterator[Sequence[DescribedConsumer]]:
    group: list[DescribedConsumer] = []
    for copy in copies:
        group.append(copy)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group


async def seed(market: Market) -> list[dict[str, str]]:
    """Load a market into this process's application. Returns the clear keys that were made."""
    app = application()
    try:
        loader = Loader(app, await app.load_hasher())
        with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
            await loader.load(market, progress)
        return loader.shown
    finally:
        await close()


def main(
    source: Annotated[Path, typer.Option("--from", help="The market to load, see docs/seed.md.")] = DEMO,
) -> None:
    """Load a market and print its new API keys as JSON. They are shown this once."""
    try:
        use_local_settings()
        keys = asyncio.run(seed(read_market(source)))
    except MarketError as error:
        typer.echo(f"{source}: {error}", err=True)
        raise typer.Exit(2) from None
    except (SecretMissing, Unavailable, ValueError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    typer.echo(json.dumps({"keys": keys}, indent=2))


if __name__ == "__main__":
    typer.run(main)
