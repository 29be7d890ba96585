"""A loopback peer of Azure Key Vault: enough of its REST API, over real TLS, for the SDK to read and keep secrets.

Like the real one it answers the first, unauthorised request with a challenge, names itself in errors by code, refuses a
disabled secret with 403, and keeps the name of a deleted one reserved. `faults` are answered first, one a request,
before any of that.
"""

import datetime
import ipaddress
import ssl
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.ports import free_port

HOST = "127.0.0.1"
CHALLENGE = 'Bearer authorization="https://login.microsoftonline.com/tenant", resource="https://vault.azure.net"'


@dataclass
class Fault:
    """An answer in place of the right one."""

    status: int
    code: str
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Secret:
    value: str
    enabled: bool = True


class KeyVaultPeer:
    """`reads` lists the names asked for with a good token. Restarting keeps the port and the secrets."""

    def __init__(self, folder: Path, token: str) -> None:
        self.secrets: dict[str, Secret] = {}
        self.faults: deque[Fault] = deque()
        self.reads: list[str] = []
        self.deleted: set[str] = set()
        self.ca_file = folder / "vault.pem"
        self._token = token
        self._tls = tls_of(write_certificate(self.ca_file))
        self._runner: web.AppRunner | None = None
        self._port = free_port()

    @property
    def url(self) -> str:
        return f"https://{HOST}:{self._port}"

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/secrets/{name}/{version:.*}", self._get)
        app.router.add_put("/secrets/{name}", self._put)
        app.router.add_delete("/secrets/{name}", self._delete)
        app.router.add_get("/deletedsecrets/{name}", self._get_deleted)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, self._port, ssl_context=self._tls).start()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def _refusal(self, request: web.Request) -> web.Response | None:
        if self.faults:
            fault = self.faults.popleft()
            return error(fault.status, fault.code, headers=fault.headers)
        if request.headers.get("Authorization") != f"Bearer {self._token}":
            return error(401, "Unauthorized", headers={"WWW-Authenticate": CHALLENGE})
        return None

    async def _get(self, request: web.Request) -> web.Response:
        if (refusal := self._refusal(request)) is not None:
            return refusal
        name = request.match_info["name"]
        self.reads.append(name)
        secret = self.secrets.get(name.lower())
        if secret is None:
            return error(404, "SecretNotFound")
        if not secret.enabled:
            return error(403, "Forbidden", inner="SecretDisabled")
        return web.json_response({"value": secret.value, **self._bundle(name)})

    async def _put(self, request: web.Request) -> web.Response:
        if (refusal := self._refusal(request)) is not None:
            return refusal
        name = request.match_info["name"].lower()
        if name in self.deleted:
            return error(409, "Conflict", inner="ObjectIsDeletedButRecoverable")
        self.secrets[name] = Secret((await request.json())["value"])
        return web.json_response({"value": self.secrets[name].value, **self._bundle(name)})

    async def _delete(self, request: web.Request) -> web.Response:
        if (refusal := self._refusal(request)) is not None:
            return refusal
        name = request.match_info["name"].lower()
        if self.secrets.pop(name, None) is None:
            return error(404, "SecretNotFound")
        self.deleted.add(name)
        return web.json_response(self._deleted_bundle(name))

    async def _get_deleted(self, request: web.Request) -> web.Response:
        name = request.match_info["name"].lower()
        if name not in self.deleted:
            return error(404, "SecretNotFound")
        return web.json_response(self._deleted_bundle(name))

    def _bundle(self, name: str) -> dict[str, object]:
        attributes = {"enabled": True, "created": 1, "updated": 1, "recoveryLevel": "Recoverable+Purgeable"}
        return {"id": f"{self.url}/secrets/{name}/{1:032x}", "attributes": attributes}

    def _deleted_bundle(self, name: str) -> dict[str, object]:
        recovery = {"recoveryId": f"{self.url}/deletedsecrets/{name}", "deletedDate": 1, "scheduledPurgeDate": 2}
        return {**self._bundle(name), **recovery}


def error(status: int, code: str, *, inner: str = "", headers: dict[str, str] | None = None) -> web.Response:
    body: dict[str, object] = {"code": code, "message": f"{code} at the peer"}
    if inner:
        body["innererror"] = {"code": inner}
    return web.json_response({"error": body}, status=status, headers=headers)


def tls_of(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def write_certificate(path: Path) -> Path:
    """A self-signed certificate for the loopback address and its key, in one PEM file, good for a day."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Key Vault peer")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    path.chmod(0o600)
    return path
