"""The development provider: sign-up and sign-in by e-mail code, what its tokens say, what it refuses."""

import json
import re
import stat
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from scripts.sign_in import SignInRefused
from tests.e2e.installation import Ams
from tests.e2e.signing_in import PORTAL, Provider, SignIn, Tokens, refresh, sign_in

WAIT_S = 20.0
_numbers = count(1)


@pytest.fixture
def email() -> str:
    """Of somebody whom no other test knows."""
    return f"person-{next(_numbers)}@example.com"


@pytest.fixture
def person(provider: Provider) -> Iterator[SignIn]:
    with SignIn(provider.issuer) as browser:
        yield browser


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Callable[..., Provider]]:
    """Providers with settings of their own."""
    made: list[Provider] = []

    def make(**settings: str) -> Provider:
        made.append(Provider(tmp_path / f"data-{len(made)}", **settings))
        made[-1].start()
        return made[-1]

    yield make
    for running in made:
        running.close()


def claims(provider: Provider, token: str, audience: str = "ams") -> dict[str, Any]:
    """Of a token that is verified as anybody would, by discovery."""
    found = httpx.get(f"{provider.issuer}/.well-known/openid-configuration").json()
    assert found["issuer"] == provider.issuer
    key = jwt.PyJWKClient(found["jwks_uri"]).get_signing_key_from_jwt(token)
    return jwt.decode(token, key, algorithms=["RS256"], audience=audience, issuer=provider.issuer)


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 10**6:06}"


def test_a_new_person_gets_an_account_and_tokens_for_ams(provider: Provider, email: str) -> None:
    tokens = sign_in(provider, email.title(), "Ann <b>Ünal</b>")
    said = claims(provider, tokens.access_token)

    assert jwt.get_unverified_header(tokens.access_token)["typ"] == "at+jwt"
    assert said["email"] == email
    assert said["email_verified"] is True
    assert said["name"] == "Ann <b>Ünal</b>"
    assert said["aud"] == "ams"
    assert said["sid"]
    assert said["exp"] - said["iat"] == tokens.expires_in == 900
    assert claims(provider, tokens.id_token, "ams-terminal")["email"] == email


def test_who_comes_again_is_the_same_person_in_another_session(provider: Provider, email: str) -> None:
    first, second = (claims(provider, sign_in(provider, email).access_token) for _ in range(2))

    assert first["sub"] == second["sub"]
    assert first["sid"] != second["sid"]


def test_only_a_new_person_is_asked_for_a_name_and_nobody_can_tell_before_the_code(
    provider: Provider, person: SignIn, email: str
) -> None:
    sign_in(provider, email)
    pages = []
    for address in (email, f"new-{email}"):
        with SignIn(provider.issuer) as browser:
            browser.begin()
            browser.ask_code(address)
            page = browser.http.get(f"{browser.interaction}/code").text
            pages.append(page.replace(address, "").replace(browser.interaction.rpartition("/")[2], ""))
            browser.enter_code(provider.code(address))
            assert browser.needs_name == (address != email)
    assert pages[0] == pages[1]


def test_a_session_at_the_provider_signs_in_without_asking(provider: Provider, person: SignIn, email: str) -> None:
    first = _tokens(provider, person, email)
    person.begin()

    assert person.is_done
    said, again = claims(provider, first.access_token), claims(provider, person.tokens().access_token)
    assert (again["sub"], again["sid"]) == (said["sub"], said["sid"])


def _tokens(provider: Provider, person: SignIn, email: str) -> Tokens:
    person.begin()
    person.ask_code(email)
    person.enter_code(provider.code(email))
    person.enter_name("Somebody")
    return person.tokens()


def test_the_message_is_in_the_outbox_and_on_the_console(provider: Provider, person: SignIn, email: str) -> None:
    person.begin()
    person.ask_code(email)
    code = provider.code(email)

    assert f"code for {email}: {code}\n" in provider.log.read_text()
    assert code not in (provider.data / "provider" / "state.json").read_text(), "codes are stored hashed"


def test_a_code_that_was_guessed_wrong_five_times_is_over(provider: Provider, person: SignIn, email: str) -> None:
    person.begin()
    person.ask_code(email)
    code = provider.code(email)
    for attempt in range(5):
        with pytest.raises(SignInRefused, match="not the code" if attempt < 4 else "does not work any more"):
            person.enter_code(wrong(code))

    with pytest.raises(SignInRefused, match="does not work any more"):
        person.enter_code(code)
    person.ask_code(email)
    person.enter_code(provider.code(email))
    assert person.needs_name


