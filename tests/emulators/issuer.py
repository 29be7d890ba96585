"""A sign-in provider on loopback: discovery and keys over real HTTP, and tokens of every kind, good and bad.

It runs in a thread of its own, so that one serves tests with event loops of their own. `with Issuer() as issuer:`;
`issuer.token("subject", email="…")` mints an access token. Keys and behaviour can be changed while it runs.
"""

import base64
import json
import threading
import time
import uuid
from collections import Counter
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from tests.support.ports import free_port

DISCOVERY = "/.well-known/openid-configuration"
JWKS = "/jwks"
AUDIENCE = "https://ams.test/api"
HOLD_S_MAX = 30.0

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@cache
def rsa_key(number: int) -> rsa.RSAPrivateKey:
    """Making one takes a while, so tests share a few."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that went away is none of a test's business."""


class Hold:
    """A request that is kept waiting: `arrived` when it is there, answered after `release`."""

    def __init__(self) -> None:
        self.arrived = threading.Event()
        self.release = threading.Event()


class Issuer:
    """`fetches` counts requests by path, `answers` replaces what a path answers: (status, body)."""

    def __init__(self, audience: str = AUDIENCE) -> None:
        self.audience = audience
        self.fetches: Counter[str] = Counter()
        self.answers: dict[str, tuple[int, bytes]] = {}
        self.keys: dict[str, tuple[str, PrivateKey]] = {}
        self._holds: dict[str, Hold] = {}
        self._turn = 0
        self._server: ThreadingHTTPServer | None = None
        self._port = free_port()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def setting(self) -> dict[str, Any]:
        """Its entry in AMS_OIDC_ISSUERS."""
        return {"issuer": self.url, "audience": self.audience}

    def __enter__(self) -> Self:
        self.rotate()
        self.up()
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    def up(self) -> None:
        """On the same port as before."""
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body = issuer._answer(self.path)
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Tests read `fetches`."""

        self._server = _Server(("127.0.0.1", self._port), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def down(self) -> None:
        """Connections are refused until `up`."""
        if self._server is not None:
            server, self._server = self._server, None
            server.shutdown()
            server.server_close()

    def hold(self, path: str) -> Hold:
        """Keep the next request of a path waiting."""
        self._holds[path] = Hold()
        return self._holds[path]

    def rotate(self) -> None:
        """New keys, and only those: tokens of the old ones are worth nothing once AMS has read the new ones."""
        self._turn += 1
        self.keys = {
            f"rsa-{self._turn}": ("RS256", rsa_key(self._turn % 3)),
            f"ec-{self._turn}": ("ES256", ec.generate_private_key(ec.SECP256R1())),
        }

    def kid(self, algorithm: str = "RS256") -> str:
        return next(kid for kid, (of, _) in self.keys.items() if of == algorithm)

    def jwks(self) -> dict[str, Any]:
        return {
            "keys": [{**public_jwk(key), "kid": kid, "alg": of, "use": "sig"} for kid, (of, key) in self.keys.items()]
        }

    def token(
        self,
        subject: str,
        *,
        algorithm: str = "RS256",
        kid: str | None = None,
        key: Any = None,
        headers: dict[str, Any] | None = None,
        **claims: Any,
    ) -> str:
        """An access token (RFC 9068) of five minutes. `claims` and `headers` go over what is there; None leaves one
        out. `key` signs instead of the issuer's own."""
        kid = kid or (self.kid(algorithm) if key is None else self.kid())
        now = int(time.time())
        payload = {
            "iss": self.url,
            "aud": self.audience,
            "sub": subject,
            "iat": now,
            "exp": now + 300,
            "jti": uuid.uuid4().hex,
            **claims,
        }
        header = {"typ": "at+jwt", "kid": kid, **(headers or {})}
        return sign(_given(payload), _given(header), algorithm, self.keys[kid][1] if key is None else key)

    def _answer(self, target: str) -> tuple[int, bytes]:
        path = target.partition("?")[0]
        self.fetches[path] += 1
        if (hold := self._holds.pop(path, None)) is not None:
            hold.arrived.set()
            hold.release.wait(HOLD_S_MAX)
        if path in self.answers:
            return self.answers[path]
        if path == DISCOVERY:
            return 200, json.dumps({"issuer": self.url, "jwks_uri": self.url + JWKS}).encode()
        if path == JWKS:
            return 200, json.dumps(self.jwks()).encode()
        return 404, b"{}"


def sign(payload: dict[str, Any], header: dict[str, Any], algorithm: str, key: Any) -> str:
    """A token with exactly these contents. `none` signs nothing."""
    if algorithm == "none":
        parts = [{"alg": "none", **header}, payload]
        return ".".join(encode_part(part) for part in parts) + "."
    return jwt.encode(payload, key, algorithm, header)


def encode_part(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


def public_jwk(key: PrivateKey) -> dict[str, Any]:
    public = key.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        return dict(RSAAlgorithm.to_jwk(public, as_dict=True))
    return dict(ECAlgorithm.to_jwk(public, as_dict=True))


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
