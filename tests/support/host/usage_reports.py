"""What tests of usage reports write."""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from shared.catalog.models import Service

_numbers = count(1)


def event(service: Service | str, *without: str, **attributes: Any) -> dict[str, Any]:
    """A sound event with an id of its own, changed by `attributes`, and without those named."""
    subject = service if isinstance(service, str) else service.slug
    sound = {"specversion": "1.0", "type": "ams.usage.v1", "source": "tests", "id": f"event-{next(_numbers)}"}
    made = {**sound, "subject": subject, **attributes}
    return {name: value for name, value in made.items() if name not in without}


def ago(**time: float) -> str:
    return (datetime.now(UTC) - timedelta(**time)).isoformat()
