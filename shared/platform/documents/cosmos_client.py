"""How AMS talks to Cosmos DB: one client with bounded retries, what every call costs, what its errors mean.

Retries. The service answers 429 before it does anything, so the SDK may wait and repeat any call. A connection that
breaks is another matter: the write may have been applied, and repeating it would turn an own success into "exists",
"precondition failed" or a second increment. The SDK repeats writes after a lost connection (it takes every aiohttp
client error for "not sent"), and aiohttp itself repeats PUT and DELETE on a reused connection, so both are turned off
here; reads ask for their retries call by call. The account must have one write region: with several, the SDK would
repeat writes in the next region whatever these settings say.
"""

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import aiohttp
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError
from azure.core.pipeline import PipelineResponse
from azure.core.pipeline.transport import AioHttpTransport
from azure.cosmos.aio import CosmosClient
from azure.cosmos.exceptions import CosmosBatchOperationError, CosmosHttpResponseError

from shared.kernel.telemetry import COSMOS_REQUEST_UNITS, COSMOS_THROTTLED
from shared.platform.documents import (
    CONTAINERS,
    Container,
    DocumentExists,
    DocumentMissing,
    DocumentsUnavailable,
    PreconditionFailed,
    TransactionFailed,
)

THROTTLE_RETRIES_MAX = 9
THROTTLE_WAIT_S_MAX = 10
"""No further retry of a throttled call starts once it has been made to wait this long."""

READ_RETRIES_MAX = 2
READ_RETRIES: dict[str, Any] = {
    "retry_total": READ_RETRIES_MAX,
    "retry_connect": READ_RETRIES_MAX,
    "retry_read": READ_RETRIES_MAX,
}
"""Keyword arguments for calls that change nothing."""

RETRY_BACKOFF_S = 0.1
CONNECT_TIMEOUT_S = 5
READ_TIMEOUT_S = 10

PARTITION_PATH = "/partition"

_log = logging.getLogger(__name__)
_PATH = re.compile(r"/dbs/[^/]+/colls/(?P<container>[^/]+)/docs\b")
_OPERATIONS = {"GET": "get", "PUT": "replace", "PATCH": "patch", "DELETE": "delete"}


def open_client(endpoint: str, credential: AsyncTokenCredential | str) -> CosmosClient:
    """A client bound to the running event loop. It does no I/O yet; close it."""
    session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False)
    # aiohttp has no public switch for this; see "Retries" above, and the contract test that drops the connection.
    session._retry_connection = False
    return CosmosClient(
        endpoint,
        credential,
        transport=AioHttpTransport(session=session),
        connection_timeout=CONNECT_TIMEOUT_S,
        read_timeout=READ_TIMEOUT_S,
        retry_throttle_total=THROTTLE_RETRIES_MAX,
        retry_throttle_backoff_max=THROTTLE_WAIT_S_MAX,
        retry_connect=0,
        retry_read=0,
        retry_backoff_factor=RETRY_BACKOFF_S,
        enable_compact_utf8_item_writes=True,  # otherwise text beyond ASCII takes up to three times its bytes
        raw_response_hook=meter,
    )


def meter(response: PipelineResponse[Any, Any]) -> None:
    """Count what one HTTP exchange cost, also one that failed or is repeated. Never logs ids, keys or bodies."""
    request, headers = response.http_request, response.http_response.headers
    container, operation = _labels(request.method, request.url, request.headers)
    status = response.http_response.status_code
    charge = float(headers.get("x-ms-request-charge") or 0)
    COSMOS_REQUEST_UNITS.labels(container, operation).inc(charge)
    if status == 429:
        COSMOS_THROTTLED.inc()
    _log.debug(
        "cosmos call",
        extra={"container": container, "operation": operation, "status": status, "request_units": charge},
    )


def _labels(method: str, url: str, headers: Mapping[str, str]) -> tuple[str, str]:
    found = _PATH.search(url)
    if found is None:
        return "account", "metadata"
    if method != "POST":
        operation = _OPERATIONS[method]
    elif headers.get("x-ms-cosmos-is-batch-request"):
        operation = "transact"
    elif headers.get("x-ms-documentdb-isquery") or headers.get("x-ms-cosmos-is-query-plan-request"):
        operation = "query"
    else:
        operation = "upsert" if headers.get("x-ms-documentdb-is-upsert") else "create"
    return found["container"], operation


@contextmanager
def translated_errors(id: str = "") -> Iterator[None]:
    """Turn the SDK's errors into the port's. `id` names the document that the call is about."""
    try:
        yield
    except CosmosBatchOperationError as error:
        reason = _answer(error.status_code, id)
        if isinstance(reason, DocumentExists | DocumentMissing | PreconditionFailed):
            raise TransactionFailed(error.error_index, reason) from error
        raise reason from error
    except CosmosHttpResponseError as error:
        # A 404 with a sub-status is not about the document: its container is gone, or a replica lags behind.
        if error.status_code == 404 and error.sub_status:
            raise DocumentsUnavailable(f"Cosmos DB answered 404/{error.sub_status}") from error
        raise _answer(error.status_code, id) from error
    except (AzureError, aiohttp.ClientError, OSError) as error:
        raise DocumentsUnavailable(f"Cosmos DB could not be reached: {error}") from error


def _answer(status: int | None, id: str) -> Exception:
    match status:
        case 404:
            return DocumentMissing(id)
        case 409:
            return DocumentExists(id)
        case 412:
            return PreconditionFailed(id)
        case 400 | 413:
            return ValueError(f"Cosmos DB refused the request as malformed or too large ({status})")
        case _:
            return DocumentsUnavailable(f"Cosmos DB answered {status}")


def indexing_policy(container: Container) -> dict[str, Any]:
    """Index only what `containers.json` names. No composite index: no query orders by two fields."""
    return {
        "indexingMode": "consistent",
        "automatic": True,
        "includedPaths": [{"path": f"/body/{field.replace('.', '/')}/?"} for field in container.indexed],
        "excludedPaths": [{"path": "/*"}],
    }


def container_definitions() -> list[dict[str, Any]]:
    """Every container as Cosmos DB describes one; the Bicep modules deploy the same from the same file.

    `defaultTtl` -1 means: documents live for ever unless they carry a `ttl` of their own.
    """
    return [
        {
            "id": container.name,
            "partitionKey": {"paths": [PARTITION_PATH], "kind": "Hash", "version": 2},
            "indexingPolicy": indexing_policy(container),
            **({"defaultTtl": -1} if container.ttl else {}),
        }
        for container in CONTAINERS.values()
    ]
