"""The development provider for tests: a real one on a free port, with data of its own, and people who sign in there."""

import json
import os
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from scripts.commands.sign_in import SignIn, Tokens, read_outbox
from scripts.commands.sign_in import sign_in as sign_in_at
from scripts.dev_server import PROVIDER
from tests.support.ports import free_port

__all__ = ["PORTAL", "Provider", "SignIn", "Tokens", "claims", "refresh", "sign_in", "sign_up"]

PORTAL = "http://127.0.0.1:7071/signed-in.html"
"""The redirect URI of the client `ams-portal`."""

START_S, STOP_S, CALL_S = 60.0, 60.0, 60.0
POLL_S = 0.02


class Provider:
    """`start`, `stop` and `kill` as often as one likes: data, address and keys stay."""

    def __init__(self, data: Path, **settings: str) -> None:
        self.data = data
        self.issuer = ""
        self.log = data.parent / f"{data.name}.provider.log"
        self._port = free_port()
        # Every test calls from the same address; what one address may ask for is tested with a limit of its own.
        self._settings = {"AMS_PROVIDER_CODES_PER_ADDRESS": "100000", **settings}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def issuers(self) -> str:
        """What AMS takes as AMS_OIDC_ISSUERS."""
        return json.dumps([{"issuer": self.issuer, "audience": "ams", "algorithms": ["RS256"]}])

    @property
    def port(self) -> int:
        return self._port

    @property
    def environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AMS_")}
        return {**inherited, "AMS_DATA": str(self.data), "AMS_PROVIDER_PORT": str(self._port), **self._settings}

    def start(self) -> None:
        """Returns when it serves."""
        assert self._process is None, "started already"
        if not (PROVIDER / "node_modules").exists():
            raise RuntimeError("the provider's packages are missing: run `npm ci --prefix scripts/provider`")
        with self.log.open("ab") as log:
            start = log.tell()
            self._process = subprocess.Popen(["node", PROVIDER], env=self.environment, stdout=log, stderr=log)
        deadline = time.monotonic() + START_S
        while (found := re.search(r"serves (http://127\.0\.0\.1:\d+)\n", self._said(start))) is None:
            if self._process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the provider does not serve:\n{self._said(start)}")
            time.sleep(POLL_S)
        self.issuer = found[1]

    def stop(self) -> int:
        """As an operator would, with SIGTERM. Returns the exit code."""
        assert self._process is not None, "not started"
        process, self._process = self._process, None
        process.terminate()
        try:
            return process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            pytest.fail(f"the provider did not stop within {STOP_S:g} s\n{self._said(0)}")

    def kill(self) -> None:
        assert self._process is not None, "not started"
        self._process.kill()
        self._process.wait()
        self._process = None

    def close(self) -> None:
        if self._process is not None:
            self.kill()

    def code(self, email: str) -> str:
        """The newest code that was sent to an address."""
        return read_outbox(self.data / "mail", email)

    def _said(self, start: int) -> str:
        return self.log.read_bytes()[start:].decode()


def sign_in(provider: Provider, email: str, name: str | None = None) -> Tokens:
    """Sign a person in, or up with this name (default: what stands before the @)."""
    return sign_in_at(provider.issuer, email, lambda: provider.code(email), name)


def refresh(provider: Provider, refresh_token: str) -> Tokens:
    """New tokens; the refresh token works once."""
    with SignIn(provider.issuer) as person:
        return person.refresh(refresh_token)


def sign_up(provider: Provider, person: SignIn, email: str) -> Tokens:
    """A new person, at this browser."""
    person.begin()
    person.ask_code(email)
    person.enter_code(provider.code(email))
    person.enter_name("Somebody")
    return person.tokens()


def claims(provider: Provider, token: str, audience: str = "ams") -> dict[str, Any]:
    """Of a token that is verified as anybody would, by discovery."""
    found = httpx.get(f"{provider.issuer}/.well-known/openid-configuration", timeout=CALL_S).json()
    assert found["issuer"] == provider.issuer
    key = jwt.PyJWKClient(found["jwks_uri"]).get_signing_key_from_jwt(token)
    return jwt.decode(token, key, algorithms=["RS256"], audience=audience, issuer=provider.issuer)
