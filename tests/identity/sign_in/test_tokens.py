"""Tokens that must not be taken, each for one reason, and the few that must."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.emulators.issuer import DISCOVERY, Issuer, encode_part, public_jwk, rsa_key, sign
from tests.support.api.harness import Api


@pytest.fixture
def attacker() -> Iterator[Issuer]:
    """Somebody else's provider, with keys and an address of its own."""
    with Issuer() as running:
        running.keys = {"attack": ("RS256", rsa_key(9))}
        yield running


async def _call(api: Api, token: str) -> httpx.Response:
    headers = [(b"authorization", b"Bearer " + token.encode("latin-1"))]
    return await api.client.get("/api/v1/me", headers=headers)


async def _assert_refused(api: Api, token: str) -> dict[str, Any]:
    """With one and the same answer, whatever the reason."""
    answer = await _call(api, token)
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body["code"]) == (401, "token_invalid"), body
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert body["detail"] == "The access token is not valid here, or not any more. Sign in again."
    assert "errors" not in body
    return body


async def _assert_taken(api: Api, token: str) -> None:
    answer = await _call(api, token)
    assert answer.status_code == 200, answer.text


async def test_a_good_token_is_taken(api: Api) -> None:
    await _assert_taken(api, api.issuer.token("ann"))
    await _assert_taken(api, api.issuer.token("ann", algorithm="ES256"))


async def test_a_token_without_a_signature(api: Api) -> None:
    await _assert_refused(api, api.issuer.token("ann", algorithm="none", kid=api.issuer.kid()))
    head, body, _ = api.issuer.token("ann").split(".")
    await _assert_refused(api, f"{head}.{body}.")


@pytest.mark.parametrize("form", ["pem", "jwk"])
async def test_hs256_with_the_public_key_as_the_secret(api: Api, form: str) -> None:
    kid = api.issuer.kid()
    key = api.issuer.keys[kid][1]
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    secret = pem if form == "pem" else json.dumps(public_jwk(key)).encode()
    payload = api.issuer.token("ann").split(".")[1]
    signed = f"{encode_part({'alg': 'HS256', 'typ': 'at+jwt', 'kid': kid})}.{payload}"
    mac = hmac.new(secret, signed.encode(), hashlib.sha256).digest()

    await _assert_refused(api, f"{signed}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}")


async def test_another_issuer(api: Api, attacker: Issuer) -> None:
    await _assert_refused(api, attacker.token("ann"))
    await _assert_refused(api, attacker.token("ann", iss=api.issuer.url))
    assert not attacker.fetches


@pytest.mark.parametrize("iss", ["", None, 7, ["a"], {"a": 1}])
async def test_an_issuer_that_is_no_text(api: Api, iss: object) -> None:
    now, kid = int(time.time()), api.issuer.kid()
    payload = {"iss": iss, "aud": api.issuer.audience, "sub": "ann", "iat": now, "exp": now + 300}
    signed = f"{encode_part({'alg': 'RS256', 'typ': 'at+jwt', 'kid': kid})}.{encode_part(payload)}"
    await _assert_refused(api, f"{signed}.{_rs256(api, signed)}")


async def test_an_issuer_is_compared_character_by_character(api: Api) -> None:
    await _assert_refused(api, api.issuer.token("ann", iss=api.issuer.url + "/"))


@pytest.mark.parametrize("audience", ["https://other.example", None, [], ["a", "b"], 7])
async def test_another_audience(api: Api, audience: object) -> None:
    await _assert_refused(api, api.issuer.token("ann", aud=audience))


async def test_one_audience_of_several(api: Api) -> None:
    await _assert_taken(api, api.issuer.token("ann", aud=["https://other.example", api.issuer.audience]))


async def test_a_token_that_is_over(api: Api) -> None:
    await _assert_refused(api, api.issuer.token("ann", exp=int(time.time()) - 40))


async def test_clocks_may_differ_by_thirty_seconds(api: Api) -> None:
    now = int(time.time())
    await _assert_taken(api, api.issuer.token("ann", exp=now - 15))
    await _assert_taken(api, api.issuer.token("ann", nbf=now + 15, iat=now + 15))


@pytest.mark.parametrize("claim", ["exp", "iat", "sub"])
async def test_a_claim_that_is_missing(api: Api, claim: str) -> None:
    await _assert_refused(api, api.issuer.token("ann", **{claim: None}) if claim != "sub" else _without_subject(api))


