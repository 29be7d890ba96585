"""How large a run is. The figures that count are measured at the default scale; tests use a fraction of a second."""

from dataclasses import dataclass
from pathlib import Path

FULL_SECONDS, FULL_RUNS = 10.0, 5


class BenchmarkFailed(Exception):
    """What was measured did not do its work: counts are wrong, requests were refused, a process died."""


@dataclass(frozen=True, slots=True)
class Scale:
    """`runs` paired runs of `seconds` each; amounts of data follow the seconds. `folder` is where data may be put."""

    runs: int
    seconds: float
    workers: int
    folder: Path

    @property
    def full(self) -> bool:
        """Whether the figures are worth keeping."""
        return self.runs >= FULL_RUNS and self.seconds >= FULL_SECONDS

    def amount(self, at_full_scale: int, least: int = 1) -> int:
        """A number of things that belongs to a run of FULL_SECONDS, scaled down for a shorter one."""
        return max(least, int(at_full_scale * min(1.0, self.seconds / FULL_SECONDS)))
