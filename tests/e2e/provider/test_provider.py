"""The development provider: what its tokens say, how sessions begin and end, which requests it refuses."""

import json
import re
import stat
from collections.abc import Callable
from pathlib import Path

import httpx
import jwt
import pytest

from scripts.commands.sign_in import SignInRefused
from tests.support.host.installation import Ams
from tests.support.journeys.signing_in import CALL_S, PORTAL, Provider, SignIn, claims, refresh, sign_in, sign_up


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


def test_a_session_at_the_provider_signs_in_without_asking(provider: Provider, person: SignIn, email: str) -> None:
    first = sign_up(provider, person, email)
    person.begin()

    assert person.is_done
    said, again = claims(provider, first.access_token), claims(provider, person.tokens().access_token)
    assert (again["sub"], again["sid"]) == (said["sub"], said["sid"])


@pytest.mark.parametrize(
    "changes", [{"code_challenge": None, "code_challenge_method": None}, {"code_challenge_method": "plain"}]
)
def test_pkce_with_s256_is_a_must(person: SignIn, changes: dict[str, str | None]) -> None:
    with pytest.raises(SignInRefused, match="invalid_request"):
        person.begin(**changes)


def test_a_wrong_verifier_is_refused_and_a_code_is_taken_once(provider: Provider, person: SignIn, email: str) -> None:
    sign_up(provider, person, email)
    with pytest.raises(SignInRefused, match="invalid_grant"):
        person.tokens()
    person.begin()
    with pytest.raises(SignInRefused, match="invalid_grant"):
        person.tokens(code_verifier="another-verifier-that-is-long-enough-to-be-one")


@pytest.mark.parametrize(
    "uri",
    [
        "https://evil.example/",
        f"{PORTAL}/../x",
        f"{PORTAL}?next=https://evil.example/",
        PORTAL.replace("7071", "7070"),
        PORTAL.replace("127.0.0.1", "127.0.0.1.evil.example"),
        PORTAL.replace("://", "://127.0.0.1@evil.example/"),
        "",
    ],
)
def test_nobody_is_sent_to_an_address_that_is_not_registered(provider: Provider, person: SignIn, uri: str) -> None:
    for client in ("ams-portal", "ams-terminal"):
        parameters = {**person.parameters(), "client_id": client, "redirect_uri": uri}
        answer = person.http.get(f"{provider.issuer}/auth", params=parameters)
        assert answer.status_code == 400
        assert "location" not in answer.headers


def test_the_portal_signs_in_at_its_own_address(provider: Provider, email: str) -> None:
    with SignIn(provider.issuer, "ams-portal", PORTAL) as portal:
        tokens = sign_up(provider, portal, email)
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
        tokens = sign_up(provider, portal, email)
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
            assert httpx.get(provider.issuer + path, headers={"Host": host}, timeout=CALL_S).status_code == 421


def test_other_sites_may_not_read_tokens(provider: Provider) -> None:
    def ask(origin: str) -> httpx.Response:
        fields = {"grant_type": "refresh_token", "refresh_token": "none", "client_id": "ams-portal"}
        return httpx.post(f"{provider.issuer}/token", data=fields, headers={"Origin": origin}, timeout=CALL_S)

    assert ask("http://127.0.0.1:7071").headers["access-control-allow-origin"] == "http://127.0.0.1:7071"
    assert "access-control-allow-origin" not in ask("https://evil.example").headers


def test_large_forms_are_refused(person: SignIn) -> None:
    person.begin()
    assert person.http.post(f"{person.interaction}/email", data={"email": "a" * 10_000}).status_code == 413


@pytest.mark.parametrize("end", [Provider.stop, Provider.kill])
def test_keys_accounts_and_sessions_outlive_the_process(
    own_provider: Callable[..., Provider], email: str, end: Callable[[Provider], object]
) -> None:
    provider = own_provider()
    with SignIn(provider.issuer) as person:
        tokens = sign_up(provider, person, email)
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
    [
        ("AMS_PROVIDER_PORT", "x"),
        ("AMS_PROVIDER_CODE_S", "0"),
        ("AMS_PROVIDER_REDIRECT_URIS", "https://evil.example/"),
        ("AMS_GOOGLE_CLIENT_ID", "alone"),
    ],
)
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
            answer = httpx.get(f"{ams.url}/api/v1/me", headers=headers, timeout=CALL_S)
            assert answer.status_code == 200, answer.text
            found.append(answer.json())
        headers = {"Authorization": f"Bearer {tokens.id_token}"}
        id_token = httpx.get(f"{ams.url}/api/v1/me", headers=headers, timeout=CALL_S)
        assert (id_token.status_code, id_token.json()["code"]) == (401, "token_invalid")
    finally:
        ams.close()

    assert (found[0]["email"], found[0]["name"], found[0]["is_admin"]) == (email, "Ann", True)
    assert found[0]["id"] == found[1]["id"]


def test_the_command_prints_the_token_and_nothing_else(provider: Provider, email: str) -> None:
    ams = Ams(provider.data, AMS_PROVIDER_PORT=str(provider.port))  # not started: for its environment
    done = ams.run("sign-in", email, "--outbox", "--name", "Ann")

    assert done.returncode == 0, done.stderr
    assert claims(provider, done.stdout.removesuffix("\n"))["name"] == "Ann"
    refused = ams.run("sign-in", "nobody", "--outbox")
    assert (refused.returncode, refused.stdout, refused.stderr) == (1, "", "That is not an e-mail address.\n")
    assert json.loads(provider.issuers)[0]["issuer"] == provider.issuer
