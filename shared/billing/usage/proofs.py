"""The records behind an invoice, read again: those that were counted when it was issued, no later ones.

Usage that was counted after an invoice is among its period's records too, by now. What an invoice rests on are the
first of them by arrival, as many as its proof says; the proof's hash tells whether that is so.
"""

import heapq
from collections.abc import AsyncIterator

from shared.access.models import Consumer
from shared.billing.usage.models import RecordsProof
from shared.billing.usage.records import RecordsHash, records
from shared.metering.events import UsageEvent
from shared.platform.documents import Documents


class RecordsChanged(Exception):
    """The store does not have the records any more that an invoice rests on: they expired, or were altered."""


async def proven_records(documents: Documents, consumer: Consumer, proof: RecordsProof) -> AsyncIterator[UsageEvent]:
    """Read the records that a proof is of, in the order of an export. They are read two to four times, never kept: the
    hash is known before the first is given out. Raises RecordsChanged; DocumentsUnavailable."""
    last = await _last_arrival(documents, consumer, proof)
    async for event in records(documents, consumer, proof.service_ids, proof.start, proof.end):
        if last is None or _arrival(event) <= last:
            yield event


async def _last_arrival(documents: Documents, consumer: Consumer, proof: RecordsProof) -> tuple[str, ...] | None:
    """Find when the last of the records that count arrived; None when all records count."""
    whole = RecordsHash()
    async for event in records(documents, consumer, proof.service_ids, proof.start, proof.end):
        whole.add(event)
    if whole.count == proof.count and whole.hexdigest() == proof.sha256:
        return None
    if whole.count <= proof.count:
        raise _changed(proof)
    last = await _before_the_latest(documents, consumer, proof, whole.count - proof.count)
    part = RecordsHash()
    async for event in records(documents, consumer, proof.service_ids, proof.start, proof.end):
        if _arrival(event) <= last:
            part.add(event)
    if part.hexdigest() != proof.sha256:
        raise _changed(proof)
    return last


async def _before_the_latest(
    documents: Documents, consumer: Consumer, proof: RecordsProof, late: int
) -> tuple[str, ...]:
    """Find when the last record came that is not among the `late` ones. Only those are kept meanwhile, and one more."""
    latest: list[tuple[str, ...]] = [("",)]  # before all of them
    async for event in records(documents, consumer, proof.service_ids, proof.start, proof.end):
        arrival = _arrival(event)
        if len(latest) <= late:
            heapq.heappush(latest, arrival)
        elif arrival > latest[0]:
            heapq.heapreplace(latest, arrival)
    return latest[0]


def _arrival(event: UsageEvent) -> tuple[str, str, str]:
    return event.received_at, event.source, event.id


def _changed(proof: RecordsProof) -> RecordsChanged:
    return RecordsChanged(f"the {proof.count} records of {proof.period} are not what they were when it was billed")
