"""A provider's keys: fetched rarely, kept when the provider fails, renewed when it rotates."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest

from shared.identity.sign_in.issuers import Issuer as Configured
from shared.identity.sign_in.signing_keys import COOLDOWN_S, REFRESH_S, STALE_S_MAX, usable_keys
from shared.identity.sign_in.tokens import TokenVerifier
from shared.kernel.errors import Problem
from shared.platform.upstream.http import HttpUpstream
from tests.emulators.issuer import DISCOVERY, JWKS, Issuer, public_jwk, rsa_key


@dataclass
class Clock:
    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Verifier:
    """One process's verification, with the clock of its caches."""

    issuer: Issuer
    tokens: TokenVerifier
    clock: Clock

    async def code(self, token: str) -> str:
        try:
            await self.tokens.verify(token)
        except Problem as problem:
            return problem.code
        return "taken"

    async def good(self) -> str:
        return await self.code(self.issuer.token("ann"))

    async def guess(self) -> str:
        """A token of a kid that nobody has."""
        return await self.code(self.issuer.token("ann", headers={"kid": secrets.token_hex(8)}))

    @property
    def fetches(self) -> int:
        return self.issuer.fetches[JWKS]


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as running:
        yield running


@pytest.fixture
async def verifier(issuer: Issuer) -> AsyncIterator[Verifier]:
    http, clock = HttpUpstream(allow_private=True), Clock()
    tokens = TokenVerifier([Configured(issuer=issuer.url, audience=issuer.audience)], http, clock)
    yield Verifier(issuer, tokens, clock)
    await tokens.close()
    await http.close()


async def test_a_thousand_random_kids_cost_one_fetch_in_thirty_seconds(verifier: Verifier) -> None:
    assert await verifier.good() == "taken"
    fetched = verifier.fetches
    for _ in range(3):
        verifier.clock.now += COOLDOWN_S
        answers = await asyncio.gather(*(verifier.guess() if n % 10 else verifier.good() for n in range(1_111)))
        assert answers.count("token_invalid") == 999
        assert answers.count("taken") == 112
        fetched += 1
        assert verifier.fetches == fetched
    assert verifier.issuer.fetches[DISCOVERY] == 1


async def test_random_kids_before_the_first_valid_one_cost_one_fetch(verifier: Verifier) -> None:
    answers = await asyncio.gather(*(verifier.guess() for _ in range(200)), verifier.good())
    assert answers[-1] == "taken"
    assert verifier.fetches == 1


async def test_valid_users_do_not_wait_for_the_fetch_of_an_unknown_kid(verifier: Verifier) -> None:
    assert await verifier.good() == "taken"
    verifier.clock.now += COOLDOWN_S
    hold = verifier.issuer.hold(JWKS)
    guessing = asyncio.create_task(verifier.guess())
    await asyncio.to_thread(hold.arrived.wait, 10)

    assert await verifier.good() == "taken"
    assert not guessing.done()

    hold.release.set()
    assert await guessing == "token_invalid"


@pytest.mark.parametrize(
    "answer",
    [
        (200, b'{"keys": []}'),
        (200, b"{}"),
        (200, b"no json"),
        (200, b"[]"),
        (500, b""),
        (302, b""),
        (200, b" " * 300_000),
        (200, b'{"keys": [7, {"kty": "oct"}]}'),
        (200, b"[" * 100_000),
    ],
)
async def test_an_answer_without_keys_replaces_none_and_keeps_the_cooldown(
    verifier: Verifier, answer: tuple[int, bytes]
) -> None:
    assert await verifier.good() == "taken"
    verifier.issuer.answers[JWKS] = answer
    verifier.clock.now += COOLDOWN_S

    assert [await verifier.guess() for _ in range(20)] == ["token_invalid"] * 20

    assert await verifier.good() == "taken"
    assert verifier.fetches == 2


async def test_an_empty_key_set_from_the_start_is_asked_for_once_in_thirty_seconds(verifier: Verifier) -> None:
    verifier.issuer.answers[JWKS] = (200, b'{"keys": []}')
    assert {await verifier.guess() for _ in range(50)} == {"service_unavailable"}
    assert verifier.fetches == 1

    del verifier.issuer.answers[JWKS]
    verifier.clock.now += COOLDOWN_S
    assert await verifier.good() == "taken"


async def test_a_provider_that_is_down_from_the_start_is_503(verifier: Verifier) -> None:
    verifier.issuer.down()
    with pytest.raises(Problem) as refused:
        await verifier.tokens.verify(verifier.issuer.token("ann"))
    assert (refused.value.status, refused.value.code) == (503, "service_unavailable")
    assert refused.value.headers["Retry-After"] == "30"

    verifier.issuer.up()
    verifier.clock.now += COOLDOWN_S
    assert await verifier.good() == "taken"


