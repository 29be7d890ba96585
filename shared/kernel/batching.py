"""Natural batching: what arrives while a flush is under way shares the next flush. No timers, no added latency."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Batcher(Generic[T]):
    """Collects items and flushes them together. `flush` gets everything that was added since the last one, in order;
    what it raises is raised to every adder."""

    def __init__(self, flush: Callable[[list[T]], Awaitable[None]]) -> None:
        self._flush = flush
        self._items: list[T] = []
        self._waiters: list[asyncio.Future[None]] = []
        self._task: asyncio.Task[None] | None = None

    async def add(self, item: T) -> None:
        """Add an item; returns when a flush that included it succeeded."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._items.append(item)
        self._waiters.append(waiter)
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        await waiter

    async def drain(self) -> None:
        """Wait until nothing is waiting any more."""
        while self._task is not None:
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        try:
            while self._items:
                items, self._items = self._items, []
                waiters, self._waiters = self._waiters, []
                error: Exception | None = None
                try:
                    await self._flush(items)
                except Exception as raised:  # noqa: BLE001 - handed to everyone who waits for this flush
                    error = raised
                for waiter in waiters:
                    if waiter.done():  # its caller was cancelled
                        continue
                    if error is None:
                        waiter.set_result(None)
                    else:
                        waiter.set_exception(error)
        finally:
            self._task = None
