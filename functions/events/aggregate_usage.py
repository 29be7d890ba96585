"""Aggregate: the usage stream into records and counters, exactly once."""

from typing import List

import azure.functions as func

from shared.bootstrap import application
from shared.metering.counting.aggregator import RawEvent

blueprint = func.Blueprint()

CONSUMER_GROUP = "aggregate"


# Without a retry policy Azure moves the checkpoint although the function raised, which would lose the batch.
@blueprint.function_name("aggregate_usage")
@blueprint.event_hub_message_trigger(
    arg_name="events",
    event_hub_name="%AMS_USAGE_HUB_NAME%",
    connection="USAGE_HUB",
    # Without it the host parses every body as JSON, and one that is not would fail the whole batch before AMS sees it.
    data_type=func.DataType.BINARY,
    cardinality="many",
    consumer_group=CONSUMER_GROUP,
)
@blueprint.retry(
    strategy="exponential_backoff", max_retry_count="-1", minimum_interval="00:00:01", maximum_interval="00:01:00"
)
async def aggregate_usage(events: List[func.EventHubEvent]) -> None:
    """Count a batch of usage events. Raises when infrastructure fails, so that the same batch comes again; a bad event
    is parked instead."""
    await application().metering.aggregator.apply([RawEvent(event.get_body(), event.partition_key) for event in events])
