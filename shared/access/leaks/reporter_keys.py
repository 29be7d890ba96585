"""The public keys of whoever reports leaked keys, and what they signed.

The list is in GitHub's format (`{"public_keys": [{"key_identifier", "key", "is_current"}]}`); all of its keys count,
since a report may be on its way while they are changed. Whoever sends a report names the key, so an identifier that is
not known costs at most one fetch per COOLDOWN_S.
"""

import asyncio
import base64
import binascii
import logging
import time
from collections.abc import Callable, Mapping

from shared.identity.sign_in.json_fetch import FETCH_S, FetchFailed, fetch_json
from shared.kernel.errors import Unavailable
from shared.platform.upstream import Upstream, UpstreamError

COOLDOWN_S = 30.0
REFRESH_S = 3_600.0
"""After which a key that was taken off the list does not count any more, unless the list cannot be read."""

_logger = logging.getLogger(__name__)


class ReporterKeysUnavailable(Unavailable):
    """There are no public keys, and their list cannot be read."""


class ReporterKeys:
    """Verifies signatures of reports with the reporter's public keys, whose list is at `url`: the operator's choice, so
    `http` may call any address."""

    def __init__(self, url: str, http: Upstream, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._http = http
        self._monotonic = monotonic
        self._keys: Mapping[str, str] = {}
        self._read_at: float | None = None
        self._tried_at: float | None = None
        self._fetch = asyncio.Lock()

    async def verify(self, identifier: str, signature: str, body: bytes) -> bool:
        """Say whether `signature` (base64 of an ECDSA signature over the SHA-256 of the body) is of the key that is
        named so. Raises ReporterKeysUnavailable."""
        key = await self._find(identifier)
        return key is not None and _is_signed(key, signature, body)

    async def _find(self, identifier: str) -> str | None:
        now = self._monotonic()
        old = self._read_at is None or now - self._read_at >= REFRESH_S
        if old or identifier not in self._keys:
            async with self._fetch:
                await self._refresh(now)
        if self._read_at is None:
            raise ReporterKeysUnavailable("the public keys for leak reports cannot be read")
        return self._keys.get(identifier)

    async def _refresh(self, asked_at: float) -> None:
        """One fetch serves all who wait for it; whatever comes of it, the next is COOLDOWN_S later."""
        if self._tried_at is not None and asked_at - self._tried_at < COOLDOWN_S:
            return
        self._tried_at = self._monotonic()
        try:
            async with asyncio.timeout(FETCH_S):
                self._keys = await self._load()
            self._read_at = self._tried_at
        except (FetchFailed, UpstreamError, TimeoutError) as error:
            _logger.warning("no public keys for leak reports: %s", error or "no answer in time")

    async def _load(self) -> Mapping[str, str]:
        document = await fetch_json(self._http, self._url)
        try:
            return {str(each["key_identifier"]): str(each["key"]) for each in document["public_keys"]}
        except (KeyError, TypeError):
            raise FetchFailed("not a list of public keys") from None


def _is_signed(pem: str, signature: str, body: bytes) -> bool:
    # Here, so that only a process that gets a report pays for the import.
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(pem.encode())
        if not isinstance(key, EllipticCurvePublicKey):
            return False
        key.verify(base64.b64decode(signature, validate=True), body, ECDSA(SHA256()))
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, binascii.Error):
        return False
    return True
