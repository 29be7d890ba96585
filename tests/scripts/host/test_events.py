"""The event trigger: the stream's events in order, at least once, under the function's retry policy."""

import asyncio
import sys
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from scripts.host.functions.event_trigger import consume
from scripts.host.functions.indexing import IndexedFunction, index_module
from shared.platform.events.log import EventLog
from tests.support.host.functions_host import PATIENCE_S, eventually, running_host

APP = """
import asyncio
from typing import List
import azure.functions as func
app = func.FunctionApp()
calls, failures, called, done = [], [], asyncio.Event(), asyncio.Event()

@app.event_hub_message_trigger(arg_name="events", event_hub_name="h", connection="C", cardinality="{cardinality}",
                               consumer_group="group")
{retry}
async def take(events: {annotation}, context: func.Context) -> None:
    calls.append((events, context.retry_context.retry_count))
    called.set()
    if failures:
        raise failures.pop()
    done.set()
"""
FOR_EVER = '@app.retry(strategy="exponential_backoff", max_retry_count="-1")'
TWICE = '@app.retry(strategy="fixed_delay", max_retry_count="2", delay_interval="00:00:00")'


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[EventLog]:
    log = EventLog(tmp_path / "events.db", partitions=1)
    yield log
    await log.close()


Make = Callable[..., tuple[IndexedFunction, ModuleType]]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    monkeypatch.syspath_prepend(tmp_path)

    def run(cardinality: str = "many", retry: str = FOR_EVER) -> tuple[IndexedFunction, Any]:
        name = f"app_{uuid.uuid4().hex}"
        annotation = "List[func.EventHubEvent]" if cardinality == "many" else "func.EventHubEvent"
        source = APP.format(cardinality=cardinality, retry=retry, annotation=annotation)
        (tmp_path / f"{name}.py").write_text(source)
        (function,) = index_module(name)
        return function, sys.modules[name]

    return run


async def caught_up(log: EventLog) -> None:
    """Everything is checkpointed, which only the log's file tells."""
    async with asyncio.timeout(PATIENCE_S):
        while (await log.lag("group")).events:  # noqa: ASYNC110 - another party's progress on disk
            await asyncio.sleep(0.01)


async def consumed(log: EventLog, function: IndexedFunction, app: Any) -> None:
    """Run the trigger until the function has succeeded and everything is checkpointed."""
    stop = asyncio.Event()
    task = asyncio.create_task(consume(log, function, stop, 1000))
    await app.done.wait()
    await caught_up(log)
    stop.set()
    await task


async def test_many_events_come_as_one_list(log: EventLog, make: Make) -> None:
    function, app = make()
    await log.publish("key", [b"one", b"two"])
    await consumed(log, function, app)
    ((events, _),) = app.calls
    assert [event.get_body() for event in events] == [b"one", b"two"]
    first, second = events
    assert (first.partition_key, first.offset) == ("key", str(first.sequence_number))
    assert second.sequence_number > first.sequence_number
    assert first.enqueued_time.tzinfo is not None


async def test_cardinality_one_calls_per_event(log: EventLog, make: Make) -> None:
    function, app = make("one")
    await log.publish("key", [b"one", b"two"])
    await consumed(log, function, app)
    assert [event.get_body() for event, _ in app.calls] == [b"one", b"two"]


async def test_a_failed_batch_comes_again_until_it_succeeds(log: EventLog, make: Make) -> None:
    function, app = make()
    app.failures += [RuntimeError("down"), RuntimeError("down")]
    await log.publish("key", [b"one"])
    await consumed(log, function, app)
    assert [[event.get_body() for event in events] for events, _ in app.calls] == [[b"one"]] * 3


async def test_the_checkpoint_waits_for_success(log: EventLog, make: Make) -> None:
    function, app = make()
    app.failures += [RuntimeError("down")] * 1000
    await log.publish("key", [b"one"])
    stop = asyncio.Event()
    task = asyncio.create_task(consume(log, function, stop, 1000))
    await app.called.wait()
    stop.set()
    await task
    assert (await log.lag("group")).events == 1


async def test_a_bounded_retry_policy_gives_up_as_azure_does(log: EventLog, make: Make) -> None:
    function, app = make(retry=TWICE)
    app.failures += [RuntimeError("down")] * 3
    await log.publish("key", [b"lost"])
    stop = asyncio.Event()
    task = asyncio.create_task(consume(log, function, stop, 1000))
    await caught_up(log)
    stop.set()
    await task
    assert [retries for _, retries in app.calls] == [0, 1, 2]


async def test_batches_are_no_larger_than_host_json_says(log: EventLog, make: Make) -> None:
    function, app = make()
    await log.publish("key", [b"%d" % number for number in range(10)])
    stop = asyncio.Event()
    task = asyncio.create_task(consume(log, function, stop, 4))
    await caught_up(log)
    stop.set()
    await task
    assert [len(events) for events, _ in app.calls] == [4, 4, 2]


HOST_APP = """
from pathlib import Path
from typing import List
import asyncio
import azure.functions as func
app = func.FunctionApp()
HERE = Path(__file__).parent

@app.event_hub_message_trigger(arg_name="events", event_hub_name="h", connection="C", cardinality="many",
                               consumer_group="group")
@app.retry(strategy="exponential_backoff", max_retry_count="-1")
async def take(events: List[func.EventHubEvent]) -> None:
    (HERE / "started").write_text("")
    while not (HERE / "go").exists():
        await asyncio.sleep(0.01)
    with (HERE / "taken").open("ab") as file:
        file.writelines(event.get_body() + b"\\n" for event in events)
"""


async def test_the_host_finishes_and_checkpoints_the_batch_in_hand(tmp_path: Path) -> None:
    root = tmp_path / "app"
    (root / "data").mkdir(parents=True)
    log = EventLog(root / "data" / "events.db", partitions=4)
    await log.publish("key", [b"one", b"two"])

    def serve_until_told_to_stop() -> None:
        with running_host(root, HOST_APP) as host:
            eventually((root / "started").exists, "the batch is in hand")
            host.process.terminate()
            eventually(lambda: "stopping" in host.messages(), "the host is stopping")
            (root / "go").write_text("")
            assert host.process.wait(PATIENCE_S) == 0

    await asyncio.to_thread(serve_until_told_to_stop)
    assert (root / "taken").read_bytes() == b"one\ntwo\n"
    assert (await log.lag("group")).events == 0
    await log.close()
