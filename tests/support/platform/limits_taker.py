"""A process that takes calls until it is refused.

Run `python -m tests.support.platform.limits_taker FILE LIMIT ATTEMPTS`.
"""

import asyncio
import sys
from pathlib import Path

from shared.platform.limits import Demand
from shared.platform.limits.memory import MemoryLimits


async def main() -> None:
    limits = MemoryLimits(Path(sys.argv[1]), clock=lambda: 1_000_000.0)
    demand = Demand("cell", "minute", int(sys.argv[2]), 60)
    sys.stdin.readline()  # both processes start together
    decisions = [await limits.take([demand]) for _ in range(int(sys.argv[3]))]
    await limits.close()
    print(sum(decision.allowed for decision in decisions))


asyncio.run(main())
