"""The Event Hubs trigger, fed from the events port."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import timedelta
from itertools import count
from typing import Any

import azure.functions as func
from azure.functions.decorators.core import Cardinality

from scripts.host.functions.indexing import FOR_EVER, IndexedFunction
from scripts.host.functions.invocation import invoke
from shared.platform.events import EventBatch, Events, StreamEvent

DEFAULT_GROUP = "$Default"
_logger = logging.getLogger(__name__)


async def consume(events: Events, function: IndexedFunction, stop: asyncio.Event, batch_events_max: int) -> None:
    """Deliver batches to the function until `stop` is set; the batch in hand is finished and checkpointed first."""
    trigger: Any = function.trigger
    group = trigger.consumer_group or DEFAULT_GROUP

    async def handle(batch: EventBatch) -> None:
        if trigger.cardinality == Cardinality.MANY:
            await _call(function, [_event(event) for event in batch.events], stop)
        else:
            for event in batch.events:
                await _call(function, _event(event), stop)

    await events.consume(group, handle, stop, batch_events_max=batch_events_max)


async def _call(
    function: IndexedFunction, value: func.EventHubEvent | Sequence[func.EventHubEvent], stop: asyncio.Event
) -> None:
    """Call the function once, under its retry policy.

    With retries for ever, what the function raises goes to the port, which delivers the batch again after a back-off.
    With fewer retries, or none, the batch is given up after the last one and the checkpoint moves on, as on Azure.
    """
    policy = function.retry
    if policy is not None and policy.retries == FOR_EVER:
        await invoke(function, value)
        return
    pause = policy.first if policy else timedelta(0)
    for attempt in count():
        try:
            await invoke(function, value, retries=attempt)
        except Exception:
            if policy is None or attempt >= policy.retries:
                _logger.exception("function %s failed; its retry policy gives these events up", function.name)
                return
            if await stopped_within(stop, pause.total_seconds()):
                raise  # not given up: the checkpoint stays, and the next start delivers them again
            pause = min(pause * 2, policy.longest)
        else:
            return


async def stopped_within(stop: asyncio.Event, seconds: float) -> bool:
    """Wait for `seconds`, or until `stop` is set: then True."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return False
    return True


def _event(event: StreamEvent) -> func.EventHubEvent:
    return func.EventHubEvent(
        body=event.body,
        enqueued_time=event.enqueued_at,
        partition_key=event.partition_key,
        sequence_number=event.sequence_number,
        offset=event.offset,
    )
