"""The stores that the documents contract runs against, and time under the tests' control.

With AMS_TEST_AZURE_COSMOS_ENDPOINT and AMS_TEST_AZURE_COSMOS_KEY set, also a real account: every test gets a database
of its own and drops it afterwards, and time passes by waiting.
"""

import os
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.platform.documents import Documents
from shared.platform.documents.cosmos import CosmosDocuments
from shared.platform.documents.sqlite import SqliteDocuments
from tests.emulators.cosmos import KEY, CosmosPeer, run_cosmos
from tests.support.platform.documents_clock import Clock

_AZURE_ENDPOINT = os.environ.get("AMS_TEST_AZURE_COSMOS_ENDPOINT", "")
_AZURE_KEY = os.environ.get("AMS_TEST_AZURE_COSMOS_KEY", "")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def peer(clock: Clock) -> AsyncIterator[CosmosPeer]:
    async with run_cosmos(clock) as running:
        yield running


@pytest.fixture
async def cosmos(peer: CosmosPeer) -> AsyncIterator[CosmosDocuments]:
    """The adapter in front of a peer with all containers and no requests counted yet."""
    documents = CosmosDocuments(peer.endpoint, KEY, "ams")
    try:
        await documents.ensure_containers()
        peer.exchanges.clear()
        yield documents
    finally:
        await documents.close()


@pytest.fixture
async def sqlite(tmp_path: Path, clock: Clock) -> AsyncIterator[SqliteDocuments]:
    documents = SqliteDocuments(tmp_path / "documents.db", clock)
    try:
        yield documents
    finally:
        await documents.close()


@pytest.fixture
async def azure(clock: Clock) -> AsyncIterator[CosmosDocuments]:
    from azure.cosmos.aio import CosmosClient

    clock.real = True
    database = f"ams-contract-{uuid.uuid4().hex}"
    documents = CosmosDocuments(_AZURE_ENDPOINT, _AZURE_KEY, database)
    try:
        await documents.ensure_containers()
        yield documents
    finally:
        await documents.close()
        async with CosmosClient(_AZURE_ENDPOINT, _AZURE_KEY) as client:
            await client.delete_database(database)


@pytest.fixture(params=["sqlite", "cosmos", *(["azure"] if _AZURE_ENDPOINT else [])])
def store(request: pytest.FixtureRequest) -> Documents:
    documents: Documents = request.getfixturevalue(request.param)  # one of the fixtures above
    return documents
