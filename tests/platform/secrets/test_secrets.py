"""The contract of the secrets port, for every adapter, and what only one of them can do wrong."""

import asyncio
import stat
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from azure.core.credentials import AccessToken

from shared.platform.secrets import SecretMissing, Secrets, SecretsUnavailable
from shared.platform.secrets.environment import EnvironmentSecrets
from shared.platform.secrets.files import FileSecrets
from shared.platform.secrets.keyvault import CACHE_ENTRIES_MAX, RETRIES_MAX, KeyVaultSecrets
from tests.emulators.key_vault import Fault, KeyVaultPeer, Secret

TOKEN = "token-of-the-test"


class Credential:
    """Hands out the token that the peer expects, and notes what it was asked for."""

    def __init__(self, token: str = TOKEN) -> None:
        self._token = token
        self.scopes: list[str] = []

    async def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        self.scopes += scopes
        return AccessToken(self._token, int(time.time()) + 3600)

    async def close(self) -> None: ...

    async def __aexit__(self, *_: object) -> None: ...


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def vault(tmp_path: Path) -> AsyncIterator[KeyVaultPeer]:
    peer = KeyVaultPeer(tmp_path, TOKEN)
    await peer.start()
    yield peer
    await peer.stop()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def connect(vault: KeyVaultPeer, **options: Any) -> KeyVaultSecrets:
    trust = {"ca_file": str(vault.ca_file), "verify_challenge_resource": False}
    credential = options.pop("credential", None) or Credential()
    return KeyVaultSecrets(vault.url, credential, **(trust | options))


@pytest.fixture
async def keyvault(vault: KeyVaultPeer, clock: Clock) -> AsyncIterator[KeyVaultSecrets]:
    secrets = connect(vault, cache_seconds=60, clock=clock)
    yield secrets
    await secrets.close()


@dataclass
class Harness:
    """The port, and the operator's way to set a secret behind it."""

    secrets: Secrets
    environ: dict[str, str]
    vault: KeyVaultPeer

    def set(self, name: str, value: str) -> None:
        self.environ["AMS_SECRET_" + name.upper().replace("-", "_")] = value
        self.vault.secrets[name] = Secret(value)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "secrets"


@pytest.fixture(params=["environment", "files", "keyvault"])
def harness(request: pytest.FixtureRequest, vault: KeyVaultPeer, keyvault: KeyVaultSecrets, folder: Path) -> Harness:
    environ: dict[str, str] = {}
    adapters: dict[str, Secrets] = {
        "environment": EnvironmentSecrets(environ),
        "files": FileSecrets(folder, EnvironmentSecrets(environ)),
        "keyvault": keyvault,
    }
    return Harness(adapters[request.param], environ, vault)


@pytest.fixture(params=["files", "keyvault"])
def keeper(request: pytest.FixtureRequest, keyvault: KeyVaultSecrets, folder: Path) -> Secrets:
    """Adapters that keep secrets themselves."""
    return keyvault if request.param == "keyvault" else FileSecrets(folder, EnvironmentSecrets({}))


# The contract


async def test_gives_the_value_as_it_was_set(harness: Harness) -> None:
    value = ' päper=" \\ \n' + "x" * 20_000
    harness.set("key-pepper-v1", value)
    assert await harness.secrets.get("key-pepper-v1") == value


async def test_tells_secrets_apart(harness: Harness) -> None:
    harness.set("key-pepper-v1", "one")
    harness.set("key-pepper-v2", "two")
    assert [await harness.secrets.get(f"key-pepper-v{n}") for n in (2, 1)] == ["two", "one"]


async def test_a_missing_secret_is_named_with_the_place_it_was_looked_for(harness: Harness) -> None:
    with pytest.raises(SecretMissing, match=r"key-pepper-v1 .*(AMS_SECRET_KEY_PEPPER_V1|https://127\.0\.0\.1)"):
        await harness.secrets.get("key-pepper-v1")


async def test_an_empty_secret_counts_as_missing(harness: Harness) -> None:
    harness.set("key-pepper-v1", "")
    with pytest.raises(SecretMissing):
        await harness.secrets.get("key-pepper-v1")


async def test_a_secret_set_after_it_was_missed_is_found_at_once(harness: Harness) -> None:
    with pytest.raises(SecretMissing):
        await harness.secrets.get("late")
    harness.set("late", "here")
    assert await harness.secrets.get("late") == "here"


