"""The machine that was measured on."""

import os
import platform
import re
import shutil
import sqlite3
import subprocess
import time
from pathlib import Path

FSYNC_S = 1.0
_BLOCK = b"\0" * 4096


def describe(folder: Path, fsync_s: float = FSYNC_S) -> dict[str, str]:
    """Name → what it is. `folder` is where the data of the benchmarks goes, so its disk is the one that matters."""
    return {
        "processor": f"{os.cpu_count()} cores, {_processor()}",
        "memory": f"{memory_bytes() / 2**30:.1f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
        "PostgreSQL": _version("psql", "--version"),
        "wrk": _version("wrk", "-v"),
        "durable writes": f"{fsync_rate(folder, fsync_s):,.0f} a second (append 4 KiB, fdatasync, one after the other)",
    }


def fsync_rate(folder: Path, seconds: float) -> float:
    """Appends of 4 KiB with fdatasync per second, one after the other, as a database's log does."""
    path = folder / "fsync"
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    try:
        count, started = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - started) < seconds:
            os.write(descriptor, _BLOCK)
            os.fdatasync(descriptor)
            count += 1
    finally:
        os.close(descriptor)
        path.unlink()
    return count / elapsed


def _processor() -> str:
    try:
        found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else platform.machine()


def memory_bytes() -> int:
    """Physical memory."""
    """Physical memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _version(command: str, option: str) -> str:
    """The first number with a point in what the command says of itself."""
    path = shutil.which(command)
    if path is None:
        return "not installed"
    said = subprocess.run([path, option], capture_output=True, text=True, check=False)  # wrk -v ends with 1
    found = re.search(r"\d+\.\d+[\w.]*", said.stdout + said.stderr)
    return found[0] if found else "unknown"
