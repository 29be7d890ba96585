"""What a rule looks at, read as the usage views read it."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from shared.access.store import AccessStore
from shared.alerts.models import Rule
from shared.kernel.http.problems import not_found
from shared.metering.counters import Bucket
from shared.metering.views.merchant import MerchantUsage
from shared.metering.views.platform import PlatformUsage
from shared.metering.views.reader import UsageReader
from shared.metering.views.selection import Dimension, UsageSelection
from shared.metering.windows import time_zone, window


class RuleUsage:
    """Reads usage for rules of consumers, merchants and the platform."""

    def __init__(
        self, access: AccessStore, reader: UsageReader, merchants: MerchantUsage, platform: PlatformUsage
    ) -> None:
        self._access = access
        self._reader = reader
        self._merchants = merchants
        self._platform = platform

    async def sums(self, rule: Rule, period: str) -> Bucket:
        """Sum up the usage that a rule looks at in a period. Raises Problem 400 when that is too much to sum up; 404
        when the owner, or what it looks at, is gone."""
        selection = UsageSelection(window(*_range(period), None, time_zone("UTC")), only=_only(rule))
        if rule.owner_kind == "merchant":
            return (await self._merchants.sums(rule.owner_id, selection)).total
        if rule.owner_kind == "platform":
            return (await self._platform.sums(selection)).total
        consumer = await self._access.consumer(rule.owner_id)
        if consumer is None:
            raise not_found()
        return (await self._reader.consumer(consumer, selection)).total

    async def quota(self, rule: Rule) -> int | None:
        if rule.api_key_id is None:
            return None
        key = await self._access.key(rule.owner_id, rule.api_key_id)
        return None if key is None else key.limits.quota_per_month


def _only(rule: Rule) -> Mapping[Dimension, str]:
    asked: dict[Dimension, str | None] = {
        "service": rule.service_id,
        "api_key": rule.api_key_id,
        "project": rule.project_id,
    }
    return {dimension: value for dimension, value in asked.items() if value is not None}


def _range(period: str) -> tuple[datetime, datetime]:
    """The UTC day (`YYYY-MM-DD`) or month (`YYYY-MM`), half-open."""
    if len(period) == len("YYYY-MM-DD"):
        start = datetime.fromisoformat(period).replace(tzinfo=UTC)
        return start, start + timedelta(days=1)
    year, month = map(int, period.split("-"))
    start = datetime(year, month, 1, tzinfo=UTC)
    return start, datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
