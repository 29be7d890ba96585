"""The sign-in providers whose access tokens AMS takes: the setting `AMS_OIDC_ISSUERS` (docs/sign-in.md)."""

import json
from collections.abc import Sequence
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Asymmetric only: with a shared secret, whoever verifies a token could make one."""

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def check_provider_url(url: str) -> str:
    """Return `url`, or raise ValueError: keys that come over plain HTTP could be anybody's."""
    parts = urlsplit(url)
    loopback = parts.scheme == "http" and parts.hostname in LOOPBACK
    if not parts.hostname or not (parts.scheme == "https" or loopback):
        raise ValueError("must be an https URL; http is for loopback only")
    if parts.username is not None or parts.fragment:
        raise ValueError("must not carry a user name or fragment")
    return url


ProviderUrl = Annotated[str, AfterValidator(check_provider_url)]
ClaimName = Annotated[str, Field(min_length=1, max_length=200)]


def plain_type(typ: str) -> str:
    """Return a token's `typ` as it is compared: RFC 7515 lets `application/` be left out, and case does not matter."""
    return typ.strip().lower().removeprefix("application/")


class ClaimNames(BaseModel):
    """The names of the claims of one provider. `email_verified` null: this provider's e-mail addresses are never taken
    as verified."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    email: ClaimName = "email"
    email_verified: ClaimName | None = "email_verified"
    name: ClaimName = "name"
    session: ClaimName = "sid"


class Issuer(BaseModel):
    """A provider whose access tokens are taken; `issuer` is compared with `iss` character by character. `token_types`
    are the accepted `typ` headers, where an empty text accepts a token without one. Keys come from `discovery_url`, by
    default below the issuer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    issuer: ProviderUrl
    audience: Annotated[str, Field(min_length=1, max_length=500)]
    algorithms: Annotated[tuple[Algorithm, ...], Field(min_length=1)] = ("RS256", "ES256")
    token_types: Annotated[tuple[Annotated[str, AfterValidator(plain_type)], ...], Field(min_length=1)] = ("at+jwt",)
    claims: ClaimNames = ClaimNames()
    discovery_url: ProviderUrl | None = None

    @property
    def discovery(self) -> str:
        return self.discovery_url or self.issuer.rstrip("/") + "/.well-known/openid-configuration"


def _parse(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise ValueError("must be a JSON list of issuers") from None


def _check_different(issuers: Sequence[Issuer]) -> Sequence[Issuer]:
    if len({issuer.issuer for issuer in issuers}) != len(issuers):
        raise ValueError("must not name an issuer twice")
    return issuers


Issuers = Annotated[tuple[Issuer, ...], BeforeValidator(_parse), AfterValidator(_check_different)]
