"""The time of what is tested: an application, a service or a store takes it as its `now`."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from shared.kernel.clock import utc_now


class Clock:
    """Called, it is the aware UTC time. It stands still at the moment that it is given, and runs without one."""

    def __init__(self, moment: datetime | None = None) -> None:
        self._stopped_at = moment
        self._ahead = timedelta()

    def __call__(self) -> datetime:
        return (utc_now() if self._stopped_at is None else self._stopped_at) + self._ahead

    @property
    def moment(self) -> datetime:
        return self()

    @moment.setter
    def moment(self, moment: datetime) -> None:
        """Stand still at another moment."""
        self._stopped_at, self._ahead = moment, timedelta()

    def stop(self) -> datetime:
        """Stand still from now on: no month ends between two steps of a test."""
        self.moment = self()
        return self.moment

    def passes(self, **delta: float) -> None:
        """Let time pass; less than none takes it back."""
        self._ahead += timedelta(**delta)

    @contextmanager
    def shifted(self, **delta: float) -> Iterator[None]:
        """Let a block happen so much later, or earlier."""
        before, self._ahead = self._ahead, self._ahead + timedelta(**delta)
        try:
            yield
        finally:
            self._ahead = before

    def seconds(self) -> float:
        return self().timestamp()
