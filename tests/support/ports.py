"""A port for a process that must be told its own beforehand, and that keeps it however often it starts again."""

import os
import random
import socket
from collections import deque

_NEVER_GIVEN_OUT = range(20_000, 32_768)
"""Below what Linux and macOS give to whoever asks for any port, and to every client: nobody comes by one of these
between the look and the start, nor between two starts. Browsers refuse none of them."""

_WORKERS_MAX = 8
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _WORKERS_MAX
_OURS = _NEVER_GIVEN_OUT[_WORKER::_WORKERS_MAX]  # workers of one test run do not know what others were given

_chance = random.SystemRandom()  # `random` itself starts from the same seed in every run that repeats another
_given: deque[int] = deque(maxlen=1_000)


def free_port() -> int:
    """Of 127.0.0.1. None of the last thousand that were returned, which may not be in use yet."""
    while True:
        port = _chance.choice(_OURS)
        if port not in _given and _is_free(port):
            _given.append(port)
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
