"""`python -m scripts.dev_server [arguments of the host]`: the host and the development provider; when one ends, both
do."""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from scripts.local_settings import ROOT, use_local_settings

PROVIDER = Path(__file__).with_name("provider")
PROVIDER_STOP_S = 10.0
"""The provider has nothing that takes long to finish; the host has limits of its own."""


async def run(host: Sequence[str], provider: Sequence[str]) -> int:
    """Run host and provider side by side; returns the host's exit code, or 1 when the provider ended first. A signal to
    stop goes to both."""
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    first = await _start(provider)
    second = await _start(host)
    ends = {asyncio.create_task(process.wait()): process for process in (first, second)}
    stop = asyncio.create_task(stopping.wait())
    await asyncio.wait([*ends, stop], return_when=asyncio.FIRST_COMPLETED)
    fell = first.returncode is not None and not stopping.is_set()
    if fell:
        print(f"the development provider has ended with {first.returncode}; AMS stops too", file=sys.stderr)
    stop.cancel()
    _terminate(second)
    code = await second.wait()  # first: people are still signed in while the last requests are answered
    await _end(first)
    return 1 if fell else code


async def _start(command: Sequence[str]) -> asyncio.subprocess.Process:
    """Start a process in a group of its own, so that Ctrl-C reaches it through us and once only."""
    return await asyncio.create_subprocess_exec(*command, start_new_session=True)


def _terminate(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()


async def _end(process: asyncio.subprocess.Process) -> None:
    _terminate(process)
    try:
        async with asyncio.timeout(PROVIDER_STOP_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def main() -> int:
    use_local_settings()  # the provider reads the environment only
    os.chdir(ROOT)
    return asyncio.run(run([sys.executable, "-m", "scripts.host", *sys.argv[1:]], ["node", str(PROVIDER)]))


if __name__ == "__main__":
    sys.exit(main())
