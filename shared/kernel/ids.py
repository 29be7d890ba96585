"""Identifiers: `<prefix>_<12 hex digits of ms><20 random hex digits>`; they sort by creation and cannot be guessed."""

import os
import time
from collections.abc import Callable
from hashlib import sha256


def new_id(prefix: str, now_ns: Callable[[], int] = time.time_ns) -> str:
    """Make a new identifier, such as `req_019aa5b3c1f2…`: 48 bits of Unix milliseconds, then 80 random bits."""
    return f"{prefix}_{now_ns() // 1_000_000:012x}{os.urandom(10).hex()}"


def known_id(prefix: str, *parts: str) -> str:
    """Make the same identifier for the same parts: whoever does something again meets what was done."""
    text = "\0".join(parts)
    return f"{prefix}_{sha256(text.encode()).hexdigest()[:32]}"
