"""Time: aware UTC datetimes inside, RFC 3339 in UTC with milliseconds on every wire and in every store.

The fixed width (`2026-11-21T10:00:00.000Z`) makes text order equal time order, which the stores' indexes rely on.
"""

from datetime import UTC, datetime


def utc_now() -> datetime:
    return datetime.now(UTC)


def format_time(moment: datetime) -> str:
    """Write an aware datetime as `YYYY-MM-DDTHH:MM:SS.mmmZ`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")[:23] + "Z"


def parse_time(text: str) -> datetime:
    """Read RFC 3339 into an aware UTC datetime. Raises ValueError for anything else, also for a time without an
    offset."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("time must carry an offset, such as Z or +05:30")
    return moment.astimezone(UTC)
