"""API keys: `ams_live_<32 base62 characters, 190 bits><6-character base62 CRC32>`; `ams_test_…` marks keys of tests.
Consume treats both alike.

The checksum (GitHub's recipe for secret scanning) lets a mistyped or invented key be refused without any I/O; it is
hygiene, not security. Stored is `v<pepper version>.<HMAC-SHA256 under that pepper>`: a fast hash is right here, since a
key has more entropy than any password, and the pepper makes a stolen table useless.
"""

import hmac
import re
import secrets
import zlib
from collections.abc import Mapping

from shared.access.models import Environment

BODY_CHARACTERS = 32
CHECKSUM_CHARACTERS = 6
PREFIX_CHARACTERS = len("ams_live_") + 4

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SHAPE = re.compile(rf"ams_(live|test)_[0-9A-Za-z]{{{BODY_CHARACTERS + CHECKSUM_CHARACTERS}}}", re.ASCII)


def _checksum(text: str) -> str:
    number, digits = zlib.crc32(text.encode()), ""
    for _ in range(CHECKSUM_CHARACTERS):
        number, digit = divmod(number, 62)
        digits = _ALPHABET[digit] + digits
    return digits


def new_key(environment: Environment) -> str:
    """Make a new clear key, to be shown once."""
    text = f"ams_{environment}_" + "".join(secrets.choice(_ALPHABET) for _ in range(BODY_CHARACTERS))
    return text + _checksum(text)


def is_well_formed(key: str) -> bool:
    """Check the shape and the checksum of a key, without I/O."""
    return _SHAPE.fullmatch(key) is not None and hmac.compare_digest(
        _checksum(key[:-CHECKSUM_CHARACTERS]), key[-CHECKSUM_CHARACTERS:]
    )


class KeyHasher:
    """Hashes keys, so that none is stored: `peppers` maps version → secret; `current` hashes new keys, all versions are
    tried when a key is looked up."""

    def __init__(self, peppers: Mapping[int, str], current: int) -> None:
        if current not in peppers:
            raise ValueError(f"pepper version {current} is missing")
        versions = sorted(peppers, key=lambda version: version != current)
        self._peppers = [(version, peppers[version].encode()) for version in versions]

    def hash(self, key: str) -> str:
        return _hash(key, *self._peppers[0])

    def candidates(self, key: str) -> list[str]:
        """List the hashes under which the key may be stored, the current pepper's first."""
        return [_hash(key, version, pepper) for version, pepper in self._peppers]


def _hash(key: str, version: int, pepper: bytes) -> str:
    return f"v{version}.{hmac.digest(pepper, key.encode(), 'sha256').hex()}"