def test_parallel_guesses_are_counted_one_by_one(provider: Provider, person: SignIn, email: str) -> None:
    person.begin()
    person.ask_code(email)
    code = provider.code(email)
    url = f"{person.interaction}/code"
    guesses = [{"code": wrong(code)}] * 20

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda fields: person.http.post(url, data=fields), guesses))

    assert {answer.status_code for answer in answers} == {400}
    assert sum("not the code" in answer.text for answer in answers) == 4
    with pytest.raises(SignInRefused, match="does not work any more"):
        person.enter_code(code)


def test_guessing_over_many_codes_is_stopped(provider: Provider, person: SignIn, email: str) -> None:
    person.begin()
    for _ in range(4):
        person.ask_code(email)
        for _ in range(5):
            with pytest.raises(SignInRefused):
                person.enter_code(wrong(provider.code(email)))
    person.ask_code(email)

    with pytest.raises(SignInRefused, match="Too many wrong codes") as refused:
        person.enter_code(provider.code(email))
    assert refused.value.status == 429


def test_an_address_gets_five_codes_an_hour_from_wherever(own: Callable[..., Provider], email: str) -> None:
    provider = own()

    def ask() -> None:
        with SignIn(provider.issuer) as person:
            person.begin()
            person.ask_code(email)

    for _ in range(5):
        ask()
    with pytest.raises(SignInRefused, match="Too many codes") as refused:
        ask()
    assert refused.value.status == 429
    provider.stop()
    provider.start()
    with pytest.raises(SignInRefused, match="Too many codes"):
        ask()


def test_one_caller_gets_so_many_codes_an_hour(own: Callable[..., Provider]) -> None:
    provider = own(AMS_PROVIDER_CODES_PER_ADDRESS="3")
    with SignIn(provider.issuer) as person:
        person.begin()
        for number in range(3):
            person.ask_code(f"somebody-{number}@example.com")
        with pytest.raises(SignInRefused, match="Too many codes"):
            person.ask_code("somebody-else@example.com")


def test_a_code_expires(own: Callable[..., Provider], email: str) -> None:
    provider = own(AMS_PROVIDER_CODE_S="1")
    with SignIn(provider.issuer) as person:
        person.begin()
        person.ask_code(email)
        deadline = time.monotonic() + WAIT_S
        while "does not work any more" not in person.http.get(f"{person.interaction}/code").text:
            assert time.monotonic() < deadline, "still valid"
        with pytest.raises(SignInRefused, match="does not work any more"):
            person.enter_code(provider.code(email))


def test_a_code_works_once_and_for_the_browser_that_asked(provider: Provider, person: SignIn, email: str) -> None:
    person.begin()
    person.ask_code(email)
    code = provider.code(email)
    with SignIn(provider.issuer) as thief:
        thief.begin()
        thief.enter_code(code)
        assert thief.page == thief.interaction, "sent back to the start: it has asked for no code"
        page = thief.http.get(f"{person.interaction}/code")
        assert page.status_code == 400, "another browser's sign-in"
    person.enter_code(code)
    assert person.needs_name

    person.enter_code(code)
    assert person.page == person.interaction


def test_a_new_code_cancels_the_old_one(provider: Provider, person: SignIn, email: str) -> None:
    person.begin()
    person.ask_code(email)
    old = provider.code(email)
    while provider.code(email) == old:  # one in a million is the same
        person.ask_code(email)

    with pytest.raises(SignInRefused, match="not the code"):
        person.enter_code(old)
    person.enter_code(provider.code(email))


@pytest.mark.parametrize(
    "address", ["", "ann", "ann@", "@example.com", "ann@example.com, bob@example.com", "Ann <ann@example.com>",
                "ann@example.com\r\nBcc: bob@example.com", f"{'a' * 250}@example.com"],
)  # fmt: skip
def test_what_is_no_address_gets_no_mail(provider: Provider, person: SignIn, address: str) -> None:
    before = len(list((provider.data / "mail").glob("*")))
    person.begin()
    with pytest.raises(SignInRefused, match="not an e-mail address"):
        person.ask_code(address)
    assert len(list((provider.data / "mail").glob("*"))) == before


@pytest.mark.parametrize("name", ["", "   ", "\u200b\n"])
def test_a_name_must_have_something_to_show(provider: Provider, person: SignIn, email: str, name: str) -> None:
    person.begin()
    person.ask_code(email)
    person.enter_code(provider.code(email))
    with pytest.raises(SignInRefused, match="enter a name"):
        person.enter_name(name)


