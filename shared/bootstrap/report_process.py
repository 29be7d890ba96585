"""The process that makes reports: `python -m shared.bootstrap.report_process` makes whatever is due, and ends."""

import asyncio
import logging
import os
import sys

from shared.bootstrap import application, close

NICENESS = 19


def stand_back() -> None:
    """Take only the processor time that nobody else wants, as far as the system can tell; at least the lowest
    priority. With that alone, a process that wakes up for a request may have to wait for a slice of this one."""
    os.nice(NICENESS)
    if sys.platform == "linux":
        try:
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        except OSError as error:  # a sandbox may not have it
            logging.getLogger(__name__).warning("reports are made at the lowest priority only: %s", error)


async def main() -> None:
    try:
        await application().report_maker.run()
    finally:
        await close()


if __name__ == "__main__":
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    stand_back()
    asyncio.run(main())