@pytest.mark.parametrize("name", ["a", "a1-2-b-", "a" * 127])
async def test_takes_every_name_that_the_rule_allows(harness: Harness, name: str) -> None:
    harness.set(name, "value")
    assert await harness.secrets.get(name) == "value"


@pytest.mark.parametrize("name", ["", "A", "1a", "-a", "a_b", "a.b", "a/b", "../a", "ä", "a\n", "a b", "a" * 128])
async def test_refuses_other_names_without_asking(harness: Harness, name: str) -> None:
    with pytest.raises(ValueError, match="secret name"):
        await harness.secrets.get(name)
    assert harness.vault.reads == []


async def test_closing_twice_is_harmless(harness: Harness) -> None:
    harness.set("a", "value")
    await harness.secrets.get("a")
    await harness.secrets.close()
    await harness.secrets.close()


async def test_a_kept_secret_is_given_as_it_was_kept(keeper: Secrets) -> None:
    value = ' päper=" \\ \r\n' + "x" * 20_000
    await keeper.put("upstream-1", value)
    assert await keeper.get("upstream-1") == value


async def test_keeping_again_replaces_the_value_at_once(keeper: Secrets) -> None:
    await keeper.put("a", "old")
    assert await keeper.get("a") == "old"
    await keeper.put("a", "new")
    assert await keeper.get("a") == "new"


async def test_a_deleted_secret_is_missing_at_once_and_others_stay(keeper: Secrets) -> None:
    await keeper.put("a", "one")
    await keeper.put("b", "two")
    assert await keeper.get("a") == "one"
    await keeper.delete("a")
    with pytest.raises(SecretMissing):
        await keeper.get("a")
    assert await keeper.get("b") == "two"


async def test_deleting_what_is_not_there_is_fine(harness: Harness) -> None:
    await harness.secrets.delete("never-was")


async def test_an_empty_secret_is_not_kept(harness: Harness) -> None:
    with pytest.raises(ValueError, match="must not be empty"):
        await harness.secrets.put("a", "")


@pytest.mark.parametrize("name", ["", "A", "a_b", "../a", ".a", "a/b"])
async def test_other_names_are_neither_kept_nor_deleted(harness: Harness, name: str) -> None:
    with pytest.raises(ValueError, match="secret name"):
        await harness.secrets.put(name, "value")
    with pytest.raises(ValueError, match="secret name"):
        await harness.secrets.delete(name)


# Environment only


async def test_environment_keeps_and_deletes_nothing() -> None:
    environ = {"AMS_SECRET_A": "value"}
    secrets = EnvironmentSecrets(environ)
    with pytest.raises(SecretsUnavailable) as caught:
        await secrets.put("b", "value-to-hide")
    assert "value-to-hide" not in str(caught.value)
    with pytest.raises(SecretsUnavailable):
        await secrets.delete("a")
    assert environ == {"AMS_SECRET_A": "value"}


async def test_environment_follows_a_change_of_the_variable() -> None:
    environ = {"AMS_SECRET_A": "old"}
    secrets = EnvironmentSecrets(environ)
    assert await secrets.get("a") == "old"
    environ["AMS_SECRET_A"] = "new"
    assert await secrets.get("a") == "new"


# Files only


def modes(folder: Path) -> dict[str, int]:
    """Of the folder and of everything in it."""
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.iterdir())}


async def test_files_are_for_their_owner_only(folder: Path) -> None:
    await FileSecrets(folder, EnvironmentSecrets({})).put("a", "value")
    assert modes(folder) == {"secrets": 0o700, "a": 0o600}


async def test_what_the_operator_sets_wins_over_a_file(folder: Path) -> None:
    environ = {"AMS_SECRET_A": "the operator's"}
    secrets = FileSecrets(folder, EnvironmentSecrets(environ))
    await secrets.put("a", "kept")
    assert await secrets.get("a") == "the operator's"
    del environ["AMS_SECRET_A"]
    assert await secrets.get("a") == "kept"


async def test_a_folder_that_cannot_be_written_is_unavailable_and_leaves_the_old_value(folder: Path) -> None:
    secrets = FileSecrets(folder, EnvironmentSecrets({}))
    await secrets.put("a", "old")
    (folder / "b").mkdir()  # where a file should go
    with pytest.raises(SecretsUnavailable) as caught:
        await secrets.put("b", "value-to-hide")
    assert "value-to-hide" not in str(caught.value)
    assert await secrets.get("a") == "old"
    assert set(modes(folder)) == {"secrets", "a", "b"}