def test_what_people_type_is_escaped(provider: Provider, person: SignIn) -> None:
    person.begin()
    answer = person.http.post(f"{person.interaction}/email", data={"email": '"><script>alert(1)</script>'})
    assert "<script" not in answer.text
    assert "&quot;&gt;&lt;script&gt;" in answer.text


def test_whoever_cancels_is_sent_back_with_the_standard_error(person: SignIn) -> None:
    person.begin()
    with pytest.raises(SignInRefused, match="access_denied"):
        person.submit("cancel")


@pytest.mark.parametrize(
    "changes", [{"code_challenge": None, "code_challenge_method": None}, {"code_challenge_method": "plain"}]
)
def test_pkce_with_s256_is_a_must(person: SignIn, changes: dict[str, str | None]) -> None:
    with pytest.raises(SignInRefused, match="invalid_request"):
        person.begin(**changes)


def test_a_wrong_verifier_is_refused_and_a_code_is_taken_once(provider: Provider, person: SignIn, email: str) -> None:
    _tokens(provider, person, email)
    with pytest.raises(SignInRefused, match="invalid_grant"):
        person.tokens()
    person.begin()
    with pytest.raises(SignInRefused, match="invalid_grant"):
        person.tokens(code_verifier="another-verifier-that-is-long-enough-to-be-one")


@pytest.mark.parametrize(
    "uri",
    ["https://evil.example/", f"{PORTAL}/../x", f"{PORTAL}?next=https://evil.example/", PORTAL.replace("7071", "7070"),
     PORTAL.replace("127.0.0.1", "127.0.0.1.evil.example"), PORTAL.replace("://", "://127.0.0.1@evil.example/"), ""],
)  # fmt: skip
def test_nobody_is_sent_to_an_address_that_is_not_registered(provider: Provider, person: SignIn, uri: str) -> None:
    for client in ("ams-portal", "ams-terminal"):
        parameters = {**person.parameters(), "client_id": client, "redirect_uri": uri}
        answer = person.http.get(f"{provider.issuer}/auth", params=parameters)
        assert answer.status_code == 400
        assert "location" not in answer.headers


def test_the_portal_signs_in_at_its_own_address(provider: Provider, email: str) -> None:
    with SignIn(provider.issuer, "ams-portal", PORTAL) as portal:
        tokens = _tokens(provider, portal, email)
    assert claims(provider, tokens.access_token)["client_id"] == "ams-portal"


def test_refresh_tokens_rotate_and_a_used_one_ends_all_of_them(provider: Provider, email: str) -> None:
    first = sign_in(provider, email)
    second = refresh(provider, first.refresh_token)

    assert claims(provider, second.access_token)["sid"] == claims(provider, first.access_token)["sid"]
    with pytest.raises(SignInRefused, match="invalid_grant"):
        refresh(provider, first.refresh_token)
    with pytest.raises(SignInRefused, match="invalid_grant"):  # whoever has the newest may be the thief
        refresh(provider, second.refresh_token)


def test_signing_out_ends_the_session_and_leads_to_registered_addresses_only(provider: Provider, email: str) -> None:
    home = "http://127.0.0.1:7071/"
    with SignIn(provider.issuer, "ams-portal", PORTAL) as portal:
        tokens = _tokens(provider, portal, email)
        hint = {"id_token_hint": tokens.id_token}
        end = f"{provider.issuer}/session/end"
        refused = portal.http.get(end, params={**hint, "post_logout_redirect_uri": "https://evil.example/"})
        assert refused.status_code == 400
        assert "location" not in refused.headers

        page = portal.http.get(end, params={**hint, "post_logout_redirect_uri": home, "state": "s"})
        token = re.search(r'name="xsrf" value="([^"]+)"', page.text)
        assert token is not None, page.text
        forged = portal.http.post(f"{end}/confirm", data={"xsrf": "forged", "logout": "yes"})
        assert forged.status_code == 400
        done = portal.http.post(f"{end}/confirm", data={"xsrf": token[1], "logout": "yes"})
        assert (done.status_code, done.headers["location"]) == (303, f"{home}?state=s")

        with pytest.raises(SignInRefused, match="invalid_grant"):
            portal.refresh(tokens.refresh_token)
        portal.begin()
        assert portal.page.startswith(f"{provider.issuer}/interaction/"), "it asks who is there"


