"""The management API in process: the real application on SQLite, real tokens of a provider on loopback.

    async def test_a_person_sees_their_account(api: Api) -> None:
        ann = await api.sign_in("Ann")
        answer = await ann.get("/api/v1/me")
        assert answer.json()["name"] == "Ann"

- `await api.sign_in(name, admin=False, email=None)` makes a new person (the e-mail is verified by the provider) with
  `.account`, `.token` and `get`, `post`, `patch`, `put`, `delete(path, json=None, headers=None, **httpx's own)`, which
  answer `httpx.Response`. Paths are whole: `/api/v1/me`. The account is as of the sign-in: `await person.reload()`.
- `api.anonymous` is the same without a token.
- `api.app` is `shared.bootstrap.Application`: `api.app.audit.journal`, `api.app.access.store`, ...; `api.issuer`
  is the provider (`tests/emulators/issuer.py`); `await api.drain()` waits for tasks in the background, such as mails.
- `api.builder` puts merchants, services, consumers and so on into the stores (`tests/support/market.py`).
- `api.clock` is the time of the application (`tests/support/clock.py`): `api.clock.passes(minutes=2)`.
- `api.mails()` are the messages in the outbox folder, oldest first.
- Consume is not part of this application; `api.app.metering.consume` is its service.

Everything is fresh for each test. What is cached (AMS_AUTH_CACHE_S) is not cached here, so other stores' writes count
at once; a test of caching opens its own `Api(folder, issuer, AMS_AUTH_CACHE_S="1")`.
"""

import json
import secrets
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import httpx

from shared.audit.models import SYSTEM
from shared.bootstrap import Application
from shared.identity.models import Account
from shared.identity.store import ACCOUNT_DOCUMENT, ACCOUNTS, login_key
from shared.platform.documents import Replace
from shared.settings import load_settings
from tests.emulators.issuer import Issuer
from tests.support.clock import Clock
from tests.support.market import MarketBuilder

HOST = "http://ams.test"
PEPPER = "the pepper of the tests"


class Person:
    """Somebody who is signed in, or nobody (`token` None)."""

    def __init__(self, api: "Api", token: str | None, account: Account | None) -> None:
        self._api = api
        self.token = token
        self._account = account

    @property
    def account(self) -> Account:
        assert self._account is not None, "nobody has no account"
        return self._account

    @property
    def webhooks(self) -> str:
        """The path of the webhooks of their own consumer."""
        return f"/api/v1/consumers/{self.account.consumer_id}/webhooks"

    async def reload(self) -> Account:
        """The account as it is now."""
        stored = await self._api.app.identity.store.account(self.account.id)
        assert stored is not None
        self._account = stored.value
        return stored.value

    async def runs(self, *merchant_ids: str) -> None:
        """Make them one of these merchants' people, beside those whose they are already."""
        stored = await self._api.app.identity.store.account(self.account.id)
        assert stored is not None
        after = stored.value.model_copy(update={"merchant_ids": (*stored.value.merchant_ids, *merchant_ids)})
        await self._api.app.audit.journal.commit(
            ACCOUNTS, after.id, [Replace(ACCOUNT_DOCUMENT, after.to_json(), stored.etag)]
        )
        await self.reload()

    async def request(
        self, method: str, path: str, *, json: Any = None, headers: dict[str, str] | None = None, **kw: Any
    ) -> httpx.Response:
        own = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        return await self._api.client.request(method, path, json=json, headers={**own, **(headers or {})}, **kw)

    async def get(self, path: str, **kw: Any) -> httpx.Response:
        return await self.request("GET", path, **kw)

    async def post(self, path: str, **kw: Any) -> httpx.Response:
        return await self.request("POST", path, **kw)

    async def patch(self, path: str, **kw: Any) -> httpx.Response:
        return await self.request("PATCH", path, **kw)

    async def put(self, path: str, **kw: Any) -> httpx.Response:
        return await self.request("PUT", path, **kw)

    async def delete(self, path: str, **kw: Any) -> httpx.Response:
        return await self.request("DELETE", path, **kw)


class Api:
    """`async with Api(folder, issuer) as api:`; `environ` goes over the settings below."""

    def __init__(self, folder: Path, issuer: Issuer, *others: Issuer, **environ: str) -> None:
        self.issuer = issuer
        issuers = [{**each.setting} for each in (issuer, *others)]
        settings = {
            "AMS_PROFILE": "local",
            "AMS_DATA": str(folder),
            "AMS_AUTH_CACHE_S": "0",
            "AMS_UPSTREAM_ALLOW_PRIVATE": "true",
            "AMS_REPORT_PROCESS": "same",
            "AMS_OIDC_ISSUERS": json.dumps(issuers),
            **environ,
        }
        self.clock = Clock()
        self.app = Application(load_settings(settings), self.clock)
        self.builder = MarketBuilder.of(self.app)
        # Errors of our own are answered with 500, as by a host; a test sees that in the answer.
        transport = httpx.ASGITransport(cast("Any", self.app.api), raise_app_exceptions=False)
        self.client = httpx.AsyncClient(transport=transport, base_url=HOST)
        self.anonymous = Person(self, None, None)

    async def sign_in(self, name: str, *, admin: bool = False, email: str | None = None, **claims: Any) -> Person:
        """A new person. `claims` go into the token; the session is the token's."""
        subject = f"{name}-{secrets.token_hex(6)}"
        email = email or f"{subject.lower().replace(' ', '.')}@example.com"
        person = await self.present(
            self.issuer.token(subject, **{"name": name, "email": email, "email_verified": True, **claims})
        )
        account_id = await self.app.identity.store.reserved_for(login_key(self.issuer.url, subject))
        assert account_id is not None, "the first request did not make an account"
        stored = await self.app.identity.store.account(account_id)
        assert stored is not None
        person._account = stored.value
        if admin:
            await self.app.identity.admins.appoint(SYSTEM, stored.value, "a test's admin")
            await person.reload()
        return person

    async def present(self, token: str) -> Person:
        """Whoever has this token; the account is theirs after the first request that is let in."""
        await self.app.identity.sign_in.authenticate({"authorization": f"Bearer {token}"})
        return Person(self, token, None)

    async def drain(self) -> None:
        await self.app.identity.sessions.drain()
        await self.app.audit.journal.drain()

    def mails(self) -> list[EmailMessage]:
        folder = self.app.settings.ams_data / "mail"
        parser = BytesParser(policy=policy.default)
        return [cast("EmailMessage", parser.parsebytes(file.read_bytes())) for file in sorted(folder.glob("*.eml"))]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.client.aclose()
        await self.app.close()
