"""Work that takes only the processor time that nobody else wants: `python -m shared.bootstrap.background_process
WORK` does what is due of it, in a process of its own, and ends."""

import asyncio
import logging
import os
import sys
from collections.abc import Awaitable, Callable

from shared.bootstrap import Application, application, close

NICENESS = 19
WORK: dict[str, Callable[[Application], Awaitable[object]]] = {
    "reports": lambda app: app.reports.maker.run(),
    "invoice-documents": lambda app: app.billing.filer.run(),
}


def lower_priority() -> None:
    """Take only the processor time that nobody else wants, as far as the system can tell; at least the lowest
    priority. With that alone, a process that wakes up for a request may have to wait for a slice of this one."""
    os.nice(NICENESS)
    if sys.platform == "linux":
        try:
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        except OSError as error:  # a sandbox may not have it
            logging.getLogger(__name__).warning("this is done at the lowest priority only: %s", error)


async def main(work: str) -> None:
    try:
        await WORK[work](application())
    finally:
        await close()


if __name__ == "__main__":
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    lower_priority()
    asyncio.run(main(sys.argv[1]))
