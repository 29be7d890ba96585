"""A process that appends events and waits to be killed.

Run `python -m tests.support.platform.spool_appender FOLDER COUNT`.
"""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from shared.platform.events import EventsUnavailable
from shared.platform.spool.sqlite import SqliteSpool


async def refuse(partition_key: str, events: Sequence[bytes]) -> None:
    raise EventsUnavailable("no stream here")


async def main() -> None:
    spool = SqliteSpool(Path(sys.argv[1]), refuse, 100_000)
    await asyncio.gather(*(spool.append("con_1:0", f"event {n}".encode()) for n in range(int(sys.argv[2]))))
    print("appended", flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
