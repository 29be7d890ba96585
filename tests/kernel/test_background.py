"""Work in the background: one run at a time, closed for good, in a process of its own where it is heavy."""

import asyncio
import os
from pathlib import Path

import pytest

from shared.kernel.background import Runner, in_own_process


async def test_what_is_asked_for_while_it_works_is_done_after_it_once() -> None:
    worked, at_work, go_on = [], asyncio.Event(), asyncio.Event()

    async def work() -> None:
        worked.append(len(worked))
        at_work.set()
        await go_on.wait()

    runner = Runner(work)
    runner.start()
    await at_work.wait()
    for _ in range(5):
        runner.start()
    go_on.set()
    await runner.drain()
    assert worked == [0, 1]


async def test_a_runner_that_fails_works_again_and_a_closed_one_does_not() -> None:
    worked: list[int] = []

    async def work() -> None:
        worked.append(1)
        raise RuntimeError("no")

    runner = Runner(work)
    for _ in range(2):
        runner.start()
        await runner.drain()
    await runner.close()
    runner.start()
    await runner.drain()
    assert len(worked) == 2


async def test_closing_ends_the_process_that_is_at_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = tmp_path / "begun"
    code = f"import os, pathlib, signal\npathlib.Path({str(begun)!r}).write_text(str(os.getpid()))\nsignal.pause()\n"
    (tmp_path / "never_ends.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    runner = Runner(lambda: in_own_process("never_ends"))
    runner.start()
    async with asyncio.timeout(30):
        while not begun.exists() or not begun.read_text():  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.01)
        await runner.close()
    with pytest.raises(ProcessLookupError):
        os.kill(int(begun.read_text()), 0)


async def test_a_process_that_fails_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="no_such_module ended with 1"):
        await in_own_process("no_such_module")