async def test_a_provider_that_goes_down_does_not_matter_for_a_day(verifier: Verifier) -> None:
    assert await verifier.good() == "taken"
    verifier.issuer.down()
    for _ in range(10):
        verifier.clock.now += STALE_S_MAX / 11
        assert await verifier.good() == "taken"
        assert await verifier.guess() == "token_invalid"
    verifier.clock.now += STALE_S_MAX
    assert await verifier.good() == "service_unavailable"

    verifier.issuer.up()
    verifier.clock.now += COOLDOWN_S
    assert await verifier.good() == "taken"


async def test_a_rotation_is_picked_up_by_the_first_new_token(verifier: Verifier) -> None:
    assert await verifier.good() == "taken"
    old = verifier.issuer.token("ann")
    verifier.issuer.rotate()
    assert await verifier.good() == "token_invalid", "within the cooldown"

    verifier.clock.now += COOLDOWN_S
    assert await verifier.good() == "taken"
    assert await verifier.code(old) == "token_invalid", "the old keys are gone"


async def test_keys_are_renewed_in_the_background(verifier: Verifier) -> None:
    assert await verifier.good() == "taken"
    old = verifier.issuer.token("ann")
    verifier.issuer.rotate()
    verifier.clock.now += REFRESH_S
    hold = verifier.issuer.hold(JWKS)

    assert await verifier.code(old) == "taken", "what is there is used while new ones come"

    await asyncio.to_thread(hold.arrived.wait, 10)
    hold.release.set()
    assert await verifier.good() == "taken", "the fetch that is under way is waited for"
    assert await verifier.code(old) == "token_invalid"
    assert verifier.fetches == 2


async def test_a_caller_who_goes_away_does_not_stop_the_fetch_for_others(verifier: Verifier) -> None:
    hold = verifier.issuer.hold(JWKS)
    first = asyncio.create_task(verifier.good())
    await asyncio.to_thread(hold.arrived.wait, 10)
    second = asyncio.create_task(verifier.good())
    first.cancel()
    hold.release.set()

    assert await second == "taken"
    assert first.cancelled() or first.done()


async def test_a_discovery_document_of_somebody_else_is_not_believed(verifier: Verifier) -> None:
    document = {"issuer": "https://other.example", "jwks_uri": verifier.issuer.url + JWKS}
    verifier.issuer.answers[DISCOVERY] = (200, json.dumps(document).encode())
    assert await verifier.good() == "service_unavailable"
    assert verifier.fetches == 0


@pytest.mark.parametrize(
    "address", ["http://keys.example/jwks", "file:///etc/passwd", "//x", "", None, 7, "https://127.0.0.1/jwks"]
)
async def test_keys_come_over_a_safe_way_only(verifier: Verifier, address: object) -> None:
    document = {"issuer": verifier.issuer.url, "jwks_uri": address}
    verifier.issuer.answers[DISCOVERY] = (200, json.dumps(document).encode())
    assert await verifier.good() == "service_unavailable"


async def test_a_moved_key_set_is_found_again(verifier: Verifier) -> None:
    assert await verifier.good() == "taken"
    verifier.issuer.rotate()
    verifier.issuer.answers[JWKS] = (404, b"")
    moved = json.dumps({"issuer": verifier.issuer.url, "jwks_uri": verifier.issuer.url + "/moved"}).encode()
    verifier.issuer.answers |= {DISCOVERY: (200, moved), "/moved": (200, json.dumps(verifier.issuer.jwks()).encode())}
    verifier.clock.now += COOLDOWN_S
    assert await verifier.good() == "token_invalid"
    verifier.clock.now += COOLDOWN_S
    assert await verifier.good() == "taken"


def test_only_public_signing_keys_that_fit_are_used() -> None:
    good = {**public_jwk(rsa_key(0)), "kid": "good"}
    listed = [
        good,
        {**good, "kid": "encryption", "use": "enc"},
        {**good, "kid": "private", "d": "AQAB"},
        {**good, "kid": "another algorithm", "alg": "RS512"},
        {**good, "kid": 7},
        {**good, "kid": "broken", "n": "%"},
        {"kid": "secret", "kty": "oct", "k": "c2VjcmV0"},
        {"kid": "curve", "kty": "EC", "crv": "P-521", "x": "AA", "y": "AA"},
        "text",
        None,
    ]
    assert set(usable_keys(listed, ("RS256", "ES256"))) == {("good", "RS256")}
