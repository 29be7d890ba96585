"""Usage events of the last weeks, drawn at random."""

import tempfile
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from scripts.seeding.documents import put_consumer
from shared.access.models import Consumer
from shared.kernel.clock import format_time
from shared.metering.events import UsageEvent
from tests.support.embedded import IN_MEMORY, NOW, Embedded, open_embedded, usage_event

ZONES = ["UTC", "Asia/Kolkata", "America/St_Johns", "Pacific/Apia", "America/New_York"]


SHARDS = 2


KEYS = [("con_1", "key_1", None), ("con_1", "key_2", "prj_1"), ("con_2", "key_1", None)]


SERVICES = [("svc_maps", "mer_1"), ("svc_two", "mer_1"), ("svc_three", "mer_2")]


events = st.fixed_dictionaries(
    {
        # Quarter hours and seconds of the last 35 days, more often around midnight and when clocks change.
        "minutes": st.one_of(st.integers(0, 34 * 1440), st.sampled_from([0, 15, 1440, 1455, 2880, 9 * 1440 + 420])),
        "key": st.sampled_from(KEYS),
        "service": st.sampled_from(SERVICES),
        "data": st.fixed_dictionaries(
            {"requests": st.integers(0, 5), "request_bytes": st.integers(0, 10**12)},
            optional={
                "response_bytes": st.integers(0, 1000),
                "executions": st.integers(0, 3),
                "duration_ms": st.integers(0, 10**10),
                "status_code": st.sampled_from([200, 302, 404, 429, 500, 503]),
                "response_time_ms": st.floats(0, 100_000),
                "image": st.sampled_from(["a", "b"]),
                "version": st.just("1"),
                "feature": st.sampled_from(["ocr", "x"]),
            },
        ),
        "quantity": st.sampled_from([None, "1", "0.000000001", "999999999999999.5"]),
    }
)


def made(number: int, drawn: dict[str, Any]) -> UsageEvent:
    consumer_id, key_id, project_id = drawn["key"]
    service_id, merchant_id = drawn["service"]
    data = dict(drawn["data"])
    if "feature" in data and drawn["quantity"] is not None:
        data["quantity"] = drawn["quantity"]
    return usage_event(
        f"e{number}",
        time=format_time(NOW - timedelta(minutes=drawn["minutes"], seconds=number % 60)),
        data=data,
        consumer_id=consumer_id,
        api_key_id=key_id,
        project_id=project_id,
        service_id=service_id,
        merchant_id=merchant_id,
        shard=number % SHARDS if consumer_id == "con_1" else 0,
    )


async def in_embedded(body: Callable[[Embedded], Awaitable[None]]) -> None:
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
        embedded = await open_embedded(Path(folder))
        try:
            await put_consumer(embedded.access, Consumer(id="con_1", name="One", shards=SHARDS))
            await put_consumer(embedded.access, Consumer(id="con_2", name="Two"))
            await embedded.put_key(id="key_2")
            await embedded.put_key(id="key_1", consumer_id="con_2")
            await body(embedded)
        finally:
            await embedded.close()
