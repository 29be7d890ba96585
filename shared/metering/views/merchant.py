"""What merchants see of their services' usage: by service, key and pseudonym, never who a consumer is."""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from shared.access.models import ApiKey
from shared.access.pseudonyms import Pseudonyms
from shared.access.store import AccessStore
from shared.access.subscribers.directory import find_consumer_id
from shared.catalog.store import CatalogStore
from shared.kernel.http.problems import not_found
from shared.metering.views.figures import Figures, figures, moment
from shared.metering.views.reader import Ask, Dimension, Group, Summed, UsageReader

KEYS_AT_ONCE_MAX = 64


@dataclass(frozen=True, slots=True)
class Named:
    """Sums by `by`, where consumers have become pseudonyms; `keys` are by pseudonym and id."""

    by: tuple[Dimension, ...]
    summed: Summed
    keys: dict[tuple[str, str], ApiKey]

    def row(self, ask: Ask, group: Group) -> Figures:
        values: Figures = dict(zip(self.by, group.values, strict=True))
        if "consumer" in values:
            values["pseudonym"] = values.pop("consumer")
        key = self.keys.get((str(values.get("pseudonym")), str(values.get("api_key"))))
        if key is not None:
            values |= {"key_prefix": key.prefix, "key_last4": key.last4}
        return {**values, **moment(ask.window, group.piece), **figures(group.sums)}

    def rows(self, ask: Ask) -> Iterator[Figures]:
        return (self.row(ask, group) for group in self.summed.groups)


class MerchantUsage:
    def __init__(self, catalog: CatalogStore, access: AccessStore, pseudonyms: Pseudonyms, reader: UsageReader) -> None:
        self._catalog = catalog
        self._access = access
        self._pseudonyms = pseudonyms
        self._reader = reader

    async def sums(self, merchant_id: str, ask: Ask, pseudonym: str | None = None) -> Summed:
        """Sums of the merchant's services, or of the one that `ask.only` names. With `pseudonym`, of that consumer
        only. Groups by consumer hold ids, which `named` takes away. Raises Problem 404, also for another merchant's
        service and pseudonym; 400 `range_invalid`."""
        services = [service.id async for service in self._catalog.services_of(merchant_id)]
        if (service_id := ask.only.get("service")) is not None:
            if service_id not in services:
                raise not_found()
            services = [service_id]
        if pseudonym is None:
            return await self._reader.services(services, ask)
        consumer_id = await find_consumer_id(self._access, merchant_id, pseudonym)
        consumer = None if consumer_id is None else await self._access.consumer(consumer_id)
        if consumer is None:
            raise not_found()
        return await self._reader.consumer(consumer, ask, services)

    async def named(self, merchant_id: str, ask: Ask, pseudonym: str | None = None) -> Named:
        """The same, as the merchant may see it. A key is shown with the pseudonym whose it is."""
        by = ask.by
        if "api_key" in by and "consumer" not in by:
            by = ("consumer", *by)
        summed = await self.sums(merchant_id, replace(ask, by=by), pseudonym)
        return await self._renamed(merchant_id, by, summed)

    async def _renamed(self, merchant_id: str, by: tuple[Dimension, ...], summed: Summed) -> Named:
        if "consumer" not in by:
            return Named(by, summed, {})
        place = by.index("consumer")
        consumer_ids = {group.values[place] for group in summed.groups}
        pseudonyms = {each: await self._pseudonyms.of(merchant_id, each) for each in consumer_ids}
        keys: dict[tuple[str, str], ApiKey] = {}
        if "api_key" in by:
            found = await self._keys({(g.values[place], g.values[by.index("api_key")]) for g in summed.groups})
            keys = {(pseudonyms[key.consumer_id], key.id): key for key in found}
        groups = (
            replace(group, values=(*group.values[:place], pseudonyms[group.values[place]], *group.values[place + 1 :]))
            for group in summed.groups
        )
        ordered = sorted(groups, key=lambda group: (group.piece, group.values))  # not in the order of what is hidden
        return Named(by, replace(summed, groups=tuple(ordered)), keys)

    async def _keys(self, places: Iterable[tuple[str, str]]) -> list[ApiKey]:
        limit = asyncio.Semaphore(KEYS_AT_ONCE_MAX)

        async def one(consumer_id: str, key_id: str) -> ApiKey | None:
            async with limit:
                return await self._access.key(consumer_id, key_id)

        found = await asyncio.gather(*(one(*place) for place in places))
        return [key for key in found if key is not None]
