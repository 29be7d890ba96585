"""What somebody asks of usage, and what it sums up to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from shared.metering.counters import Bucket
from shared.metering.windows import Window

Dimension = Literal["service", "api_key", "project", "image", "version", "feature", "consumer", "merchant"]

FIELDS: Mapping[Dimension, str] = {
    "service": "service_id",
    "api_key": "api_key_id",
    "project": "project_id",
    "image": "image",
    "version": "version",
    "feature": "feature",
    "consumer": "consumer_id",
    "merchant": "merchant_id",
}
"""The field of a dimension, in counters and in slices."""


@dataclass(frozen=True, slots=True)
class UsageSelection:
    """Usage of a window, grouped `by` dimensions (and by the window's intervals), `only` where dimensions have exactly
    these values."""

    window: Window
    by: tuple[Dimension, ...] = ()
    only: Mapping[Dimension, str] = field(default_factory=dict)

    @property
    def dimensions(self) -> frozenset[Dimension]:
        """All dimensions that the selection tells apart."""
        return frozenset(self.by) | self.only.keys()


@dataclass(frozen=True, slots=True)
class GroupSums:
    """Sums of one group. `values` are of the dimensions in `by`, in their order; `interval` is of the window."""

    values: tuple[str, ...]
    interval: int
    sums: Bucket


@dataclass(frozen=True, slots=True)
class SummedUsage:
    """The answer to a selection: `groups` in order of interval and values. All that was counted before `as_of` (RFC
    3339) is among them."""

    groups: tuple[GroupSums, ...]
    as_of: str

    @property
    def total(self) -> Bucket:
        total = Bucket()
        for group in self.groups:
            total.add(group.sums)
        return total
