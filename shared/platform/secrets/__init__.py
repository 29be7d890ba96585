"""The secrets port: named secrets. Contract suite: `tests/platform/secrets/`.

A changed secret gets a new name: what is cached elsewhere stays right, and a vault keeps a deleted name reserved for a
while. Names are 1 to 127 characters of `a-z 0-9 -`, starting with a letter (Key Vault's rule, in lower case;
ValueError).
"""

import re
from typing import Protocol

from shared.kernel.errors import Unavailable

_NAME = re.compile(r"[a-z][a-z0-9-]{0,126}")


def check_name(name: str) -> str:
    """Return `name`, or raise ValueError saying which rule it breaks."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"secret name {name!r} must be 1 to 127 characters of a-z 0-9 - and start with a letter")
    return name


def check_value(value: str) -> str:
    """Return `value`, or raise ValueError, which never repeats it."""
    if not value:
        raise ValueError("a secret must not be empty")
    return value


class SecretMissing(LookupError):
    """There is no such secret, or it is disabled. The message names it and where it was looked for, never a value."""


class SecretsUnavailable(Unavailable):
    """The vault could not be reached, or does not take secrets as it is set up; try again."""


class Secrets(Protocol):
    """Keeps secrets by name."""

    async def get(self, name: str) -> str:
        """Read the current value. Raises SecretMissing, SecretsUnavailable."""
        ...

    async def put(self, name: str, value: str) -> None:
        """Keep a value, over the one that is there; durable when it returns. An empty one is a ValueError. Raises
        SecretsUnavailable."""
        ...

    async def delete(self, name: str) -> None:
        """Delete a secret; that it is gone already is fine. Raises SecretsUnavailable."""
        ...

    async def close(self) -> None: ...
