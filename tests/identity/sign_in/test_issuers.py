"""The setting of the sign-in providers: every mistake is told with its place."""

import json

import pytest

from shared.settings import Settings, SettingsError, load_settings

GOOD = {"issuer": "https://login.example/tenant/v2.0", "audience": "api://ams"}


def _load(issuers: object) -> Settings:
    return load_settings({"AMS_OIDC_ISSUERS": issuers if isinstance(issuers, str) else json.dumps(issuers)})


def test_what_is_not_said_has_a_safe_default() -> None:
    (issuer,) = _load([GOOD]).ams_oidc_issuers
    assert (issuer.algorithms, issuer.token_types) == (("RS256", "ES256"), ("at+jwt",))
    assert issuer.discovery == "https://login.example/tenant/v2.0/.well-known/openid-configuration"
    assert (issuer.claims.email, issuer.claims.email_verified, issuer.claims.session) == (
        "email",
        "email_verified",
        "sid",
    )


def test_everything_can_be_said() -> None:
    given = {
        **GOOD,
        "algorithms": ["PS256"],
        "token_types": ["JWT", "application/at+JWT"],
        "claims": {"email": "mail", "email_verified": None, "name": "n", "session": "s"},
        "discovery_url": "https://login.example/other?p=1",
    }
    (issuer,) = _load([given]).ams_oidc_issuers
    assert issuer.token_types == ("jwt", "at+jwt")
    assert (issuer.discovery, issuer.claims.email_verified) == ("https://login.example/other?p=1", None)


@pytest.mark.parametrize("url", ["http://127.0.0.1:7081", "http://localhost:1", "http://[::1]:1"])
def test_plain_http_is_for_loopback(url: str) -> None:
    assert _load([{**GOOD, "issuer": url}]).ams_oidc_issuers[0].issuer == url


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"issuer": "http://login.example"}, "[0].issuer"),
        ({"issuer": "login.example"}, "[0].issuer"),
        ({"issuer": "https://me@login.example"}, "[0].issuer"),
        ({"issuer": "http://127.0.0.1.example"}, "[0].issuer"),
        ({"audience": ""}, "[0].audience"),
        ({"algorithms": ["HS256"]}, "[0].algorithms[0]"),
        ({"algorithms": ["none"]}, "[0].algorithms[0]"),
        ({"algorithms": []}, "[0].algorithms"),
        ({"token_types": []}, "[0].token_types"),
        ({"discovery_url": "http://login.example"}, "[0].discovery_url"),
        ({"claims": {"mail": "x"}}, "[0].claims.mail"),
        ({"client_secret": "x"}, "[0].client_secret"),
    ],
)
def test_a_mistake_is_told_with_its_place(change: dict[str, object], place: str) -> None:
    with pytest.raises(SettingsError) as error:
        _load([{**GOOD, **change}])
    assert str(error.value).startswith(f"AMS_OIDC_ISSUERS{place}: ")


@pytest.mark.parametrize("text", ["https://login.example", "{}", "7", "[7]", "[{}]", json.dumps([GOOD, GOOD])])
def test_what_is_no_list_of_issuers_stops_the_start(text: str) -> None:
    with pytest.raises(SettingsError, match="AMS_OIDC_ISSUERS"):
        _load(text)


def test_admins_are_addresses_or_subjects() -> None:
    settings = load_settings({"AMS_ADMINS": " Root@Example.com ,https://login.example|Sub-1,"})
    assert settings.ams_admins == ("root@example.com", "https://login.example|Sub-1")
    with pytest.raises(SettingsError, match="AMS_ADMINS"):
        load_settings({"AMS_ADMINS": "root"})
