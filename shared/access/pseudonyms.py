"""What a merchant knows a consumer by: stable for the two of them, and of no use to another merchant."""

import base64
import hmac
from collections.abc import Awaitable, Callable

from shared.platform.secrets import SecretMissing, SecretsUnavailable

PSEUDONYM_SECRET = "pseudonym-pepper"  # noqa: S105 - its name, not its value
PREFIX = "cus_"
CHARACTERS = 26
"""Of base32: 130 bits of the HMAC."""


class Pseudonyms:
    """Makes the pseudonyms by which merchants know consumers: `load` reads a secret by name; PSEUDONYM_SECRET is read
    once, at the first pseudonym, and never changes: with another one every merchant would see strangers."""

    def __init__(self, load: Callable[[str], Awaitable[str]]) -> None:
        self._load = load
        self._pepper: bytes | None = None

    async def of(self, merchant_id: str, consumer_id: str) -> str:
        """Make the pseudonym of a consumer for a merchant: `cus_` and 26 characters of a-z and 2-7: HMAC-SHA256 over
        both ids. Raises SecretsUnavailable."""
        if self._pepper is None:
            try:
                self._pepper = (await self._load(PSEUDONYM_SECRET)).encode()
            except SecretMissing as error:
                raise SecretsUnavailable(str(error)) from error
        digest = hmac.digest(self._pepper, f"{merchant_id}\0{consumer_id}".encode(), "sha256")
        return PREFIX + base64.b32encode(digest).decode().lower()[:CHARACTERS]
