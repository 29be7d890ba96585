"""The spool port: where usage of forwarded calls waits for the stream, on this machine's disk.

`append` returns when the event would survive the end of the process. A background task publishes what waits, with the
same bytes until the stream confirms, and then forgets it; what a dead process left behind is shipped by another one.
Contract suite: `tests/platform/spool/`.
"""

from typing import Protocol

from shared.kernel.errors import Unavailable


class SpoolUnavailable(Unavailable):
    """The spool is full or its disk fails: the event is not safe."""


class Spool(Protocol):
    """Keeps usage events on the disk of this machine until the stream has confirmed them."""

    @property
    def waiting(self) -> int:
        """How many events of this process the stream has not confirmed yet."""
        ...

    def check(self) -> None:
        """Check that an event could be appended. Raises SpoolUnavailable when an append would, as far as one can know
        without trying."""
        ...

    async def append(self, partition_key: str, event: bytes) -> None:
        """Append an event. Raises SpoolUnavailable."""
        ...

    async def ready(self) -> None:
        """Check that events can be appended. Raises SpoolUnavailable when an append would; starts shipping what dead
        processes left."""
        ...

    async def close(self) -> None:
        """Ship what waits, for a bounded time; the rest stays on disk for the next process."""
        ...
