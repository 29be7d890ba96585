"""What is used: consume, aggregation, and reading usage back."""

from functools import cached_property
from typing import TYPE_CHECKING

from shared.bootstrap.access import Access
from shared.metering.consume.forwarding import Forwarder
from shared.metering.consume.ingest import UsageReports
from shared.metering.consume.limits import RateLimiter
from shared.metering.consume.service import Consume
from shared.metering.counting.aggregator import Aggregator
from shared.metering.counting.parked import Parked
from shared.metering.counting.reconciliation import Reconciler
from shared.metering.store import UsageQueries

if TYPE_CHECKING:
    from shared.metering.consume.explain import Explainer
    from shared.metering.rollups.deriving import Rollups
    from shared.metering.views.consumer import ConsumerUsage
    from shared.metering.views.merchant import MerchantUsage
    from shared.metering.views.platform import PlatformUsage
    from shared.metering.views.reader import UsageReader


class Metering(Access):
    """The parts of `shared.metering`."""

    @cached_property
    def limiter(self) -> RateLimiter:
        return RateLimiter(self.limits, self.queries)

    @cached_property
    def consume(self) -> Consume:
        reports = UsageReports(self.gate, self.limiter, self.events)
        forwarder = Forwarder(self.upstream, self.spool, self.events, self.secrets)
        return Consume(self.gate, self.limiter, reports, forwarder, self.refusals.note)

    @cached_property
    def explainer(self) -> "Explainer":
        from shared.metering.consume.explain import Explainer

        return Explainer(self.gate, self.limiter, self.limits)

    @cached_property
    def parked(self) -> Parked:
        return Parked(self.blobs, self.events)

    @cached_property
    def aggregator(self) -> Aggregator:
        return Aggregator(self.documents, self.gate, self.parked, self.settings.ams_record_retention_days)

    @cached_property
    def reconciler(self) -> Reconciler:
        return Reconciler(self.documents)

    @cached_property
    def queries(self) -> UsageQueries:
        return UsageQueries(self.documents)

    @cached_property
    def usage_reader(self) -> "UsageReader":
        from shared.metering.views.reader import UsageReader

        return UsageReader(self.documents)

    @cached_property
    def consumer_usage(self) -> "ConsumerUsage":
        from shared.metering.views.consumer import ConsumerUsage

        return ConsumerUsage(self.documents, self.access, self.usage_reader)

    @cached_property
    def merchant_usage(self) -> "MerchantUsage":
        from shared.metering.views.merchant import MerchantUsage

        return MerchantUsage(self.catalog, self.access, self.pseudonyms, self.usage_reader)

    @cached_property
    def platform_usage(self) -> "PlatformUsage":
        from shared.metering.views.platform import PlatformUsage

        return PlatformUsage(self.usage_reader)

    @cached_property
    def rollups(self) -> "Rollups":
        from shared.metering.rollups.deriving import Rollups

        return Rollups(self.documents)
