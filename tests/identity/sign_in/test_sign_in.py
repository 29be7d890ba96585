"""Sign-in: from a token to one account, whatever happens at the same time or in between."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import pytest

from shared.access.models import Consumer
from shared.audit.models import SYSTEM, Actor, Entry
from shared.bootstrap import Application
from shared.identity.models import Account, SignedIn
from shared.identity.store import ACCOUNTS, LOGINS, email_key
from shared.kernel.errors import Problem
from shared.platform.documents import Container, DocumentsUnavailable, Operation
from tests.emulators.issuer import Issuer
from tests.support.api.harness import Api


@pytest.fixture
def partner() -> Iterator[Issuer]:
    with Issuer() as running:
        yield running


@pytest.fixture
async def two(folder: Path, issuer: Issuer, partner: Issuer) -> AsyncIterator[Api]:
    """Two providers are trusted."""
    async with Api(folder, issuer, partner) as opened:
        yield opened


async def _signed(api: Api, token: str) -> SignedIn:
    return await api.app.identity.sign_in.authenticate({"authorization": f"Bearer {token}"})


async def _account(api: Api, token: str) -> Account:
    return (await _signed(api, token)).account


async def _entries(api: Api) -> list[Entry]:
    months = await api.app.audit.log.months()
    return [entry for month in months async for entry in api.app.audit.log.entries(month)]


async def test_the_first_sign_in_makes_the_account_and_its_consumer(api: Api) -> None:
    ann = await api.sign_in("Ann", email="Ann@Example.com")

    assert (ann.account.name, ann.account.email, ann.account.email_verified) == ("Ann", "ann@example.com", True)
    assert ann.account.role is None
    consumer = await api.app.access.store.consumer(ann.account.consumer_id)
    assert consumer == Consumer(
        id=ann.account.consumer_id, name="Ann", account_id=ann.account.id, created_at=ann.account.created_at
    )
    assert [(entry.action, entry.actor) for entry in await _entries(api)] == [("account.create", ann.account.id)]


async def test_a_person_without_claims_has_an_account_too(api: Api) -> None:
    account = await _account(api, api.issuer.token("ann"))
    assert (account.name, account.email, account.email_verified) == ("Unnamed", None, False)


@pytest.mark.parametrize(
    "claims",
    [
        {"email": 7},
        {"email": "no address"},
        {"email": "x" * 255 + "@example.com"},
        {"name": ["a"]},
        {"name": "\n"},
        {"email": "\ud800@example.com"},
        {"sid": 7},
        {"sid": "\ud800"},
    ],
)
async def test_odd_claims_are_left_out(api: Api, claims: dict[str, object]) -> None:
    account = await _account(api, api.issuer.token("ann", **{"email_verified": True, **claims}))
    assert (account.name, account.email, account.email_verified) == ("Unnamed", None, False)


@pytest.mark.parametrize("processes", [1, 5])
async def test_fifty_first_requests_at_once_make_one_account(
    api: Api, folder: Path, issuer: Issuer, processes: int
) -> None:
    others = [Application(api.app.settings) for _ in range(processes - 1)]
    tokens = [issuer.token("bob", email="bob@example.com", email_verified=True) for _ in range(50)]
    signs = [app.identity.sign_in for app in (api.app, *others)]

    signed = await asyncio.gather(
        *(
            signs[number % processes].authenticate({"authorization": f"Bearer {token}"})
            for number, token in enumerate(tokens)
        )
    )

    for app in others:
        await app.close()
    assert len({each.account.id for each in signed}) == 1
    assert len({each.session_id for each in signed}) == 50
    assert [entry.action for entry in await _entries(api)] == ["account.create"]


async def test_two_providers_at_once_with_one_verified_address_make_one_account(two: Api, partner: Issuer) -> None:
    tokens = [each.token("ann", email="ann@example.com", email_verified=True) for each in (two.issuer, partner) * 10]
    accounts = await asyncio.gather(*(_account(two, token) for token in tokens))
    assert len({account.id for account in accounts}) == 1
    assert sorted(entry.action for entry in await _entries(two)) == ["account.create", "account.link"]


async def test_a_verified_address_links(two: Api, partner: Issuer) -> None:
    first = await _account(two, two.issuer.token("ann", email="ann@example.com", email_verified=True))

    second = await _account(two, partner.token("a-1", email=" Ann@EXAMPLE.com", email_verified=True))

    assert second.id == first.id
    assert {login.issuer for login in await two.app.identity.store.logins(first.id)} == {two.issuer.url, partner.url}


@pytest.mark.parametrize("verified", [False, None, "false", 0, "yes", ["true"]])
async def test_an_unverified_address_never_links(two: Api, partner: Issuer, verified: object) -> None:
    first = await _account(two, two.issuer.token("ann", email="ann@example.com", email_verified=True))

    second = await _account(two, partner.token("eve", email="ann@example.com", email_verified=verified))

    assert second.id != first.id
    assert (second.email, second.email_verified) == ("ann@example.com", False)


async def test_an_unverified_address_reserves_nothing(two: Api, partner: Issuer) -> None:
    """Somebody who claims an address first does not get its owner into their account."""
    eve = await _account(two, partner.token("eve", email="ann@example.com", email_verified=False))

    ann = await _account(two, two.issuer.token("ann", email="ann@example.com", email_verified=True))

    assert ann.id != eve.id
    found = await two.app.identity.store.account_by_email("ANN@example.com")
    assert found is not None
    assert found.value.id == ann.id


async def test_an_issuer_whose_addresses_are_not_trusted_never_links(
    folder: Path, issuer: Issuer, partner: Issuer
) -> None:
    setting = json.dumps([issuer.setting, {**partner.setting, "claims": {"email_verified": None}}])
    async with Api(folder, issuer, AMS_OIDC_ISSUERS=setting) as api:
        ann = await _account(api, issuer.token("ann", email="ann@example.com", email_verified=True))
        eve = await _account(api, partner.token("eve", email="ann@example.com", email_verified=True))
    assert eve.id != ann.id


async def test_a_new_address_is_adopted_and_the_old_one_given_up(api: Api) -> None:
    ann = await _account(api, api.issuer.token("ann", email="old@example.com", email_verified=True))

    moved = await _account(api, api.issuer.token("ann", email="new@example.com", email_verified=True))

    assert (moved.id, moved.email, moved.email_verified) == (ann.id, "new@example.com", True)
    heir = await _account(api, api.issuer.token("heir", email="old@example.com", email_verified=True))
    assert heir.id != ann.id


async def test_somebody_elses_address_is_not_taken_over(api: Api) -> None:
    ann = await _account(api, api.issuer.token("ann", email="ann@example.com", email_verified=True))
    bob = await _account(api, api.issuer.token("bob", email="bob@example.com", email_verified=True))

    moved = await _account(api, api.issuer.token("bob", email="ann@example.com", email_verified=True))

    assert (moved.id, moved.email, moved.email_verified) == (bob.id, "bob@example.com", False)
    found = await api.app.identity.store.account_by_email("ann@example.com")
    assert found is not None
    assert found.value.id == ann.id


class _Failing:
    """Documents that are not there for one kind of call, as when a process is killed in front of it."""

    def __init__(self, app: Application, monkeypatch: pytest.MonkeyPatch) -> None:
        self._app = app
        self._monkeypatch = monkeypatch

    def on_create(self, container: Container, after: int) -> None:
        """Creating fails after `after` successes."""
        real, done = self._app.ports.documents.create, 0

        async def create(asked: Container, *args: object, **kw: object) -> str:
            nonlocal done
            if asked is container:
                if done == after:
                    raise DocumentsUnavailable("killed")
                done += 1
            return await real(asked, *args, **kw)  # type: ignore[arg-type]  # passed on as it came

        self._monkeypatch.setattr(self._app.ports.documents, "create", create)

    def on_transact(self, container: Container) -> None:
        real = self._app.ports.documents.transact

        async def transact(asked: Container, partition: str, operations: Sequence[Operation]) -> Sequence[str]:
            if asked is container:
                raise DocumentsUnavailable("killed")
            return await real(asked, partition, operations)

        self._monkeypatch.setattr(self._app.ports.documents, "transact", transact)


@pytest.mark.parametrize("moment", ["before anything", "after the address", "after the login"])
async def test_a_kill_at_any_moment_is_mended_by_the_next_sign_in(api: Api, moment: str) -> None:
    token = api.issuer.token("ann", email="ann@example.com", email_verified=True)
    with pytest.MonkeyPatch.context() as monkeypatch:
        failing = _Failing(api.app, monkeypatch)
        if moment == "after the login":
            failing.on_transact(ACCOUNTS)
        else:
            failing.on_create(LOGINS, 0 if moment == "before anything" else 1)
        with pytest.raises(DocumentsUnavailable):
            await _signed(api, token)
    reserved = await api.app.identity.store.reserved_for(email_key("ann@example.com"))

    account = await _account(api, token)

    assert reserved in (None, account.id)
    assert (await _account(api, token)).id == account.id
    assert await api.app.access.store.consumer(account.consumer_id) is not None
    assert [entry.action for entry in await _entries(api)] == ["account.create"]


async def test_a_kill_before_a_link_is_written_is_mended(two: Api, partner: Issuer) -> None:
    ann = await _account(two, two.issuer.token("ann", email="ann@example.com", email_verified=True))
    token = partner.token("a-1", email="ann@example.com", email_verified=True)
    with pytest.MonkeyPatch.context() as monkeypatch:
        _Failing(two.app, monkeypatch).on_transact(ACCOUNTS)
        with pytest.raises(DocumentsUnavailable):
            await _signed(two, token)

    assert (await _account(two, token)).id == ann.id
    assert [entry.action for entry in await _entries(two)] == ["account.create", "account.link"]


async def test_a_store_that_does_not_answer_is_503(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    _Failing(api.app, monkeypatch).on_transact(ACCOUNTS)
    token = api.issuer.token("ann")
    answer = await api.anonymous.get("/api/v1/me", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.json()["code"]) == (503, "service_unavailable")


async def test_a_provider_that_is_down_is_503(folder: Path, issuer: Issuer) -> None:
    token = issuer.token("ann")
    issuer.down()
    async with Api(folder, issuer) as api:
        answer = await api.anonymous.get("/api/v1/me", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.json()["code"]) == (503, "service_unavailable")
    assert answer.headers["retry-after"] == "30"


async def test_the_setting_makes_the_first_admins(folder: Path, issuer: Issuer) -> None:
    admins = f"Root@Example.com, {issuer.url}|sub-2"
    async with Api(folder, issuer, AMS_ADMINS=admins) as api:
        root = await _account(api, issuer.token("r", email="root@example.com", email_verified=True))
        second = await _account(api, issuer.token("sub-2"))
        claimed = await _account(api, issuer.token("eve", email="root@example.com", email_verified=False))
        other = await _account(api, issuer.token("sub-3"))
        entries = await _entries(api)

    assert [root.role, second.role, claimed.role, other.role] == ["admin", "admin", None, None]
    made = [entry for entry in entries if entry.action == "account.set_admin"]
    assert [(entry.actor, entry.resource, entry.after, entry.reason) for entry in made] == [
        ("system", f"account:{account.id}", {"role": "admin"}, "named in AMS_ADMINS") for account in (root, second)
    ]


async def test_the_setting_reaches_accounts_that_are_there_already(folder: Path, issuer: Issuer) -> None:
    async with Api(folder, issuer) as api:
        before = await _account(api, issuer.token("r", email="root@example.com", email_verified=True))
    async with Api(folder, issuer, AMS_ADMINS="root@example.com") as api:
        after = await _account(api, issuer.token("r", email="root@example.com", email_verified=True))
    assert (before.role, after.id, after.role) == (None, before.id, "admin")


async def test_first_admins_who_come_at_the_same_time_are_all_admins(folder: Path, issuer: Issuer) -> None:
    names = [f"r{number}@example.com" for number in range(8)]
    async with Api(folder, issuer, AMS_ADMINS=",".join(names)) as api:
        tokens = [issuer.token(name, email=name, email_verified=True) for name in names]
        accounts = await asyncio.gather(*(_account(api, token) for token in tokens))
    assert {account.role for account in accounts} == {"admin"}


async def test_what_is_cached_is_cut_off_by_a_change_of_this_process(folder: Path, issuer: Issuer) -> None:
    async with Api(folder, issuer, AMS_AUTH_CACHE_S="1") as api:
        ann = await api.sign_in("Ann")
        assert (await ann.get("/api/v1/me")).status_code == 200
        stored = await api.app.identity.store.account(ann.account.id)
        assert stored is not None
        await api.app.identity.accounts.suspend(SYSTEM, stored, "a test")
        refused = await ann.get("/api/v1/me")
    assert (refused.status_code, refused.json()["code"]) == (403, "account_suspended")


async def test_a_role_that_a_kill_left_behind_follows_the_roster(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    ann = await api.sign_in("Ann")
    with pytest.MonkeyPatch.context() as killed:

        async def follow(account_id: str) -> None:
            raise DocumentsUnavailable("killed")

        killed.setattr(api.app.identity.admins, "follow", follow)
        await api.app.identity.admins.appoint(SYSTEM, ann.account, "a test")
        await api.drain()
    assert (await ann.reload()).role is None

    api.clock.passes(minutes=2)
    assert await api.app.audit.journal.deliver_due() == 1
    assert (await ann.reload()).role == "admin"


async def test_two_admins_cannot_dismiss_each_other(api: Api) -> None:
    ann, bob = await api.sign_in("Ann", admin=True), await api.sign_in("Bob", admin=True)
    pairs = [(ann, bob), (bob, ann)]

    outcomes = await asyncio.gather(
        *(
            api.app.identity.admins.dismiss(Actor(who.account.id, "admin"), whom.account, "a test")
            for who, whom in pairs
        ),
        return_exceptions=True,
    )

    roles = {(await ann.reload()).role, (await bob.reload()).role}
    assert roles == {"admin", None}
    (refused,) = (outcome for outcome in outcomes if outcome is not None)
    assert isinstance(refused, Problem)
    assert refused.code == "conflict"
