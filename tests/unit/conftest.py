"""Fixtures of the unit tests."""

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.billing_support import Books, open_books
from tests.unit.support import IN_MEMORY, Market, open_market


@pytest.fixture
async def market() -> AsyncIterator[Market]:
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
        opened = await open_market(Path(folder))
        yield opened
        await opened.close()


@pytest.fixture
async def books(tmp_path: Path) -> AsyncIterator[Books]:
    opened = await open_books(tmp_path)
    yield opened
    await opened.journal.drain()
    await opened.market.close()
