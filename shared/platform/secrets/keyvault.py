"""Secrets from an Azure Key Vault, kept in memory for a while: a vault is slow (tens of ms) and throttles its readers.

A value read from the cache is at most `cache_seconds` old, so a rotated or disabled secret is noticed within that time.
After it, the vault must answer: an old value is never served in place of an error.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError, HttpResponseError
from azure.keyvault.secrets.aio import SecretClient

from shared.platform.secrets import SecretMissing, SecretsUnavailable, check_name, check_value

CACHE_SECONDS = 300
CACHE_ENTRIES_MAX = 256
"""When full, the value that was read longest ago makes room."""

GET_SECONDS_MAX = 15
"""For one reading or change with its retries and their pauses, whatever pause a throttling vault asks for."""

CONNECT_SECONDS_MAX = 5
READ_SECONDS_MAX = 5
RETRIES_MAX = 3
RETRY_BACKOFF_SECONDS = 0.2
"""Pauses are 0, 0.4 and 0.8 seconds, unless the vault names one."""


@dataclass(frozen=True, slots=True)
class _Cached:
    value: str
    until: float


class KeyVaultSecrets:
    """One client per object, made at first use in the running event loop. The caller closes `credential`.

    `clock` counts seconds from any start. `ca_file` is a PEM file of authorities to trust in place of the system's,
    and `verify_challenge_resource=False` accepts a vault outside Azure's domains: both are for vaults that only look
    like Azure's.
    """

    def __init__(
        self,
        vault_url: str,
        credential: AsyncTokenCredential,
        *,
        cache_seconds: float = CACHE_SECONDS,
        get_seconds_max: float = GET_SECONDS_MAX,
        clock: Callable[[], float] = time.monotonic,
        ca_file: str | None = None,
        verify_challenge_resource: bool = True,
    ) -> None:
        self._vault_url = vault_url
        self._credential = credential
        self._cache_seconds = cache_seconds
        self._get_seconds_max = get_seconds_max
        self._clock = clock
        self._ca_file = ca_file
        self._verify_challenge_resource = verify_challenge_resource
        self._client: SecretClient | None = None
        self._cache: dict[str, _Cached] = {}
        self._readings: dict[str, asyncio.Task[str]] = {}
        self._changes = 0

    async def get(self, name: str) -> str:
        """The current value, at most `cache_seconds` old. Raises SecretMissing, SecretsUnavailable; ValueError."""
        check_name(name)
        cached = self._cache.get(name)
        if cached is not None and self._clock() < cached.until:
            return cached.value
        reading = self._readings.get(name)
        if reading is None:
            reading = asyncio.create_task(self._read(name))
            self._readings[name] = reading
            reading.add_done_callback(lambda done: self._end_reading(name, done))
        return await asyncio.shield(reading)  # shared: one caller's cancellation must not fail the others

    async def put(self, name: str, value: str) -> None:
        """Raises SecretsUnavailable; ValueError."""
        check_name(name)
        check_value(value)
        async with self._asking(name):
            await self._secret_client().set_secret(name, value)
        self._forget(name)

    async def delete(self, name: str) -> None:
        """Soft-deleted where the vault does that: the name stays reserved. Raises SecretsUnavailable; ValueError."""
        check_name(name)
        with suppress(SecretMissing):
            async with self._asking(name):
                await self._secret_client().delete_secret(name)
        self._forget(name)

    async def close(self) -> None:
        """Wait for readings under way, then close the connections. The credential stays open."""
        await asyncio.gather(*self._readings.values(), return_exceptions=True)
        self._cache.clear()
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _read(self, name: str) -> str:
        asked, changes = self._clock(), self._changes  # before the answer: the value may be replaced while it travels
        self._cache.pop(name, None)
        value = await self._ask(name)
        if not value:
            raise SecretMissing(f"secret {name} is empty in {self._vault_url}")
        if changes == self._changes:
            while len(self._cache) >= CACHE_ENTRIES_MAX:
                del self._cache[next(iter(self._cache))]
            self._cache[name] = _Cached(value, asked + self._cache_seconds)
        return value

    async def _ask(self, name: str) -> str | None:
        async with self._asking(name):
            return (await self._secret_client().get_secret(name)).value

    @asynccontextmanager
    async def _asking(self, name: str) -> AsyncIterator[None]:
        """What the vault does not do in time, or does not do, is told in the port's words."""
        try:
            async with asyncio.timeout(self._get_seconds_max):
                yield
        except HttpResponseError as error:
            if _is_missing(error):
                raise SecretMissing(f"secret {name} is missing or disabled in {self._vault_url}") from error
            raise SecretsUnavailable(f"{self._vault_url} answered {error.status_code} for secret {name}") from error
        except TimeoutError as error:
            late = f"did not answer for secret {name} within {self._get_seconds_max} s"
            raise SecretsUnavailable(f"{self._vault_url} {late}") from error
        except (AzureError, ValueError) as error:  # ValueError: the challenge is not that of an Azure vault
            raise SecretsUnavailable(f"{self._vault_url}, secret {name}: {error}") from error

    def _forget(self, name: str) -> None:
        """A reading under way may still bring the old value, which is not kept."""
        self._changes += 1
        self._cache.pop(name, None)

    def _secret_client(self) -> SecretClient:
        if self._client is None:
            self._client = SecretClient(
                self._vault_url,
                self._credential,
                verify_challenge_resource=self._verify_challenge_resource,
                connection_verify=self._ca_file or True,
                connection_timeout=CONNECT_SECONDS_MAX,
                read_timeout=READ_SECONDS_MAX,
                retry_total=RETRIES_MAX,
                retry_backoff_factor=RETRY_BACKOFF_SECONDS,
            )
        return self._client

    def _end_reading(self, name: str, reading: asyncio.Task[str]) -> None:
        del self._readings[name]
        if not reading.cancelled():
            reading.exception()  # seen, although every caller may have been cancelled


def _is_missing(error: HttpResponseError) -> bool:
    """Only the vault's own word for it: a 404 or 403 alone may come from a proxy, a firewall or a missing role."""
    answer = error.error
    if answer is None:
        return False
    return answer.code == "SecretNotFound" or answer.innererror.get("code") == "SecretDisabled"
