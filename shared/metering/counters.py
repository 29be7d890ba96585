"""Counters: sums of usage records, and how one record adds to them.

One document per (key, UTC day, service), with a bucket per quarter of an hour, so that the period of a merchant in any
time zone is a sum of whole buckets; and one per (key, UTC month, service) with a single bucket. Usage that names an
image, a version or a feature is counted in documents of its own, so that no document grows with what a client invents.
"""

from bisect import bisect_left
from collections.abc import Iterable
from decimal import Context, Decimal, Inexact
from hashlib import sha256

import msgspec

from shared.metering.events import UsageData, UsageEvent

LATENCY_BOUNDS_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000)
"""Upper bounds of the latency histogram, inclusive; a last class has no bound. Key of class i is str(i)."""

MONTH_BUCKET = "month"
FAILED_FROM = 400
SERVER_ERRORS_FROM = 500
SERVER_ERRORS = "5xx"


class Failed(msgspec.Struct, kw_only=True, array_like=True, gc=False):
    """Sums of events that were answered with a status of 400 or above; requests are in `Bucket.status`. An array, for
    a client that reports every status in every quarter hour must not outgrow what a document holds."""

    request_bytes: int = 0
    response_bytes: int = 0
    executions: int = 0
    duration_ms: int = 0
    quantity: str = "0"

    def add(self, other: "Failed") -> None:
        self.request_bytes += other.request_bytes
        self.response_bytes += other.response_bytes
        self.executions += other.executions
        self.duration_ms += other.duration_ms
        if other.quantity != "0":
            self.quantity = _sum(self.quantity, other.quantity)


class Bucket(msgspec.Struct, omit_defaults=True, gc=False):  # nothing in it refers back, and there are many
    """Sums over a stretch of time. `status` counts requests by status code, `latency` events by histogram class,
    `response_us` sums response times in microseconds of the `timed` events that had one. `quantity` is a decimal.
    `failed` has by status, from 400, what price plans may leave out; as they always do server errors are one, `5xx`."""

    requests: int = 0
    events: int = 0
    request_bytes: int = 0
    response_bytes: int = 0
    executions: int = 0
    duration_ms: int = 0
    timed: int = 0
    response_us: int = 0
    quantity: str = "0"
    status: dict[str, int] = {}
    latency: dict[str, int] = {}
    failed: dict[str, Failed] = {}

    def add_event(self, data: UsageData) -> None:
        self.requests += data.requests
        self.events += 1
        self.request_bytes += data.request_bytes
        self.response_bytes += data.response_bytes
        self.executions += data.executions
        self.duration_ms += data.duration_ms
        if data.status_code is not None:
            code = str(data.status_code)
            self.status[code] = self.status.get(code, 0) + data.requests
            if data.status_code >= FAILED_FROM:
                self._add_failed(code if data.status_code < SERVER_ERRORS_FROM else SERVER_ERRORS, data)
        if data.response_time_ms is not None:
            self.timed += 1
            self.response_us += round(data.response_time_ms * 1000)
            position = str(bisect_left(LATENCY_BOUNDS_MS, data.response_time_ms))
            self.latency[position] = self.latency.get(position, 0) + 1
        if data.quantity is not None:
            self.quantity = _sum(self.quantity, data.quantity)

    def _add_failed(self, code: str, data: UsageData) -> None:
        failed = Failed(
            request_bytes=data.request_bytes,
            response_bytes=data.response_bytes,
            executions=data.executions,
            duration_ms=data.duration_ms,
            quantity=data.quantity or "0",
        )
        self.failed.setdefault(code, Failed()).add(failed)

    def add(self, other: "Bucket") -> None:
        self.requests += other.requests
        self.events += other.events
        self.request_bytes += other.request_bytes
        self.response_bytes += other.response_bytes
        self.executions += other.executions
        self.duration_ms += other.duration_ms
        self.timed += other.timed
        self.response_us += other.response_us
        if other.quantity != "0":
            self.quantity = _sum(self.quantity, other.quantity)
        for mine, theirs in ((self.status, other.status), (self.latency, other.latency)):
            for name, count in theirs.items():
                mine[name] = mine.get(name, 0) + count
        for code, failed in other.failed.items():
            self.failed.setdefault(code, Failed()).add(failed)


_EXACT = Context(prec=60, traps=[Inexact])  # the default rounds at 28 digits: ten thousand of the largest quantities


