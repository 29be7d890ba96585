"""Limits, embedded: one table in shared memory for all processes of a machine.

Every worker maps the same file, so a limit holds over all workers and outlives any of them. A slot is the hash of a
cell's name, its window and two counts; lookup is open addressing over a short run of slots. When a run is full, the
slot with the oldest window gives way: its limit then starts afresh, which errs on the side of the caller.
"""

import contextlib
import fcntl
import math
import mmap
import os
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path

from shared.platform.limits import Decision, Demand

SLOTS = 1 << 18
PROBES = 16
_SLOT = struct.Struct("<16sQQQ")  # name hash, Unix time of the window's end, calls in the window before, calls in it
_EMPTY = bytes(16)


class MemoryLimits:
    """`clock` gives Unix seconds."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        os.ftruncate(self._fd, SLOTS * _SLOT.size)  # sparse: costs disk only where it is used
        self._table = mmap.mmap(self._fd, SLOTS * _SLOT.size)
        self._clock = clock

    async def take(self, demands: Sequence[Demand], cost: int = 1) -> Decision:
        return self._decide(demands, cost, count=True)

    async def peek(self, demands: Sequence[Demand], cost: int = 1) -> Decision:
        return self._decide(demands, cost, count=False)

    def _decide(self, demands: Sequence[Demand], cost: int, *, count: bool) -> Decision:
        with self._locked():
            now = self._clock()
            found = [_Count.read(self._table, demand, now) for demand in demands]
            refused = [each for each in found if each.used + cost > each.demand.limit]
            if refused:
                worst = max(refused, key=lambda each: each.wait_s(cost))
                return Decision(False, worst.demand, worst.remaining, worst.wait_s(cost))
            if count:
                for each in found:
                    each.add(self._table, cost)
        tightest = min(found, key=lambda each: each.remaining)
        return Decision(True, tightest.demand, tightest.remaining, tightest.reset_s)

    async def is_known(self, demand: Demand) -> bool:
        with self._locked():
            return _Count.read(self._table, demand, self._clock()).known

    async def seed(self, demand: Demand, used: int) -> None:
        with self._locked():
            count = _Count.read(self._table, demand, self._clock())
            if not count.known:
                count.add(self._table, used)

    async def close(self) -> None:
        self._table.close()
        os.close(self._fd)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        # A process that dies inside leaves at most one half-counted call; the kernel frees the lock.
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._fd, fcntl.LOCK_UN)


class _Count:
    """One demand's counts at one moment."""

    def __init__(self, demand: Demand, offset: int, digest: bytes, slot: tuple[bytes, int, int, int], now: float):
        self.demand = demand
        self._offset = offset
        self._digest = digest
        start = demand.start_s
        begin = start if start is not None else int(now // demand.window_s) * demand.window_s
        self._ends = begin + demand.window_s
        self._elapsed = min(max((now - begin) / demand.window_s, 0.0), 1.0)
        self._left_s = self._ends - now
        name, ends, before, current = slot
        self.known = name == digest and ends == self._ends
        if self.known:
            self._before, self._current = before, current
        else:
            followed = name == digest and start is None and ends == begin
            self._before, self._current = (current if followed else 0), 0

    @classmethod
    def read(cls, table: mmap.mmap, demand: Demand, now: float) -> "_Count":
        digest = blake2b(f"{demand.cell}\0{demand.name}".encode(), digest_size=16).digest()
        first = int.from_bytes(digest[:4], "little")
        oldest: tuple[int, int] | None = None
        for probe in range(PROBES):
            offset = (first + probe) % SLOTS * _SLOT.size
            slot = _SLOT.unpack_from(table, offset)
            if slot[0] in (digest, _EMPTY):
                return cls(demand, offset, digest, slot, now)
            ends = slot[1]
            if oldest is None or ends < oldest[0]:
                oldest = (ends, offset)
        assert oldest is not None
        return cls(demand, oldest[1], digest, (_EMPTY, 0, 0, 0), now)

    @property
    def used(self) -> float:
        weight = 0.0 if self.demand.start_s is not None else 1.0 - self._elapsed
        return self._before * weight + self._current

    @property
    def remaining(self) -> int:
        return max(0, math.floor(self.demand.limit - self.used))

    @property
    def reset_s(self) -> int:
        return max(1, math.ceil(self._left_s))

    def wait_s(self, cost: int) -> int:
        """Seconds until `cost` calls fit, if nobody else calls."""
        room = self.demand.limit - cost
        if self.demand.start_s is not None or room < 0:
            return self.reset_s
        if self._current > room:
            # This window's calls weigh on the next one too, ever less as it goes by.
            return max(1, math.ceil(self._left_s + (1.0 - room / self._current) * self.demand.window_s))
        if not self._before:
            return self.reset_s
        # The older window's weight falls linearly: room comes before the window ends.
        weight = (room - self._current) / self._before
        return max(1, math.ceil((1.0 - weight - self._elapsed) * self.demand.window_s))

    def add(self, table: mmap.mmap, cost: int) -> None:
        self._current += cost
        _SLOT.pack_into(table, self._offset, self._digest, self._ends, self._before, self._current)
