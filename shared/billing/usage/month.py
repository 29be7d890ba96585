"""One consumer's usage in one period, as invoices are computed from it: sums from the counters; with the records, also
their hash, what sums do not tell, and the proof that both say the same."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from shared.access.models import Consumer
from shared.billing.charges import Charge, needs_events
from shared.billing.prices.models import UsedPlan
from shared.billing.usage.from_records import RecordAggregates
from shared.billing.usage.models import DayUsage, RecordsProof
from shared.billing.usage.records import RecordsHash, records
from shared.billing.usage.sums import PeriodSums, quantity_of
from shared.kernel.periods import Period
from shared.metering.counters import decode_counter
from shared.metering.events import UsageEvent, partition_of
from shared.metering.store import PAGE, USAGE, bodies_of
from shared.platform.documents import Documents, Query, Where

READ_ATTEMPTS_MAX = 3


class CountersDiffer(Exception):
    """The counters of a consumer's period do not say what its records say: nothing is billed from either."""


class MonthUsage:
    """One consumer's usage of a period, for `shared.billing.invoices.lines.PeriodUsage`: from sums and, where charges
    need them, records."""

    def __init__(self, sums: PeriodSums, plans: Sequence[UsedPlan]) -> None:
        self.sums = sums
        self.aggregates = RecordAggregates(plans)
        self._priced = {used.plan.currency: services_of(plans, used.plan.currency) for used in plans}
        self._hashes = {ids: RecordsHash() for ids in self._priced.values()}
        self.fingerprint = ""

    def add_record(self, event: UsageEvent) -> None:
        """Take a record in: for the charges that need it, and for the hash of its service's records."""
        self.aggregates.add(event)
        for service_ids, hash_ in self._hashes.items():
            if event.service_id in service_ids:
                hash_.add(event)

    def quantity(self, charge: Charge, service_id: str, start: datetime, end: datetime) -> Decimal:
        """How much a charge counts in [start, end), in its metric's unit."""
        if needs_events(charge):
            return self.aggregates.of(charge, service_id, start, end).quantity
        return quantity_of(charge, self.sums, service_id, start, end)

    def amounts(self, charge: Charge, service_id: str, start: datetime, end: datetime) -> Sequence[Decimal]:
        """The amount of each event in order, for a percentage."""
        return self.aggregates.of(charge, service_id, start, end).amounts

    def used(self, service_id: str, start: datetime, end: datetime) -> bool:
        """Whether there was any usage of a service in [start, end)."""
        return any(day.events for day in self.sums.between(service_id, None, start, end))

    @property
    def service_ids(self) -> frozenset[str]:
        """The services that were used at all."""
        return frozenset(service_id for service_id, _ in self.sums.days)

    def proof(self, currency: str, service_ids: tuple[str, ...]) -> RecordsProof:
        """Make the proof of the records of all services with a plan in a currency. `service_ids` may leave out what was
        not used."""
        of, hash_ = self.sums.period, self._hashes.get(self._priced.get(currency, ()), RecordsHash())
        return RecordsProof(
            period=of.name,
            service_ids=service_ids,
            start=of.start,
            end=of.end,
            time_zone=of.zone,
            count=hash_.count,
            sha256=hash_.hexdigest(),
        )

    def requests_by_day(self, service_ids: Sequence[str]) -> tuple[DayUsage, ...]:
        """Requests of these services by local day, also on days without any."""
        found = self.sums.requests_by_day(service_ids)
        return tuple(DayUsage(day=day, requests=requests) for day, requests in found.items())


def services_of(plans: Sequence[UsedPlan], currency: str) -> tuple[str, ...]:
    """List the services that have a plan in a currency."""
    return tuple(sorted({used.plan.service_id for used in plans if used.plan.currency == currency}))


class MonthReader:
    """Reads a consumer's usage of a period. There is one in each process."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def read(self, consumer: Consumer, of: Period, plans: Sequence[UsedPlan], *, records: bool) -> MonthUsage:
        """Read the usage that `plans` (all of the period) are to be applied to. Without `records` they are read only if
        a charge needs them, and nothing is compared. Raises CountersDiffer; DocumentsUnavailable."""
        service_ids = frozenset(used.plan.service_id for used in plans)
        for _ in range(READ_ATTEMPTS_MAX):
            usage = MonthUsage(await self._sums(consumer, of, service_ids), plans)
            usage.fingerprint = usage.sums.fingerprint()
            if not records and not usage.aggregates.needed:
                return usage
            recounted = await self._read_records(usage, consumer, of, service_ids)
            if not records or recounted == usage.fingerprint:
                return usage  # else something was counted in between, or they differ
        raise CountersDiffer(f"counters and records of {of.name} differ")

    async def fingerprint(self, consumer: Consumer, of: Period, plans: Sequence[UsedPlan]) -> str:
        """Compute what tells whether usage was counted since: empty without any usage."""
        sums = await self._sums(consumer, of, frozenset(used.plan.service_id for used in plans))
        return sums.fingerprint()

    async def _sums(self, consumer: Consumer, of: Period, service_ids: frozenset[str]) -> PeriodSums:
        """Sum up the days' counters themselves, not what is derived of them: nothing counted may be missing."""
        sums = PeriodSums(of)
        days = (Where("period", ">=", str(of.start.date())), Where("period", "<=", str(of.end.date())))
        for shard in range(consumer.shards):
            query = Query(partition_of(consumer.id, shard), days, order_by="period", limit=PAGE)
            async for body in bodies_of(self._documents, USAGE, query):
                counter = decode_counter(body)
                if counter.service_id in service_ids and len(counter.period) == len("2026-03-01"):
                    sums.add_counter(counter)
        return sums

    async def _read_records(
        self, usage: MonthUsage, consumer: Consumer, of: Period, service_ids: frozenset[str]
    ) -> str:
        """Read all records once; returns the fingerprint of their sums."""
        recounted = PeriodSums(of)
        async for event in records(self._documents, consumer, service_ids, of.start, of.end):
            usage.add_record(event)
            recounted.add_event(event)
        return recounted.fingerprint()
