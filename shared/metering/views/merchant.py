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
from shared.metering.views.reader import UsageReader
from shared.metering.views.selection import Dimension, GroupSums, SummedUsage, UsageSelection

KEYS_AT_ONCE_MAX = 64


@dataclass(frozen=True, slots=True)
class PseudonymousUsage:
    """Sums grouped by `by`, where consumers have become pseudonyms. `keys` are by pseudonym and id."""

    by: tuple[Dimension, ...]
    summed: SummedUsage
    keys: dict[tuple[str, str], ApiKey]

    def row(self, selection: UsageSelection, group: GroupSums) -> Figures:
        values: Figures = dict(zip(self.by, group.values, strict=True))
        if "consumer" in values:
            values["pseudonym"] = values.pop("consumer")
        key = self.keys.get((str(values.get("pseudonym")), str(values.get("api_key"))))
        if key is not None:
            values |= {"key_prefix": key.prefix, "key_last4": key.last4}
        return {**values, **moment(selection.window, group.interval), **figures(group.sums)}

    def rows(self, selection: UsageSelection) -> Iterator[Figures]:
        return (self.row(selection, group) for group in self.summed.groups)


class MerchantUsage:
    """What a merchant may see of its services' usage."""

    def __init__(self, catalog: CatalogStore, access: AccessStore, pseudonyms: Pseudonyms, reader: UsageReader) -> None:
        self._catalog = catalog
        self._access = access
        self._pseudonyms = pseudonyms
        self._reader = reader

    async def sums(self, merchant_id: str, selection: UsageSelection, pseudonym: str | None = None) -> SummedUsage:
        """Sums of the merchant's services, or of the one that `selection.only` names; with `pseudonym`, of that
        consumer only. Groups by consumer hold ids, which `pseudonymous` takes away. Raises Problem 404, also for
        another merchant's service and pseudonym; 400 `range_invalid`."""
        services = [service.id async for service in self._catalog.services_of(merchant_id)]
        if (service_id := selection.only.get("service")) is not None:
            if service_id not in services:
                raise not_found()
            services = [service_id]
        if pseudonym is None:
            return await self._reader.services(services, selection)
        consumer_id = await find_consumer_id(self._access, merchant_id, pseudonym)
        consumer = None if consumer_id is None else await self._access.consumer(consumer_id)
        if consumer is None:
            raise not_found()
        return await self._reader.consumer(consumer, selection, services)

    async def pseudonymous(
        self, merchant_id: str, selection: UsageSelection, pseudonym: str | None = None
    ) -> PseudonymousUsage:
        """Sums as `sums` has them, with pseudonyms for consumers. A key is shown with the pseudonym of its consumer."""
        by = selection.by
        if "api_key" in by and "consumer" not in by:
            by = ("consumer", *by)
        summed = await self.sums(merchant_id, replace(selection, by=by), pseudonym)
        return await self._renamed(merchant_id, by, summed)

    async def _renamed(self, merchant_id: str, by: tuple[Dimension, ...], summed: SummedUsage) -> PseudonymousUsage:
        if "consumer" not in by:
            return PseudonymousUsage(by, summed, {})
        at = by.index("consumer")
        consumer_ids = {group.values[at] for group in summed.groups}
        pseudonyms = {each: await self._pseudonyms.of(merchant_id, each) for each in consumer_ids}
        keys: dict[tuple[str, str], ApiKey] = {}
        if "api_key" in by:
            found = await self._keys({(g.values[at], g.values[by.index("api_key")]) for g in summed.groups})
            keys = {(pseudonyms[key.consumer_id], key.id): key for key in found}
        groups = (
            replace(group, values=(*group.values[:at], pseudonyms[group.values[at]], *group.values[at + 1 :]))
            for group in summed.groups
        )
        ordered = sorted(groups, key=lambda group: (group.interval, group.values))  # not in the order of what is hidden
        return PseudonymousUsage(by, replace(summed, groups=tuple(ordered)), keys)

    async def _keys(self, ids: Iterable[tuple[str, str]]) -> list[ApiKey]:
        limit = asyncio.Semaphore(KEYS_AT_ONCE_MAX)

        async def read(consumer_id: str, key_id: str) -> ApiKey | None:
            async with limit:
                return await self._access.key(consumer_id, key_id)

        found = await asyncio.gather(*(read(consumer_id, key_id) for consumer_id, key_id in ids))
        return [key for key in found if key is not None]
