"""How much memory the workers of a host take."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.host.hosting import Host, resident_bytes

MIB = 1024 * 1024


GROWTH_BYTES_MAX = 48 * MIB
"""A worker's caches and its allocator's slack; far below what passes through it."""


@contextmanager
def memory_watched(host: Host) -> Iterator[list[int]]:
    """What each worker grew by at its peak, in bytes, filled in when the block ends."""
    workers = host.workers_now()
    before = {worker: resident_bytes(worker) for worker in workers}
    peak = dict(before)
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.01):
            for worker in workers:
                peak[worker] = max(peak[worker], resident_bytes(worker))

    growth: list[int] = []
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield growth
    finally:
        done.set()
        watcher.join()
        growth += [peak[worker] - before[worker] for worker in workers]