def _sum(a: str, b: str) -> str:
    """Exact sum in canonical form (no exponent, no trailing zeros), so that equal sums are equal text."""
    total = _EXACT.add(Decimal(a), Decimal(b))
    text = f"{total:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


class CounterKey(msgspec.Struct, kw_only=True, frozen=True, order=True, gc=False):
    """What a counter counts. `period` is `YYYY-MM-DD` or `YYYY-MM`; absent dimensions are empty."""

    api_key_id: str
    period: str
    service_id: str
    merchant_id: str
    consumer_id: str
    project_id: str
    image: str
    version: str
    feature: str

    @property
    def id(self) -> str:
        """Document id. Key and period first, so that one key's time range is one range of ids."""
        kind = "d" if len(self.period) == 10 else "m"
        plain = f"{kind}:{self.api_key_id}:{self.period}:{self.service_id}"
        if not (self.image or self.version or self.feature):
            return plain
        dimensions = "\0".join((self.image, self.version, self.feature))
        return f"{plain}:{sha256(dimensions.encode()).hexdigest()[:32]}"

    def month(self) -> "CounterKey":
        return msgspec.structs.replace(self, period=self.period[:7])


class Counter(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A counter's document. `buckets` maps `HH:MM` (the start of a quarter hour, UTC), or `month`, to sums. `view` and
    `changed` are for those who read across consumers, to derive roll-ups
    (docs/adr/0015-roll-ups-are-derived-from-counters.md); counters written before these are without."""

    api_key_id: str
    period: str
    service_id: str
    merchant_id: str
    consumer_id: str
    project_id: str = ""
    image: str = ""
    version: str = ""
    feature: str = ""
    buckets: dict[str, Bucket] = {}
    view: str = ""
    changed: str = ""

    @classmethod
    def empty(cls, key: CounterKey) -> "Counter":
        return cls(**msgspec.structs.asdict(key))

    def touch(self, now: str) -> None:
        """Have a day's counter found by its service and day, and by when it was written last (`now`, as on the wire).
        A month's is derived from the same events: it would only be found twice."""
        if len(self.period) == 10:
            self.view, self.changed = view_of(self.service_id, self.period), now

    @property
    def key(self) -> CounterKey:
        return CounterKey(
            api_key_id=self.api_key_id,
            period=self.period,
            service_id=self.service_id,
            merchant_id=self.merchant_id,
            consumer_id=self.consumer_id,
            project_id=self.project_id,
            image=self.image,
            version=self.version,
            feature=self.feature,
        )

    def add(self, name: str, bucket: Bucket) -> None:
        self.buckets.setdefault(name, Bucket()).add(bucket)


def view_of(service_id: str, day: str) -> str:
    return f"{service_id}:{day}"


encode_counter = msgspec.json.Encoder().encode
decode_counter = msgspec.json.Decoder(Counter).decode

_QUARTERS = tuple(f"{minute // 15 * 15:02d}" for minute in range(60))


def counter_key(event: UsageEvent) -> CounterKey:
    """The day counter that `event` belongs to."""
    data = event.data
    return CounterKey(
        api_key_id=event.api_key_id,
        period=event.time[:10],
        service_id=event.service_id,
        merchant_id=event.merchant_id,
        consumer_id=event.consumer_id,
        project_id=event.project_id or "",
        image=data.image or "",
        version=data.version or "",
        feature=data.feature or "",
    )


def bucket_name(time: str) -> str:
    """`HH:MM` of the quarter hour of a UTC time text."""
    return f"{time[11:13]}:{_QUARTERS[int(time[14:16])]}"


Deltas = dict[CounterKey, dict[str, Bucket]]


def sum_events(events: Iterable[tuple[CounterKey, UsageEvent]]) -> Deltas:
    """Day counters' buckets as a sum over events, each with its `counter_key`."""
    deltas: Deltas = {}
    for key, event in events:
        buckets = deltas.get(key)
        if buckets is None:
            buckets = deltas[key] = {}
        name = bucket_name(event.time)
        bucket = buckets.get(name)
        if bucket is None:
            bucket = buckets[name] = Bucket()
        bucket.add_event(event.data)
    return deltas


def with_months(deltas: Deltas) -> Deltas:
    """The day deltas and, derived from them, the deltas of the monthly roll-ups."""
    months: Deltas = {}
    for key, buckets in deltas.items():
        month = months.setdefault(key.month(), {MONTH_BUCKET: Bucket()})[MONTH_BUCKET]
        for bucket in buckets.values():
            month.add(bucket)
    return {**deltas, **months}
