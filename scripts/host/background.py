"""The background process: event triggers and timers."""

import asyncio
import sys

from scripts.host import lifecycle
from scripts.host.options import Options


async def work(options: Options, lifeline: int | None) -> None:
    stop = asyncio.Event()
    lifecycle.on_stop(stop.set, lifeline)
    await stop.wait()


def main() -> None:
    """`python -m scripts.host.background OPTIONS LIFELINE`, the latter an inherited file descriptor."""
    options = Options.model_validate_json(sys.argv[1])
    lifecycle.prepare(options)
    lifecycle.run(work(options, int(sys.argv[2])))


if __name__ == "__main__":
    main()
