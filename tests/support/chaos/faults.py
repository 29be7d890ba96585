"""What goes wrong in a chaos run. Every fault is real: a signal, a lock that somebody holds, a disk that is full."""

import asyncio
import contextlib
import os
import random
import shutil
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.chaos.processes import Host, Merchant

LOCK_WAIT_S = 30.0
DISK_BYTES = 256 * 2**20
KILLS = ("worker", "worker", "background", "background", "background", "supervisor", "power cut")
OUTAGES = ("documents locked", "events locked", "upstream dead", "upstream hanging", "spool disk full")
Pause = tuple[float, float]


@dataclass
class Faults:
    """`kills` and `outages` run side by side, so that processes die in the middle of outages too, until they are
    cancelled or told that it is `enough`; each kind happens at least once before that. `happened` counts them."""

    host: Host
    merchant: Merchant
    disk: "SpoolDisk"
    rng: random.Random
    kill_pause_s: Pause
    outage_pause_s: Pause
    outage_s: Pause
    happened: Counter[str] = field(default_factory=Counter)

    async def kills(self, enough: asyncio.Event) -> None:
        for kind in _dealt(KILLS, self.rng, enough):
            await asyncio.sleep(self.rng.uniform(*self.kill_pause_s))
            if kind == "power cut":
                self.host.power_cut()  # not in a thread: nobody must start the host again meanwhile
            else:
                # A process that is down already cannot be killed: as soon as it is back.
                while not self.host.kill(kind, self.rng):  # noqa: ASYNC110 - another process
                    await asyncio.sleep(0.02)
            self.happened[f"{kind} killed" if kind != "power cut" else kind] += 1

    async def outages(self, enough: asyncio.Event) -> None:
        actions: dict[str, Callable[[], Awaitable[None]]] = {
            "documents locked": lambda: self._locked("documents.db"),
            "events locked": lambda: self._locked("events.db"),
            "upstream dead": self._upstream_dead,
            "upstream hanging": self._upstream_hanging,
            "spool disk full": self._disk_full,
        }
        kinds = [kind for kind in OUTAGES if kind != "spool disk full" or self.disk.is_mounted]
        for kind in _dealt(kinds, self.rng, enough):
            await asyncio.sleep(self.rng.uniform(*self.outage_pause_s))
            await actions[kind]()
            self.happened[kind] += 1

    async def _last(self) -> None:
        await asyncio.sleep(self.rng.uniform(*self.outage_s))

    async def _locked(self, file: str) -> None:
        """Somebody holds SQLite's own write lock, as a stuck backup would: every write is refused."""
        path = self.host.data / file
        blocker = sqlite3.connect(path, isolation_level=None, timeout=LOCK_WAIT_S, check_same_thread=False)
        with contextlib.closing(blocker):
            await asyncio.to_thread(blocker.execute, "BEGIN EXCLUSIVE")
            await self._last()
            blocker.execute("ROLLBACK")

    async def _upstream_dead(self) -> None:
        self.merchant.kill()
        try:
            await self._last()
        finally:
            self.merchant.start()

    async def _upstream_hanging(self) -> None:
        with self.merchant.hanging():
            await self._last()

    async def _disk_full(self) -> None:
        with self.disk.full():
            await self._last()


def _dealt(kinds: Sequence[str], rng: random.Random, enough: asyncio.Event) -> Iterator[str]:
    """All kinds in some order, again and again, until it is enough; the first round is always dealt to its end."""
    is_first = True
    while True:
        for kind in rng.sample(kinds, len(kinds)):
            if enough.is_set() and not is_first:
                return
            yield kind
        is_first = False


class SpoolDisk:
    """A small disk of its own for the spool, where this process may mount one; `why_not` says why it may not."""

    def __init__(self, folder: Path, size_bytes: int = DISK_BYTES) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.why_not: str | None = None
        if shutil.which("mount") is None:
            self.why_not = "there is no mount command"
            return
        options = ["-t", "tmpfs", "-o", f"size={size_bytes},mode=700", "tmpfs", str(folder)]
        done = subprocess.run(["mount", *options], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            self.why_not = done.stderr.strip() or "mount failed"

    @property
    def is_mounted(self) -> bool:
        return self.why_not is None

    @contextlib.contextmanager
    def full(self) -> Iterator[None]:
        """Not a byte is left while inside."""
        ballast = self.folder / "ballast"
        try:
            with ballast.open("wb", buffering=0) as file:
                _fill(file.fileno())
            yield
        finally:
            ballast.unlink(missing_ok=True)

    def close(self) -> None:
        if self.is_mounted:
            subprocess.run(["umount", "--lazy", str(self.folder)], check=True)


def _fill(descriptor: int) -> None:
    end, step = 0, 16 * 2**20
    while step >= 4096:
        try:
            os.posix_fallocate(descriptor, end, step)
        except OSError:  # ENOSPC: smaller steps until not one block is free
            step //= 2
        else:
            end += step
