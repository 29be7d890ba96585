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
    """Usage of one group. Dimensions that are not grouped by are null. An empty value is usage without one, such as of
    keys of no project."""

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
    """Groups, ordered by the grouped dimensions."""
    total: UsageFigures
    """Sum of all groups."""


class ConsumerTopItem(ConsumerUsageItem):
    """One item of a ranking, with its usage."""

    share: float | None
    """Share of the metric's total, from 0 to 1; null if the total is 0."""


class ConsumerTopView(UsageAnswer):
    """A ranking by a metric."""

    metric: UsageMetric
    """Metric of the ranking."""
    items: list[ConsumerTopItem]
    """Items with the highest values, highest first."""


class ConsumerDayView(ConsumerUsageView):
    """Usage of one local day, by hour in `items`."""

    services: list[ConsumerUsageItem]
    """Usage of the whole day by service."""


class UsageRecordItem(View):
    """A usage event as it was counted."""

    id: str
    """Id of the event, as its emitter set it."""
    source: str
    """Emitter of the event."""
    time: Timestamp
    """Time of the usage, UTC with milliseconds."""
    received_at: Timestamp
    """Time at which AMS received the event, UTC with milliseconds."""
    service: str
    """Id of the service."""
    api_key: str
    """Id of the key."""
    project: str | None
    """Id of the key's project; null is none."""
    requests: int
    """Number of requests that the event stands for."""
    request_bytes: int
    """Bytes of request bodies."""
    response_bytes: int
    """Bytes of response bodies."""
    response_time_ms: float | None
    """Response time in milliseconds; null is unknown."""
    status_code: int | None
    """HTTP status of the answer; null is unknown."""
    executions: int
    """Number of executions that the event stands for."""
    duration_ms: int
    """Duration of the work in milliseconds."""
    image: str | None
    """Container image; null is none."""
    version: str | None
    """Version of the container; null is none."""
    feature: str | None
    """Feature that was used; null is none."""
    resource: str | None
    """Object that the feature was used on; null is none."""
    quantity: str | None
    """Quantity of the feature that was used, a decimal as text; null is none."""
    metadata: Any
    """Additional data of the event, an object; null is none."""


class UsageRecordsView(View):
    """A page of a day's usage records."""

    items: list[UsageRecordItem]
    """Items of the page."""
    next_cursor: NextCursor