def _without_subject(api: Api) -> str:
    now, kid = int(time.time()), api.issuer.kid()
    payload = {"iss": api.issuer.url, "aud": api.issuer.audience, "iat": now, "exp": now + 300}
    return sign(payload, {"typ": "at+jwt", "kid": kid}, "RS256", api.issuer.keys[kid][1])


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": "soon"},
        {"exp": True},
        {"exp": float("nan")},
        {"iat": "now"},
        {"iat": True},
        {"nbf": "x"},
        {"exp": 1e400},
    ],
)
async def test_a_time_that_is_none(api: Api, claims: dict[str, object]) -> None:
    await _assert_refused(api, api.issuer.token("ann", **claims))


async def test_a_token_of_the_future(api: Api) -> None:
    ahead = int(time.time()) + 60
    await _assert_refused(api, api.issuer.token("ann", nbf=ahead))
    await _assert_refused(api, api.issuer.token("ann", iat=ahead))


@pytest.mark.parametrize("subject", ["", "x" * 256, "a\x00b", "\ud800"])
async def test_a_subject_that_is_none(api: Api, subject: str) -> None:
    await _assert_refused(api, api.issuer.token(subject))


@pytest.mark.parametrize("typ", ["JWT", "id+jwt", "logout+jwt", "", None])
async def test_another_type_of_token(api: Api, typ: str | None) -> None:
    kid = api.issuer.kid()
    payload = json.loads(base64.urlsafe_b64decode(api.issuer.token("ann").split(".")[1] + "=="))
    header = {"alg": "RS256", "kid": kid, **({} if typ is None else {"typ": typ})}
    signed = f"{encode_part(header)}.{encode_part(payload)}"
    await _assert_refused(api, f"{signed}.{_rs256(api, signed)}")


def _rs256(api: Api, signed: str) -> str:
    from jwt.algorithms import RSAAlgorithm

    key = api.issuer.keys[api.issuer.kid()][1]
    signature = RSAAlgorithm(RSAAlgorithm.SHA256).sign(signed.encode(), key)  # type: ignore[arg-type]  # it is RSA
    return base64.urlsafe_b64encode(signature).decode().rstrip("=")


@pytest.mark.parametrize("typ", ["AT+JWT", "application/at+jwt", "Application/AT+JWT"])
async def test_one_type_may_be_spelled_in_several_ways(api: Api, typ: str) -> None:
    await _assert_taken(api, api.issuer.token("ann", headers={"typ": typ}))


@pytest.mark.parametrize("claim", ["at_hash", "c_hash"])
async def test_an_id_token_under_a_wrong_type(api: Api, claim: str) -> None:
    await _assert_refused(api, api.issuer.token("ann", **{claim: "x"}))


@pytest.mark.parametrize("header", ["jku", "x5u"])
async def test_keys_from_where_the_token_says_are_never_fetched(api: Api, attacker: Issuer, header: str) -> None:
    forged = attacker.token("ann", iss=api.issuer.url, headers={header: attacker.url + "/jwks"})
    await _assert_refused(api, forged)
    await _assert_refused(
        api,
        attacker.token(
            "ann", iss=api.issuer.url, kid="attack", headers={header: attacker.url + "/jwks", "kid": api.issuer.kid()}
        ),
    )
    assert not attacker.fetches


@pytest.mark.parametrize("header", ["jwk", "x5c"])
async def test_a_key_inside_the_token_is_never_used(api: Api, attacker: Issuer, header: str) -> None:
    own = public_jwk(rsa_key(9))
    inside = {"jwk": {**own, "kid": api.issuer.kid()}, "x5c": ["MIIB"]}[header]
    for kid in ("attack", api.issuer.kid()):
        forged = attacker.token("ann", iss=api.issuer.url, headers={header: inside, "kid": kid})
        await _assert_refused(api, forged)


@pytest.mark.parametrize("extension", [{"crit": ["exp"]}, {"crit": []}, {"crit": ["x"], "x": 1}])
async def test_an_extension_that_the_token_insists_on(api: Api, extension: dict[str, Any]) -> None:
    await _assert_refused(api, api.issuer.token("ann", headers=extension))


