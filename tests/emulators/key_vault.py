"""A loopback peer of Azure Key Vault: enough of its REST API, over real TLS, for the SDK to read and keep secrets.

Like the real one it answers the first, unauthorised request with a challenge, names itself in errors by code, refuses a
disabled secret with 403, and keeps the name of a deleted one reserved. `faults` are answered first, one a request,
before any of that.
"""

from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from tests.support.certificates import HOST, server_tls, write_certificate
from tests.support.ports import free_port

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
        self._tls = server_tls(write_certificate(self.ca_file))
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
