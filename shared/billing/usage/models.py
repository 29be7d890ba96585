"""What an invoice keeps of the usage that it rests on: requests by day, and the proof of its records."""

from pydantic import AwareDatetime

from shared.kernel.documents import Identifier
from shared.kernel.http.schemas import StoredView
from shared.kernel.periods import Day, Month


class RecordsProof(StoredView):
    """Which raw records an invoice (a period's part of it) rests on: the consumer's with these services in [start,
    end). `sha256` is of their export as CSV (`shared.billing.usage.records`)."""

    period: Month
    service_ids: tuple[Identifier, ...]
    start: AwareDatetime
    end: AwareDatetime
    time_zone: str
    count: int
    sha256: str


class DayUsage(StoredView):
    """For the chart: requests of a local day."""

    day: Day
    requests: int
