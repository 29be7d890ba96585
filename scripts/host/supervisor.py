"""The supervisor: binds the socket, starts the other processes, starts them again when they die, and stops them."""

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import multiprocess

from scripts.host.options import EXIT_MISCONFIGURED, Options

BACK_OFF_FIRST_S, BACK_OFF_MAX_S = 0.1, 10.0
SETTLED_S = 30.0
"""A process that lived this long is started again without delay."""

PROJECT = Path(__file__).resolve().parents[2]
"""Where `scripts` can be imported from."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Child:
    name: str
    command: Sequence[str]
    descriptors: tuple[int, ...]


class Supervisor:
    """Starts the workers and the background process and keeps them running; `run` returns the exit status of the
    host."""

    def __init__(self, options: Options, listener: socket.socket, workers: int) -> None:
        self._options = options
        self._listener = listener
        self._metrics = options.data.absolute() / "metrics"
        # Nothing is ever written to it: the children see its end when this process is gone, however it ended.
        self._lifeline, self._lifeline_held = os.pipe()
        self._stopping = asyncio.Event()
        self._misconfigured = False
        self._running: dict[str, asyncio.subprocess.Process] = {}
        module = ("-m", "scripts.host.worker", options.model_dump_json(), str(listener.fileno()), str(self._lifeline))
        self._children = [
            _Child(f"worker {number}", module, (listener.fileno(), self._lifeline)) for number in range(1, workers + 1)
        ]
        background = ("-m", "scripts.host.background", options.model_dump_json(), str(self._lifeline))
        self._children.append(_Child("background", background, (self._lifeline,)))

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal)
        # Metrics are per process and summed from files; those of an earlier run would be counted again.
        shutil.rmtree(self._metrics, ignore_errors=True)
        self._metrics.mkdir(parents=True)
        await asyncio.gather(*(self._keep_running(child) for child in self._children))
        return EXIT_MISCONFIGURED if self._misconfigured else 0

    def _on_signal(self) -> None:
        if self._stopping.is_set():
            self._kill()
            os._exit(1)
        _logger.info("stopping")
        self._stop()

    def _stop(self) -> None:
        self._stopping.set()
        # While any process has it open, the kernel takes connections that nobody would ever answer.
        self._listener.close()
        for process in self._running.values():
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        asyncio.get_running_loop().call_later(self._options.limits.end_s, self._kill)

    def _kill(self) -> None:
        for process in self._running.values():
            with contextlib.suppress(ProcessLookupError):
                process.kill()

    async def _keep_running(self, child: _Child) -> None:
        pause_s = BACK_OFF_FIRST_S
        while not self._stopping.is_set():
            started = time.monotonic()
            status = await self._run_once(child)
            if self._stopping.is_set():
                return
            if status == EXIT_MISCONFIGURED:
                self._misconfigured = True
                self._stop()
                return
            if time.monotonic() - started > SETTLED_S:
                pause_s = BACK_OFF_FIRST_S
            _logger.error("%s ended with status %d; again in %.1f s", child.name, status, pause_s)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause_s)
            pause_s = min(pause_s * 2, BACK_OFF_MAX_S)

    async def _run_once(self, child: _Child) -> int:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *child.command,
            cwd=PROJECT,
            pass_fds=child.descriptors,
            env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(self._metrics)},
            # Ctrl-C goes to the whole group of a terminal; the children are to hear of it from here, once.
            start_new_session=True,
        )
        _logger.info("%s is process %d", child.name, process.pid)
        self._running[child.name] = process
        if self._stopping.is_set():  # told to stop while it was being started
            process.terminate()
        try:
            return await process.wait()
        finally:
            del self._running[child.name]
            multiprocess.mark_process_dead(process.pid, str(self._metrics))  # type: ignore[no-untyped-call]  # prometheus_client is untyped here


def bind(address: str, port: int) -> socket.socket:
    """Open a listening socket. Raises OSError."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, port))
    # Listening from now on, so that a client who comes before the workers are up waits instead of being refused.
    listener.listen(2048)
    return listener


def check_root(root: Path) -> Path:
    """Return `root` as an absolute path. Raises FileNotFoundError when there is no project at `root`."""
    if not (root / "host.json").is_file():
        raise FileNotFoundError(f"{root} holds no host.json")
    return root.absolute()
