"""What is used: consume, aggregation, and reading usage back."""

from functools import cached_property
from typing import TYPE_CHECKING

from shared.metering.consume.forwarding import Forwarder
from shared.metering.consume.ingest import UsageReports
from shared.metering.consume.limits import RateLimiter
from shared.metering.consume.service import Consume
from shared.metering.counting.aggregator import Aggregator
from shared.metering.counting.parked import Parked
from shared.metering.counting.reconciliation import Reconciler
from shared.metering.store import UsageQueries

if TYPE_CHECKING:
    from shared.access.parts import AccessParts
    from shared.catalog.parts import CatalogParts
    from shared.metering.consume.explain import Explainer
    from shared.metering.rollups.deriving import Rollups
    from shared.metering.views.consumer import ConsumerUsage
    from shared.metering.views.merchant import MerchantUsage
    from shared.metering.views.platform import PlatformUsage
    from shared.metering.views.reader import UsageReader
    from shared.platform import Ports


class MeteringParts:
    """The services of `shared.metering`, each made when it is first used."""

    def __init__(
        self,
        ports: "Ports",
        catalog: "CatalogParts",
        access: "AccessParts",
        *,
        record_retention_days: int,
    ) -> None:
        self._ports = ports
        self._catalog = catalog
        self._access = access
        self._record_retention_days = record_retention_days

    @cached_property
    def limiter(self) -> RateLimiter:
        return RateLimiter(self._ports.limits, self.queries, now=self._ports.now)

    @cached_property
    def consume(self) -> Consume:
        reports = UsageReports(self._access.gate, self.limiter, self._ports.events, now=self._ports.now)
        forwarder = Forwarder(
            self._ports.upstream, self._ports.spool, self._ports.events, self._ports.secrets, now=self._ports.now
        )
        return Consume(self._access.gate, self.limiter, reports, forwarder, self._access.refusal_counts.note)

    @cached_property
    def explainer(self) -> "Explainer":
        from shared.metering.consume.explain import Explainer

        return Explainer(self._access.gate, self.limiter, self._ports.limits)

    @cached_property
    def parked(self) -> Parked:
        return Parked(self._ports.blobs, self._ports.events, now=self._ports.now)

    @cached_property
    def aggregator(self) -> Aggregator:
        return Aggregator(
            self._ports.documents, self._access.gate, self.parked, self._record_retention_days, now=self._ports.now
        )

    @cached_property
    def reconciler(self) -> Reconciler:
        return Reconciler(self._ports.documents, now=self._ports.now)

    @cached_property
    def queries(self) -> UsageQueries:
        return UsageQueries(self._ports.documents)

    @cached_property
    def reader(self) -> "UsageReader":
        from shared.metering.views.reader import UsageReader

        return UsageReader(self._ports.documents, now=self._ports.now)

    @cached_property
    def consumer_usage(self) -> "ConsumerUsage":
        from shared.metering.views.consumer import ConsumerUsage

        return ConsumerUsage(self._ports.documents, self._access.store, self.reader)

    @cached_property
    def merchant_usage(self) -> "MerchantUsage":
        from shared.metering.views.merchant import MerchantUsage

        return MerchantUsage(self._catalog.store, self._access.store, self._access.pseudonyms, self.reader)

    @cached_property
    def platform_usage(self) -> "PlatformUsage":
        from shared.metering.views.platform import PlatformUsage

        return PlatformUsage(self.reader)

    @cached_property
    def rollups(self) -> "Rollups":
        from shared.metering.rollups.deriving import Rollups

        return Rollups(self._ports.documents, now=self._ports.now)
