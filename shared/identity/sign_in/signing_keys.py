"""The public keys of one sign-in provider: found by discovery, kept, and never lost to a provider that fails.

Whoever sends a token chooses its `kid`, so an unknown one may cost the provider at most one fetch per COOLDOWN_S, and
costs nobody else anything: known keys are served from memory while a fetch is under way, after it failed, and after it
brought nothing. Keys older than REFRESH_S are renewed in the background.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from jwt import PyJWK, PyJWTError

from shared.identity.sign_in.issuers import Issuer, check_provider_url
from shared.identity.sign_in.json_fetch import FETCH_S, FetchFailed, fetch_json
from shared.kernel.errors import Problem
from shared.platform.upstream import Upstream, UpstreamError

COOLDOWN_S = 30.0
REFRESH_S = 600.0
STALE_S_MAX = 24 * 3600.0
"""How long keys are used without a provider that confirms them."""

DISCOVERY_S = 3600.0
KEYS_MAX = 100
_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "EdDSA": "Ed25519"}
_logger = logging.getLogger(__name__)

KeysByIdAndAlgorithm = Mapping[tuple[str, str], PyJWK]
"""By (kid, algorithm)."""


class SigningKeys:
    """The keys of one issuer, fetched and kept. `http` may call any address: which provider is called is the operator's
    choice."""

    def __init__(self, issuer: Issuer, http: Upstream, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._issuer = issuer
        self._http = http
        self._monotonic = monotonic
        self._keys: KeysByIdAndAlgorithm = {}
        self._kids: frozenset[str] = frozenset()
        self._confirmed_at: float | None = None
        self._tried_at: float | None = None
        self._jwks_uri: tuple[float, str] | None = None
        self._fetching: asyncio.Task[None] | None = None

    async def find(self, kid: str, algorithm: str) -> PyJWK | None:
        """Find the key, or None when the provider has none of that name for that algorithm.
        Raises Problem 503 while there are no keys and the provider does not answer."""
        if not self._usable():
            await self._fetch()
            if not self._usable():
                raise _no_keys()
        elif kid not in self._kids:
            await self._fetch()
        elif self._age() >= REFRESH_S:
            self._start()  # nobody waits for it
        return self._keys.get((kid, algorithm))

    async def close(self) -> None:
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.wait([self._fetching])

    def _age(self) -> float:
        return float("inf") if self._confirmed_at is None else self._monotonic() - self._confirmed_at

    def _usable(self) -> bool:
        return self._age() < STALE_S_MAX

    async def _fetch(self) -> None:
        """Wait for the fetch that is under way, or that may be started now; else return at once."""
        self._start()
        if self._fetching is not None:
            await asyncio.wait([self._fetching])  # unlike awaiting it, does not cancel it for the others

    def _start(self) -> None:
        now = self._monotonic()
        cooling = self._tried_at is not None and now - self._tried_at < COOLDOWN_S
        if self._fetching is None and not cooling:
            self._tried_at = now  # counts whatever comes of it
            self._fetching = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        started = self._monotonic()
        try:
            async with asyncio.timeout(FETCH_S):
                keys = await self._load()
        except (FetchFailed, UpstreamError, TimeoutError) as error:
            self._jwks_uri = None  # it may have moved
            _logger.warning("no keys from %s: %s", self._issuer.issuer, error or "no answer in time")
        else:
            self._keys, self._kids = keys, frozenset(kid for kid, _ in keys)
            self._confirmed_at = started
        finally:
            self._fetching = None

    async def _load(self) -> KeysByIdAndAlgorithm:
        now = self._monotonic()
        if self._jwks_uri is None or now - self._jwks_uri[0] >= DISCOVERY_S:
            self._jwks_uri = (now, await self._discover())
        found = await fetch_json(self._http, self._jwks_uri[1])
        listed = found.get("keys")
        keys = usable_keys(listed if isinstance(listed, list) else [], self._issuer.algorithms)
        if not keys:  # good keys are never replaced by nothing
            raise FetchFailed("its key set holds no usable key")
        return keys

    async def _discover(self) -> str:
        document = await fetch_json(self._http, self._issuer.discovery)
        if document.get("issuer") != self._issuer.issuer:  # OpenID Connect Discovery 1.0, section 4.3
            raise FetchFailed(f"its discovery document is that of {str(document.get('issuer'))[:200]!r}")
        found = str(document.get("jwks_uri"))
        try:
            check_provider_url(found)
        except ValueError as error:
            raise FetchFailed(f"its jwks_uri {error}") from None
        if urlsplit(found).scheme != urlsplit(self._issuer.issuer).scheme:
            raise FetchFailed("its jwks_uri is less safe than itself")
        return found


def usable_keys(listed: list[Any], algorithms: tuple[str, ...]) -> KeysByIdAndAlgorithm:
    """Read the public signing keys of a JWK set (RFC 7517) for each algorithm that they fit; everything else is left
    out."""
    found: dict[tuple[str, str], PyJWK] = {}
    for jwk in listed[:KEYS_MAX]:
        if not isinstance(jwk, dict) or not isinstance(jwk.get("kid"), str) or jwk.get("use", "sig") != "sig":
            continue
        if "d" in jwk:
            continue  # a private key that is published is nobody's secret
        for algorithm in algorithms:
            if _fits(jwk, algorithm):
                try:
                    found[jwk["kid"], algorithm] = PyJWK(jwk, algorithm)
                except (PyJWTError, ValueError, TypeError):
                    _logger.warning("the key %s is left out: it cannot be read", jwk["kid"][:80])
    return found


def _fits(jwk: dict[str, Any], algorithm: str) -> bool:
    if jwk.get("alg", algorithm) != algorithm:
        return False
    if algorithm in _CURVES:
        kty = "OKP" if algorithm == "EdDSA" else "EC"
        return jwk.get("kty") == kty and jwk.get("crv") == _CURVES[algorithm]
    return jwk.get("kty") == "RSA"


def _no_keys() -> Problem:
    detail = "The sign-in provider does not answer right now, so nobody's token can be checked. Try again later."
    return Problem(503, "service_unavailable", detail, headers={"Retry-After": f"{COOLDOWN_S:.0f}"})
