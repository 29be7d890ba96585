"""Blobs in one container of an Azure Storage account. The container exists already: bicep makes it.

The order of `list` is the service's, which is by name in byte order in accounts without a hierarchical namespace.
"""

import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError, HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import ContentSettings, StorageErrorCode, UserDelegationKey
from azure.storage.blob.aio import BlobClient, BlobServiceClient, ContainerClient, LinearRetry

from shared.platform.blobs import Blob, BlobExists, BlobsUnavailable, check_name
from shared.platform.blobs.azure_links import AccountKey, AzureLinks

CONNECT_SECONDS_MAX = 5
READ_SECONDS_MAX = 20
"""Between two pieces of an answer, not for the whole of it."""

RETRIES_MAX = 3
RETRY_PAUSE_SECONDS = 1
"""The mean: each pause is drawn between 0 and twice this, so that instances do not come back together."""

SINGLE_PUT_BYTES_MAX = 64 * 1024 * 1024
"""Up to here a blob is one request. Larger ones are staged in blocks and committed at once: as atomic, but of two
writers that overwrite the same name at the same time, one may fail with BlobsUnavailable."""

_WRITER = "ams_put"
"""Metadata that names the call to `put` that wrote a blob."""


class AzureBlobs:
    """One client per object, made at first use in the running event loop.

    Give `account_url` and `credential` (the caller closes it; it may serve other adapters), or, for an emulator only,
    `connection_string`: it holds the account's key, which real accounts of AMS do not accept.
    """

    def __init__(
        self,
        container: str,
        *,
        account_url: str | None = None,
        credential: AsyncTokenCredential | None = None,
        connection_string: str | None = None,
    ) -> None:
        if (account_url is None) == (connection_string is None) or (account_url is None) != (credential is None):
            raise ValueError("give account_url and credential, or connection_string")
        self._container = container
        self._account_url = account_url
        self._credential = credential
        self._connection_string = connection_string
        self._client: ContainerClient | None = None
        self._links = AzureLinks(container, self._new_link_key)

    async def put(self, name: str, data: bytes, *, content_type: str, overwrite: bool = False) -> None:
        """Raises BlobExists unless `overwrite`; BlobsUnavailable; ValueError."""
        await self._put(name, data, content_type, overwrite=overwrite)

    async def put_stream(self, name: str, chunks: AsyncIterator[bytes], *, content_type: str) -> None:
        """In blocks of 4 MiB, committed at once at the end. Raises BlobExists; BlobsUnavailable; ValueError; what
        `chunks` raises."""
        await self._put(name, chunks, content_type, overwrite=False)

    async def _put(self, name: str, data: bytes | AsyncIterator[bytes], content_type: str, *, overwrite: bool) -> None:
        blob = self._blob(name)
        writer = uuid.uuid4().hex
        with self._unavailable(name):
            try:
                await blob.upload_blob(
                    data,
                    overwrite=overwrite,  # False sends If-None-Match: *, which the service decides atomically
                    content_settings=ContentSettings(content_type=content_type),
                    metadata={_WRITER: writer},
                )
            except ResourceExistsError as error:
                # The SDK retries when an answer is lost, and then meets the blob that its first attempt wrote.
                if _code(error) != StorageErrorCode.BLOB_ALREADY_EXISTS:
                    raise
                if await _writer_of(blob) != writer:
                    raise BlobExists(f"{self._container}/{name}") from error

    async def get(self, name: str) -> Blob | None:
        """Raises BlobsUnavailable; ValueError."""
        blob = self._blob(name)
        with self._unavailable(name):
            try:
                download = await blob.download_blob()
                # Later pieces are asked for with the first one's ETag: a blob replaced meanwhile fails, never mixes.
                data = await download.readall()
            except ResourceNotFoundError as error:
                _raise_unless_blob_missing(error)
                return None
        return Blob(name, data, download.properties.content_settings.content_type or "")

    async def link(self, name: str, *, expires_s: int, filename: str, content_type: str | None = None) -> str:
        """By https only (an emulator's also by http). Raises BlobsUnavailable; ValueError."""
        blob = self._blob(name)
        if self._connection_string is not None:
            by = AccountKey.of(self._connection_string)
            query = self._links.signed(by, name, expires_s, filename, content_type)
        else:
            account = str(blob.account_name)
            with self._unavailable(name):
                query = await self._links.delegated(account, name, expires_s, filename, content_type)
        return f"{blob.url}?{query}"

    async def _new_link_key(self, start: datetime, end: datetime) -> UserDelegationKey:
        assert self._account_url is not None, "an emulator's links are signed with the account's key"
        async with BlobServiceClient(self._account_url, self._credential, **_options()) as service:
            return await service.get_user_delegation_key(start, end)

    async def delete(self, name: str) -> bool:
        """True when there was one; False also when the SDK had to ask again because the first answer was lost.

        Raises BlobsUnavailable; ValueError.
        """
        blob = self._blob(name)
        with self._unavailable(name):
            try:
                await blob.delete_blob(delete_snapshots="include")
            except ResourceNotFoundError as error:
                _raise_unless_blob_missing(error)
                return False
        return True

    async def list(self, prefix: str) -> AsyncIterator[str]:
        """Pages of 5,000 as they are needed; not a snapshot. Raises BlobsUnavailable."""
        names = aiter(self._container_client().list_blob_names(name_starts_with=prefix))
        while True:
            # Only the step that talks to the service: an error of the caller's loop body is not ours to map.
            with self._unavailable(prefix):
                name = await anext(names, None)
            if name is None:
                return
            yield name

    async def ready(self) -> None:
        """Raises BlobsUnavailable when the container is missing, refuses, or cannot be reached."""
        with self._unavailable(""):
            await self._container_client().get_container_properties()

    async def close(self) -> None:
        """Close the connections. The credential stays open."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    def _container_client(self) -> ContainerClient:
        if self._client is None:
            options = _options()
            if self._connection_string is not None:
                self._client = ContainerClient.from_connection_string(
                    self._connection_string, self._container, **options
                )
            else:
                assert self._account_url is not None
                self._client = ContainerClient(self._account_url, self._container, self._credential, **options)
        return self._client

    def _blob(self, name: str) -> BlobClient:
        return self._container_client().get_blob_client(check_name(name))

    @contextmanager
    def _unavailable(self, name: str) -> Iterator[None]:
        try:
            yield
        except AzureError as error:
            raise BlobsUnavailable(f"{self._container}/{name}: {_reason(error)}") from error


def _options() -> dict[str, Any]:
    return {
        "max_single_put_size": SINGLE_PUT_BYTES_MAX,
        "connection_timeout": CONNECT_SECONDS_MAX,
        "read_timeout": READ_SECONDS_MAX,
        "retry_policy": LinearRetry(
            backoff=RETRY_PAUSE_SECONDS, retry_total=RETRIES_MAX, random_jitter_range=RETRY_PAUSE_SECONDS
        ),
    }


async def _writer_of(blob: BlobClient) -> str | None:
    try:
        return (await blob.get_blob_properties()).metadata.get(_WRITER)
    except ResourceNotFoundError:
        return None  # deleted since


def _raise_unless_blob_missing(error: ResourceNotFoundError) -> None:
    """A missing container or account is a broken store, not an absent blob."""
    if _code(error) != StorageErrorCode.BLOB_NOT_FOUND:
        raise error


def _reason(error: AzureError) -> str:
    """Status and code without the message, which for a refused request repeats its headers."""
    if isinstance(error, HttpResponseError) and error.status_code is not None:
        return f"{error.status_code} {_code(error)}"
    return f"{type(error).__name__}: {error}"


def _code(error: HttpResponseError) -> str:
    """The service's code, which the storage SDK adds to azure-core's exceptions without declaring it."""
    code: object = getattr(error, "error_code", "")
    return code.value if isinstance(code, StorageErrorCode) else str(code)
