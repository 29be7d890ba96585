"""The store of the journal and of the log."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.platform.documents.sqlite import SqliteDocuments


@pytest.fixture
async def documents(tmp_path: Path) -> AsyncIterator[SqliteDocuments]:
    opened = SqliteDocuments(tmp_path / "documents.db")
    yield opened
    await opened.close()
