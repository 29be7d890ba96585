"""What the host's processes share: how they start, and how they are told to stop."""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator

from scripts.host.functions.indexing import IndexedFunction, IndexingError, index_module
from scripts.host.options import EXIT_MISCONFIGURED, Options
from scripts.local_settings import use_local_settings
from shared.kernel import telemetry

_logger = logging.getLogger(__name__)


def prepare(options: Options) -> None:
    """Set logs, settings and the import path of this process."""
    telemetry.log_json(options.log_level)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)  # what it says of starting and stopping is said here
    os.chdir(options.root)
    sys.path.insert(0, str(options.root))
    use_local_settings(options.root)


def index_or_exit(options: Options) -> tuple[IndexedFunction, ...]:
    """Index the function app; exits with EXIT_MISCONFIGURED when that is not possible."""
    with misconfigured_exits(options):
        functions = index_module(options.module)
    # What was imported lives as long as the process: the collector need not look at it again and again.
    gc.collect()
    gc.freeze()
    return functions


@contextlib.contextmanager
def misconfigured_exits(options: Options) -> Iterator[None]:
    """Log an exception inside and end the process with EXIT_MISCONFIGURED."""
    try:
        yield
    except Exception as error:
        # What is wrong with a function is said in one line; what the import of the app raised needs its traceback.
        _logger.critical("cannot serve %s: %s", options.module, error, exc_info=not isinstance(error, IndexingError))
        sys.exit(EXIT_MISCONFIGURED)


def on_stop(stop: Callable[[], None], lifeline: int | None, end_s: float) -> None:
    """Call `stop` once, at the first signal to end, or when the supervisor, which holds the other end of the pipe
    `lifeline`, is gone; in that case the process ends after `end_s` at the latest. A second signal ends it at once."""
    loop = asyncio.get_running_loop()
    stopping = False

    def first() -> None:
        nonlocal stopping
        if not stopping:
            stopping = True
            stop()

    def by_signal() -> None:
        if stopping:
            os._exit(1)
        first()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, by_signal)
    if lifeline is not None:

        def watch() -> None:
            os.read(lifeline, 1)  # nothing is ever written: this returns at the end of the pipe
            _logger.warning("the supervisor is gone")
            with contextlib.suppress(RuntimeError):  # the loop is closed: this process is ending already
                loop.call_soon_threadsafe(first)
            time.sleep(end_s)
            os._exit(1)

        # A thread, because a function may block the loop for ever, and then nobody would be left to end this process.
        threading.Thread(target=watch, name="lifeline", daemon=True).start()


async def close_application(options: Options) -> None:
    """Flush and close what the functions of this process opened. Raises TimeoutError after `close_s`."""
    bootstrap = sys.modules.get("shared.bootstrap")
    if bootstrap is not None:
        async with asyncio.timeout(options.limits.close_s):
            await bootstrap.close()