async def test_another_process_sees_a_kept_file_at_once(folder: Path) -> None:
    one, other = (FileSecrets(folder, EnvironmentSecrets({})) for _ in range(2))
    with pytest.raises(SecretMissing, match="AMS_SECRET_A"):
        await other.get("a")
    await one.put("a", "value")
    assert await other.get("a") == "value"


# Key Vault only: access


async def test_keyvault_answers_the_challenge_with_a_token_for_the_vault(vault: KeyVaultPeer) -> None:
    vault.secrets["a"] = Secret("value")
    credential = Credential()
    secrets = connect(vault, credential=credential)
    assert await secrets.get("a") == "value"
    assert set(credential.scopes) == {"https://vault.azure.net/.default"}
    await secrets.close()


async def test_keyvault_refuses_a_vault_that_asks_for_another_ones_token(vault: KeyVaultPeer) -> None:
    vault.secrets["a"] = Secret("value")
    credential = Credential()
    secrets = connect(vault, credential=credential, verify_challenge_resource=True)
    with pytest.raises(SecretsUnavailable):
        await secrets.get("a")
    assert credential.scopes == []
    assert vault.reads == []
    await secrets.close()


async def test_keyvault_refuses_a_certificate_it_does_not_trust(vault: KeyVaultPeer) -> None:
    vault.secrets["a"] = Secret("value")
    secrets = connect(vault, ca_file=None)
    with pytest.raises(SecretsUnavailable, match=r"(?i)certificate"):
        await secrets.get("a")
    assert vault.reads == []
    await secrets.close()


async def test_keyvault_reports_a_token_that_is_not_accepted(vault: KeyVaultPeer) -> None:
    vault.secrets["a"] = Secret("value")
    secrets = connect(vault, credential=Credential("another token"))
    with pytest.raises(SecretsUnavailable, match="401"):
        await secrets.get("a")
    await secrets.close()


# Key Vault only: failures


async def read_once(vault: KeyVaultPeer, keyvault: KeyVaultSecrets) -> None:
    vault.secrets["a"] = Secret("value")
    assert await keyvault.get("a") == "value"


async def test_a_disabled_secret_is_missing(vault: KeyVaultPeer, keyvault: KeyVaultSecrets) -> None:
    vault.secrets["a"] = Secret("value-to-hide", enabled=False)
    with pytest.raises(SecretMissing) as caught:
        await keyvault.get("a")
    assert "value-to-hide" not in repr(caught.value)


@pytest.mark.parametrize(
    "fault", [Fault(403, "Forbidden"), Fault(404, "NotFound")], ids=["refused by a policy", "not a vault at all"]
)
async def test_a_refusal_that_is_not_about_the_secret_does_not_make_it_missing(
    vault: KeyVaultPeer, keyvault: KeyVaultSecrets, fault: Fault
) -> None:
    vault.secrets["a"] = Secret("value")
    vault.faults.append(fault)
    with pytest.raises(SecretsUnavailable, match=str(fault.status)):
        await keyvault.get("a")
    assert await keyvault.get("a") == "value"


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_passing_failure_is_retried(vault: KeyVaultPeer, keyvault: KeyVaultSecrets, status: int) -> None:
    vault.secrets["a"] = Secret("value")
    vault.faults.append(Fault(status, "Busy"))
    assert await keyvault.get("a") == "value"
    assert not vault.faults


async def test_retries_are_bounded(vault: KeyVaultPeer, keyvault: KeyVaultSecrets) -> None:
    vault.faults.extend(Fault(503, "Busy") for _ in range(RETRIES_MAX + 5))
    with pytest.raises(SecretsUnavailable, match="503"):
        await keyvault.get("a")
    assert len(vault.faults) == 4  # one attempt and RETRIES_MAX more were answered


async def test_a_throttling_vault_cannot_hold_a_caller_longer_than_the_limit(vault: KeyVaultPeer) -> None:
    vault.faults.append(Fault(429, "Throttled", {"Retry-After": "3600"}))
    secrets = connect(vault, get_seconds_max=0.5)
    with pytest.raises(SecretsUnavailable, match=r"within 0\.5 s"):
        await secrets.get("a")
    await secrets.close()


