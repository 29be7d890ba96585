"""A bounded cache with a hard time to live and no resurrection."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class FreshCache(Generic[K, V]):
    """A cache of values, each of which is used for `ttl_s` seconds from the moment before it was read, never longer.

    Concurrent misses of one key share one read. `clear` also cuts off reads under way: their callers get what was read,
    but it is not kept and not given to later callers. At `capacity` entries the one read longest ago gives way.
    """

    def __init__(self, ttl_s: float, capacity: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._ttl_s = ttl_s
        self._capacity = capacity
        self._monotonic = monotonic
        self._entries: dict[K, tuple[float, V]] = {}
        self._reads: dict[K, asyncio.Future[V]] = {}

    def peek(self, key: K) -> V | None:
        entry = self._entries.get(key)
        if entry is None or self._monotonic() - entry[0] >= self._ttl_s:
            return None
        return entry[1]

    def put(self, key: K, value: V) -> None:
        self._keep(key, value, self._monotonic())

    async def get(self, key: K, load: Callable[[K], Awaitable[V]]) -> V:
        entry = self._entries.get(key)
        now = self._monotonic()
        if entry is not None and now - entry[0] < self._ttl_s:
            return entry[1]
        read = self._reads.get(key)
        if read is None:
            return await self._read(key, load, now)
        await asyncio.wait([read])  # unlike awaiting it, neither cancels it nor is cancelled with it
        if read.cancelled():  # whoever read was cancelled: read ourselves
            return await self.get(key, load)
        return read.result()

    async def _read(self, key: K, load: Callable[[K], Awaitable[V]], started: float) -> V:
        read: asyncio.Future[V] = asyncio.get_running_loop().create_future()
        self._reads[key] = read
        try:
            value = await load(key)
        except BaseException as error:
            if isinstance(error, Exception):
                read.set_exception(error)
                read.exception()  # retrieved: whoever shares the read gets it, nobody is warned when none does
            else:
                read.cancel()
            raise
        else:
            read.set_result(value)
            if self._reads.get(key) is read:  # not cut off by `clear`
                self._keep(key, value, started)
            return value
        finally:
            if self._reads.get(key) is read:
                del self._reads[key]

    def _keep(self, key: K, value: V, read_at: float) -> None:
        self._entries.pop(key, None)  # to the end: the order of the dictionary is the order of reading
        if len(self._entries) >= self._capacity:
            del self._entries[next(iter(self._entries))]
        self._entries[key] = (read_at, value)

    def clear(self) -> None:
        self._entries.clear()
        self._reads.clear()
