"""What sums do not tell: the amount of each event, different values of a metadata field, the largest quantity. Gathered
in one pass over the records, of whatever charges ask for it."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from msgspec import Raw

from shared.billing.charges import Charge, charge_key, needs_events
from shared.billing.prices.models import UsedPlan
from shared.billing.usage.sums import counts
from shared.kernel.clock import format_time
from shared.kernel.money import ZERO
from shared.metering.events import UsageEvent


@dataclass(slots=True)
class ChargeAggregate:
    """What the records say about one charge of one service in one stretch of time; which of `amounts`, `values` and
    `largest` is filled depends on the charge."""

    charge: Charge
    start: str
    end: str
    amounts: list[Decimal] = field(default_factory=list)
    values: set[str] = field(default_factory=set)
    largest: Decimal = ZERO

    def add(self, event: UsageEvent) -> None:
        """Take a record in, if it is within the stretch and the charge counts it."""
        charge, data = self.charge, event.data
        if not (self.start <= event.time < self.end and counts(charge, data.status_code)):
            return
        if charge.feature not in (None, data.feature):
            return
        if charge.metric == "unique":
            value = _field(data.metadata, charge.field or "")
            if value is not None:
                self.values.add(value)
        elif data.quantity is not None:
            quantity = Decimal(data.quantity)
            if charge.metric == "max":
                self.largest = max(self.largest, quantity)
            else:
                self.amounts.append(quantity)

    @property
    def quantity(self) -> Decimal:
        """How many different values there were, or the largest quantity."""
        return Decimal(len(self.values)) if self.charge.metric == "unique" else self.largest


def _field(metadata: Raw, name: str) -> str | None:
    """A top-level field as canonical JSON, so that 1 and "1" differ; None when there is none, or null."""
    text = bytes(metadata)
    found = json.loads(text).get(name) if text else None
    return None if found is None else json.dumps(found, sort_keys=True, ensure_ascii=False)


class RecordAggregates:
    """Aggregates of every charge of a period's plans that needs records: over its version's own stretch where it is a
    sum, from its first version on where it is none."""

    def __init__(self, plans: Sequence[UsedPlan]) -> None:
        self._by_service: dict[str, dict[tuple[str, str, str], ChargeAggregate]] = {}
        for used in plans:
            for charge in used.plan.charges:
                if needs_events(charge):
                    self._ask(plans, used, charge)

    def _ask(self, plans: Sequence[UsedPlan], used: UsedPlan, charge: Charge) -> None:
        start = used.start if charge.metric == "quantity" else first_with(plans, used, charge)
        aggregate = ChargeAggregate(charge, format_time(start), format_time(used.end))
        of_service = self._by_service.setdefault(used.plan.service_id, {})
        of_service[charge.id, aggregate.start, aggregate.end] = aggregate

    @property
    def needed(self) -> bool:
        """Whether any charge needs records at all."""
        return bool(self._by_service)

    def add(self, event: UsageEvent) -> None:
        """Take a record into the aggregates of its service."""
        for aggregate in self._by_service.get(event.service_id, {}).values():
            aggregate.add(event)

    def of(self, charge: Charge, service_id: str, start: datetime, end: datetime) -> ChargeAggregate:
        """The aggregate of a charge over [start, end). Raises KeyError for one that the plans do not ask for."""
        return self._by_service[service_id][charge.id, format_time(start), format_time(end)]


def first_with(plans: Iterable[UsedPlan], used: UsedPlan, charge: Charge) -> datetime:
    """Find when a service's first version in the period with this charge begins."""
    return min(
        other.start
        for other in plans
        if other.plan.service_id == used.plan.service_id
        and other.plan.currency == used.plan.currency
        and any(charge_key(charge) == charge_key(each) for each in other.plan.charges)
    )
