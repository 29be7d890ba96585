"""The limits port: counts calls in windows and says when a limit is reached.

`take` checks all demands and counts the call in all of them, or in none: a refused call uses nothing up. Contract
suite: `tests/platform/limits/`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Demand:
    """A limit that a call counts against: `cell` names who and what is limited, `name` the limit in headers (`minute`,
    `month`).

    `start_s` None is a sliding window of `window_s` seconds (two cells, the older one weighted); otherwise a fixed
    window that began at that Unix time and ends `window_s` later.
    """

    cell: str
    name: str
    limit: int
    window_s: int
    start_s: int | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a call is within its limits, with `remaining` calls in the tightest demand's window, which has room
    again, or ends, in `reset_s` seconds."""

    allowed: bool
    demand: Demand
    remaining: int
    reset_s: int


class Limits(Protocol):
    """Counts calls against limits."""

    async def take(self, demands: Sequence[Demand], cost: int = 1) -> Decision:
        """Count `cost` calls in every demand if all have room. `demands` is not empty."""
        ...

    async def peek(self, demands: Sequence[Demand], cost: int = 1) -> Decision:
        """Say what `take` would decide now, without counting anything."""
        ...

    async def is_known(self, demand: Demand) -> bool:
        """Say whether the current window of the demand's cell has been counted in or seeded."""
        ...

    async def seed(self, demand: Demand, used: int) -> None:
        """Start the current window at `used`, unless it is known."""
        ...

    async def close(self) -> None: ...
