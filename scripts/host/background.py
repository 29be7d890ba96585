"""The background process: event triggers and timers."""

import asyncio
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path

import uvloop

from scripts.host import lifecycle
from scripts.host.functions.event_trigger import consume
from scripts.host.functions.indexing import IndexedFunction, IndexingError
from scripts.host.functions.timers import Timer, TimerBusy
from scripts.host.options import Options, read_host_file
from shared.kernel.errors import Unavailable

SERVED = frozenset({"httpTrigger", "eventHubTrigger", "timerTrigger"})


def check_triggers(functions: Sequence[IndexedFunction]) -> None:
    """Refuse triggers that this host does not know. Raises IndexingError: better than a function that nobody ever
    calls."""
    for function in functions:
        if function.kind not in SERVED:
            raise IndexingError(f"function {function.name}: this host does not serve {function.kind}")


def make_timers(functions: Sequence[IndexedFunction], data: Path) -> list[Timer]:
    """Make the timers of the function app. Raises IndexingError."""
    return [Timer(function, data / "timers") for function in functions if function.kind == "timerTrigger"]


async def work(options: Options, lifeline: int | None) -> None:
    """Run triggers and timers until told to stop; then finish the batches and timers under way, and close the
    application."""
    functions = lifecycle.index_or_exit(options)
    with lifecycle.misconfigured_exits(options):
        check_triggers(functions)
        timers = make_timers(functions, options.data)
    stop = asyncio.Event()
    lifecycle.on_stop(stop.set, lifeline, options.limits.end_s)
    tasks = [asyncio.create_task(timer.run(stop)) for timer in timers]
    if hubs := [function for function in functions if function.kind == "eventHubTrigger"]:
        # Imported late: an app without event triggers may not need the composition root at all.
        from shared.bootstrap import application

        # From here on this process ships what dead workers left in their spools, also when nobody calls.
        with contextlib.suppress(Unavailable):
            await application().ports.spool.ready()
        events = application().ports.events
        batch_events_max = read_host_file(options.root).extensions.event_hubs.max_event_batch_size
        tasks += [asyncio.create_task(consume(events, function, stop, batch_events_max)) for function in hubs]
    stopped = asyncio.create_task(stop.wait())
    # A consumer that ends before it is told to has failed: then this process ends too, and is started again.
    await asyncio.wait([stopped, *tasks], return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    _, late = await asyncio.wait([stopped, *tasks], timeout=options.limits.drain_s)
    for task in late:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    await lifecycle.close_application(options)
    for result in results:
        if isinstance(result, Exception):
            raise result


async def fire(options: Options, name: str) -> str | None:
    """Run the timer `name` now, in this process. Returns why it could not, else None; raises what it raises."""
    functions = lifecycle.index_or_exit(options)
    found = [function for function in functions if function.name == name]
    if not found or found[0].kind != "timerTrigger":
        names = ", ".join(sorted(f.name for f in functions if f.kind == "timerTrigger"))
        return f"there is no timer {name!r}; there are: {names or 'none'}"
    with lifecycle.misconfigured_exits(options):
        timer = make_timers(found, options.data)[0]
    try:
        await timer.fire()
    except TimerBusy as error:
        return str(error)
    finally:
        await lifecycle.close_application(options)
    return None


def main() -> None:
    """Run `python -m scripts.host.background OPTIONS LIFELINE`, the latter an inherited file descriptor."""
    options = Options.model_validate_json(sys.argv[1])
    lifecycle.prepare(options)
    uvloop.run(work(options, int(sys.argv[2])))


if __name__ == "__main__":
    main()
