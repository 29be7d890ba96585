"""What an invoice keeps of the usage that it rests on: requests by day, and the proof of its records."""

from pydantic import AwareDatetime

from shared.kernel.documents import Identifier
from shared.kernel.http.schemas import StoredView
from shared.kernel.periods import Day, Month


class RecordsProof(StoredView):
    """The raw usage records behind an invoice, and the SHA-256 of their CSV export."""

    period: Month
    """Month of the records."""
    service_ids: tuple[Identifier, ...]
    """Ids of the services of the records."""
    start: AwareDatetime
    """Start of the time of the records, included."""
    end: AwareDatetime
    """End of the time of the records, excluded."""
    time_zone: str
    """Time zone whose calendar defines the period (IANA)."""
    count: int
    """Number of records."""
    sha256: str
    """SHA-256 of the records' CSV export, in hexadecimal digits."""


class DayUsage(StoredView):
    """Requests of one day."""

    day: Day
    """Day in the merchant's time zone."""
    requests: int
    """Number of requests."""
