"""A PostgreSQL of our own, from Debian's package, as durable as it is by default."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.machine import memory_bytes
from benchmarks.scale import BenchmarkFailed
from benchmarks.systems import POLL_S, START_S, STOP_S

DATABASE = "postgres"
_INSTALLED = Path("/usr/lib/postgresql")

# Durability (fsync, synchronous_commit, full_page_writes) stays as it comes. What a team would set for such a load:
# a quarter of the memory for buffers, and checkpoints by time instead of every gigabyte of log.
_SETTINGS = {"listen_addresses": "", "max_wal_size": "8GB", "checkpoint_timeout": "15min", "max_connections": "200"}


def programs() -> Path:
    """The folder of initdb and postgres, newest version first. Raises BenchmarkFailed when there is none."""
    versions = sorted(_INSTALLED.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]), reverse=True)
    if not versions:
        raise BenchmarkFailed(f"PostgreSQL is not installed: no initdb under {_INSTALLED} (apt-get install postgresql)")
    return versions[0].parent


@contextlib.contextmanager
def running(folder: Path) -> Iterator[str]:
    """A new cluster in `folder` for as long as the block. Gives its DSN, over a Unix socket."""
    user = _unprivileged_user()
    folder.mkdir(mode=0o755)
    if user is not None:
        shutil.chown(folder, user)
    data, log = folder / "data", folder / "postgres.log"
    _run([str(programs() / "initdb"), "-D", str(data), "-A", "trust", "-U", "ams", "--encoding=UTF8"], folder, user)
    settings = {
        **_SETTINGS,
        "shared_buffers": f"{memory_bytes() // 4 // 2**20}MB",
        "unix_socket_directories": str(folder),
    }
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    with log.open("ab") as output:
        process = subprocess.Popen(
            [str(programs() / "postgres"), "-D", str(data), *options],
            cwd=folder,
            stdout=output,
            stderr=output,
            user=user,
            start_new_session=True,
        )
    try:
        _wait_until_ready(process, folder, log)
        yield f"postgresql://ams@/{DATABASE}?host={folder}"
    finally:
        process.send_signal(signal.SIGINT)  # PostgreSQL's fast shutdown
        process.wait(STOP_S)


def _unprivileged_user() -> str | None:
    """PostgreSQL refuses to run as root; Debian's package brings this user."""
    if os.getuid() != 0:
        return None
    return pwd.getpwnam("postgres").pw_name


def _run(command: Sequence[str], folder: Path, user: str | None) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, user=user, check=False)
    if done.returncode != 0:
        raise BenchmarkFailed(f"{command[0]}: {done.stderr}")


def _wait_until_ready(process: subprocess.Popen[bytes], folder: Path, log: Path) -> None:
    deadline = time.monotonic() + START_S
    ready = [str(programs() / "pg_isready"), "-q", "-h", str(folder)]
    while subprocess.run(ready, check=False).returncode != 0:
        if process.poll() is not None or time.monotonic() > deadline:
            raise BenchmarkFailed(f"PostgreSQL does not start\n{log.read_text()[-4000:]}")
        time.sleep(POLL_S)
