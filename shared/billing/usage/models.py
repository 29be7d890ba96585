"""What an invoice keeps of the usage that it rests on: requests by day, and the proof of its records."""

from pydantic import AwareDatetime

from shared.kernel.documents import Identifier
from shared.kernel.http.schemas import StoredView
from shared.kernel.periods import Day, Month


class RecordsProof(StoredView):
    """Which raw records an invoice (a period's part of it) rests on: the consumer's with these services in [start,
    end). `sha256` is of their export as CSV (`shared.billing.usage.records`)."""

    period: Month
    """Month that the records are of."""
    service_ids: tuple[Identifier, ...]
    """Ids of the services whose records they are."""
    start: AwareDatetime
    """First moment of the records."""
    end: AwareDatetime
    """End of the records, excluded."""
    time_zone: str
    """By which the period is cut (IANA)."""
    count: int
    """How many records."""
    sha256: str
    """SHA-256 of their export as CSV, in hexadecimal digits."""


class DayUsage(StoredView):
    """Usage of one day, for the chart."""

    day: Day
    """Day in the merchant's time zone."""
    requests: int
    """How many requests."""
