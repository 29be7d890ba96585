"""People who do over HTTP what the portal would do for them: they sign in at the development provider, and get mail."""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from tests.support.host.installation import Ams
from tests.support.host.workers import connect_to_each
from tests.support.journeys.signing_in import Provider, sign_in

ADMIN = "admin@example.com"
T = TypeVar("T")
WAIT_S, POLL_S = 60.0, 0.05
PROMISE_S = 2.0
"""Within which a decision holds everywhere."""

CREATED, ACCEPTED, EMPTY = 201, 202, 204


class Person:
    """One who is signed in. Paths are below `/api/v1`. Each method asserts the status and returns the decoded JSON."""

    def __init__(self, http: httpx.Client, email: str, token: str) -> None:
        self.email = email
        self.token = token
        self._http = http
        self.account: dict[str, Any] = self.get("/me")

    def through(self, http: httpx.Client) -> "Person":
        """The same person at another connection."""
        return Person(http, self.email, self.token)

    @property
    def tenant(self) -> str:
        """The path of the person's own consumer."""
        return f"/consumers/{self.account['consumer_id']}"

    def send(self, method: str, path: str, **request: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}", **request.pop("headers", {})}
        return self._http.request(method, f"/api/v1{path}", headers=headers, **request)

    def get(self, path: str, **params: Any) -> Any:
        return self._done(self.send("GET", path, params=params), 200)

    def post(self, path: str, body: Any = None, status: int = 200) -> Any:
        return self._done(self.send("POST", path, json={} if body is None else body), status)

    def change(self, path: str, method: str = "PATCH", status: int = 200, **request: Any) -> Any:
        """Change what was read just before, as its ETag says."""
        return self._done(self.send(method, path, headers={"If-Match": self._etag(path)}, **request), status)

    def put_part(self, thing: str, part: str, **request: Any) -> Any:
        """Replace a part of something that has the ETag."""
        return self._done(self.send("PUT", f"{thing}{part}", headers={"If-Match": self._etag(thing)}, **request), 200)

    def refused(self, method: str, path: str, status: int, code: str, body: Any = None) -> dict[str, Any]:
        """The problem document of a request that must not succeed."""
        return problem(self.send(method, path, json=body), status, code)

    def is_refused(self, path: str) -> bool:
        """Whether a page is not found, as if it did not exist."""
        return self.send("GET", path).status_code == 404

    def _etag(self, path: str) -> str:
        answer = self.send("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.headers["etag"]

    def _done(self, answer: httpx.Response, status: int) -> Any:
        assert answer.status_code == status, f"{answer.request.method} {answer.request.url}: {answer.text}"
        is_json = "json" in answer.headers.get("content-type", "") and answer.content
        return answer.json() if is_json else answer.text


class Market:
    """A platform with two workers whose admin is ADMIN, and which is empty otherwise. To be started as `ams`."""

    def __init__(self, data: Path, provider: Provider) -> None:
        settings = {
            "AMS_OIDC_ISSUERS": provider.issuers,
            "AMS_ADMINS": ADMIN,
            "AMS_UPSTREAM_ALLOW_PRIVATE": "true",
        }
        self.ams = Ams(data, workers=2, **settings)
        self._provider = provider
        self.http = httpx.Client(base_url=self.ams.url, timeout=30)

    def sign_in(self, email: str, name: str | None = None) -> Person:
        """Somebody who signs in, or signs up, with the code that the provider mailed."""
        return Person(self.http, email, sign_in(self._provider, email, name).access_token)

    def call(self, key: str, service: str, path: str = "") -> httpx.Response:
        """A forwarded call."""
        with httpx.Client(base_url=self.ams.url, timeout=30) as http:
            return http.get(f"/api/consume/{service}/{path}", headers={"X-AMS-Key": key})

    def mail(self, to: str, subject: str) -> str:
        """The text of the mail to somebody whose subject has these words; waits for it."""
        return until(lambda: self._mail(to, subject), f"a mail to {to} about {subject!r}")

    def _mail(self, to: str, subject: str) -> str | None:
        for file in (self.ams.data / "mail").glob("*.eml"):
            message = message_from_bytes(file.read_bytes(), policy=default)
            if str(message["To"]) == to and subject in str(message["Subject"]):
                return str(message.get_content())
        return None

    def fire(self, timer: str) -> None:
        """Run a timer now, rather than wait for its minute. A run that is under way may have begun too early."""

        def has_run() -> bool:
            done = self.ams.fire(timer)
            assert done.returncode == 0 or "running already" in done.stderr, done.stderr
            return done.returncode == 0

        until(has_run, f"{timer} to run")

    def count(self) -> None:
        """Until everything that was acknowledged is in the merchants' views."""
        self.ams.wait_until_counted()
        self.fire("derive_rollups")

    def calls_become(self, status: int, code: str | None, key: str, service: str, promise_s: float = WAIT_S) -> None:
        """Until calls are answered so, by both workers."""
        with ExitStack() as stack:
            connections = [connection for each in connect_to_each(self.ams, stack) for connection in each]

            def all_answer() -> bool:
                answers = [connection.call("GET", f"/api/consume/{service}/", key) for connection in connections]
                return all(a.status == status and (code is None or a.json()["code"] == code) for a in answers)

            until(all_answer, f"calls answer {status} {code or ''}", promise_s)

    def close(self) -> None:
        self.http.close()
        self.ams.close()


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    document: dict[str, Any] = answer.json()
    assert document["code"] == code, document
    return document


def until(look: Callable[[], T | None], what: str, seconds: float = WAIT_S) -> T:
    """Look until there is something. In vain is a look that began when the time was over: one that began before may
    take long, and says nothing about what is to hold after that time."""
    deadline = time.monotonic() + seconds
    while True:
        began = time.monotonic()
        if found := look():
            return found
        if began > deadline:
            pytest.fail(f"waited {seconds:g} s in vain for {what}")
        time.sleep(POLL_S)


def only(items: Sequence[T]) -> T:
    (item,) = items
    return item
