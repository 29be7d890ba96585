"""The development provider's "Continue with Google", against a second instance of the library that plays Google."""

import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest

from scripts.commands.sign_in import SignInRefused
from tests.support.journeys.signing_in import CALL_S, POLL_S, START_S, Provider, SignIn, sign_in
from tests.support.paths import ROOT
from tests.support.ports import free_port

CLIENT = {"AMS_GOOGLE_CLIENT_ID": "ams-at-google", "AMS_GOOGLE_CLIENT_SECRET": "secret of a test"}
ANN = {"sub": "g-1", "email": "Ann@Gmail.example", "email_verified": True, "name": "Ann of Google"}


class GooglePeer:
    """`issuer` once it runs. `person` says who sits at the browser."""

    def __init__(self, redirect_uri: str, log: Path) -> None:
        self._log = log
        environment = {**os.environ, **CLIENT, "GOOGLE_REDIRECT_URI": redirect_uri}
        with log.open("wb") as out:
            command = ["node", str(ROOT / "tests" / "emulators" / "google.mjs")]
            self._process = subprocess.Popen(command, env=environment, stdout=out, stderr=out)
        deadline = time.monotonic() + START_S
        while (found := re.search(r"google serves (\S+)\n", log.read_text())) is None:
            assert self._process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(POLL_S)
        self.issuer = found[1]

    def person(self, **claims: object) -> None:
        httpx.put(f"{self.issuer}/person", json=claims, timeout=CALL_S).raise_for_status()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Provider, GooglePeer]]:
    """Each has to know the other's address: the provider's is chosen first."""
    folder, port = tmp_path_factory.mktemp("google"), str(free_port())
    peer = GooglePeer(f"http://127.0.0.1:{port}/google/callback", folder / "google.log")
    provider = Provider(folder / "data", **CLIENT, AMS_GOOGLE_ISSUER=peer.issuer, AMS_PROVIDER_PORT=port)
    try:
        provider.start()
        yield provider, peer
    finally:
        provider.close()
        peer.close()


def _name(provider: Provider, person: SignIn) -> dict[str, object]:
    return jwt.decode(person.tokens().access_token, options={"verify_signature": False})


def test_google_signs_up_whom_it_vouches_for(pair: tuple[Provider, GooglePeer]) -> None:
    provider, google = pair
    google.person(**ANN)
    with SignIn(provider.issuer) as person:
        person.begin()
        assert "Continue with Google" in person.http.get(person.interaction).text
        person.open("to-google")
        said = _name(provider, person)

    assert (said["email"], said["email_verified"], said["name"]) == ("ann@gmail.example", True, "Ann of Google")


def test_the_same_address_is_the_same_account_by_code_and_by_google(pair: tuple[Provider, GooglePeer]) -> None:
    provider, google = pair
    by_code = jwt.decode(
        sign_in(provider, "both@gmail.example", "Both").access_token, options={"verify_signature": False}
    )
    google.person(**{**ANN, "sub": "g-2", "email": "both@gmail.example"})
    with SignIn(provider.issuer) as person:
        person.begin()
        person.open("to-google")
        said = _name(provider, person)

    assert (said["sub"], said["name"]) == (by_code["sub"], "Both")


def test_a_nameless_person_is_asked_for_a_name(pair: tuple[Provider, GooglePeer]) -> None:
    provider, google = pair
    google.person(sub="g-3", email="nameless@gmail.example", email_verified=True)
    with SignIn(provider.issuer) as person:
        person.begin()
        person.open("to-google")
        assert person.needs_name
        person.enter_name("Named")
        assert _name(provider, person)["name"] == "Named"


@pytest.mark.parametrize("verified", [False, "true", None])
def test_an_address_that_google_has_not_verified_is_refused(
    pair: tuple[Provider, GooglePeer], verified: object
) -> None:
    provider, google = pair
    google.person(**{**ANN, "sub": f"g-{verified}", "email_verified": verified})
    with SignIn(provider.issuer) as person:
        person.begin()
        with pytest.raises(SignInRefused, match="has not verified"):
            person.open("to-google")


def test_google_is_asked_with_pkce_nonce_and_state_and_its_answer_is_for_one_browser_once(
    pair: tuple[Provider, GooglePeer],
) -> None:
    provider, google = pair
    google.person(**{**ANN, "sub": "g-5", "email": "five@gmail.example"})
    with SignIn(provider.issuer) as person, SignIn(provider.issuer) as victim:
        person.begin()
        leave = person.http.get(f"{person.interaction}/to-google")
        asked = parse_qs(urlsplit(leave.headers["location"]).query)
        assert asked["code_challenge_method"] == ["S256"]
        assert asked["nonce"]
        answer = person.http.get(leave.headers["location"], follow_redirects=False)
        while not answer.headers["location"].startswith(f"{provider.issuer}/google/callback"):
            answer = person.http.get(answer.url.join(answer.headers["location"]))
        back = answer.headers["location"]

        victim.begin()  # and is led to the answer that was meant for somebody else
        forced = victim.http.get(back, follow_redirects=True)
        assert forced.status_code == 400
        swapped = back.replace(asked["state"][0], victim.interaction.rpartition("/")[2] + ".x")
        assert victim.http.get(swapped, follow_redirects=True).url == victim.interaction

        changed = person.http.get(f"{back}x", follow_redirects=True)
        assert changed.status_code == 400
        again = person.http.get(back, follow_redirects=True)
        assert (again.status_code, str(again.url)) == (200, person.interaction), "an answer is taken once"


def test_a_callback_that_belongs_to_nothing_goes_nowhere(pair: tuple[Provider, GooglePeer]) -> None:
    provider, _ = pair
    for state in ("", "x", "//evil.example.x", "https://evil.example/.x"):
        answer = httpx.get(f"{provider.issuer}/google/callback", params={"state": state, "code": "x"}, timeout=CALL_S)
        assert answer.status_code == 400
        assert "location" not in answer.headers


def test_without_google_a_code_still_works(tmp_path: Path) -> None:
    provider = Provider(tmp_path / "data", **CLIENT, AMS_GOOGLE_ISSUER="http://127.0.0.1:9")  # nobody listens there
    try:
        provider.start()
        with SignIn(provider.issuer) as person:
            person.begin()
            with pytest.raises(SignInRefused, match="Google does not answer"):
                person.open("to-google")
            person.ask_code("ann@example.com")
            person.enter_code(provider.code("ann@example.com"))
            person.enter_name("Ann")
            assert person.is_done
    finally:
        provider.close()
