"""Retries: what is tried again, how often, and what is raised then."""

import pytest

from shared.audit.journal import conflict
from shared.kernel.errors import Problem
from shared.kernel.retries import retry, retry_on_conflict


class OvertakenError(Exception):
    """Somebody else was first."""


class Attempts:
    """Fails with these errors, one a time, and then succeeds."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.made = 0

    async def __call__(self) -> int:
        self.made += 1
        if self.errors:
            raise self.errors.pop(0)
        return self.made


async def test_it_begins_anew_until_it_succeeds() -> None:
    assert await retry(Attempts(OvertakenError(), OvertakenError()), on=OvertakenError, attempts_max=3) == 3


async def test_a_lambda_is_awaited_too() -> None:
    attempts = Attempts(OvertakenError())
    assert await retry(lambda: attempts(), on=OvertakenError, attempts_max=2) == 2


async def test_it_raises_the_last_error_when_it_was_tried_often_enough() -> None:
    attempts = Attempts(*(OvertakenError(str(number)) for number in range(5)))
    with pytest.raises(OvertakenError, match="2"):
        await retry(attempts, on=OvertakenError, attempts_max=3)
    assert attempts.made == 3


async def test_it_raises_what_its_caller_wants_instead() -> None:
    attempts = Attempts(OvertakenError(), OvertakenError())
    with pytest.raises(Problem, match="conflict") as caught:
        await retry(attempts, on=(OvertakenError, KeyError), attempts_max=2, otherwise=conflict)
    assert isinstance(caught.value.__cause__, OvertakenError)


async def test_any_other_error_is_raised_at_once_as_it_is() -> None:
    attempts = Attempts(ValueError("bad"))
    with pytest.raises(ValueError, match="bad"):
        await retry(attempts, on=OvertakenError, attempts_max=3, otherwise=conflict)
    assert attempts.made == 1


async def test_only_a_conflict_is_one() -> None:
    assert await retry_on_conflict(Attempts(conflict()), pause_s_max=0) == 2
    with pytest.raises(Problem, match="state_invalid"):
        await retry_on_conflict(Attempts(Problem(409, "state_invalid", "No.")))
