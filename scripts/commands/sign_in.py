"""Sign in from the terminal at the development provider (docs/sign-in.md), without a browser.

Prints the access token on stdout, and nothing else.
"""

import base64
import hashlib
import os
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email import message_from_bytes
from email.policy import default
from html import unescape
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import parse_qs, urlsplit

import httpx
import typer

from scripts.local_settings import use_local_settings
from scripts.terminal import failure

CLIENT_ID = "ams-terminal"
SCOPE = "openid email profile"
REDIRECTS_MAX = 10
TIMEOUT_S = 30.0
REFUSED = 1
"""The exit code when there is no token."""

app = typer.Typer(add_completion=False)


class SignInRefused(Exception):
    """The provider says no; the message is what it shows or answers. `status` is the HTTP status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Tokens:
    """What the provider gives to whoever signed in."""

    access_token: str
    refresh_token: str
    id_token: str
    expires_in: int
    """Seconds until the access token expires."""


class SignIn:
    """One person at one browser: its cookies, and how far the sign-in has come.

    `begin`, `ask_code`, `enter_code`, `enter_name` where `needs_name`, `tokens`. Each raises SignInRefused when the
    provider refuses, and httpx.HTTPError when it does not answer.
    """

    def __init__(self, issuer: str, client_id: str = CLIENT_ID, redirect_uri: str | None = None) -> None:
        self.issuer = issuer
        self.client_id = client_id
        self.redirect_uri = redirect_uri or f"{issuer}/terminal"
        self.verifier = secrets.token_urlsafe(48)
        self.http = httpx.Client(timeout=TIMEOUT_S)
        self._state = secrets.token_urlsafe(16)
        self.page = ""
        """The address of the page that a person would see now."""
        self._code: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    @property
    def needs_name(self) -> bool:
        """Whether the provider asks for a name, as it does the first time."""
        return self.page.endswith("/name")

    @property
    def is_done(self) -> bool:
        """Whether the provider has given an authorization code."""
        return self._code is not None

    def parameters(self) -> dict[str, str]:
        """Make the parameters of the authorization request."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()
        return {
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "response_type": "code",
            "scope": SCOPE,
            "state": self._state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }

    def begin(self, **changes: str | None) -> None:
        """Open the sign-in page; with a session at the provider, that is all. `changes`: other or fewer parameters."""
        given = {**self.parameters(), **changes}
        self._follow(self.http.get(f"{self.issuer}/auth", params={k: v for k, v in given.items() if v is not None}))

    def ask_code(self, email: str) -> None:
        """Ask for a code to be mailed to an address."""
        self.submit("email", email=email)

    def enter_code(self, code: str) -> None:
        """Enter the code that was mailed."""
        self.submit("code", code=code)

    def enter_name(self, name: str) -> None:
        """Enter the name of a new account."""
        self.submit("name", name=name)

    def submit(self, step: str, **fields: str) -> None:
        """Post one of the provider's forms."""
        self._follow(self.http.post(f"{self.interaction}/{step}", data=fields))

    def open(self, step: str) -> None:
        """Follow one of the provider's links."""
        self._follow(self.http.get(f"{self.interaction}/{step}"))

    def tokens(self, **changes: str) -> Tokens:
        """Exchange the authorization code. `changes`: other parameters."""
        assert self._code is not None, "not signed in yet"
        fields = {
            "grant_type": "authorization_code",
            "code": self._code,
            "redirect_uri": self.redirect_uri,
            "client_id": self.client_id,
            "code_verifier": self.verifier,
        }
        return _tokens(self.http.post(f"{self.issuer}/token", data={**fields, **changes}))

    def refresh(self, refresh_token: str) -> Tokens:
        """Get new tokens. The refresh token works once; the answer has the next one."""
        fields = {"grant_type": "refresh_token", "refresh_token": refresh_token, "client_id": self.client_id}
        return _tokens(self.http.post(f"{self.issuer}/token", data=fields))

    @property
    def interaction(self) -> str:
        """The address of this sign-in at the provider; its pages are below."""
        found = re.match(rf"{re.escape(self.issuer)}/interaction/[\w-]+", self.page)
        assert found is not None, "begin first"
        return found[0]

    def _follow(self, answer: httpx.Response) -> None:
        """Follow redirects as a browser does, up to a page, or to the redirect URI, which is read and not called."""
        for _ in range(REDIRECTS_MAX):
            target = answer.headers.get("location")
            if target is None:
                break
            url = str(answer.url.join(target))
            if url.startswith(f"{self.redirect_uri}?"):
                self._finish(parse_qs(urlsplit(url).query))
                return
            answer = self.http.get(url)
        self.page = str(answer.url)
        if answer.status_code != 200:
            raise SignInRefused(_said(answer), answer.status_code)

    def _finish(self, parameters: Mapping[str, list[str]]) -> None:
        one = {name: values[0] for name, values in parameters.items()}
        if one.get("state") != self._state or one.get("iss") != self.issuer:
            raise SignInRefused("the answer belongs to another sign-in", 303)
        if "error" in one:
            raise SignInRefused(f"{one['error']}: {one.get('error_description', '')}", 303)
        self._code = one["code"]


