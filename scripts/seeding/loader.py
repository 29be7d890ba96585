"""Write a described market into the store.

Loading again changes nothing that is the same: what exists is put again; a key whose id exists is kept as it is, and
its clear text is not shown a second time.
"""

import asyncio
import sys
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from pydantic import BaseModel
from rich.console import Console
from rich.progress import Progress

from scripts.seeding.billing import put_merchant_billing, put_prices
from scripts.seeding.documents import add_key, put_consumer, put_grant, put_merchant, put_project, put_service
from scripts.seeding.market import DescribedConsumer, DescribedKey, Market, MarketError
from shared.access.keys.expiry import notice_day
from shared.access.keys.format import PREFIX_CHARACTERS, KeyHasher, new_key
from shared.access.models import ApiKey, Consumer, Grant, Project
from shared.bootstrap import Application, application, close
from shared.catalog.models import Merchant, Service
from shared.catalog.store import SlugTaken
from shared.kernel.clock import utc_now
from shared.platform.documents import DocumentExists

WRITES_AT_ONCE = 512


class MarketLoader:
    """Writes a market into the stores: each document as it is described, and what consume needs beside it."""

    def __init__(self, app: Application, hasher: KeyHasher) -> None:
        self._app = app
        self._hasher = hasher
        self.shown: list[dict[str, str]] = []

    async def load(self, market: Market, progress: Progress) -> None:
        """Write everything that a market describes. Raises MarketError for a service that does not exist or a slug that
        is taken."""
        await self._load_merchants_and_services(market)
        total = sum(consumer.count for consumer in market.consumers)
        task = progress.add_task("consumers", total=total)
        for described in market.consumers:
            grants = {grant.service: await self._service(grant.service) for grant in described.grants}
            services = {name: await self._service(name) for key in described.keys for name in key.services}
            for group in _grouped(_copies(described), WRITES_AT_ONCE):
                await asyncio.gather(*(self._load_consumer(copy, {**grants, **services}) for copy in group))
                progress.advance(task, len(group))

    async def _load_merchants_and_services(self, market: Market) -> None:
        """Write merchants and services. What the API wrote beside the file's fields, such as a logo, stays."""
        catalog = self._app.catalog.store
        try:
            for merchant in market.merchants:
                known = await catalog.merchant(merchant.id)
                await put_merchant(catalog, Merchant.model_validate({**_fields(known), **_fields(merchant)}))
                if merchant.billing is not None:
                    await put_merchant_billing(self._app, merchant.id, merchant.billing)
            for service in market.services:
                found = await catalog.service(service.id)
                await put_service(catalog, Service.model_validate({**_fields(found), **_fields(service)}))
                if service.prices is not None:
                    await put_prices(self._app, service.merchant_id, service.id, service.prices)
        except SlugTaken as error:
            raise MarketError(str(error)) from None

    async def _service(self, reference: str) -> Service:
        service = await self._app.catalog.store.find_service(reference)
        if service is None:
            raise MarketError(f"consumers: there is no service {reference}")
        return service

    async def _load_consumer(self, described: DescribedConsumer, services: dict[str, Service]) -> None:
        access = self._app.access.store
        consumer = Consumer.model_validate(described.model_dump(include={"id", "name", "status", "shards"}))
        await put_consumer(access, consumer)
        for project in described.projects:
            await put_project(access, Project(consumer_id=consumer.id, id=project.id, name=project.name))
        for grant in described.grants:
            await put_grant(
                access,
                Grant(
                    consumer_id=consumer.id,
                    service_id=services[grant.service].id,
                    merchant_id=services[grant.service].merchant_id,
                    pseudonym=await self._app.access.pseudonyms.of(services[grant.service].merchant_id, consumer.id),
                    status=grant.status,
                    restricted=grant.restricted,
                ),
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
            await add_key(self._app.access.store, key)
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
        loader = MarketLoader(app, await app.access.load_hasher())
        with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
            await loader.load(market, progress)
        return loader.shown
    finally:
        await close()