def test_pages_cannot_be_framed_and_run_no_script(provider: Provider, person: SignIn) -> None:
    person.begin()
    answer = person.http.get(person.interaction)

    policy = answer.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["cache-control"] == "no-store"
    assert "<script" not in answer.text


def test_only_its_own_host_name_is_served(provider: Provider) -> None:
    for host in ("evil.example", f"localhost:{provider.port}"):
        for path in ("/.well-known/openid-configuration", "/auth", "/style.css"):
            assert httpx.get(provider.issuer + path, headers={"Host": host}).status_code == 421


def test_other_sites_may_not_read_tokens(provider: Provider) -> None:
    def ask(origin: str) -> httpx.Response:
        fields = {"grant_type": "refresh_token", "refresh_token": "none", "client_id": "ams-portal"}
        return httpx.post(f"{provider.issuer}/token", data=fields, headers={"Origin": origin})

    assert ask("http://127.0.0.1:7071").headers["access-control-allow-origin"] == "http://127.0.0.1:7071"
    assert "access-control-allow-origin" not in ask("https://evil.example").headers


def test_large_forms_are_refused(person: SignIn) -> None:
    person.begin()
    assert person.http.post(f"{person.interaction}/email", data={"email": "a" * 10_000}).status_code == 413


@pytest.mark.parametrize("end", [Provider.stop, Provider.kill])
def test_keys_accounts_and_sessions_outlive_the_process(
    own: Callable[..., Provider], email: str, end: Callable[[Provider], object]
) -> None:
    provider = own()
    with SignIn(provider.issuer) as person:
        tokens = _tokens(provider, person, email)
        assert end(provider) in (0, None)
        provider.start()

        assert claims(provider, tokens.access_token)["email"] == email
        person.begin()
        assert person.is_done, "still signed in"
        again = claims(provider, person.refresh(tokens.refresh_token).access_token)
    assert again["sub"] == claims(provider, tokens.access_token)["sub"]
    for file in (provider.data / "provider").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


@pytest.mark.parametrize(
    ("name", "value"),
    [("AMS_PROVIDER_PORT", "x"), ("AMS_PROVIDER_CODE_S", "0"), ("AMS_PROVIDER_REDIRECT_URIS", "https://evil.example/"),
     ("AMS_GOOGLE_CLIENT_ID", "alone")],
)  # fmt: skip
def test_a_wrong_setting_stops_the_start_and_is_named(tmp_path: Path, name: str, value: str) -> None:
    provider = Provider(tmp_path / "data", **{name: value})
    with pytest.raises(pytest.fail.Exception, match=f"cannot start: {name}"):
        provider.start()


def test_ams_takes_its_tokens(provider: Provider, tmp_path: Path, email: str) -> None:
    settings = {"AMS_OIDC_ISSUERS": provider.issuers, "AMS_ADMINS": email, "AMS_SECRET_KEY_PEPPER_V1": "pepper"}
    ams = Ams(tmp_path / "ams", **settings)
    try:
        ams.start()
        tokens = sign_in(provider, email, "Ann")
        found = []
        for current in (tokens, refresh(provider, tokens.refresh_token)):
            headers = {"Authorization": f"Bearer {current.access_token}"}
            answer = httpx.get(f"{ams.url}/api/v1/me", headers=headers)
            assert answer.status_code == 200, answer.text
            found.append(answer.json())
        id_token = httpx.get(f"{ams.url}/api/v1/me", headers={"Authorization": f"Bearer {tokens.id_token}"})
        assert (id_token.status_code, id_token.json()["code"]) == (401, "token_invalid")
    finally:
        ams.close()

    assert (found[0]["email"], found[0]["name"], found[0]["is_admin"]) == (email, "Ann", True)
    assert found[0]["id"] == found[1]["id"]


def test_the_command_prints_the_token_and_nothing_else(provider: Provider, email: str) -> None:
    ams = Ams(provider.data, AMS_PROVIDER_PORT=str(provider.port))  # not started: for its environment
    done = ams.run("sign_in", email, "--outbox", "--name", "Ann")

    assert done.returncode == 0, done.stderr
    assert claims(provider, done.stdout.removesuffix("\n"))["name"] == "Ann"
    refused = ams.run("sign_in", "nobody", "--outbox")
    assert (refused.returncode, refused.stdout, refused.stderr) == (1, "", "That is not an e-mail address.\n")
    assert json.loads(provider.issuers)[0]["issuer"] == provider.issuer
