"""Access tokens of the sign-in provider: is this one real, for us, of now, and who does it say it is?

AMS never sees a password and makes no token itself. What a token's own header proposes (`jku`, `x5u`, `jwk`, `x5c`) is
never looked at: keys come from the configured issuers only, and so do the algorithms.
"""

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import jwt

from shared.identity.models import clean_email
from shared.identity.sign_in.issuers import Issuer, plain_type
from shared.identity.sign_in.signing_keys import SigningKeys
from shared.kernel.errors import Problem
from shared.platform.upstream import Upstream

LEEWAY_S = 30
TOKEN_CHARACTERS_MAX = 16 * 1024
SUBJECT_CHARACTERS_MAX = 255
"""OpenID Connect Core 1.0, section 2."""

_REQUIRED = ["iss", "aud", "sub", "exp", "iat"]
_OF_ID_TOKENS = ("at_hash", "c_hash")
_TRUE = (True, 1, "1", "true", "True")
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """The claims of a verified token. `email` is in lower case, `issued_at` in Unix seconds. `session_id` is made of
    the claim that the issuer's mapping names, else of `jti`, else of the token: the same for tokens of one session."""

    issuer: str
    subject: str
    session_id: str
    issued_at: int
    email: str | None
    email_verified: bool
    name: str | None


class _Refused(Exception):
    """Why a token is not taken; for the log only."""


class TokenVerifier:
    """Verifies access tokens with the keys of the issuers that are trusted; one per process."""

    def __init__(
        self, issuers: Sequence[Issuer], http: Upstream, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._issuers = {issuer.issuer: (issuer, SigningKeys(issuer, http, monotonic)) for issuer in issuers}

    async def verify(self, token: str) -> Claims:
        """Verify an access token. Raises Problem 401 `token_invalid`, with one text for every reason; 503 while there
        are no keys."""
        try:
            return await self._verify(token)
        except (_Refused, jwt.PyJWTError) as error:
            _logger.info("a token was refused: %s", str(error)[:200])
            raise invalid_token() from None

    async def close(self) -> None:
        for _, keys in self._issuers.values():
            await keys.close()

    async def _verify(self, token: str) -> Claims:
        if len(token) > TOKEN_CHARACTERS_MAX:
            raise _Refused("it is too long")
        unverified = jwt.decode_complete(token, options={"verify_signature": False})
        header, named = unverified["header"], unverified["payload"].get("iss")
        found = self._issuers.get(named) if isinstance(named, str) else None
        if found is None:
            raise _Refused("its issuer is not configured")
        issuer, keys = found
        algorithm, kid = _check_header(header, issuer)
        key = await keys.find(kid, algorithm)
        if key is None:
            raise _Refused("its issuer has no such key")
        payload = jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            audience=issuer.audience,
            issuer=issuer.issuer,
            leeway=LEEWAY_S,
            options={"require": _REQUIRED, "enforce_minimum_key_length": True},
        )
        return _read(payload, issuer, token)


def _check_header(header: Mapping[str, Any], issuer: Issuer) -> tuple[str, str]:
    """Algorithm and key id."""
    if "crit" in header or "b64" in header:
        raise _Refused("its header asks for an extension")
    algorithm, kid, typ = header.get("alg"), header.get("kid"), header.get("typ", "")
    if algorithm not in issuer.algorithms:
        raise _Refused("its algorithm is not the issuer's")
    if not isinstance(kid, str):
        raise _Refused("it names no key")
    if not isinstance(typ, str) or plain_type(typ) not in issuer.token_types:
        raise _Refused("it is not an access token by its `typ`")
    return algorithm, kid


def _read(payload: Mapping[str, Any], issuer: Issuer, token: str) -> Claims:
    if any(name in payload for name in _OF_ID_TOKENS):  # where `typ` does not tell them from access tokens
        raise _Refused("it is an ID token")
    subject, issued_at = payload["sub"], payload["iat"]
    if not 1 <= len(subject) <= SUBJECT_CHARACTERS_MAX or not subject.isprintable():
        raise _Refused("its subject is empty, too long or not text")
    if isinstance(issued_at, bool) or not isinstance(issued_at, int | float):
        raise _Refused("its time of issue is not a number")
    names = issuer.claims
    email = clean_email(payload.get(names.email))
    verified = names.email_verified is not None and payload.get(names.email_verified) in _TRUE
    return Claims(
        issuer=issuer.issuer,
        subject=subject,
        session_id=_session_id(payload, issuer, token),
        issued_at=int(issued_at),
        email=email,
        email_verified=verified and email is not None,
        name=_clean_name(payload.get(names.name)),
    )


def _clean_name(value: object) -> str | None:
    """A name as people may be shown it: without controls, at most 200 characters."""
    text = "".join(c for c in value if c.isprintable()).strip() if isinstance(value, str) else ""
    return text[:200].strip() or None


def _session_id(payload: Mapping[str, Any], issuer: Issuer, token: str) -> str:
    by = ("session", payload.get(issuer.claims.session)), ("jti", payload.get("jti")), ("token", token)
    kind, value = next((kind, value) for kind, value in by if isinstance(value, str) and value)
    return "ses_" + sha256(json.dumps([issuer.issuer, payload["sub"], kind, value]).encode()).hexdigest()[:40]


def bearer(headers: Mapping[str, str]) -> str:
    """Read the access token of a request. Raises Problem 401 `token_missing`, also when there is an API key instead."""
    scheme, _, token = headers.get("authorization", "").strip().partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token or token.startswith("ams_"):
        raise Problem(
            401,
            "token_missing",
            "Sign in: an access token is required, as Authorization: Bearer.",
            headers={"WWW-Authenticate": "Bearer"},
        )
    return token


def invalid_token() -> Problem:
    detail = "The access token is not valid here, or not any more. Sign in again."
    return Problem(401, "token_invalid", detail, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})
