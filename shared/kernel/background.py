"""Background work: done beside everything else, one thing at a time, and never in the way of consume."""

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import Awaitable, Callable

STOP_S = 5.0
_logger = logging.getLogger(__name__)


class Runner:
    """Does `work`, which is whatever is due, one run at a time. `start` never waits; what is asked for while it works
    is done right after."""

    def __init__(self, work: Callable[[], Awaitable[object]]) -> None:
        self._work = work
        self._task: asyncio.Task[None] | None = None
        self._again = False
        self._closed = False

    def start(self) -> None:
        if self._closed:
            return  # the timer of another process finds it
        self._again = True
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        while self._again:
            self._again = False
            try:
                await self._work()
            except Exception:  # the timer tries again
                _logger.warning("what is left is left to the timer", exc_info=True)

    async def drain(self) -> None:
        """Wait until nothing is under way."""
        if self._task is not None:
            await self._task

    async def close(self) -> None:
        """Give up what is under way: its lease ends, and another process does it."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


MakeRunner = Callable[[str, Callable[[], Awaitable[object]]], Runner]
"""Makes the runner of a work, by its name, and what does it."""


async def in_own_process(module: str, *arguments: str) -> None:
    """Run `python -m module`, which has this process's settings, to its end. Raises RuntimeError when it fails. A
    process of its own has an interpreter lock of its own, and a lower priority: consume does not wait for it."""
    # What this process can import, that one can: the host may have put it together in its own way.
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(part for part in sys.path if part)}
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", module, *arguments, env=environ)
    try:
        code = await process.wait()
    except asyncio.CancelledError:
        await _stop(process)
        raise
    if code:
        raise RuntimeError(f"{module} ended with {code}")


async def _stop(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_S)
        except TimeoutError:
            process.kill()
            await process.wait()
