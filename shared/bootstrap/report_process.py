"""The process that makes reports: `python -m shared.bootstrap.report_process` makes whatever is due, and ends."""

import asyncio
import logging
import os
import sys

from shared.bootstrap import application, close

NICENESS = 10
"""So much less important than consume: on one processor it gets about a tenth."""


async def main() -> None:
    try:
        await application().report_maker.run()
    finally:
        await close()


if __name__ == "__main__":
    os.nice(NICENESS)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    asyncio.run(main())
