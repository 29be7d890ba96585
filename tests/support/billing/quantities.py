"""Charges without much of a price, and events with nothing but what is counted."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from shared.billing.charges import CHARGE, Charge
from shared.billing.prices.models import Plan, UsedPlan
from shared.billing.usage.records import RecordsHash
from shared.billing.usage.sums import PeriodSums
from shared.kernel.periods import Period, period
from shared.metering.events import UsageEvent
from tests.support.embedded import usage_event

MARCH = period("2026-03", "UTC")
SUMS = ("requests", "request_mb", "response_mb", "data_mb", "executions", "active_minutes", "quantity")


def charge(metric: str, **changes: Any) -> Charge:
    fields: dict[str, Any] = {"id": "c", "metric": metric, "model": "per_unit", "unit_price": "1"}
    if metric in ("quantity", "max"):
        fields["feature"] = "tiles"
    if metric == "unique":
        fields["field"] = "user"
    return CHARGE.validate_python(fields | changes)


def used(of: Period, *charges: Charge, service_id: str = "svc_maps", start: datetime | None = None) -> UsedPlan:
    plan = Plan(
        service_id=service_id,
        merchant_id="mer_1",
        number=1,
        name="Plan",
        currency="EUR",
        charges=charges,
        effective_from=of.start,
        created_at=of.start,
        created_by="acc_1",
    )
    return UsedPlan(
        start=start or of.start, end=of.end, period=of.name, service_name="Maps", subscribed=True, plan=plan
    )


def at(time: str, id: str = "e", **data: Any) -> UsageEvent:
    return usage_event(id, time=time, received_at=time, data=data)


def from_records(events: Iterable[UsageEvent], of: Period = MARCH) -> PeriodSums:
    sums = PeriodSums(of)
    for event in events:
        sums.add_event(event)
    return sums


def shown(event: UsageEvent) -> tuple[Any, ...]:
    """All that an export tells of an event."""
    data = event.data
    return (
        event.id,
        event.source,
        event.time,
        event.service_id,
        event.api_key_id,
        event.project_id,
        data.status_code,
        data.requests,
        data.request_bytes,
        data.response_bytes,
        data.response_time_ms,
        data.executions,
        data.duration_ms,
        data.image,
        data.version,
        data.feature,
        data.resource,
        data.quantity,
        bytes(data.metadata),
    )


def hash_of(events: Iterable[UsageEvent]) -> tuple[str, int]:
    """SHA-256 and number of the records of an export."""
    found = RecordsHash()
    for event in events:
        found.add(event)
    return found.hexdigest(), found.count
