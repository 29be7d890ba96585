"""Refused calls of known keys, for the owner to see: how many, in which hour, and why.

Counting is a dictionary's increment in the process that refuses; every FLUSH_S seconds, and when the process ends in
order, the sums are added to documents of the consumer's partition, one for each key and UTC day. A process that is
killed loses at most what it counted since its last flush. These are figures to look into, nothing is billed by them.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from pydantic import Field

from shared.access.models import ApiKey
from shared.access.store import ACCESS
from shared.kernel.clock import utc_now
from shared.kernel.documents import Identifier, StoredModel
from shared.kernel.errors import Unavailable
from shared.kernel.problem_codes import ProblemCode
from shared.kernel.retries import retry
from shared.platform.documents import DocumentExists, DocumentMissing, Documents, PreconditionFailed, Query, Where

COUNTED: frozenset[ProblemCode] = frozenset(
    {
        "key_expired",
        "key_disabled",
        "key_revoked",
        "consumer_suspended",
        "network_not_allowed",
        "service_not_granted",
        "consumer_restricted",
        "service_suspended",
        "merchant_misconfigured",
        "rate_limited",
        "quota_exceeded",
    }
)
"""The checks of consume. What is wrong with a body is said in the answer and not counted here."""

FLUSH_S = 5.0
COUNTS_MAX = 10_000
"""Different (key, hour, code) that wait in one process; what is over goes uncounted until the next flush."""

DAYS_KEPT = 40
MERGES_MAX = 10
_logger = logging.getLogger(__name__)


class RefusalDay(StoredModel):
    """The refusals of a key on one day: `hours` maps `HH` (UTC) to codes to counts."""

    kind: Literal["refusals"] = "refusals"
    key_id: Identifier
    day: str
    hours: dict[str, dict[str, int]] = Field(default_factory=dict)

    def plus(self, more: Mapping[str, Mapping[str, int]]) -> "RefusalDay":
        hours = {hour: dict(codes) for hour, codes in self.hours.items()}
        for hour, codes in more.items():
            sums = hours.setdefault(hour, {})
            for code, count in codes.items():
                sums[code] = sums.get(code, 0) + count
        return self.model_copy(update={"hours": hours})


@dataclass(frozen=True, slots=True)
class RefusalCount:
    """How often calls of a key were refused for one reason in one hour, of which `hour` is the first moment."""

    hour: datetime
    code: str
    count: int


_CountKey = tuple[str, str, str, str]
"""Consumer, key, hour (`YYYY-MM-DDTHH`) and code."""

_Counts = dict[_CountKey, int]


class RefusalCounts:
    """Counts refused calls by key, hour and reason. One per process."""

    def __init__(self, documents: Documents, now: Callable[[], datetime] = utc_now) -> None:
        self._documents = documents
        self._now = now
        self._counts: _Counts = {}
        self._flushing: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    def note(self, key: ApiKey, code: ProblemCode) -> None:
        """Count one refusal. To be called on the event loop; it waits for nothing."""
        if code not in COUNTED:
            return
        self._add((key.consumer_id, key.id, f"{self._now():%Y-%m-%dT%H}", code), 1)
        if self._flushing is None:
            self._flushing = asyncio.get_running_loop().create_task(self._run())

    async def flush(self) -> None:
        """Store what was counted. What the store does not take is kept for the next time."""
        counts, self._counts = self._counts, {}
        days: dict[tuple[str, str, str], dict[str, dict[str, int]]] = {}
        for (consumer_id, key_id, hour, code), count in counts.items():
            days.setdefault((consumer_id, key_id, hour[:10]), {}).setdefault(hour[11:], {})[code] = count
        for (consumer_id, key_id, day), hours in days.items():
            try:
                await self._merge(consumer_id, RefusalDay(key_id=key_id, day=day, hours=hours))
            except (Unavailable, ConflictError) as error:
                _logger.warning("refusals of %s wait for the next flush: %s", key_id, error)
                self._put_back(consumer_id, key_id, day, hours)

    async def close(self) -> None:
        self._closing.set()
        if self._flushing is not None:
            await self._flushing
        await self.flush()

    async def read(self, consumer_id: str, key_id: str, first: date, last: date) -> list[RefusalCount]:
        """Read a key's refusals from day `first` to `last`, both included, by time; up to FLUSH_S seconds old."""
        where = (
            Where("id", ">=", _document(key_id, first.isoformat())),
            Where("id", "<=", _document(key_id, last.isoformat())),
        )
        query = Query(consumer_id, where, order_by="id", limit=1_000)
        page = await self._documents.query(ACCESS, query)  # a document a day, and they live DAYS_KEPT
        found = []
        for document in page.items:
            kept = RefusalDay.model_validate_json(document.body)
            for hour, codes in sorted(kept.hours.items()):
                start = datetime.fromisoformat(f"{kept.day}T{hour}:00:00+00:00")
                found += [RefusalCount(start, code, count) for code, count in sorted(codes.items())]
        return found

    async def _run(self) -> None:
        """While there is something to store; an idle process has no timer."""
        try:
            while self._counts and not self._closing.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._closing.wait(), FLUSH_S)
                await self.flush()
        finally:
            self._flushing = None

    async def _merge(self, consumer_id: str, new: RefusalDay) -> None:
        """Add counts to a stored day. Raises ConflictError when others are always first, Unavailable."""
        id, ttl_s = _document(new.key_id, new.day), int(timedelta(days=DAYS_KEPT).total_seconds())  # noqa: A001 - the field's own word

        async def attempt() -> None:
            document = await self._documents.get(ACCESS, consumer_id, id)
            if document is None:
                await self._documents.create(ACCESS, consumer_id, id, new.to_json(), ttl_s=ttl_s)
                return
            sums = RefusalDay.model_validate_json(document.body).plus(new.hours)
            await self._documents.replace(ACCESS, consumer_id, id, sums.to_json(), etag=document.etag, ttl_s=ttl_s)

        await retry(
            attempt,
            on=(DocumentExists, DocumentMissing, PreconditionFailed),  # another process flushed at the same time
            attempts_max=MERGES_MAX,
            otherwise=lambda: ConflictError(f"{MERGES_MAX} others were first"),
        )

    def _put_back(self, consumer_id: str, key_id: str, day: str, hours: Mapping[str, Mapping[str, int]]) -> None:
        for hour, codes in hours.items():
            for code, count in codes.items():
                self._add((consumer_id, key_id, f"{day}T{hour}", code), count)

    def _add(self, key: _CountKey, count: int) -> None:
        """What is over the bound is lost: also what comes back from a store that is down, or memory would fill."""
        if key in self._counts or len(self._counts) < COUNTS_MAX:
            self._counts[key] = self._counts.get(key, 0) + count


class ConflictError(Exception):
    """A document is written by too many at once."""


def _document(key_id: str, day: str) -> str:
    return f"refusals:{key_id}:{day}"
