"""What the views of a consumer's usage answer."""

from typing import Any

from shared.kernel.http.fields import NextCursor, Timestamp
from shared.kernel.http.schemas import View
from shared.metering.views.figures import UsageMetric
from shared.metering.views.routes.parameters import (
    UsageAnswer,
    UsageFigures,
    UsagePiece,
)


class ConsumerUsageItem(UsageFigures, UsagePiece):
    """Usage of one group. What was not grouped by is null; empty is usage without one, such as keys of no project."""

    service: str | None = None
    """Id of the service."""
    api_key: str | None = None
    """Id of the key."""
    project: str | None = None
    """Id of the project."""
    image: str | None = None
    """Container image, as reported."""
    version: str | None = None
    """Version of the container, as reported."""
    feature: str | None = None
    """Feature, as reported."""


class ConsumerUsageView(UsageAnswer):
    """Usage of a consumer or a project."""

    items: list[ConsumerUsageItem]
    """One for each group, in order of what was grouped by."""
    total: UsageFigures
    """Sum of all groups."""


class ConsumerTopItem(ConsumerUsageItem):
    """One of those with most of a metric."""

    share: float | None
    """Its part of the metric's whole, from 0 to 1; null when that is 0."""


class ConsumerTopView(UsageAnswer):
    """Those with most of a metric."""

    metric: UsageMetric
    """What they are ordered by."""
    items: list[ConsumerTopItem]
    """The most first."""


class ConsumerDayView(ConsumerUsageView):
    """One local day: `items` by hour."""

    services: list[ConsumerUsageItem]
    """The whole day by service."""


class UsageRecordItem(View):
    """A usage event as it was counted."""

    id: str
    """The event's id, of whoever emitted it."""
    source: str
    """Who emitted it."""
    time: Timestamp
    """When it happened, UTC with milliseconds."""
    received_at: Timestamp
    """When AMS took it, UTC with milliseconds."""
    service: str
    """Id of the service."""
    api_key: str
    """Id of the key."""
    project: str | None
    """Id of the key's project; null is none."""
    requests: int
    """How many requests it stands for."""
    request_bytes: int
    """Bytes of requests' bodies."""
    response_bytes: int
    """Bytes of answers' bodies."""
    response_time_ms: float | None
    """Milliseconds until the answer; null is unknown."""
    status_code: int | None
    """HTTP status of the answer; null is unknown."""
    executions: int
    """How many runs it stands for."""
    duration_ms: int
    """Milliseconds of work."""
    image: str | None
    """Container image; null is none."""
    version: str | None
    """Version of the container; null is none."""
    feature: str | None
    """Feature that was used; null is none."""
    resource: str | None
    """What it was used on; null is none."""
    quantity: str | None
    """How much of the feature, as a decimal in text; null is none."""
    metadata: Any
    """What else the event carried, an object; null is nothing."""


class UsageRecordsView(View):
    """A page of a day's log."""

    items: list[UsageRecordItem]
    """The page's items."""
    next_cursor: NextCursor
