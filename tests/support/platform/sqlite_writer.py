"""A process that adds rows, each in a write of its own: `python -m tests.support.platform.sqlite_writer FILE COUNT`."""

import asyncio
import sys
from pathlib import Path

from shared.platform.sqlite import SqliteFile


async def main() -> None:
    file = SqliteFile(Path(sys.argv[1]), ("CREATE TABLE IF NOT EXISTS rows (n INTEGER)",), RuntimeError)
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(int(sys.argv[2])):
        await file.write(lambda db, number=number: db.execute("INSERT INTO rows VALUES (?)", (number,)).rowcount)
    await file.close()


asyncio.run(main())