def _said(answer: httpx.Response) -> str:
    """Find what a page says went wrong."""
    found = re.search(r'role="alert">([^<]*)<', answer.text)
    return unescape(found[1]) if found else f"{answer.status_code} {answer.reason_phrase}"


def _tokens(answer: httpx.Response) -> Tokens:
    body = answer.json()
    if answer.status_code != 200:
        raise SignInRefused(f"{body['error']}: {body.get('error_description', '')}", answer.status_code)
    return Tokens(body["access_token"], body["refresh_token"], body["id_token"], body["expires_in"])


def sign_in(issuer: str, email: str, read_code: Callable[[], str], name: str | None = None) -> Tokens:
    """Go the whole way from an address to tokens. `read_code` is called when the provider has sent the code; `name` is
    for a new account, and by default what stands before the @. Raises SignInRefused, httpx.HTTPError, and what
    `read_code` raises."""
    with SignIn(issuer) as person:
        person.begin()
        person.ask_code(email)
        person.enter_code(read_code())
        if person.needs_name:
            person.enter_name(name or email.partition("@")[0])
        return person.tokens()


def read_outbox(folder: Path, email: str) -> str:
    """Find the newest code for an address in the outbox folder. Raises LookupError."""
    for file in sorted(folder.glob("sign-in_*.eml"), reverse=True):
        message = message_from_bytes(file.read_bytes(), policy=default)
        found = re.match(r"[0-9]{6}\b", str(message["Subject"]))
        if found and str(message["To"]).lower() == email.strip().lower():
            return found[0]
    raise LookupError(f"{folder} has no code for {email}")


@app.command(help=__doc__, epilog="Example: export TOKEN=$(scripts/ams sign-in ann@example.com --outbox)")
def main(
    email: Annotated[str, typer.Argument(help="Whom to sign in; a new address gets an account.")],
    outbox: Annotated[bool, typer.Option("--outbox", help="Read the code from AMS_DATA/mail, don't ask.")] = False,
    name: Annotated[str | None, typer.Option(help="For a new account.")] = None,
    port: Annotated[int, typer.Option(envvar="AMS_PROVIDER_PORT", help="Of the development provider.")] = 7072,
) -> None:
    def read_code() -> str:
        if outbox:
            return read_outbox(Path(os.environ["AMS_DATA"]) / "mail", email)
        return str(typer.prompt(f"Code for {email}", err=True))

    try:
        use_local_settings()
        tokens = sign_in(f"http://127.0.0.1:{port}", email, read_code, name)
    except httpx.HTTPError as error:
        message = f"the development provider does not answer on port {port}: {error} (scripts/run starts it)"
        raise failure(message, REFUSED) from None
    except (SignInRefused, LookupError, OSError, ValueError) as error:
        raise failure(str(error), REFUSED) from None
    typer.echo(tokens.access_token)
