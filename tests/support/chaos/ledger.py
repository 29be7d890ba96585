"""The generator's ledger: what was sent, how often, and whether AMS acknowledged it. The truth of a chaos run."""

import json
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from tests.support.chaos.market import API, IMAGE, KEYS, SERVICES, Key

QUARTERS_BACK = 300
"""Events are dated into the last three days, in many quarter hours: counters of today and of closed days."""

FEATURES = ("pages", "minutes")
STATUSES = (200, 200, 200, 201, 404, 500)


@dataclass(eq=False, slots=True)
class Event:
    """One usage report. What is to be counted is fixed when it is made, so every retry is the same event.

    An impatient sender goes away before the answer and never asks again.
    """

    id: str
    source: str
    key: Key
    service: str
    time: str
    data: dict[str, object]
    impatient: bool
    sends: int = 0
    acknowledged: bool = False

    @property
    def identity(self) -> tuple[str, str, str]:
        """By which AMS must tell events apart."""
        return self.key.consumer, self.source, self.id

    def encode(self) -> bytes:
        attributes = {"specversion": "1.0", "type": "ams.usage.v1", "source": self.source, "id": self.id}
        return json.dumps({**attributes, "subject": self.service, "time": self.time, "data": self.data}).encode()


@dataclass(eq=False, slots=True)
class DeliveryAttempt:
    """One forwarded call. Its path is its own, and AMS keeps the path in the record, so that each record can be traced
    to the attempt it was made for."""

    path: str
    method: str
    key: Key
    sent_bytes: int
    answer_bytes_max: int
    request_id: str | None = None
    status: int | None = None
    received_bytes: int = 0
    """The last three are set when the answer was received to its last byte."""

    @property
    def acknowledged(self) -> bool:
        return self.request_id is not None


@dataclass
class Ledger:
    """`retried` counts sends of an event that was sent before and not acknowledged, `duplicated` those of one that had
    been acknowledged or was in the same batch twice, on purpose. `answers` counts requests by how they ended."""

    events: list[Event]
    calls: int
    attempts: list[DeliveryAttempt] = field(default_factory=list)
    acknowledged: list[Event] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    unexpected: list[str] = field(default_factory=list)
    retried: int = 0
    duplicated: int = 0
    requests: int = 0

    def sending(self, events: Iterable[Event]) -> None:
        """Write down one request before it leaves."""
        self.requests += 1
        seen: set[Event] = set()
        for event in events:
            if event.acknowledged or event in seen:
                self.duplicated += 1
            elif event.sends:
                self.retried += 1
            seen.add(event)
            event.sends += 1

    def acknowledge(self, events: Iterable[Event]) -> None:
        for event in events:
            if not event.acknowledged:
                event.acknowledged = True
                self.acknowledged.append(event)

    @property
    def event_sends(self) -> int:
        return sum(event.sends for event in self.events)


def plan(events: int, calls: int, rng: random.Random, now: datetime) -> Ledger:
    """A run's events. Consumers share ids: AMS must tell them apart."""
    newest = now.astimezone(UTC)
    made = [_event(number, rng, newest) for number in range(events)]
    rng.shuffle(made)
    return Ledger(made, calls)


def _event(number: int, rng: random.Random, newest: datetime) -> Event:
    keys = list(KEYS)
    key = keys[number % len(keys)]
    # The same number for one event of each consumer (the consumer with two keys gets two different ones).
    name = f"{number // len(keys)}{'b' if key.second else ''}"
    time = newest - timedelta(seconds=rng.uniform(0, QUARTERS_BACK * 15 * 60))
    return Event(
        id=f"event {name}" if number % 50 == 0 else f"event-{name}",  # some ids need quoting in a document's id
        source=f"container-{number // len(keys) % 3}",
        key=key,
        service=rng.choice((API, IMAGE)),
        time=time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        data=_data(rng),
        impatient=rng.random() < 0.02,
    )


def _data(rng: random.Random) -> dict[str, object]:
    data: dict[str, object] = {
        "request_bytes": rng.randrange(1, 10_000),
        "response_bytes": rng.randrange(1, 1_000_000),
        "status_code": rng.choice(STATUSES),
    }
    if rng.random() < 0.2:
        data["requests"] = rng.randrange(2, 5)
    if rng.random() < 0.2:
        data["response_time_ms"] = rng.randrange(1, 5_000)
    if rng.random() < 0.1:
        data |= {"feature": rng.choice(FEATURES), "quantity": f"{rng.randrange(1000)}.{rng.randrange(1, 100):02}"}
    return data


@dataclass(slots=True)
class Sums:
    """What is counted, summed by the test's own arithmetic and not by the product's."""

    events: int = 0
    requests: int = 0
    request_bytes: int = 0
    response_bytes: int = 0
    quantity: Decimal = Decimal(0)
    status: Counter[str] = field(default_factory=Counter)

    def add(self, data: dict[str, object]) -> None:
        """Add one event's `data`, as it is on the wire."""
        requests = int(str(data.get("requests", 1)))
        self.events += 1
        self.requests += requests
        self.request_bytes += int(str(data.get("request_bytes", 0)))
        self.response_bytes += int(str(data.get("response_bytes", 0)))
        self.quantity += Decimal(str(data.get("quantity", "0")))
        if "status_code" in data:
            self.status[str(data["status_code"])] += requests

    def add_bucket(self, bucket: dict[str, object]) -> None:
        """Add one bucket of a counter, or one line of a summary, as it is in JSON; what is 0 may be left out."""
        self.events += int(str(bucket.get("events", 0)))
        self.requests += int(str(bucket.get("requests", 0)))
        self.request_bytes += int(str(bucket.get("request_bytes", 0)))
        self.response_bytes += int(str(bucket.get("response_bytes", 0)))
        self.quantity += Decimal(str(bucket.get("quantity", "0")))
        status = bucket.get("status", {})
        assert isinstance(status, dict)
        self.status.update(status)


Place = tuple[str, str, str, str]
"""Consumer, key, service id, and the quarter hour, hour or month as the beginning of its time text."""


def quarter_of(time: str) -> str:
    """`2026-01-31T10:29:59.000Z` → `2026-01-31T10:15`."""
    return f"{time[:14]}{int(time[14:16]) // 15 * 15:02}"


def place_of(event: Event) -> Place:
    return event.key.consumer, event.key.id, SERVICES[event.service], quarter_of(event.time)


def rolled_up(sums: dict[Place, Sums], characters: int) -> dict[Place, Sums]:
    """The same sums for hours (13 characters of the time) or months (7)."""
    rolled: dict[Place, Sums] = {}
    for (*who, time), part in sums.items():
        total = rolled.setdefault((who[0], who[1], who[2], time[:characters]), Sums())
        total.events += part.events
        total.requests += part.requests
        total.request_bytes += part.request_bytes
        total.response_bytes += part.response_bytes
        total.quantity += part.quantity
        total.status.update(part.status)
    return rolled


def differences(name: str, found: dict[Place, Sums], wanted: dict[Place, Sums]) -> Sequence[str]:
    """One line for each place where two sums differ."""
    return [
        f"{name} at {' '.join(place)}: {found.get(place)} instead of {wanted.get(place)}"
        for place in sorted({*found, *wanted})
        if found.get(place) != wanted.get(place)
    ]
