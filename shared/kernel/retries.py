"""Beginning anew when somebody else was first: what optimistic concurrency needs wherever a document is changed."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from shared.kernel.errors import Problem

T = TypeVar("T")

CONFLICT_ATTEMPTS_MAX = 20
CONFLICT_PAUSE_S_MAX = 0.05


async def retry(
    attempt: Callable[[], Awaitable[T]],
    *,
    on: type[Exception] | tuple[type[Exception], ...] | Callable[[BaseException], bool],
    attempts_max: int,
    pause_s_max: float = 0.0,
    otherwise: Callable[[], Exception] | None = None,
) -> T:
    """Await `attempt` until it does not raise what `on` names, at most `attempts_max` times, with random pauses of up
    to `pause_s_max` seconds. Raises what `otherwise` makes, or what the last attempt raised; anything else at once."""
    # Not at the top: a new instance imports this module before its first call, and that call retries nothing.
    from tenacity import AsyncRetrying, retry_if_exception, retry_if_exception_type, stop_after_attempt, wait_random

    wanted = retry_if_exception_type(on) if isinstance(on, type | tuple) else retry_if_exception(on)
    retrying = AsyncRetrying(
        stop=stop_after_attempt(attempts_max), wait=wait_random(0, pause_s_max), retry=wanted, reraise=True
    )

    async def awaited() -> T:  # tenacity awaits only what it sees to be a coroutine function, and no lambda is
        return await attempt()

    try:
        return await retrying(awaited)
    except Exception as error:
        failed = isinstance(error, on) if isinstance(on, type | tuple) else on(error)
        if otherwise is None or not failed:
            raise
        raise otherwise() from error


def is_conflict(error: BaseException) -> bool:
    """Say whether an error is the problem 409 `conflict`: somebody else changed the same document at the same time."""
    return isinstance(error, Problem) and error.code == "conflict"


async def retry_on_conflict(
    attempt: Callable[[], Awaitable[T]],
    *,
    attempts_max: int = CONFLICT_ATTEMPTS_MAX,
    pause_s_max: float = CONFLICT_PAUSE_S_MAX,
) -> T:
    """Retry a change that is still meant when somebody else was first. Raises Problem 409 `conflict` at last."""
    return await retry(attempt, on=is_conflict, attempts_max=attempts_max, pause_s_max=pause_s_max)