async def test_a_vault_that_is_down_is_unavailable_and_found_again_when_it_is_back(
    vault: KeyVaultPeer, keyvault: KeyVaultSecrets
) -> None:
    await read_once(vault, keyvault)
    await vault.stop()
    with pytest.raises(SecretsUnavailable):
        await keyvault.get("b")
    await vault.start()
    vault.secrets["b"] = Secret("back")
    assert await keyvault.get("b") == "back"


# Key Vault only: the cache


async def test_a_value_is_kept_for_its_seconds_and_then_read_again(
    vault: KeyVaultPeer, keyvault: KeyVaultSecrets, clock: Clock
) -> None:
    await read_once(vault, keyvault)
    vault.secrets["a"] = Secret("rotated")
    clock.now += 59.9
    assert await keyvault.get("a") == "value"
    clock.now += 0.1
    assert await keyvault.get("a") == "rotated"
    assert vault.reads == ["a", "a"]


async def test_a_secret_disabled_meanwhile_is_missing_once_its_seconds_are_over(
    vault: KeyVaultPeer, keyvault: KeyVaultSecrets, clock: Clock
) -> None:
    await read_once(vault, keyvault)
    vault.secrets["a"].enabled = False
    clock.now += 60
    with pytest.raises(SecretMissing):
        await keyvault.get("a")
    with pytest.raises(SecretMissing):
        await keyvault.get("a")


async def test_an_old_value_is_not_served_in_place_of_an_error(
    vault: KeyVaultPeer, keyvault: KeyVaultSecrets, clock: Clock
) -> None:
    await read_once(vault, keyvault)
    clock.now += 60
    vault.faults.append(Fault(403, "Forbidden"))
    with pytest.raises(SecretsUnavailable):
        await keyvault.get("a")


async def test_a_vault_that_refuses_to_keep_is_unavailable(vault: KeyVaultPeer, keyvault: KeyVaultSecrets) -> None:
    await keyvault.put("a", "value")
    await keyvault.delete("a")
    with pytest.raises(SecretsUnavailable, match="409") as caught:  # the name is reserved for a while
        await keyvault.put("a", "value-to-hide")
    assert "value-to-hide" not in str(caught.value)


async def test_a_reading_under_way_does_not_bring_back_what_was_changed(
    vault: KeyVaultPeer, keyvault: KeyVaultSecrets
) -> None:
    vault.secrets["a"] = Secret("old")
    reading = asyncio.create_task(keyvault.get("a"))
    await asyncio.sleep(0)  # it has asked
    await keyvault.put("a", "new")
    await reading
    assert await keyvault.get("a") == "new"


async def test_many_callers_share_one_reading(vault: KeyVaultPeer, keyvault: KeyVaultSecrets) -> None:
    vault.secrets["a"] = Secret("value")
    assert await asyncio.gather(*(keyvault.get("a") for _ in range(100))) == ["value"] * 100
    assert vault.reads == ["a"]


async def test_a_cancelled_caller_does_not_take_the_others_down(vault: KeyVaultPeer, keyvault: KeyVaultSecrets) -> None:
    vault.secrets["a"] = Secret("value")
    first, second = (asyncio.create_task(keyvault.get("a")) for _ in range(2))
    await asyncio.sleep(0)  # both have asked
    first.cancel()
    assert await second == "value"
    assert first.cancelled()
    assert vault.reads == ["a"]


async def test_the_cache_is_bounded_and_drops_what_was_read_longest_ago(
    vault: KeyVaultPeer, keyvault: KeyVaultSecrets, clock: Clock
) -> None:
    async def read(*names: str) -> list[str]:
        """Which of them the vault was asked for."""
        vault.reads.clear()
        for name in names:
            vault.secrets[name] = Secret(name)
            await keyvault.get(name)
        return list(vault.reads)

    first, second, third, *others = (f"s{n}" for n in range(CACHE_ENTRIES_MAX))
    await read(first, second)
    clock.now += 30
    await read(third, *others)
    clock.now += 30
    assert await read(second, "new", "newer") == [second, "new", "newer"]  # makes room where `first`, `third` were
    assert await read(second, *others, "new", "newer") == []
    assert await read(first, third) == [first, third]


async def test_closing_waits_for_a_reading_under_way(vault: KeyVaultPeer) -> None:
    vault.secrets["a"] = Secret("value")
    secrets = connect(vault)
    reading = asyncio.create_task(secrets.get("a"))
    await asyncio.sleep(0)  # it has asked
    await secrets.close()
    assert await reading == "value"