async def test_a_token_that_was_altered(api: Api) -> None:
    head, _, signature = api.issuer.token("ann").split(".")
    other = api.issuer.token("bob").split(".")[1]
    await _assert_refused(api, f"{head}.{other}.{signature}")


async def test_a_key_of_another_type(api: Api) -> None:
    issuer = api.issuer
    rsa, ec = issuer.kid("RS256"), issuer.kid("ES256")
    await _assert_refused(api, issuer.token("ann", algorithm="ES256", kid=rsa, key=issuer.keys[ec][1]))
    await _assert_refused(api, issuer.token("ann", algorithm="RS256", kid=ec, key=issuer.keys[rsa][1]))
    await _assert_refused(api, issuer.token("ann", algorithm="RS512", kid=rsa))


@pytest.mark.parametrize("kid", [None, 7, ["a"], ""])
async def test_a_token_that_names_no_key(api: Api, kid: object) -> None:
    token = api.issuer.token("ann")
    head = encode_part({"alg": "RS256", "typ": "at+jwt", **({} if kid is None else {"kid": kid})})
    signed = f"{head}.{token.split('.')[1]}"
    await _assert_refused(api, f"{signed}.{_rs256(api, signed)}")


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "a.b.c",
        "..",
        "a.b.c.d.e",
        "\u00e9.\u00e9.\u00e9",
        "e30.e30.e30",
        "W10.W10.W10",
        "x" * 20_000,
        encode_part({"alg": "RS256"}) + ".%%%.AA",
    ],
)
async def test_what_is_no_token_at_all(api: Api, token: str) -> None:
    await _assert_refused(api, token)


@pytest.fixture
async def two(folder: Path, issuer: Issuer, attacker: Issuer) -> AsyncIterator[Api]:
    """Both providers are configured."""
    async with Api(folder, issuer, attacker) as opened:
        yield opened


async def test_a_key_is_its_own_issuers_only(two: Api, attacker: Issuer) -> None:
    await _assert_taken(two, two.issuer.token("ann"))
    await _assert_taken(two, attacker.token("ann"))
    await _assert_refused(two, attacker.token("ann", iss=two.issuer.url))
    await _assert_refused(two, attacker.token("ann", iss=two.issuer.url, headers={"kid": two.issuer.kid()}))
    await _assert_refused(two, two.issuer.token("ann", iss=attacker.url))


async def test_one_subject_at_two_issuers_is_two_people(two: Api, attacker: Issuer) -> None:
    first, second = await _call(two, two.issuer.token("ann")), await _call(two, attacker.token("ann"))
    assert first.json()["id"] != second.json()["id"]


async def test_algorithms_are_pinned_per_issuer(folder: Path, issuer: Issuer) -> None:
    pinned = json.dumps([{**issuer.setting, "algorithms": ["ES256"]}])
    async with Api(folder, issuer, AMS_OIDC_ISSUERS=pinned) as api:
        await _assert_taken(api, issuer.token("ann", algorithm="ES256"))
        await _assert_refused(api, issuer.token("ann", algorithm="RS256"))


async def test_claims_are_named_per_issuer(folder: Path, issuer: Issuer) -> None:
    names = {"email": "https://ams/email", "email_verified": "xms_edov", "name": "display", "session": "session_state"}
    mapped = json.dumps([{**issuer.setting, "token_types": ["JWT", ""], "claims": names}])
    async with Api(folder, issuer, AMS_OIDC_ISSUERS=mapped) as api:
        claims = {"https://ams/email": "Ann@Example.com", "xms_edov": "1", "display": "Ann", "session_state": "s"}
        answer = await _call(api, issuer.token("ann", headers={"typ": "JWT"}, **claims))
        await _assert_refused(api, issuer.token("ann"))

    assert (answer.json()["name"], answer.json()["email"]) == ("Ann", "ann@example.com")
    assert answer.json()["email_verified"] is True


async def test_nobody_signs_in_where_no_issuer_is_configured(folder: Path, issuer: Issuer) -> None:
    async with Api(folder, issuer, AMS_OIDC_ISSUERS="[]") as api:
        await _assert_refused(api, issuer.token("ann"))
    assert not issuer.fetches


async def test_what_was_refused_leaves_nothing_behind(api: Api) -> None:
    await _assert_refused(api, api.issuer.token("ann", exp=1))
    assert await api.app.audit.log.months() == []
    assert api.issuer.fetches[DISCOVERY] <= 1
