"""Price plans: versions of a service's prices, each in force from its moment until the next one's."""

from collections.abc import Sequence
from datetime import datetime

from shared.billing.models import Plan


def schedule(
    plans: Sequence[Plan], service_id: str, start: datetime, end: datetime
) -> list[tuple[datetime, datetime, Plan]]:
    """Which version is in force in which part of [start, end), in order. Where none is, or one without charges, there
    is no part. Of two from the same moment the one with the higher number is."""
    versions = sorted(
        (plan for plan in plans if plan.service_id == service_id and plan.effective_from < end),
        key=lambda plan: (plan.effective_from, plan.number),
    )
    parts = []
    for index, plan in enumerate(versions):
        until = versions[index + 1].effective_from if index + 1 < len(versions) else end
        first, last = max(plan.effective_from, start), min(until, end)
        if first < last and plan.charges:
            parts.append((first, last, plan))
    return parts
