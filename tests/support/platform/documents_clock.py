"""Time under the control of the tests of documents."""

import asyncio
import time


class Clock:
    """Unix seconds that stand still until a test lets time pass."""

    def __init__(self) -> None:
        self.now = float(int(time.time()))
        self.real = False

    def __call__(self) -> float:
        return self.now

    async def passes(self, seconds: float) -> None:
        self.now += seconds
        if self.real:
            await asyncio.sleep(seconds)  # nothing else moves the clock of a real account
